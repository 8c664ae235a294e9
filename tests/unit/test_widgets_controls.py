"""What all explorers share, every control of each of them over its values, how fast they answer, what they refuse."""

import re
import time

import matplotlib.pyplot as plt
import pytest
import torch
from explorers import TABLE, Case, background_maps, mistakes, staged, sweep, tiny, two_relus
from helpers import tiny_images
from torch import nn

from course_utils import widgets
from course_utils.assets import AssetError
from course_utils.explain import ActivationError, LayerError
from course_utils.failures import NEIGHBOR
from course_utils.networks import Classifier
from course_utils.pictures import PictureError, load_photo, mosaic
from course_utils.show import panels
from course_utils.widgets import BlindGame, Explorer, choice, slider, toy_cam, typed
from course_utils.widgets import explorer as explorer_module


def counting(n, shout):
    if n == 3:
        raise ValueError("three is <not> drawn: take another number.")
    figure, (ax,) = panels(1, width=2)
    ax.plot(range(n + 1))
    return figure, f"{n} steps{'!' if shout else '.'}"


@pytest.fixture
def explorer():
    return widgets.Explorer(counting, n=slider("steps", 1, 5, 2), shout=widgets.check_box("shout"))


def test_moving_a_control_changes_picture_and_words(explorer):
    seen = {explorer.html}
    for n in (1, 4, 5):
        explorer.set(n=n)
        assert f'alt="{n} steps."' in explorer.html
        seen.add(explorer.html)
    assert len(seen) == 4
    explorer.set(shout=True)
    assert "5 steps!" in explorer.html


def test_a_refusal_is_shown_in_place_of_the_picture(explorer):
    explorer.set(n=3)
    assert "three is &lt;not&gt; drawn" in explorer.html and "<img" not in explorer.html
    explorer.set(n=4)
    assert "<img" in explorer.html


def test_it_is_marked_and_labeled(explorer):
    assert explorer_module.MARKER in explorer.box._dom_classes
    assert all(control.description for control in explorer.controls.values())


def test_it_shows_itself_as_a_widget_with_words_for_where_there_are_none(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr(explorer_module, "display", lambda data, raw: shown.append(data))
    explorer._ipython_display_()
    assert "Interactive explorer" in shown[0]["text/plain"]
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.box.model_id


def test_stills_draw_other_settings_and_leave_the_controls_alone(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr(explorer_module, "display", shown.append)
    explorer.stills([{"n": 1}, {"n": 5, "shout": True}])
    assert shown[0].data.count("<img") == 2 and "1 steps." in shown[0].data and "5 steps!" in shown[0].data
    assert explorer.values == {"n": 2, "shout": False}


def test_captions_credit_what_the_explorer_shows_and_what_the_author_adds(monkeypatch):
    def draw(photo):
        return plt.figure(figsize=(1, 1)), f"A {photo}."

    chosen = choice("photograph", ["cat", "goose"], "cat")
    explorer = Explorer(draw, photos=lambda photo: [photo], photo=chosen)
    assert "A cat. Photograph: Stefan van der Walt (CC0)." in explorer.html
    shown = []
    monkeypatch.setattr(explorer_module, "display", shown.append)
    explorer.stills([{"photo": "goose"}, {}], photos=["camera"])
    first, second = re.findall(r"<i>(.*?)</i>", shown[0].data)
    assert first == (
        "A goose. Photographs: Lav Varshney (CC0); from the package foolbox (MIT), photographer not named there."
    )
    assert second == "A cat. Photographs: Lav Varshney (CC0); Stefan van der Walt (CC0)."
    for photos in ("camera", load_photo("camera"), mosaic(["camera"] * 4, 8)):  # as `show` takes them
        explorer.stills([{}], photos=photos)
        assert re.findall(r"<i>(.*?)</i>", shown[-1].data) == [second]


def test_a_photograph_that_is_not_to_be_had_is_told(monkeypatch):
    def draw(photo):
        if photo == "goose":
            raise AssetError("the package 'foolbox' is not installed.")
        return plt.figure(figsize=(1, 1)), f"A {photo}."

    explorer = Explorer(draw, photo=choice("photograph", ["cat", "goose"], "cat"))
    explorer.set(photo="goose")
    assert "is not installed" in explorer.html and "<img" not in explorer.html


@pytest.mark.parametrize(
    ("arguments", "kind"), [((0, 5, 2, 1), "IntSlider"), ((0, 1, 0.5, 0.1), "FloatSlider")]
)
def test_sliders(arguments, kind):
    assert type(slider("x", *arguments)).__name__ == kind


@pytest.mark.parametrize("name", TABLE)
def test_every_value_of_every_control_is_drawn_and_said(name):
    assert not sweep(TABLE[name])


def drawn(text):
    figure, (ax,) = panels(1, width=2)
    ax.bar(range(len(str(text))), 1)
    return figure, f"It says {text}."


def deaf():
    made = widgets.Explorer(counting, n=slider("steps", 1, 2, 1), shout=widgets.check_box("shout"))
    made.controls["n"].unobserve_all()
    return made


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (deaf, "only 1 of them are told apart"),
        (
            lambda: widgets.Explorer(lambda n: (drawn(1)[0], str(n)), n=slider("n", 1, 3, 1)),
            "always the same",
        ),
        (
            lambda: widgets.Explorer(counting, n=slider("n", 1, 3, 1), shout=widgets.check_box("")),
            "is refused",
        ),
        (
            lambda: widgets.Explorer(drawn, text=typed("class", ["ant", "bee"], "ant")),
            "no sentence says that",
        ),
    ],
)
def test_a_sweep_finds_what_is_wrong(build, words):
    assert any(words in fault for fault in sweep(Case(build)))


