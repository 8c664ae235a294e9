"""The explorer of covered cells: every setting draws, and its numbers are those of covering by hand."""

import html
import re

import pytest
import torch
from helpers import TinyNet, tiny_images

from course_utils.explain import FILLS, grad_cam, stand_in
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import mosaic
from course_utils.widgets import counterfactual, counterfactual_explorer

NAMES = ["ant", "bee", "cat", "dog", "eel"]


@pytest.fixture(scope="module")
def small():
    return Classifier(TinyNet(), NAMES, target_layer="features.5").eval(), tiny_images(1)


def by_hand(classifier, image, which, cells, fill):
    """Logits after covering, with loops: the cells sorted by value, then each pixel of each cell."""
    maps = grad_cam(classifier, image, ["bee", "dog"]).maps[0]
    raw = {
        counterfactual.AGAINST: -maps[0],
        counterfactual.FOR: maps[0],
        counterfactual.RATHER: maps[0] - maps[1],
    }[which]
    order = sorted(range(16), key=lambda cell: -raw.flatten()[cell].item())
    picture, filled = image.clone(), stand_in(image, fill)
    for cell in order[:cells]:
        row, column = cell // 4 * 2, cell % 4 * 2
        place = (0, slice(None), slice(row, row + 2), slice(column, column + 2))
        picture[place] = filled[place]
    with torch.no_grad():
        return classifier(picture)[0], raw


def test_every_setting_and_its_numbers(small):
    classifier, image = small
    explorer = counterfactual_explorer(classifier, image, "bee", "dog")
    before = classifier(image)[0].detach()
    pictures, settings = set(), 0
    assert explorer.controls["cells"].max == 16
    for which in (counterfactual.AGAINST, counterfactual.FOR, counterfactual.RATHER):
        for fill in FILLS:
            for cells in (0, 1, 5, 11, 16):
                explorer.set(which=which, fill=fill, cells=cells)
                words = html.unescape(explorer.html)
                after, raw = by_hand(classifier, image, which, cells, fill)
                for name, i in (("bee", 1), ("dog", 3)):
                    found = re.search(
                        rf"{name}: logit (\S+) to (\S+), probability (\S+) to (\S+); .*?by (\S+) ", words
                    )
                    expected = [before[i], after[i], before.softmax(0)[i], after.softmax(0)[i]]
                    assert list(map(float, found.groups()[:4])) == pytest.approx(
                        [float(value) for value in expected], abs=0.0051
                    )
                count = int((raw > 0).sum())
                assert f"Of 16 cells, {count} are" in words
                kind, side = ("lowest", "below") if which == counterfactual.AGAINST else ("highest", "above")
                if cells:
                    told = (
                        f"the {cells} {kind} cells are covered"
                        if cells > 1
                        else f"the {kind} cell is covered"
                    )
                    told += f", {cells - count} of them not {side} zero" if cells > count else ""
                    assert f"{told}. " in words
                assert f"{NAMES[before.argmax()]} to {NAMES[after.argmax()]}." in words
                pictures.add(explorer.html)
                settings += 1
    assert len(pictures) > 0.9 * settings  # with no cell, or all, the maps alone differ


def test_nothing_covered_changes_nothing_and_everything_is_the_fill(small):
    explorer = counterfactual_explorer(*small, "bee", "dog")
    explorer.set(cells=0)
    assert explorer.html.count("changes by +0.00") >= 2 and "-0.00" not in explorer.html
    assert "no cell is covered." in explorer.html
    explorer.set(cells=16, fill="gray")
    expected = float((small[0](torch.full((1, 3, 8, 8), 0.5)) - small[0](small[1]))[0, 1].detach())
    assert f"changes by {expected:+.2f} (mean of {counterfactual.DRAWS} draws: rough)" in explorer.html


def test_every_class(small):
    explorer = counterfactual_explorer(*small, "bee", "dog")
    for first in NAMES[:3]:
        for second in NAMES[1:4]:
            explorer.set(first=first, second=second)
            assert ("the two classes are the same" in explorer.html) == (first == second)
            assert ("<img" in explorer.html) == (first != second)
    explorer.set(first="beee")
    assert "Did you mean" in explorer.html and "<img" not in explorer.html


def test_an_empty_field_asks_for_a_class(small):
    explorer = counterfactual_explorer(*small, "bee", "dog")
    explorer.set(second=" ")
    assert "type the name of a class" in explorer.html and "<img" not in explorer.html


def test_several_images_are_refused(small):
    with pytest.raises(ValueError, match=r"one image \(1, 3, H, W\), got \(2, 3, 8, 8\)"):
        counterfactual_explorer(small[0], tiny_images(2), "bee", "dog")


def test_the_real_network_on_a_mosaic():
    classifier = load_classifier()
    image = mosaic(["cat", "coffee", "motorcycle", "camera"]).tensor()
    explorer = counterfactual_explorer(classifier, image, "moped", "tabby")
    changes = {}
    for which in (counterfactual.AGAINST, counterfactual.FOR, counterfactual.RATHER):
        explorer.set(which=which)
        before, after = re.search(r"moped: logit (\S+) to (\S+),", explorer.html).groups()
        changes[which] = float(after) - float(before)
    assert changes[counterfactual.FOR] < -0.5 and changes[counterfactual.AGAINST] > 0
