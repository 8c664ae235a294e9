"""The engine of the playground: the same numbers as the methods themselves, checks and boxes by loops, each warning."""

import csv
import io
import json
from zlib import crc32

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_images
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from torch import nn
from torch.nn import functional as F

from course_utils import playground
from course_utils.explain import (
    ActivationError,
    LayerError,
    cam,
    grad_cam,
    grad_cam_pp,
    guided_backprop,
    guided_grad_cam,
    top_share_mask,
)
from course_utils.methods import METHODS
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import Picture
from course_utils.playground import (
    Explainer,
    as_document,
    engine,
    marks,
    result_figure,
    result_words,
    to_csv,
    to_npz,
    to_png,
)

NAMES = ["ant", "bee", "cat", "dog", "elk"]


def tiny(seed=0, size=28, **options):
    """A network of a few weights for squares of 28 pixels: maps of 14 x 14."""
    return Classifier(TinyNet(seed=seed, **options), NAMES, size=size)


def picture(width=56, height=56, seed=0, name="p.png"):
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    image = Image.fromarray(values)
    return Picture(name, image, image.size)


@pytest.fixture(scope="module")
def lite():
    return Explainer(load_classifier(), "lite")


def test_predictions_scores_and_ranks():
    explainer, p = Explainer(tiny()), picture()
    logits = explainer.classifier(explainer.classifier.preprocess(p.image))[0].detach()
    result = explainer.explain(p, ["elk", 1, "bee"])
    order = logits.argsort(descending=True).tolist()
    assert [i for _, i, _ in result.predictions] == order
    assert [name for name, _, _ in result.predictions] == [NAMES[i] for i in order]
    assert [(c.name, c.index) for c in result.classes] == [("elk", 4), ("bee", 1)]  # once, though named twice
    for c in result.classes:
        assert c.rank == order.index(c.index) + 1
        assert c.logit == pytest.approx(logits[c.index].item(), abs=1e-6)
        assert c.probability == pytest.approx(logits.softmax(0)[c.index].item(), abs=1e-6)
    assert explainer.explain(p).classes[0].index == order[0]  # none named: the predicted one
    assert explainer.most_probable(p, 3) == order[:3]


CALLS = {
    "grad-cam": lambda net, x, c: grad_cam(net, x, c).maps[0],
    "grad-cam++": lambda net, x, c: grad_cam_pp(net, x, c).maps[0],
    "cam": lambda net, x, c: cam(net, x, c)[0],
    "counterfactual": lambda net, x, c: grad_cam(net, x, c).maps[0],
    "guided-backprop": lambda net, x, c: guided_backprop(net, x, c)[0],
    "guided-grad-cam": lambda net, x, c: guided_grad_cam(net, x, c)[0],
}


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_the_methods(method):
    explainer, p = Explainer(tiny()), picture()
    x = explainer.classifier.preprocess(p.image)
    result = explainer.explain(p, [0, 3], method)
    expected = CALLS[method](explainer.classifier, x, [0, 3])
    for found, raw in zip(result.classes, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(found.raw), raw)
        marked = raw if method != "counterfactual" else -raw
        if raw.ndim == 3:  # the size of a gradient, averaged over squares
            marked = raw.abs().sum(0).reshape(marks.GRID, 4, marks.GRID, 4).mean((1, 3))
        heat = F.interpolate(marked.relu()[None, None], (28, 28), mode="bilinear")[0, 0]
        assert found.empty == (not bool((marked > 0).any()))
        heat = heat / heat.max() if heat.max() > 0 else heat
        torch.testing.assert_close(torch.from_numpy(found.heat), heat)


