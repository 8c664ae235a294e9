"""The playground's explorer: what it shows is what the engine says; uploads in both forms; downloads; refusals."""

import base64
import html
import io
import re
import time

import numpy as np
import pytest
import torch
from explorers import OBJECTS
from helpers import TinyNet
from PIL import Image

from course_utils import widgets
from course_utils.methods import METHODS
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import Picture, credited, list_photos, load_photo
from course_utils.playground import Explainer, result_words, to_csv
from course_utils.widgets import playground

DEFAULT, RANDOM = "efficientnet_lite0", "efficientnet_lite0, random weights"


def as_file(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def clf():
    """A network of a few weights, which answers in no time."""
    return Classifier(TinyNet(), OBJECTS, size=28)


@pytest.fixture(scope="module")
def shared(clf):
    return widgets.playground_explorer(clf, "tiny")


@pytest.fixture
def explorer(shared):
    start = dict(shared.values)
    yield shared
    shared.set(**start)


@pytest.fixture(scope="module")
def lite():
    """The explorer as notebook 14 has it."""
    return widgets.playground_explorer(load_classifier())


def upload(explorer, *files, form=tuple):
    """Hand over files as ipywidgets 8 does (a tuple), or as 7.7 (a dictionary)."""
    if form is tuple:
        value = tuple(
            {"name": name, "type": "", "size": len(d), "content": memoryview(d)} for name, d in files
        )
    else:
        value = {name: {"metadata": {"name": name}, "content": data} for name, data in files}
    explorer._take({"new": value})


def caption(explorer):
    """What is said of the picture, without the photographs' credits."""
    return _caption(explorer).removesuffix(credit(explorer))


def credit(explorer):
    return re.search(r"( Photographs?: .*)?$", _caption(explorer))[0]


def _caption(explorer):
    return html.unescape(re.search(r"<figcaption[^>]*><i>(.*?)</i>", explorer.html)[1])


def shown(explorer):
    return html.unescape(explorer.box.children[-3].value)


def test_it_starts_with_two_classes_of_the_mosaic(lite):
    assert lite.controls["picture"].value == playground.MOSAIC
    assert [c.name for c in lite.result.classes] == ["daisy", "tripod"]
    assert [c.check.confirmed for c in lite.result.classes] == [False, True]
    assert list(lite.controls["picture"].options) == [playground.MOSAIC, *list_photos()]
    layers = ["the last map", "14 x 14 cells", "28 x 28 cells", "56 x 56 cells", "112 x 112 cells"]
    assert list(lite.controls["layer"].options) == layers


def test_every_photograph_and_its_prediction(explorer, clf):
    explorer.set(first="", second="")
    for name in list_photos():
        explorer.set(picture=name)
        image = load_photo(name).square().image
        expected = Explainer(clf, "tiny").explain(Picture(name, image, image.size))
        assert caption(explorer) == result_words(expected)
        assert credit(explorer) == credited("", name)
        assert expected.classes[0].rank == 1
        for caution in expected.all_cautions:
            assert caution.text in shown(explorer)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_at_every_layer(explorer, clf, method):
    explorer.set(picture="camera", first="tripod", second="", method=method)
    reference, p = Explainer(clf, "tiny"), explorer.result.picture
    layers = dict(zip(explorer.controls["layer"].options, reversed(reference.layers), strict=True))
    assert list(layers) == ["the last map", "28 x 28 cells"]
    for label, name in layers.items():
        explorer.set(layer=label)
        layer = name if METHODS[method].takes_layer else None
        assert caption(explorer) == result_words(reference.explain(p, "tripod", method, layer))
        assert ("comes too early" in shown(explorer)) == (layer is not None and label != "the last map")


def test_thresholds_move_the_box(explorer):
    explorer.set(picture="rocket", first="bee", second="")
    sizes = []
    for threshold in range(5, 100, 10):
        explorer.set(threshold=threshold)
        x0, y0, x1, y1 = explorer.result.classes[0].box
        sizes.append((x1 - x0) * (y1 - y0))
        assert f"box at {threshold}%" in caption(explorer)
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) > 4


