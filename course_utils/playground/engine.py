"""One network, explained on any picture: predictions, maps, boxes, the check by covering, and what to be wary of.

Neither widgets nor a command line here: both use this, and so give the same numbers and the same warnings.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

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
    map_size,
    top_share_mask,
)
from course_utils.localization import box_from_heatmap
from course_utils.localization.evaluation import to_original
from course_utils.methods import METHODS, Method
from course_utils.networks import Classifier
from course_utils.pictures import Picture

from .marks import GRID, marked_squares, marks, marks_a_place, moved_copies, signed_maps
from .results import Check, ClassResult, Result, class_cautions, picture_cautions

__all__ = ["DRAWS", "SQUARES", "Explainer", "Stage", "typed_class"]

DRAWS = 10  # places elsewhere at which the same shape is covered, to compare with
SQUARES = 5  # of GRID * GRID that are covered
TOP = 5  # predictions that are told
LEAST = 1e-5  # a smaller change of a logit may be rounding


def typed_class(text: str, classes: Sequence[str]) -> int | str:
    """Return a class as somebody typed it: digits are its number, unless a class has them for its name."""
    return int(text) if text.isdecimal() and text not in classes else text  # "²" is a digit, and no number


@dataclass(frozen=True)
class Stage:
    """Where :meth:`Explainer.steps` stands: what it computes next, and what is known so far.

    Attributes:
        text: what comes next, in words.
        share: of the work that is done, from 0 to 1.
        result: new since the stage before; a class that is not empty has no check yet, or one without ``random``.
    """

    text: str
    share: float
    result: Result | None = None


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
        # What is known of a picture, filled in as it is computed: an empty dict to begin with.
        self._seen = lru_cache(maxsize=8)(lambda picture: {})  # "image" (1, 3, S, S), and its "logits"
        # For each class, by its number: its map; (what is covered (7, 7), the covered picture (3, S, S), its logits);
        # and the class's logits after covering the same shape elsewhere, by the number of the draw.
        self._maps = lru_cache(maxsize=32)(lambda picture, method, layer: {})
        self._covers = lru_cache(maxsize=32)(lambda picture, method, layer, squares: {})
        self._elsewhere = lru_cache(maxsize=32)(lambda picture, method, layer, squares: {})

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
    ) -> Result:
        """Explain one or several classes of one picture; the maps of all that are new come from one pass.

        Args:
            picture: from :func:`course_utils.pictures.read_picture`.
            classes: names or numbers; none: the predicted class.
            method: a key of ``METHODS``.
            layer: dotted name; by default the last convolutional map.
            threshold: of the box, as a share of the map's maximum.
            squares: how many of the 49 squares the check covers.

        Raises:
            ValueError: an unknown class, method or layer, a layer for a method that takes none, or a network that
                the method cannot treat (LayerError, ActivationError).
        """
        steps = self.steps(picture, classes, method, layer, threshold, squares)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def steps(
        self,
        picture: Picture,
        classes: Sequence[int | str] | int | str | None = None,
        method: str = "grad-cam",
        layer: str | None = None,
        threshold: float = 0.15,
        squares: int = SQUARES,
    ) -> Generator[Stage, None, Result]:
        """Explain as :meth:`explain` does, and stop before each part that takes long, for whoever shows the progress.

        Yields a Stage before each part, with the maps before their check, and with the marked covers before those
        elsewhere; returns the result. What was computed is kept, also by whoever breaks off. Between two stages
        the network is as it was.
        """
        self.check(method, layer, threshold, squares)
        how = METHODS[method]
        seen = self._seen(picture)
        if not seen:
            yield Stage(f"{self.name} looks at the picture", 0.0)
            self._look(picture, seen)
        image = seen["image"]
        chosen = self._numbers(classes, seen["logits"])
        maps = self._maps(picture, method, layer)
        new = [c for c in chosen if c not in maps]
        if new:
            yield Stage(f"{how.title} of {self.name}", 0.1)
            made = signed_maps(how, self.classifier, image, new, layer).detach().float().cpu()
            maps.update(zip(new, made, strict=True))
        covers = self._covers(picture, method, layer, squares)
        elsewhere = self._elsewhere(picture, method, layer, squares)

        def found() -> Result:
            return self._result(
                picture, chosen, method, layer, threshold, squares, seen, maps, covers, elsewhere
            )

        marked = [c for c in chosen if marks_a_place(how, maps[c])]
        new = [c for c in marked if c not in covers]
        if new:
            yield Stage("covering what is marked", 0.3, found())
            over = marked_squares(how, torch.stack([maps[c] for c in new]))
            masks = top_share_mask(over, squares / GRID**2)
            pictures = cover(image, masks)
            after = batched_logits(self.classifier, pictures).float().cpu()
            covers.update({c: made for c, *made in zip(new, masks, pictures.cpu(), after, strict=True)})
        missing = [(c, draw) for c in marked for draw in range(DRAWS) if draw not in elsewhere.get(c, {})]
        own = crc32(picture.image.tobytes())  # each picture has draws of its own, the same on every machine
        copies = {c: moved_copies(covers[c][0], DRAWS, own) for c in dict(missing)}
        for number, (c, draw) in enumerate(missing):  # one picture at a time: no part is to take long
            share = 0.4 + 0.6 * number / len(missing)
            stage = f"the same shape elsewhere, {number + 1} of {len(missing)}"
            yield Stage(stage, share, None if number else found())
            logits_there = batched_logits(self.classifier, cover(image, copies[c][draw][None]))
            elsewhere.setdefault(c, {})[draw] = logits_there[0, c].item()
        return found()

    def _result(
        self,
        picture: Picture,
        chosen: Sequence[int],
        method: str,
        layer: str | None,
        threshold: float,
        squares: int,
        seen: dict[str, Tensor],
        maps: dict[int, Tensor],
        covers: dict[int, Sequence[Tensor]],
        elsewhere: dict[int, dict[int, float]],
    ) -> Result:
        """What is known of the chosen classes, whose maps are there."""
        how, image, logits = METHODS[method], seen["image"], seen["logits"]
        found = [
            self._class(
                picture, c, how, maps[c], covers.get(c), threshold, squares, logits, elsewhere.get(c, {})
            )
            for c in chosen
        ]
        where = (layer or list(self.layers)[-1]) if how.takes_layer else None
        size = self._size(where) if where else None
        first = self.classifier.probabilities(logits).topk(min(TOP, len(logits)))
        cautions = picture_cautions(
            picture,
            how,
            self.classifier.size,
            self.classifier.crop,
            size,
            list(self.layers.values())[-1],
            self.random_weights,
        )
        return Result(
            picture=picture,
            square=image[0].expand(3, -1, -1).cpu().numpy(),
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
            find_layer(
                self.classifier, _blank(self.classifier), layer
            )  # by its name: the network does not run

    def most_probable(self, picture: Picture, number: int) -> list[int]:
        """Return the numbers of a picture's most probable classes."""
        seen = self._seen(picture)
        if not seen:
            self._look(picture, seen)
        logits = seen["logits"]
        return logits.topk(min(number, len(logits))).indices.tolist()

    def forget(self) -> None:
        """Drop what is kept of pictures, as after each one of a long list."""
        for kept in (self._seen, self._maps, self._covers, self._elsewhere):
            kept.cache_clear()

    def _look(self, picture: Picture, seen: dict[str, Tensor]) -> None:
        """Note the square that the network sees, (1, C, S, S), and its logits."""
        image = self.classifier.preprocess(picture.image)
        seen |= {"image": image, "logits": batched_logits(self.classifier, image)[0].float().cpu()}

    def _numbers(self, classes: Sequence[int | str] | int | str | None, logits: Tensor) -> list[int]:
        if isinstance(classes, Tensor | np.ndarray):
            classes = classes.tolist()
        asked = [classes] if isinstance(classes, str) or not isinstance(classes, Iterable) else list(classes)
        if not asked or asked == [None]:
            return [int(logits.argmax())]
        return list(dict.fromkeys(self.classifier.class_index(name) for name in asked))

    def _class(
        self,
        picture: Picture,
        c: int,
        how: Method,
        raw: Tensor,
        covered: Sequence[Tensor] | None,
        threshold: float,
        squares: int,
        logits: Tensor,
        elsewhere: dict[int, float],
    ) -> ClassResult:
        heat = heatmaps(marks(how, raw[None])[0], self.classifier.size)
        box = box_from_heatmap(heat, threshold)
        check = None
        if covered is not None:
            before, after = logits[c].item(), covered[2][c].item()
            random = tuple(elsewhere[n] for n in range(DRAWS)) if len(elsewhere) == DRAWS else ()
            moved, others = how.sign * (after - before), [how.sign * (value - before) for value in random]
            check = Check(
                before=before,
                after=after,
                random=random,
                prediction=self.classifier.classes[int(covered[2].argmax())],
                confirmed=bool(random) and moved < -LEAST and moved < min(others),
            )
        probability, name = self.classifier.probabilities(logits)[c].item(), self.classifier.classes[c]
        rank = int((logits > logits[c]).sum()) + 1
        return ClassResult(
            name=name,
            index=c,
            probability=probability,
            logit=logits[c].item(),
            rank=rank,
            raw=(raw.expand(3, -1, -1) if how.pixels else raw).numpy(),
            heat=heat.numpy(),
            empty=not marks_a_place(how, raw),
            box=box,
            box_in_file=box and to_original(box, *picture.size, self.classifier.size, self.classifier.crop),
            check=check,
            covered=None if covered is None else covered[1].expand(3, -1, -1).numpy(),
            cautions=class_cautions(name, probability, rank, how, heat, box, check, squares),
        )

    def _size(self, layer: str) -> tuple[int, int]:
        if layer in self.layers:
            return self.layers[layer]
        module = find_layer(
            self.classifier, _blank(self.classifier), layer
        )  # by its name: the network does not run
        return _sizes(self.classifier, {module: layer})[0][1]


