"""Every explorer of the course, built small and fast, and the sweep that moves each control over its values."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from unittest import mock

import ipywidgets
import matplotlib.pyplot as plt
import torch
from helpers import TinyNet, tiny_images
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils import widgets
from course_utils.backgrounds import GROUNDS, TESTED, feature_maps, pictures
from course_utils.failures import Mistake, composite_cases, crop_cases, explain_mistakes
from course_utils.language import ANSWERS, QUESTIONS, Answerer, Captioner, captions, nets
from course_utils.networks import Classifier, imagenet_classes, load_classifier, small_net
from course_utils.pictures import SHAPES, Scenes, scenes
from course_utils.show import figures
from course_utils.widgets import Explorer, explorer
from course_utils.xray import Radiographs, radiographs, xray_reader

NAMES = ["ant", "bee", "cat", "dog", "eel"]
OBJECTS = ["ant", "bee", "daisy", "tripod", "elk"]


@dataclass(frozen=True)
class Case:
    """How an explorer is built, and where it is not as a sweep expects: each value drawn, and told from the others."""

    build: Callable[[], Explorer]
    start: Mapping[str, object] = field(default_factory=dict)  # where controls stand while others are moved
    only: Mapping[str, Sequence] = field(default_factory=dict)  # the values tried, where others load networks
    different: Mapping[str, int] = field(
        default_factory=dict
    )  # how many of a control's pages differ at least
    refused: tuple[str, ...] = ()  # controls with values that a sentence refuses
    words_only: tuple[str, ...] = ()  # controls that leave the picture as it is


# --- what the explorers show; made once, and changed by nobody


@cache
def tiny() -> Classifier:
    return Classifier(TinyNet(), NAMES, target_layer="features.5").eval()


@cache
def easily_moved() -> Classifier:
    """A network whose answers small changes of a picture turn."""
    net = TinyNet(seed=1)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    return Classifier(net, NAMES, target_layer="features.5").eval()


@cache
def knows_imagenet() -> Classifier:
    """A tiny network with the names of ImageNet's classes; every cell speaks for every class: no map is empty."""
    net = TinyNet(n_classes=1000)
    net.head[-1].weight.data.abs_()
    return Classifier(net, imagenet_classes(), target_layer="features.5").eval()


@cache
def mistakes() -> list[Mistake]:
    cases = composite_cases(12, seed=2) + crop_cases(["cat"])[:1]
    with torch.no_grad():
        logits = torch.cat([knows_imagenet()(case.tensor()) for case in cases])
    return explain_mistakes(knows_imagenet(), cases, logits)