@pytest.mark.parametrize("method", METHODS)
def test_the_check_covers_the_most_marked_squares(method):
    explainer, p = Explainer(tiny()), picture()
    x = explainer.classifier.preprocess(p.image)
    color = x.mean((2, 3))[0]
    seen = 0
    for found in explainer.explain(p, range(5), method, squares=6).classes:
        if found.empty:
            assert found.check is None and found.covered is None and found.box is None
            continue
        seen += 1
        raw = torch.from_numpy(found.raw)
        marked = raw.abs().sum(0) if raw.ndim == 3 else METHODS[method].sign * raw
        step = marked.shape[0] // marks.GRID
        totals = {(i, j): marked[step * i : step * (i + 1), step * j : step * (j + 1)].mean().item()
                  for i in range(marks.GRID) for j in range(marks.GRID)}  # fmt: skip
        by_hand = x[0].clone()
        for i, j in sorted(totals, key=totals.get, reverse=True)[:6]:
            by_hand[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = color[:, None, None]
        np.testing.assert_allclose(found.covered, by_hand.numpy(), atol=1e-6)
        logits = explainer.classifier(by_hand[None])[0]
        check = found.check
        assert check.after == pytest.approx(logits[found.index].item(), abs=1e-5)
        assert check.prediction == NAMES[int(logits.argmax())]
        assert len(check.random) == engine.DRAWS and len(set(check.random)) > 1
        if method == "counterfactual":
            assert check.confirmed == (check.after > check.before and check.after > max(check.random))
        else:
            assert check.confirmed == (check.after < check.before and check.after < min(check.random))
    assert seen


def boxed(mask):
    """A mask cut down to its box, in its four mirrorings."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return [cut.flip(axes).tolist() for axes in ((), (0,), (1,), (0, 1))]


def test_covers_elsewhere_have_the_size_and_the_shape_of_what_is_marked(monkeypatch):
    explainer, p = Explainer(tiny()), picture()
    covered = []
    original = playground.engine.cover
    monkeypatch.setattr(
        playground.engine, "cover", lambda image, masks: covered.append(masks) or original(image, masks)
    )
    explainer.explain(p, 0, squares=9)
    marked, *elsewhere = torch.cat(covered)
    assert marked.sum() == 9 and len(elsewhere) == engine.DRAWS
    copies = marks.moved_copies(marked, engine.DRAWS, crc32(p.image.tobytes()))
    assert torch.equal(torch.stack(elsewhere), copies)
    assert not torch.equal(
        copies, marks.moved_copies(marked, engine.DRAWS, crc32(picture(seed=1).image.tobytes()))
    )


@pytest.mark.parametrize("squares", [1, 2, 5, 9, 16])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_elsewhere_is_the_shape_at_another_place_inside(squares, seed):
    draw = torch.rand(7, 7, generator=torch.Generator().manual_seed(seed))
    middle = torch.zeros(7, 7)
    middle[1:6, 1:6] = 1  # room to move
    mask = top_share_mask(draw + middle, squares / 49)
    copies = marks.moved_copies(mask, 10, seed)
    assert len(copies.unique(dim=0)) == 10 and not any(torch.equal(copy, mask) for copy in copies)
    assert all(boxed(copy)[0] in boxed(mask) for copy in copies)
    assert torch.equal(copies, marks.moved_copies(mask, 10, seed))


def test_a_shape_without_room_goes_on_across_the_edge():
    row, frame = torch.zeros(7, 7, dtype=torch.bool), torch.ones(7, 7, dtype=torch.bool)
    row[3], frame[1:6, 1:6] = True, False
    for mask, different in ((row, 6), (frame, 10), (~row, 6)):
        copies = marks.moved_copies(mask, 10)
        assert len(copies) == 10 and len(copies.unique(dim=0)) == different
        assert (copies.flatten(1).sum(1) == mask.sum()).all() and not (copies == mask).all((1, 2)).any()


def test_maps_of_all_classes_come_from_one_pass_and_are_kept(monkeypatch):
    explainer, p = Explainer(tiny()), picture()
    calls = []
    monkeypatch.setattr(
        "course_utils.explain.grad_cam",
        lambda net, x, c, layer: calls.append(list(c)) or grad_cam(net, x, c, layer),
    )
    explainer.explain(p, [0, 1, 2])
    explainer.explain(p, [2, 0], threshold=0.5)
    explainer.explain(p, [1, 3])
    assert calls == [[0, 1, 2], [3]]
    explainer.forget()
    explainer.explain(p, [0])
    assert calls[2:] == [[0]]


def test_what_is_kept_belongs_to_its_picture_method_layer_and_squares():
    explainer, p, q = Explainer(tiny()), picture(seed=0), picture(seed=1)
    settings = [
        {}, {"method": "cam"}, {"layer": "net.features.2"}, {"squares": 20}, {"method": "guided-backprop"},
        {"threshold": 0.6},
    ]  # fmt: skip
    for _ in range(2):
        for which in (p, q):
            for setting in settings:
                kept, fresh = (
                    explainer.explain(which, [0, 2], **setting),
                    Explainer(tiny()).explain(which, [0, 2], **setting),
                )
                assert as_document(kept) == as_document(fresh)


@pytest.mark.parametrize(("width", "height"), [(56, 56), (100, 60), (60, 130)])
def test_boxes_stand_in_the_files_pixels(width, height):
    explainer, p = Explainer(tiny()), picture(width, height)
    side = min(width, height)
    boxes = 0
    for found in explainer.explain(p, range(5), threshold=0.7).classes:
        if found.box is None:
            continue
        boxes += 1
        rows, columns = np.nonzero(found.heat >= 0.7 * found.heat.max())
        x0, y0, x1, y1 = found.box
        assert columns.min() <= x0 < x1 <= columns.max() + 1 and rows.min() <= y0 < y1 <= rows.max() + 1
        assert found.box_in_file == pytest.approx(
            ((width - side) / 2 + x0 * side / 28, (height - side) / 2 + y0 * side / 28,
             (width - side) / 2 + x1 * side / 28, (height - side) / 2 + y1 * side / 28)
        )  # fmt: skip
    assert boxes


def test_layers_are_the_last_of_each_size():
    explainer = Explainer(tiny())
    assert explainer.layers == {"net.features.2": (28, 28), "net.features": (14, 14)}
    result = explainer.explain(picture(), 0, layer="net.features.4")  # not in the list, and yet a layer
    assert (result.layer, result.layer_size) == ("net.features.4", (14, 14))
    assert explainer.explain(picture(), 0).layer == "net.features"
    assert explainer.explain(picture(), 0, "cam").layer is None


def test_layers_of_the_courses_network_end_with_its_own(lite):
    *_, last = lite.layers
    assert lite.classifier.get_submodule(last) is lite.classifier.target_layer
    assert list(lite.layers.values()) == [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7)]


def codes(result, name=None):
    return [c.code for c in result.all_cautions if name is None or c.name == name]


def test_cautions_about_the_picture():
    explainer = Explainer(tiny())
    assert "cropped" not in codes(explainer.explain(picture(56, 60)))
    wide = explainer.explain(picture(80, 40))
    assert "cropped" in codes(wide) and "50% of the picture, left and right" in wide.cautions[0].text
    assert "at the top and at the bottom" in explainer.explain(picture(40, 80)).cautions[0].text
    assert "enlarged" in codes(explainer.explain(picture(20, 20)))
    assert "enlarged" not in codes(wide)
    assert "early-layer" in codes(explainer.explain(picture(), 0, layer="net.features.2"))
    assert "early-layer" not in codes(explainer.explain(picture(), 0, layer="net.features.4"))
    assert "random-weights" in codes(Explainer(tiny(), random_weights=True).explain(picture()))
    for method, how in METHODS.items():
        assert ("edges" in codes(explainer.explain(picture(), 0, method))) == how.pixels


def test_cautions_about_a_class(lite):
    from course_utils.pictures import load_photo

    image = load_photo("cat").square().image
    cat = Picture("cat", image, image.size)
    assert codes(lite.explain(cat, "Egyptian cat", threshold=0.5)) == []
    low = lite.explain(cat, ["airliner", "tabby"])
    assert "low-score" in codes(low, "airliner") and "low-score" not in codes(low, "tabby")
    assert "less than 0.001" in next(c.text for c in low.all_cautions if c.code == "low-score")
    empty = lite.explain(cat, "tabby", "counterfactual")
    assert codes(empty) == ["empty-map"] and empty.classes[0].empty
    assert "wide-box" in codes(lite.explain(cat, "tabby", threshold=0.05))
    image = load_photo("coffee").square().image
    coffee = lite.explain(Picture("coffee", image, image.size), "espresso")
    assert not coffee.classes[0].check.confirmed and codes(coffee) == ["not-confirmed"]


def test_a_confirmed_map_has_no_caution_and_another_has_one():
    explainer, kinds = Explainer(tiny()), set()
    for seed in range(4):
        for found in explainer.explain(picture(seed=seed), range(5)).classes:
            if found.check is not None:
                said = "not-confirmed" in [c.code for c in found.cautions]
                assert said != found.check.confirmed
                kinds.add(said)
    assert kinds == {True, False}


def six():
    return Classifier(TinyNet(n_classes=6), list("abcdef"), size=28)


def smooth():
    """A network that neither guided backprop nor CAM can treat."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 28 * 28, 5))
    return Classifier(net.eval(), NAMES, size=28)


def explain(**arguments):
    return Explainer(tiny()).explain(picture(), **arguments)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: explain(method="lime"), ValueError, "no method 'lime'"),
        (lambda: explain(classes="bea"), ValueError, "Did you mean 'bee'"),
        (lambda: explain(classes=7), ValueError, "no class 7"),
        (lambda: explain(threshold=0), ValueError, "threshold"),
        (lambda: explain(squares=49), ValueError, "squares"),
        (lambda: explain(method="cam", layer="net.features.2"), ValueError, "CAM takes no layer"),
        (lambda: explain(layer="net.nowhere"), ValueError, "no layer named"),
        (lambda: Explainer(smooth()).explain(picture(), 0, "guided-backprop"), ActivationError, "silu"),
        (lambda: Explainer(smooth()).explain(picture(), 0, "cam"), LayerError, "CAM needs"),
        (lambda: Explainer(smooth().net), TypeError, "Wrap it"),
        (lambda: result_figure(Explainer(six()).explain(picture(), range(6))), ValueError, "room for 5"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_one_method_cannot_treat_another_can():
    assert Explainer(smooth()).explain(picture(), 0, "grad-cam").classes


def test_network_and_picture_stay_as_they_were():
    clf, p = tiny(), picture()
    clf.train()
    before, pixels = {k: v.clone() for k, v in clf.state_dict().items()}, np.asarray(p.image).copy()
    for method in METHODS:
        Explainer(clf).explain(p, [0, 1], method)
    assert all(torch.equal(before[k], v) for k, v in clf.state_dict().items())
    assert all(part.training for part in clf.modules()) and np.array_equal(np.asarray(p.image), pixels)
    assert all(not part._forward_hooks for part in clf.modules())


def test_csv_npz_and_document_have_the_numbers():
    result = Explainer(tiny(5), "tiny").explain(picture(80, 40), [0, 1, 2], threshold=0.5)
    rows = list(csv.DictReader(io.StringIO(to_csv([result, result]))))
    assert len(rows) == 6
    arrays = np.load(io.BytesIO(to_npz(result)), allow_pickle=False)
    document = json.loads(json.dumps(as_document(result)))
    assert arrays["maps"].shape == (3, 14, 14) and arrays["heatmaps"].shape == (3, 28, 28)
    np.testing.assert_array_equal(arrays["square"], result.square)
    for k, (row, c) in enumerate(zip(rows, result.classes, strict=False)):
        entry = document["classes"][k]
        assert (row["class"], row["model"], row["layer"]) == (c.name, "tiny", "net.features")
        assert float(row["logit"]) == pytest.approx(c.logit, rel=1e-5) == entry["logit"]
        np.testing.assert_array_equal(arrays["maps"][k], c.raw)
        assert row["empty"] == str(c.empty)
        if c.empty:
            assert np.isnan(arrays["boxes"][k]).all() and row["x0"] == "" and entry["box"] is None
        else:
            assert [float(row[key]) for key in ("x0", "y0", "x1", "y1")] == entry["box"]
            np.testing.assert_array_equal(arrays["boxes"][k], c.box)
            assert float(row["logit_random_min"]) == pytest.approx(min(c.check.random), rel=1e-4)
        assert row["cautions"].split()[0] == "cropped"
    assert len(document["cautions"]) == len(result.all_cautions)
    assert {c.empty for c in result.classes} == {True, False}, "one of each kind is needed here"


def test_the_figure_says_what_it_shows():
    result = Explainer(tiny(5), "tiny").explain(picture(name="a <b>.png"), [0, 1, 2])
    figure = result_figure(result, cautions=True)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0] == "a <b>.png" and titles[4] == "predictions"
    for c, title, below in zip(result.classes, titles[1:4], titles[5:], strict=True):
        assert title.startswith(c.name)
        assert below == (
            "nothing to cover" if c.empty else f"logit {c.check.before:.1f} → {c.check.after:.1f}"
        )
    written = " ".join(figure.texts[0].get_text().split())
    for caution in result.all_cautions:
        assert caution.text in written
    words = result_words(result)
    assert all(c.name in words for c in result.classes) and "the map is empty" in words
    with Image.open(io.BytesIO(to_png(result, 60))) as drawn:
        assert drawn.format == "PNG" and drawn.width == round(4 * 2.4 * 60)