def test_a_class_can_be_typed_as_a_number(explorer, clf):
    number = str(clf.class_index("elk"))
    named, numbered = (explorer.explain(first=text, second="", third="") for text in ("elk", number))
    assert [c.name for c in numbered.classes] == ["elk"]
    assert named.classes[0].check == numbered.classes[0].check


def test_classes_are_searched_and_refused(explorer, clf):
    for field in ("first", "second", "third"):
        assert list(explorer.controls[field].options) == sorted(set(clf.classes))
    explorer.set(third="elk")
    assert [c.name for c in explorer.result.classes] == ["daisy", "tripod", "elk"]
    before = explorer.html
    explorer.set(third="elkq")
    assert (
        "<img" not in explorer.html
        and "Did you mean &#x27;elk" in explorer.html
        and 'role="alert"' in explorer.html
    )
    assert explorer.result is None and shown(explorer) == ""
    explorer.set(third="elk")
    assert explorer.html == before


@pytest.mark.parametrize("form", [tuple, dict], ids=["ipywidgets 8", "ipywidgets 7"])
def test_an_upload_is_shown_with_its_prediction(form):
    explorer = widgets.playground_explorer(load_classifier())
    photo = load_photo("coffee").image
    upload(explorer, ("my cup.jpg", as_file(photo, "JPEG")), form=form)
    assert explorer.controls["picture"].value == "my cup.jpg"
    assert explorer.result.classes[0].name == "espresso" and explorer.result.picture.size == photo.size
    assert caption(explorer).startswith("my cup.jpg, seen by")
    upload(explorer, ("my cup.jpg", as_file(load_photo("cat").image)), form=form)
    assert explorer.controls["picture"].options[-2:] == ("my cup.jpg", "my cup.jpg (2)")
    assert "cat" in explorer.result.classes[0].name
    explorer.set(picture="my cup.jpg")
    assert explorer.result.classes[0].name == "espresso"


def test_an_uploaded_file_reaches_the_explorer(clf):
    explorer = widgets.playground_explorer(clf, "tiny")
    data = as_file(load_photo("coffee").square().image)
    widget = explorer.upload
    if isinstance(widget.value, dict):  # version 7
        widget.set_trait("value", {"a.png": {"metadata": {"name": "a.png"}, "content": data}})
    else:
        now = __import__("datetime").datetime(2020, 1, 1)
        widget.value = (
            {"name": "a.png", "type": "", "size": len(data), "content": data, "last_modified": now},
        )
    assert explorer.result.picture.name == "a.png"


def test_both_forms_of_an_upload():
    assert playground.uploaded_files(()) == playground.uploaded_files({}) == []
    assert playground.uploaded_files(({"name": "a", "content": memoryview(b"x")},)) == [("a", b"x")]
    assert playground.uploaded_files({"a": {"content": b"x"}, "b": {"content": b"y"}}) == [
        ("a", b"x"),
        ("b", b"y"),
    ]


def test_what_is_no_picture_is_refused_and_leaves_the_rest(explorer):
    before, values, options = explorer.html, dict(explorer.values), explorer.controls["picture"].options
    upload(explorer, ("letter <b>.txt", b"Dear reader"))
    assert "letter &lt;b&gt;.txt is no picture" in explorer.html and "<img" not in explorer.html
    assert explorer.values == values and explorer.controls["picture"].options == options
    explorer.set(threshold=20)
    explorer.set(threshold=15)
    assert explorer.html == before


def test_of_several_uploads_the_good_ones_are_taken(clf):
    explorer = widgets.playground_explorer(clf, "tiny")
    good = as_file(load_photo("cat").image)
    upload(explorer, ("bad.jpg", good[:3000]), ("good.png", good), ("other.png", good))
    assert explorer.controls["picture"].value == "good.png"
    assert explorer.controls["picture"].options[-2:] == ("good.png", "other.png")
    assert "bad.jpg is damaged or cut off" in shown(explorer) and "<img" in explorer.html