@pytest.mark.parametrize(
    ("name", "setting", "words"),
    [
        ("any_class", {"name": "espreso"}, "espresso"),
        ("output_size", {"n": 3, "f": 7}, "No window fits"),
        ("counterfactual", {"first": "dog"}, "the two classes are the same"),
        ("counterfactual", {"first": "beee"}, "Did you mean"),
        ("counterfactual", {"second": " "}, "type the name of a class"),
        ("segmentation", {"foreground": 20, "background": 30}, "30%"),
        ("failures", {"kind": NEIGHBOR}, "No mistake of this kind"),
        ("attacks", {"target": "bee"}, "type another target"),
        ("attacks", {"target": "beee"}, "Did you mean"),
        ("attacks", {"target": " "}, "type the name of a class"),
        ("question", {"question": "what color is the zebra?"}, "zebra"),
        ("question", {"question": "what color is the zebra?"}, "umbrella"),
    ],
)
def test_a_sentence_stands_in_place_of_the_picture_and_goes_again(name, setting, words):
    explorer = TABLE[name].build()
    before = explorer.values
    explorer.set(**setting)
    assert 'role="alert"' in explorer.html and words in explorer.html and "<img" not in explorer.html
    explorer.set(**before)
    assert 'role="alert"' not in explorer.html and "<img" in explorer.html


@pytest.mark.parametrize(
    ("name", "control", "values"),
    [
        ("backgrounds", "strength", (50, 80, 90, 100)),
        ("caption", "scene", (2, 3, 4, 1, 2, 1)),
        ("question", "scene", (2, 3, 4, 1, 2, 1)),
        ("segmentation", "foreground", (20, 30, 40, 60, 70)),
        ("threshold", "threshold", (20, 40, 60, 80)),
        ("toy_cam", "cell", (0, 1, 2, 3, 5)),
        ("xray_stamp", "film", (2, 3, 4, 1)),
    ],
)
def test_an_answer_is_fast(name, control, values):
    explorer, times = TABLE[name].build(), []
    for value in values:
        start = time.process_time()
        explorer.set(**{control: value})
        times.append(time.process_time() - start)
    # Of processor time, and the least of them: it rises where another process shares the cores.
    assert min(times) < 0.3, times


def two(images):
    return images.repeat(2, 1, 1, 1)


def linear():
    return Classifier(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), ["a", "b"])


def guided(classes=("a",), layers=("net.0",), image=None, activation=nn.ReLU):
    classifier, own = two_relus(activation)
    return widgets.guided_explorer(
        classifier, own if image is None else image(own), classes, {name: name for name in layers}
    )


