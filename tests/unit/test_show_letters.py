"""Names in figures: drawn as they are written, whatever letters and signs they have."""

import io
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib import font_manager
from matplotlib.text import Text

from course_utils.explain import grad_cam
from course_utils.networks import Classifier
from course_utils.show import compare_maps, draw_heatmap, draw_photo, letters, panels, plain, written

PICTURE = np.full((8, 8), 0.5)


def drawn(title):
    """A title after it was drawn, and what was warned of."""
    figure, (ax,) = panels(1, width=3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        draw_photo(ax, PICTURE, title)
        figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)
    return ax.title, [str(warning.message) for warning in told]


@pytest.mark.parametrize(
    "name",
    [
        "price_$5_$6.jpg",
        "$5 and $6",
        "$",
        "$$",
        "$5",
        "$\\frac{$",
        "100% $a_{$",
        "a_b^c\\d{}",
        "$ x $",
        "café – × →",
    ],
)
def test_what_is_no_formula_is_drawn_as_it_is(name):
    title, told = drawn(name)
    assert title.get_text() == name and not told
    if "$" in name:
        assert not title.get_parse_math()


@pytest.mark.parametrize(
    "words", ["raw map $L^c$ for tabby", "largest $|v|$:\nzero", r"$\tilde\alpha_1 A^1$", "$f$: it"]
)
def test_formulas_stay_formulas(words):
    title, told = drawn(words)
    assert title.get_text() == words and title.get_parse_math() and not told


@pytest.mark.parametrize("name", ["a$b$c", "$x$", "back\\$lash", "price_$5_$6.jpg", "$"])
def test_a_plain_name_is_drawn_as_it_is_beside_a_formula(name):
    title, told = drawn(plain(name))
    assert not told and title._preprocess_math(title.get_text()) == (name, False)
    title, told = drawn(f"{plain(name)}: $L^c$")
    assert not told and title.get_parse_math() and title.get_text().endswith("$L^c$")


def test_an_axis_that_is_used_again_has_formulas_again():
    _, (ax,) = panels(1)
    draw_photo(ax, PICTURE, "$5_$6")
    draw_photo(ax, PICTURE, "$L^c$")
    assert ax.title.get_parse_math()
    plt.close("all")


@pytest.fixture
def no_other_font(monkeypatch):
    usual = [entry for entry in font_manager.fontManager.ttflist if entry.name.startswith(("DejaVu", "Last"))]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
    letters._others.cache_clear()
    yield
    letters._others.cache_clear()


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("猫 0.53", "猫"), ("犬と猫", "と犬猫"), ("고양이", "고양이"), ("a\ud800", "\ud800")],
)
def test_letters_that_no_font_has_are_said_to_be_missing(no_other_font, name, lacking):
    title, told = drawn(name)
    assert [words.split(":")[0] for words in told] == [
        f"no installed font has the letters {''.join(sorted(lacking))}"
    ]
    assert title.get_text() == "".join("□" if letter in lacking else letter for letter in name)


def test_a_font_that_has_the_letters_is_chosen():
    """STIX, which matplotlib brings along, has signs that DejaVu Sans lacks: it stands for a font of Chinese here."""
    usual, other = (
        font_manager.get_font(font_manager.findfont(name)) for name in ("DejaVu Sans", "STIXGeneral")
    )
    letter = next(
        chr(k) for k in sorted(set(other.get_charmap()) - set(usual.get_charmap())) if 0xFF < k < 0xE000
    )
    text = written(Text(text=f"sign {letter}"))
    assert text.get_text() == f"sign {letter}" and text.get_fontfamily()[0] == "sans-serif"
    (name,) = text.get_fontfamily()[1:]
    assert font_manager.get_font(font_manager.findfont(name)).get_char_index(ord(letter)) > 0
    assert drawn(f"sign {letter}")[1] == []


def test_class_names_in_a_comparison_and_over_an_empty_map():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(2, 2),
    )
    image = torch.rand(1, 3, 16, 16)
    e = grad_cam(Classifier(net, ["$x$", "price $5_$6"]), image, [0, 1])
    e = replace(e, maps=-e.maps.abs())
    figure = compare_maps(image, e, torch.tensor([0.5, 0.5]))
    figure.savefig(io.BytesIO(), format="png")
    assert [ax.title._preprocess_math(ax.get_title()) for ax in figure.axes[1:]] == [
        ("$x$ 0.50", False), ("price $5_$6 0.50", False),
    ]  # fmt: skip
    assert [ax.texts[0]._preprocess_math(ax.texts[0].get_text())[0] for ax in figure.axes[1:]] == [
        "no positive evidence\nfor $x$", "no positive evidence\nfor price $5_$6",
    ]  # fmt: skip
    plt.close(figure)


def test_boxes_have_labels_of_all_kinds():
    from course_utils.show import draw_box

    figure, (ax,) = panels(1)
    draw_heatmap(ax, PICTURE, title="$5_$6")
    draw_box(ax, (1, 1, 4, 4), label="$5_$6")
    figure.savefig(io.BytesIO(), format="png")
    plt.close(figure)