def test_nothing_is_written(clf, monkeypatch):
    explorer = widgets.playground_explorer(clf, "tiny")
    data = as_file(load_photo("cat").image)
    opened = []
    original = open
    monkeypatch.setattr(
        "builtins.open", lambda f, mode="r", *a, **k: opened.append((f, mode)) or original(f, mode, *a, **k)
    )
    upload(explorer, ("a.png", data))
    explorer.button.click()
    assert explorer.result.picture.name == "a.png"
    assert [name for name, mode in opened if set(mode) & set("wax+")] == []


def test_downloads_hold_the_files(explorer):
    links = explorer.box.children[-1]
    assert links.value == ""
    explorer.button.click()
    found = re.findall(r'<a download="([^"]+)" href="data:([\w/-]+);base64,([^"]+)"', links.value)
    assert [name.split(".")[1] for name, _, _ in found] == ["png", "csv", "npz"]
    assert all(re.fullmatch(r"[\w.-]+", name) for name, _, _ in found)
    figure, table, arrays = (base64.b64decode(data) for _, _, data in found)
    with Image.open(io.BytesIO(figure)) as drawn:
        assert drawn.format == "PNG"
    assert table.decode() == to_csv([explorer.result])
    assert np.load(io.BytesIO(arrays))["names"].tolist() == ["daisy", "tripod"]
    explorer.set(threshold=20)
    assert links.value == "", "links to what is no longer shown"
    explorer.set(first="nonsense")
    explorer.button.click()
    assert "nothing to download" in links.value and "<a" not in links.value


def test_random_weights_say_so_and_are_always_the_same(clf, explorer):
    state = torch.random.get_rng_state()
    explorer.set(network=RANDOM)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "random weights" in shown(explorer)
    other = widgets.playground_explorer(clf, "tiny")
    other.set(network=RANDOM)
    assert other.html == explorer.html


def test_a_network_that_is_not_to_be_had_is_told_and_leaves_the_rest(explorer, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    before, options = explorer.html, list(explorer.controls["layer"].options)
    vgg = next(label for label in explorer.controls["network"].options if label.startswith("vgg16"))
    assert "528 MB" in vgg
    explorer.set(network=vgg)
    assert "is not to be had" in explorer.html and "<img" not in explorer.html
    assert list(explorer.controls["layer"].options) == options
    explorer.set(network="tiny")
    assert explorer.html == before


@pytest.mark.parametrize(("network", "cells"), [("efficientnet_lite1", 8), ("efficientnet_lite2", 9)])
def test_the_other_installed_networks_are_offered_with_their_own_size(explorer, network, cells):
    assert network in explorer.controls["network"].options  # not "downloaded once"
    explorer.set(picture="goose", first="", second="")
    explorer.set(network=network)
    assert explorer.result.model == network and explorer.result.classes[0].name == "goose"
    assert explorer.result.classes[0].raw.shape == (cells, cells)
    assert credit(explorer) == " Photograph: from the package foolbox (MIT), photographer not named there."


def test_networks_of_ones_own_bring_their_layers_and_classes(clf):
    names = ["ant", "bee", "daisy", "dog", "elk"]
    own = Classifier(TinyNet(), names, size=28)
    explorer = widgets.playground_explorer(clf, "tiny", networks={"mine": own})
    explorer.set(layer="28 x 28 cells")
    explorer.set(network="mine")
    assert list(explorer.controls["layer"].options) == ["the last map", "28 x 28 cells"]
    assert explorer.controls["layer"].value == "28 x 28 cells"
    assert list(explorer.controls["first"].options) == sorted(names)
    assert [explorer.controls[f].value for f in ("first", "second", "third")] == ["daisy", "", ""]
    assert explorer.result.classes[0].name == "daisy" and explorer.result.model == "mine"
    explorer.set(network=DEFAULT, layer="the last map")
    assert len(explorer.controls["second"].options) == 1000
    only = widgets.playground_explorer(own, "mine")
    assert only.result.model == "mine"


def test_a_network_without_relus_is_refused_guided_backprop_only(clf):
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 784, 2)
    )
    explorer = widgets.playground_explorer(Classifier(net.eval(), ["a", "b"], size=28), "smooth")
    assert "<img" in explorer.html
    explorer.set(method="guided-backprop")
    assert "silu" in explorer.html and "<img" not in explorer.html
    explorer.set(method="grad-cam")
    assert "<img" in explorer.html