def _blank(classifier: Classifier) -> Tensor:
    """A gray image of the size and the channels that the network takes."""
    return torch.full_like(classifier.mean, 0.5).repeat(1, 1, classifier.size, classifier.size)


def _layers_by_size(classifier: Classifier) -> dict[str, tuple[int, int]]:
    with evaluation_mode(classifier):
        default = find_layer(classifier, _blank(classifier))
    named = {module: name for name, module in classifier.named_modules() if name}
    sizes = _sizes(classifier, named)
    smallest = next(size for name, size in sizes if name == named[default])
    last: dict[tuple, str] = {}
    for name, size in sizes:
        if size is not None and size[0] > smallest[0] and size[1] > smallest[1]:
            last.pop(size, None)
            last[size] = name
    return {name: size for size, name in last.items()} | {named[default]: smallest}


def _sizes(classifier: Classifier, named: dict) -> list[tuple[str, tuple[int, int] | None]]:
    """(name, (h, w) of its map, if it is one) of the modules named that run once, in the order in which they finish."""
    found: list[tuple[str, tuple[int, int] | None]] = []

    def note(module: torch.nn.Module, inputs: tuple, output: object) -> None:
        found.append((named[module], map_size(module, output.shape) if isinstance(output, Tensor) else None))

    with evaluation_mode(classifier), torch.no_grad(), hooked(named, note):
        classifier(_blank(classifier))
    names = [name for name, _ in found]
    return [(name, size) for name, size in found if names.count(name) == 1]
