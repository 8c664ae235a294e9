"""Drawings for captions and questions: every word has its panel, and the bars are the probabilities."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.language import draw_answers, word_maps
from course_utils.show import PALETTE, panels

WORDS = ["a", "red", "hydrant", "left", "of", "a", "blue", "car"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_each_word_has_its_map_in_reading_order():
    heat = torch.rand(len(WORDS), 16, 16)
    heat = heat / heat.amax((1, 2), keepdim=True)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[4:9, 5:12] = True
    figure = word_maps(torch.rand(3, 16, 16), WORDS, heat, [None, mask, mask, *[None] * 5])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["the picture", *WORDS, "", "", ""]
    outlined = [bool(ax.collections) for ax in figure.axes]
    assert outlined == [False, False, True, True, *[False] * 8]
    assert all(len(ax.images) == 1 for ax in figure.axes[:9]) and not figure.axes[9].images


def test_an_empty_map_says_so():
    figure = word_maps(torch.rand(3, 16, 16), ["of"], torch.zeros(1, 16, 16), [None])
    assert "no positive evidence\nfor of" in [text.get_text() for text in figure.axes[1].texts]


def test_bars_are_the_likeliest_answers_and_the_marked_one_is_orange():
    logits = torch.tensor([0.0, 3.0, 1.0, -5.0, 2.0, 0.5])
    names = list("abcdef")
    _, (one, two) = panels(2)
    draw_answers(one, logits, names, marked="e")
    assert [t.get_text() for t in one.get_yticklabels()] == ["b", "e", "c", "f"]
    expected = logits.softmax(0)[[1, 4, 2, 5]].tolist()
    assert [bar.get_width() for bar in one.patches] == pytest.approx(expected)
    colors = [plt.matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in one.patches]
    assert colors == [PALETTE[0], PALETTE[1], PALETTE[0], PALETTE[0]]
    draw_answers(two, logits, names, marked="d")  # hardly likely, but asked for
    assert [t.get_text() for t in two.get_yticklabels()] == ["b", "e", "c", "d"]