def test_a_picture_of_one_color_confirms_nothing():
    """Covering it with its own mean changes nothing but the rounding."""
    even = Image.new("RGB", (56, 56), (10, 200, 30))
    for c in Explainer(tiny(5), "tiny").explain(Picture("even", even, even.size), [0, 1, 2, 3, 4]).classes:
        assert c.check is None or not c.check.confirmed


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def test_a_figure_drawn_over_is_the_figure_drawn_anew():
    explainer = Explainer(tiny(5), "tiny")
    results = [
        explainer.explain(picture(seed=1), [0, 1]),  # the second map is empty
        explainer.explain(picture(seed=2), [3, 4], threshold=0.6),
        explainer.explain(picture(seed=1, name="q.png"), [1, 2], "guided-grad-cam"),
        explainer.explain(picture(seed=3), [0, 1, 2]),  # another shape
        explainer.explain(picture(seed=3), [2, 1, 0], "counterfactual"),
    ]
    assert any(c.empty for c in results[0].classes)
    figure, kept = None, []
    for result in results:
        figure = result_figure(result, reuse=figure)
        kept.append(figure)
        np.testing.assert_array_equal(pixels(figure), pixels(result_figure(result)))
        assert all(len(ax.images) <= 1 for ax in figure.axes)  # nothing is left below
    assert kept[0] is kept[1] is kept[2] is not kept[3] and kept[3] is kept[4]
    # One with cautions below is of another height, and is not drawn over.
    taller = result_figure(results[0], cautions=True)
    assert result_figure(results[0], reuse=taller) is not taller


