"""One network, explained on any picture: predictions, maps, boxes, the check by covering, and what to be wary of.

Neither widgets nor a command line here: both use this, and so give the same numbers and the same warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from course_utils.explain import (
    batched_logits,
    cover,
    evaluation_mode,
    find_layer,
    heatmaps,
    hooked,
    top_share_mask,
)
from course_utils.localization import box_from_heatmap
from course_utils.localization.evaluation import to_original
from course_utils.methods import METHODS, Method
from course_utils.networks import Classifier
from course_utils.pictures import Picture

from .marks import GRID, marked_squares, marks, signed_maps
from .results import Check, ClassResult, Result, class_cautions, picture_cautions

__all__ = ["DRAWS", "SQUARES", "Explainer", "typed_class"]

DRAWS = 10  # covers of random squares to compare with
SQUARES = 5  # of GRID * GRID that are covered
TOP = 5  # predictions that are told
LEAST = 1e-5  # a smaller change of a logit may be rounding


def typed_class(text: str, classes: Sequence[str]) -> int | str:
    """Return a class as somebody typed it: digits are its number, unless a class has them for its name."""
    return int(text) if text.isdecimal() and text not in classes else text  # "²" is a digit, and no number


class Explainer:
    """Explains one network's answers about pictures. What was computed for a picture is kept for a while.

    >>> explainer = Explainer(load_classifier())
    >>> result = explainer.explain(read_picture("photo.jpg"), ["tabby", "tiger cat"], "grad-cam")

    Args:
        classifier: the network with its normalization and class names; any ``nn.Module`` can be put into one.
        name: what to call it.
        random_weights: whether it has learned nothing: every result then says so.

    Raises:
        TypeError: not a Classifier.
    """

    def __init__(
        self, classifier: Classifier, name: str = "your network", random_weights: bool = False
    ) -> None:
        if not isinstance(classifier, Classifier):
            raise TypeError(
                f"the network must be a Classifier, got {type(classifier).__name__}. Wrap it: "
                "`Classifier(net, classes, mean, std)`."
            )
        self.classifier, self.name, self.random_weights = classifier, name, random_weights
        self._layers: dict[str, tuple[int, int]] = {}
        self._seen = lru_cache(maxsize=8)(self._look)
        self._at_random = lru_cache(maxsize=16)(self._cover_at_random)
        # What is known for each class of a picture, by the class's number; an empty dict to begin with.
        self._maps = lru_cache(maxsize=32)(lambda picture, method, layer: {})
        self._covers = lru_cache(maxsize=32)(lambda picture, method, layer, squares: {})

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Layers to choose from, by dotted name, with (h, w) of their maps: the last module of each size.

        They come in the order of the forward pass; the last convolutional map, which is the default, comes last.
        """
        if not self._layers:
            self._layers = _layers_by_size(self.classifier)
        return self._layers

    def explain(
        self,
        picture: Picture,
        classes: Sequence[int | str] | int | str | None = None,
        method: str = "grad-cam",
        layer: str | None = None,
        threshold: float = 0.15,
        squares: int = SQUARES,
        controls: bool = True,
    ) -> Result:
        """Explain one or several classes of one picture; the maps of all that are new come from one pass.

        Args:
            picture: from :func:`course_utils.pictures.read_picture`.
            classes: names or numbers; none: the predicted class.
            method: a key of ``METHODS``.
            layer: dotted name; by default the last convolutional map.
            threshold: of the box, as a share of the map's maximum.
            squares: how many of the 49 squares the check covers.
            controls: cover random squares, too. Without them, which take most of the time with a new picture, a check
                has no ``random``, and confirms nothing.

        Raises:
            ValueError: an unknown class, method or layer, a layer for a method that takes none, or a network that
                the method cannot treat (LayerError, ActivationError).
        """
        self.check(method, layer, threshold, squares)
        how = METHODS[method]
        image, logits = self._seen(picture)
        chosen = self._numbers(classes, logits)
        maps = self._maps(picture, method, layer)
        new = [c for c in chosen if c not in maps]
        if new:
            made = signed_maps(how, self.classifier, image, new, layer).detach().float().cpu()
            maps.update(zip(new, made, strict=True))
        covers = self._cover(picture, method, layer, squares, {c: maps[c] for c in chosen})
        found = [
            self._class(picture, c, how, maps[c], covers.get(c), threshold, squares, logits, controls)
            for c in chosen
        ]
        where = (layer or list(self.layers)[-1]) if how.takes_layer else None
        size = self._size(where) if where else None
        first = logits.softmax(0).topk(min(TOP, len(logits)))
        cautions = picture_cautions(
            picture, how, self.classifier.size, size, list(self.layers.values())[-1], self.random_weights
        )
        return Result(
            picture=picture,
            square=image[0].cpu().numpy(),
            model=self.name,
            method=method,
            layer=where,
            layer_size=size,
            predictions=tuple(
                (self.classifier.classes[i], i, p)
                for p, i in zip(first.values.tolist(), first.indices.tolist(), strict=True)
            ),
            classes=tuple(found),
            threshold=threshold,
            squares=squares,
            cautions=cautions,
        )

    def check(self, method: str, layer: str | None, threshold: float = 0.15, squares: int = SQUARES) -> None:
        """Refuse arguments of :meth:`explain` that do not fit whatever the picture.

        Raises:
            ValueError: as for :meth:`explain`.
        """
        if method not in METHODS:
            raise ValueError(f"there is no method {method!r}; there are {', '.join(METHODS)}.")
        how = METHODS[method]
        if layer is not None and not how.takes_layer:
            raise ValueError(f"{how.title} takes no layer.")
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold must lie above 0 and not above 1, got {threshold}.")
        if not 1 <= squares < GRID**2:
            raise ValueError(f"squares must be between 1 and {GRID**2 - 1}, got {squares}.")
        if layer is not None:
            find_layer(self.classifier, self._blank(), layer)  # by its name: the network does not run

    def most_probable(self, picture: Picture, number: int) -> list[int]:
        """Return the numbers of a picture's most probable classes."""
        logits = self._seen(picture)[1]
        return logits.topk(min(number, len(logits))).indices.tolist()

    def forget(self) -> None:
        """Drop what is kept of pictures, as after each one of a long list."""
        for kept in (self._seen, self._at_random, self._maps, self._covers):
            kept.cache_clear()

    def _look(self, picture: Picture) -> tuple[Tensor, Tensor]:
        """The square that the network sees, (1, 3, S, S), and its logits."""
        image = self.classifier.preprocess(picture.image)
        return image, batched_logits(self.classifier, image)[0].float().cpu()

    def _numbers(self, classes: Sequence[int | str] | int | str | None, logits: Tensor) -> list[int]:
        if isinstance(classes, Tensor | np.ndarray):
            classes = classes.tolist()
        asked = [classes] if isinstance(classes, str) or not isinstance(classes, Iterable) else list(classes)
        if not asked or asked == [None]:
            return [int(logits.argmax())]
        return list(dict.fromkeys(self.classifier.class_index(name) for name in asked))

    def _cover(
        self, picture: Picture, method: str, layer: str | None, squares: int, maps: dict[int, Tensor]
    ) -> dict[int, tuple[Tensor, Tensor]]:
        """Cover the most marked squares of each class that has any: (picture (3, S, S), its logits)."""
        how, covers = METHODS[method], self._covers(picture, method, layer, squares)
        new = [c for c, raw in maps.items() if c not in covers and bool((marks(how, raw[None]) > 0).any())]
        if new:
            marked = marked_squares(how, torch.stack([maps[c] for c in new]))
            pictures = cover(self._seen(picture)[0], top_share_mask(marked, squares / GRID**2))
            logits = batched_logits(self.classifier, pictures).float().cpu()
            covers.update({c: (p.cpu(), y) for c, p, y in zip(new, pictures, logits, strict=True)})
        return covers

    def _cover_at_random(self, picture: Picture, squares: int) -> Tensor:
        """Logits (DRAWS, classes) after covering random squares, the same for each picture and class."""
        drawn = torch.rand(DRAWS, GRID, GRID, generator=torch.Generator().manual_seed(0))
        pictures = cover(self._seen(picture)[0], top_share_mask(drawn, squares / GRID**2))
        return batched_logits(self.classifier, pictures).float().cpu()

    def _class(
        self,
        picture: Picture,
        c: int,
        how: Method,
        raw: Tensor,
        covered: tuple[Tensor, Tensor] | None,
        threshold: float,
        squares: int,
        logits: Tensor,
        controls: bool,
    ) -> ClassResult:
        heat = heatmaps(marks(how, raw[None])[0], self.classifier.size)
        box = box_from_heatmap(heat, threshold)
        check = None
        if covered is not None:
            random = self._at_random(picture, squares)[:, c] if controls else logits.new_empty(0)
            moved, others = how.sign * (covered[1][c] - logits[c]), how.sign * (random - logits[c])
            check = Check(
                before=logits[c].item(),
                after=covered[1][c].item(),
                random=tuple(random.tolist()),
                prediction=self.classifier.classes[int(covered[1].argmax())],
                confirmed=controls and bool(moved < -LEAST and moved < others.min()),
            )
        probability, name = logits.softmax(0)[c].item(), self.classifier.classes[c]
        rank = int((logits > logits[c]).sum()) + 1
        return ClassResult(
            name=name,
            index=c,
            probability=probability,
            logit=logits[c].item(),
            rank=rank,
            raw=raw.numpy(),
            heat=heat.numpy(),
            empty=covered is None,
            box=box,
            box_in_file=box and to_original(box, *picture.size, self.classifier.size),
            check=check,
            covered=None if covered is None else covered[0].numpy(),
            cautions=class_cautions(name, probability, rank, how, heat, box, check, squares),
        )

    def _size(self, layer: str) -> tuple[int, int]:
        if layer in self.layers:
            return self.layers[layer]
        module = find_layer(self.classifier, self._blank(), layer)  # by its name: the network does not run
        return tuple(_shapes(self.classifier, {module: layer})[0][1][2:])

    def _blank(self) -> Tensor:
        return torch.full((1, 3, self.classifier.size, self.classifier.size), 0.5)