class StagedNet(nn.Module):
    """Three stages of different shape, in-place ReLUs, and a ReLU that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)  # runs twice: no stage
        self.blocks = nn.Sequential(nn.Conv2d(4, 6, 2, stride=2), nn.Conv2d(6, 5, 2, stride=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = self.relu(self.blocks(x))
        return self.head(self.pool(x).flatten(1))


def staged() -> tuple[Classifier, Tensor]:
    torch.manual_seed(0)
    return Classifier(StagedNet(), ["a", "b", "c"]).eval(), torch.rand(1, 3, 16, 16)


def two_relus(activation: type[nn.Module] = nn.ReLU) -> tuple[Classifier, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), activation(), nn.Conv2d(6, 5, 2, stride=2), activation(),
        nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip
    image = torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    return Classifier(net, ["a", "b", "c"]).eval(), image


@cache
def background_maps() -> Tensor:
    clf = load_classifier(device="cpu")
    return torch.stack([feature_maps(clf, pictures(TESTED[:12], ground, "test")) for ground in GROUNDS], 1)


@cache
def lone_shapes() -> Scenes:
    return scenes(4, seed=21)


@cache
def two_shape_nets() -> dict[str, Classifier]:
    made = {"pooling": small_net("vgg_gap", SHAPES), "dense": small_net("vgg", SHAPES)}
    for net in made.values():
        for part in net.net.head:
            if isinstance(part, nn.Linear):
                part.weight.data.abs_()  # every cell speaks for every class: no map is empty
    return made


@cache
def films() -> Radiographs:
    return radiographs(4, seed=21)


@cache
def readers() -> dict[str, nn.Module]:
    return {"biased": xray_reader("none"), "repaired": xray_reader("marker at random")}


@cache
def described() -> Scenes:
    return captions.described_scenes(4, seed=11)


class Reciter(Captioner):
    """Untrained, but with captions worth reading: the second one tells of what is not there."""

    texts = (
        "a red hydrant left of a blue car",
        "a white star",
        "a pink fish above a pink boat",
        "a green house",
    )

    def write(self, images: Tensor, longest: int = 24) -> list[str]:
        return list(self.texts[: len(images)])


def shape_trunk() -> nn.Module:
    """The features of a small network; what is drawn next, the rest of a net, comes from the seed, too."""
    trunk = small_net("vgg_gap", SHAPES).net.features
    torch.manual_seed(0)
    return trunk


@cache
def captioner() -> Reciter:
    return Reciter(shape_trunk(), nets.Vocabulary(captions.caption_words())).eval()


@cache
def answerer() -> Answerer:
    return Answerer(shape_trunk(), nets.Vocabulary(QUESTIONS), ANSWERS).eval()


# --- the explorers

STAGES = {"early": "features.2", "last": "features.5"}
RELUS = {"first": "net.0", "second": "net.2"}
TABLE = {
    "any_class": Case(lambda: widgets.any_class_explorer(knows_imagenet())),
    "output_size": Case(widgets.output_size_explorer, refused=("n",)),
    "channels": Case(lambda: widgets.channel_explorer(*staged())),
    "toy_cam": Case(widgets.toy_cam_explorer, words_only=("bias",)),
    "layers": Case(lambda: widgets.layer_explorer(tiny(), tiny_images(1), STAGES, "bee")),
    "guided": Case(lambda: widgets.guided_explorer(*two_relus(), ["a", "b", "c"], RELUS)),
    "counterfactual": Case(
        lambda: widgets.counterfactual_explorer(tiny(), tiny_images(1), "bee", "dog"),
        refused=("first", "second"),
    ),
    "threshold": Case(lambda: widgets.threshold_explorer(knows_imagenet())),
    "segmentation": Case(
        lambda: widgets.segmentation_explorer(two_shape_nets(), lone_shapes()),
        start={"background": 0},
        different={"foreground": 3, "background": 2},
    ),
    "failures": Case(lambda: widgets.failure_explorer(mistakes()), refused=("kind",)),
    # The first guess counts.
    "blind_game": Case(lambda: widgets.BlindGame(mistakes(), rounds=6).explorer(), different={"answer": 2}),
    "attacks": Case(
        lambda: widgets.attack_explorer(easily_moved(), tiny_images(1), "bee", "dog"), refused=("target",)
    ),
    "backgrounds": Case(lambda: widgets.background_explorer(background_maps())),
    "watermarks": Case(
        lambda: widgets.watermark_explorer(knows_imagenet()), only={"photo": ["palace", "cat"]}
    ),
    "xray_stamp": Case(lambda: widgets.stamp_explorer(readers(), films())),
    "caption": Case(lambda: widgets.caption_explorer(captioner(), described())),
    # "The answer given" is one of the answers.
    "question": Case(lambda: widgets.question_explorer(answerer(), described()), different={"answer": 24}),
    # Every photograph has a test of its own; other networks would have to be loaded.
    "playground": Case(
        lambda: widgets.playground_explorer(Classifier(TinyNet(), OBJECTS, size=28), "tiny"),
        only={"picture": ["cat", "rocket"], "network": ["tiny", "efficientnet_lite0, random weights"]},
        different={"third": 4},
    ),
}


# --- the sweep

MOST_VALUES = 5  # tried of a slider, and of what a text field offers
DPI = 20  # so that drawing takes no time; each change can still be told


def values_of(control: ipywidgets.Widget) -> list:
    """All values that a control has; of a long slider and of a text field some of them, from end to end."""
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True]
    if isinstance(control, ipywidgets.Combobox):
        return spread(control.options, MOST_VALUES)
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    count = round((control.max - control.min) / control.step) + 1
    values = [type(control.value)(round(control.min + n * control.step, 6)) for n in range(count)]
    return spread(values, MOST_VALUES)


def spread(values: Sequence, most: int) -> list:
    """At most so many of them, evenly, the first and the last included."""
    if len(values) <= most:
        return list(values)
    return [values[round(n * (len(values) - 1) / (most - 1))] for n in range(most)]


def sweep(case: Case) -> list[str]:
    """Move every control over its values and back; return sentences about what is wrong."""
    with small_pictures():
        moved = case.build()
        moved.set(**case.start)
        first, faults = moved.html, []
        for name, control in moved.controls.items():
            faults += [f"{name} has no label."] * (not control.description)
            faults += _over_its_values(case, moved, name, control)
        remembers = explorer.REMEMBERS in moved.box._dom_classes
        if moved.html != first and not remembers:
            faults.append("with all controls back at the start there is another picture, or other words.")
    return faults


def _over_its_values(case: Case, moved: Explorer, name: str, control: ipywidgets.Widget) -> list[str]:
    start, faults, pages = control.value, [], []
    values = case.only.get(name) or values_of(control)
    for value in values:
        moved.set(**{name: value})
        pages.append(moved.html)
        faults += [f"{name} = {value!r}: {fault}" for fault in judge(moved.html, name in case.refused)]
    if isinstance(control, ipywidgets.Combobox):
        moved.set(**{name: "no such thing"})
        if "alert" not in moved.html:
            faults.append(f"{name}: no sentence says that there is no such thing.")
        faults += [f"{name}, misspelled: {fault}" for fault in judge(moved.html, refused=True)]
    moved.set(**{name: start})
    if len(set(pages)) < case.different.get(name, len(values)):
        faults.append(f"{name}: {len(values)} values, but only {len(set(pages))} of them are told apart.")
    if len({picture(page) for page in pages}) < 2 and name not in case.words_only:
        faults.append(f"{name}: the picture is always the same.")
    return faults


def picture(page: str) -> str:
    found = re.search(r'<img src="([^"]+)"', page)
    return found[1] if found else ""


def judge(page: str, refused: bool) -> list[str]:
    """What is wrong with what an explorer shows: a picture with words, or a sentence in its place."""
    if 'role="alert"' in page:
        words = re.search(r'role="alert"><b>(.*)</b>', page)[1]
        faults = [] if refused else [f"is refused: {words}"]
        faults += ["a refusal stands beside a picture."] * bool(picture(page))
        return faults + [f"the refusal is no sentence: {words}"] * (len(words.split()) < 4)
    alt, caption = re.search(r'alt="([^"]*)"', page), re.search(r"<figcaption[^>]*><i>(.*?)</i>", page)
    if not picture(page) or not alt or not caption:
        return ["there is no picture with words."]
    told = html.unescape(alt[1]) == html.unescape(caption[1]) and alt[1].strip()
    return [] if told else ["the picture's alt text is not its caption."]


@contextmanager
def small_pictures() -> Iterator[None]:
    """Let explorers draw so small that it takes no time."""
    encoded = figures._encoded

    def small(figure: Figure, _: bool) -> tuple[str, bytes]:
        figure.set_dpi(DPI)
        return encoded(figure, False)

    with mock.patch.object(figures, "_encoded", small):
        yield


def words_of(asked: Explorer, **setting: object) -> str:
    """What an explorer says at a setting; the controls stay where they are."""
    figure, words = asked.draw(**{**asked.values, **setting})
    plt.close(figure)
    return words