def test_nothing_of_the_figure_is_cut_off():
    result = Explainer(tiny()).explain(picture(80, 40), [0], "guided-grad-cam", layer="net.features.2")
    figure = result_figure(result, cautions=True)
    figure.canvas.draw()
    for text in [
        *figure.texts,
        *(ax.title for ax in figure.axes),
        *(t for ax in figure.axes for t in ax.texts),
    ]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, (
            text
        )


def in_steps(explainer, *arguments):
    """All stages of an explanation, and its result."""
    steps, stages = explainer.steps(*arguments), []
    while True:
        try:
            stages.append(next(steps))
        except StopIteration as end:
            return stages, end.value


def test_what_is_known_before_the_end_confirms_nothing_and_is_the_same_as_in_the_end():
    shown = picture(seed=1)
    stages, whole = in_steps(Explainer(tiny(), "tiny"), shown, [0, 1, 2])
    parts = [stage.result for stage in stages if stage.result is not None]
    assert [all(c.check is None for c in part.classes) for part in parts] == [True, False]
    assert [stage.share for stage in stages] == sorted(stage.share for stage in stages)
    assert all(0 <= stage.share < 1 and stage.text for stage in stages)
    for part in parts:
        for a, b in zip(whole.classes, part.classes, strict=True):
            assert np.array_equal(a.raw, b.raw) and (a.box, a.empty) == (b.box, b.empty)
            assert b.check is None or (b.check.random, b.check.confirmed) == ((), False)
            assert b.check is None or (a.check.before, a.check.after) == (b.check.before, b.check.after)
            assert "not-confirmed" not in [caution.code for caution in b.cautions]
        assert "being computed" in playground.result_words(part)
        plt.close(result_figure(part))
    assert "nan" in playground.to_csv([parts[1]]) and "nan" not in playground.to_csv([whole])
    assert "being computed" not in playground.result_words(whole)


