"""What all explorers share, and the explorers of heat-maps, moved as a hand would move them."""

import html

import pytest
import torch

from course_utils import widgets
from course_utils.explain import grad_cam
from course_utils.networks import load_classifier
from course_utils.pictures import list_photos, load_photo
from course_utils.show import plots
from course_utils.widgets import explorer as explorer_module


def counting(n, shout):
    if n == 3:
        raise ValueError("three is <not> drawn: take another number.")
    figure, (ax,) = plots.panels(1, width=2)
    ax.plot(range(n + 1))
    return figure, f"{n} steps{'!' if shout else '.'}"


@pytest.fixture
def explorer():
    return widgets.Explorer(counting, n=widgets.slider("steps", 1, 5, 2), shout=widgets.check_box("shout"))


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


def test_an_unknown_control_is_named(explorer):
    with pytest.raises(ValueError, match="there are n, shout"):
        explorer.set(m=1)


def test_it_is_marked_and_labeled(explorer):
    assert explorer_module.MARKER in explorer.box._dom_classes
    assert all(control.description for control in explorer.controls.values())


def test_it_shows_itself_as_a_widget_with_words_for_where_there_are_none(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr("course_utils.widgets.explorer.display", lambda data, raw: shown.append(data))
    explorer._ipython_display_()
    assert "Interactive explorer" in shown[0]["text/plain"]
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.box.model_id


def test_stills_draw_other_settings_and_leave_the_controls_alone(explorer, monkeypatch):
    shown = []
    monkeypatch.setattr("course_utils.widgets.explorer.display", shown.append)
    explorer.stills([{"n": 1}, {"n": 5, "shout": True}])
    assert shown[0].data.count("<img") == 2 and "1 steps." in shown[0].data and "5 steps!" in shown[0].data
    assert explorer.values == {"n": 2, "shout": False}


@pytest.mark.parametrize(
    ("arguments", "kind"), [((0, 5, 2, 1), "IntSlider"), ((0, 1, 0.5, 0.1), "FloatSlider")]
)
def test_sliders(arguments, kind):
    assert type(widgets.slider("x", *arguments)).__name__ == kind


@pytest.fixture(scope="module")
def classifier():
    torch.set_num_threads(1)
    return load_classifier()


def test_any_class_of_any_photograph(classifier):
    explorer = widgets.any_class_explorer(classifier)
    for photo in list_photos():
        explorer.set(photo=photo)
        assert "<img" in explorer.html
        image = load_photo(photo).tensor()
        probability = classifier(image).softmax(1)[0, 281]
        raw = grad_cam(classifier, image, "tabby").maps[0, 0]
        words = html.unescape(explorer.html)
        chance = f"{probability:.4f}" if probability >= 0.0001 else "below 0.0001"
        assert f"tabby (class 281): probability {chance}, rank" in words
        assert f"{classifier.predict(image, 1)[0][0][0]} {classifier.predict(image, 1)[0][0][1]:.2f}" in words
        if raw.max() > 0:
            assert f"{(raw > 0).float().mean():.0%} of the cells are positive" in words
            row, column = (raw == raw.max()).nonzero()[0].tolist()
            assert f"in row {row + 1}, column {column + 1}" in words
    explorer.set(name="espresso")
    assert "class 967" in explorer.html
    explorer.set(name="espreso")
    assert "espresso" in explorer.html and "<img" not in explorer.html


def test_a_class_without_evidence_is_said_to_have_none(classifier):
    explorer = widgets.any_class_explorer(classifier)
    e = grad_cam(classifier, load_photo("cat").tensor(), range(1000))
    name = classifier.classes[int(e.empty[0].nonzero()[0])]
    explorer.set(name=name)
    assert "nothing in this picture speaks for the class" in explorer.html


def test_any_layer(classifier):
    image = load_photo("coffee").tensor()
    layers = {"stage 4": "net.blocks.4", "last": "net.bn2"}
    explorer = widgets.layer_explorer(classifier, image, layers, "espresso")
    for layer, dotted in layers.items():
        explorer.set(layer=layer)
        heat = grad_cam(classifier, image, "espresso", dotted).heatmaps()[0, 0]
        for threshold in range(5, 100, 15):
            explorer.set(threshold=threshold)
            share = (heat >= threshold / 100).float().mean()
            assert f"{share:.0%} of the picture reaches {threshold}%" in explorer.html
        for blend in (0.0, 0.3, 1.0):
            explorer.set(blend=blend)
            assert "<img" in explorer.html