def test_a_folder_joins_the_list(clf, tmp_path):
    load_photo("coffee").image.save(tmp_path / "cup.png")
    (tmp_path / "broken.jpg").write_bytes(b"x")
    explorer = widgets.playground_explorer(clf, folder=tmp_path)
    assert explorer.controls["picture"].options[-2:] == ("broken.jpg", "cup.png")
    explorer.set(picture="broken.jpg")
    assert "is no picture" in explorer.html
    explorer.set(picture="cup.png", first="", second="")
    assert explorer.result.picture.size == load_photo("coffee").image.size


def test_what_is_left_out_of_a_folder_and_letters_that_no_font_has_are_told(clf, tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    load_photo("coffee").square(64).image.save(tmp_path / "\ud55c.jfif", "JPEG")
    explorer = widgets.playground_explorer(clf, folder=tmp_path)
    explorer.set(picture="\ud55c.jfif", first="", second="")
    assert f"left out of {tmp_path}: 1 other file (notes.txt)." in explorer._cautions.value
    said = "no installed font has the letters \ud55c" in explorer._cautions.value
    assert said == any("\u25a1" in ax.get_title() for ax in explorer._figure.axes)


def test_stills_have_their_warnings_and_leave_the_explorer(explorer, capsys, monkeypatch):
    pieces = []
    monkeypatch.setattr("course_utils.widgets.playground.display", lambda shown: pieces.append(shown.data))
    before = explorer.html
    explorer.stills([{"picture": "cat", "first": "bee", "second": "elk"}])
    assert "bee: probability" in pieces[0] and "seen by tiny" in pieces[0] and pieces[0].count("<img") == 1
    assert "To be wary of" in pieces[0]
    assert explorer.html == before


def test_a_new_picture_is_shown_before_its_covers_elsewhere_are_computed(clf):
    explorer, seen, shown = widgets.playground_explorer(clf, "tiny"), [], []
    explorer.set(first="ant", second="bee")
    handle = clf.net.register_forward_pre_hook(lambda net, inputs: seen.append(len(inputs[0])))
    explorer._picture.observe(lambda change: shown.append((sum(seen), change["new"])), names="value")
    explorer.set(picture="cat")
    handle.remove()
    (_, blank), (images, maps), (more, first), (all_images, last) = shown
    # The picture, twice more for its maps (once to find the layer); one cover for each class; ten elsewhere for each.
    assert "<img" not in blank
    assert (
        images <= 3
        and more - images <= 2
        and all_images - more == 10 * sum(c.check is not None for c in explorer.result.classes)
    )
    assert "marked squares changes: being computed" in maps and "being computed" not in last
    assert "elsewhere: being computed" in first
    assert re.search(r'src="([^"]+)"', first)[1] == re.search(r'src="([^"]+)"', last)[1]
    assert caption(explorer) == result_words(explorer.result) == result_words(explorer.explain())
    assert all(f.check.random for f in explorer.result.classes if f.check)


def test_grad_cam_answers_fast_once_the_picture_is_there(lite):
    explorer = lite
    explorer.set(picture="camera", first="tripod", second="")
    moves = [{"first": "daisy"}, {"first": "espresso"}, {"threshold": 30}, {"layer": "14 x 14 cells"},
             {"layer": "the last map"}, {"first": "beagle"}, {"threshold": 60}]  # fmt: skip
    times = []
    for move in moves:
        start = time.process_time()
        explorer.set(**move)
        times.append(time.process_time() - start)
    assert sorted(times)[len(times) // 2] < 0.3, times