def test_steps_that_were_broken_off_are_taken_up_again_with_the_same_result():
    shown, explainer = picture(seed=1), Explainer(tiny(), "tiny")
    whole = explainer.explain(shown, [0, 1, 2])
    assert in_steps(explainer, shown, [0, 1, 2])[0] == []  # all of it is kept
    for number in range(len(in_steps(Explainer(tiny(), "tiny"), shown, [0, 1, 2])[0])):
        again = Explainer(tiny(), "tiny")
        steps = again.steps(shown, [0, 1, 2])
        for _ in range(number + 1):
            next(steps)
        steps.close()
        assert [c.check for c in again.explain(shown, [0, 1, 2]).classes] == [c.check for c in whole.classes]


def test_tiny_images_are_pictures_too():
    image = tiny_images(1, 28)[0].permute(1, 2, 0).mul(255).byte().numpy()
    assert Explainer(tiny()).explain(Picture("x", Image.fromarray(image), (28, 28)), 0).classes


@pytest.mark.parametrize(
    ("classes", "options", "ending", "chances"),
    [
        (5, {"scores": "independent"}, nn.Identity(), torch.sigmoid),
        (5, {}, nn.Sigmoid(), torch.sigmoid),
        (5, {}, nn.Softmax(1), lambda y: y.softmax(1)),
        (1, {}, nn.Identity(), torch.sigmoid),
    ],
)
def test_probabilities_are_those_of_the_kind_of_score(classes, options, ending, chances):
    net = TinyNet(n_classes=classes)
    clf = Classifier(nn.Sequential(net, ending).eval(), NAMES[:classes], size=28, **options)
    p = picture()
    result = Explainer(clf).explain(p, list(range(classes)))
    expected = chances(net((clf.preprocess(p.image) - 0.5) / 0.5))[0].detach()
    torch.testing.assert_close(torch.tensor([c.probability for c in result.classes]), expected)
    assert [q for _, _, q in result.predictions] == pytest.approx(expected.sort(descending=True)[0].tolist())
    assert f"probability {expected[0]:.2f}" in result_words(result)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_of_gray_images(method):
    net = TinyNet()
    net.features[0] = nn.Conv2d(1, 6, 3, padding=1)
    result = Explainer(Classifier(net, NAMES, size=28)).explain(picture(), "bee", method)
    assert result.square.shape == (3, 28, 28)
    assert to_png(result) and to_npz(result) and result_words(result)


def test_a_flat_map_marks_no_place():
    """A map of one cell, as of small pictures: neither box nor check, and the reason is said."""
    net = nn.Sequential(nn.Conv2d(3, 2, 32), nn.ReLU(), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.abs_()
    clf = Classifier(net, ["one", "two"], (0, 0, 0), (1, 1, 1), target_layer="1", size=32).eval()
    result = Explainer(clf).explain(picture(32, 32), ["one"])
    (found,) = result.classes
    assert found.heat.max() > 0 and found.raw.shape == (1, 1)
    assert found.box is None and found.check is None and found.empty
    assert "flat-map" in [caution.code for caution in found.cautions]
    assert "the map is the same everywhere: it marks no place." in playground.result_words(result)