def _layers_by_size(classifier: Classifier) -> dict[str, tuple[int, int]]:
    size = classifier.size
    blank = torch.full((1, 3, size, size), 0.5)
    with evaluation_mode(classifier):
        default = find_layer(classifier, blank)
    named = {module: name for name, module in classifier.named_modules() if name}
    shapes = _shapes(classifier, named)
    smallest = next(shape for name, shape in shapes if name == named[default])
    last: dict[tuple, str] = {}
    for name, shape in shapes:
        if len(shape) == 4 and shape[2] > smallest[2] and shape[3] > smallest[3]:
            last.pop(shape[2:], None)
            last[shape[2:]] = name
    return {name: tuple(hw) for hw, name in last.items()} | {named[default]: tuple(smallest[2:])}


def _shapes(classifier: Classifier, named: dict) -> list[tuple[str, tuple[int, ...]]]:
    """(name, output shape) of the modules named that run once, in the order in which they finish."""
    found: list[tuple[str, tuple[int, ...]]] = []

    def note(module: torch.nn.Module, inputs: tuple, output: object) -> None:
        found.append((named[module], tuple(output.shape) if isinstance(output, Tensor) else ()))

    size = classifier.size
    blank = torch.full((1, 3, size, size), 0.5, device=classifier.mean.device)
    with evaluation_mode(classifier), torch.no_grad(), hooked(named, note):
        classifier(blank)
    names = [name for name, _ in found]
    return [(name, shape) for name, shape in found if names.count(name) == 1]