def played_twice():
    game = BlindGame(mistakes(), 6)
    game.guess(1, "right")
    game.guess(1, "right")


REFUSALS = [
    (lambda: TABLE["channels"].build().set(m=1), ValueError, "there are layer, channel, gradient"),
    (
        lambda: widgets.channel_explorer(staged()[0], two(staged()[1])),
        ValueError,
        r"one image.*\(2, 3, 16, 16\)",
    ),
    (lambda: widgets.channel_explorer(staged()[0], staged()[1][0]), ValueError, "one image"),
    (lambda: widgets.channel_explorer(linear(), staged()[1]), LayerError, "no layer that puts out a map"),
    (
        lambda: TABLE["channels"].build().draw(layer="norm", channel=4, gradient=False),
        ValueError,
        "norm has 4 channels, 0 to 3",
    ),
    (lambda: toy_cam.toy_maps(torch.ones(2, 2), torch.ones(2)), ValueError, r"activations \(C, h, w\)"),
    (lambda: toy_cam.toy_maps(torch.ones(2, 2, 2), torch.ones(3)), ValueError, r"\(3,\)"),
    (lambda: toy_cam.toy_maps(torch.ones(2, 2, 2), torch.ones(2), pooling="max"), ValueError, "'max'"),
    (lambda: guided(image=two), ValueError, r"one image.*\(2, 3, 12, 16\)"),
    (lambda: guided(image=lambda image: image[..., :15]), ValueError, "even sides"),
    (lambda: guided(["d"]), ValueError, "no class 'd'"),
    (lambda: guided(activation=nn.SiLU), ActivationError, r"(?i)silu"),
    (lambda: guided([]), ValueError, "at least one class and one layer"),
    (lambda: guided(layers=[]), ValueError, "at least one class and one layer"),
    (
        lambda: widgets.counterfactual_explorer(tiny(), tiny_images(2), "bee", "dog"),
        ValueError,
        r"one image \(1, 3, H, W\), got \(2, 3, 8, 8\)",
    ),
    (
        lambda: widgets.threshold_explorer(tiny(), ["cat", "astronaut"]),
        ValueError,
        "no class of ImageNet fits the photograph 'astronaut'",
    ),
    (lambda: widgets.threshold_explorer(tiny(), ["dog"]), ValueError, "dog"),
    (lambda: widgets.failure_explorer([]), ValueError, "no mistakes to browse"),
    (lambda: BlindGame(mistakes(), rounds=4), ValueError, "multiple of three, got 4"),
    (lambda: BlindGame(mistakes(), rounds=300), ValueError, "300 rounds need as many mistakes"),
    (lambda: BlindGame(mistakes(), 6).guess(1, "cat"), ValueError, "not 'cat'"),
    (lambda: BlindGame(mistakes(), 6).guess(7, "right"), ValueError, "rounds 1 to 6, not 7"),
    (played_twice, ValueError, "round 1 has been played"),
    (
        lambda: widgets.attack_explorer(tiny(), tiny_images(2), "bee", "dog"),
        ValueError,
        r"one image \(1, 3, H, W\), got \(2, 3, 8, 8\)",
    ),
    (lambda: widgets.attack_explorer(tiny(), tiny_images(1), "wolf", "dog"), ValueError, "no class 'wolf'"),
    *(
        (
            lambda cut=cut: widgets.background_explorer(cut(background_maps())),
            ValueError,
            "at least 12 and at most 48",
        )
        for cut in (
            lambda maps: maps[:, 0],
            lambda maps: maps[:5],
            lambda maps: maps[:, :1],
            lambda maps: maps.repeat(5, 1, 1, 1, 1),
        )
    ),
    (lambda: TABLE["caption"].build().draw(scene=2, word="3. hydrant"), ValueError, "has no word"),
    (lambda: TABLE["playground"].build().explain(first="5"), ValueError, "5"),
    (lambda: widgets.playground_explorer(tiny(), folder="no/such/folder"), PictureError, "no file or folder"),
]


@pytest.mark.parametrize(("call", "error", "words"), REFUSALS)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
