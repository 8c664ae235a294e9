"""Whole diagrams: the numbers are those of the formulas and of autograd, letters stay inside and do not meet."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.explain import relu_rule
from course_utils.show import diagrams, draw_course, draw_pooled_head, draw_relu_rules

Z, G = [2.0, -1.0, 3.0, -2.0], [4.0, 3.0, -2.0, -1.0]
A = torch.tensor([[[4.0, 0.0], [2.0, 2.0]], [[0.0, 4.0], [0.0, 8.0]]])
NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
DRAWN = {
    "course": draw_course,
    "head": lambda: draw_pooled_head(A, torch.tensor([3.0, -1.0]), 1.0),
    "rules": lambda: draw_relu_rules(Z, G),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_numbers_of_the_head_are_those_worked_out_by_hand():
    shown = [text.get_text() for text in DRAWN["head"]().axes[0].texts if text.get_text()]
    # F_1 = (4+0+2+2)/4, F_2 = (0+4+0+8)/4, y = 3*2 - 1*3 + 1, dy/dA^1 = 3/4, dy/dA^2 = -1/4
    for expected in (
        "F₁\n2",
        "F₂\n3",
        "y\n4",
        "+ b = 1",
        "× w₁ = 3",
        "× w₂ = -1",
        "∂y/∂F₁ = 3",
        "∂y/∂F₂ = -1",
    ):
        assert expected in shown
    assert "∂y/∂A¹ = 3 / 4 in every cell" in shown
    assert "∂y/∂A² = -1 / 4 in every cell" in shown
    assert [text for text in shown if text.isdigit()] == ["4", "0", "2", "2", "0", "4", "0", "8"]


def rows(figure) -> list[list[str]]:
    """The texts of the figure's rows, from the top, each from the left."""
    found: dict[float, list] = {}
    for text in figure.axes[0].texts:
        if text.get_text():
            found.setdefault(round(text.get_position()[1], 2), []).append(text)
    ordered = [sorted(found[y], key=lambda text: text.get_position()[0]) for y in sorted(found)]
    return [[text.get_text() for text in row] for row in ordered]


def test_the_rows_of_the_rules_are_those_worked_out_by_hand():
    shown = rows(DRAWN["rules"]())
    assert [row[1:] for row in shown[:3]] == [
        ["2", "−1", "3", "−2"],
        ["2", "0", "3", "0"],
        ["4", "3", "−2", "−1"],
    ]
    assert [row[0].split(":")[0] for row in shown[3:6]] == ["gradient", "deconvnet", "guided"]
    assert [row[1:] for row in shown[3:6]] == [
        ["4", "0  (z)", "−2", "0  (z)"],
        ["4", "3", "0  (g)", "0  (g)"],
        ["4", "0  (z)", "0  (g)", "0  (z, g)"],
    ]


@pytest.mark.parametrize("rule", diagrams.RULES)
def test_the_rules_are_those_of_the_package(rule):
    numbers = [-2.0, -1.0, 0.0, 1.0, 2.0]
    pairs = [(z, g) for z in numbers for g in numbers]
    x = torch.tensor([z for z, _ in pairs], requires_grad=True)
    with relu_rule(rule):
        y = (torch.tensor([g for _, g in pairs]) * x.relu()).sum()
    (expected,) = torch.autograd.grad(y, x)
    assert [diagrams.RULES[rule](z, g) for z, g in pairs] == expected.tolist()


def test_a_zero_that_arrives_from_above_was_stopped_by_nothing_here():
    assert [row[1:] for row in rows(draw_relu_rules([1.0], [0.0]))[3:6]] == [["0"], ["0"], ["0"]]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_no_text_leaves_the_figure_or_meets_another_and_all_can_be_read(draw):
    figure = draw()
    figure.canvas.draw()
    drawn = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [text.get_window_extent() for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
        assert text.get_fontsize() >= 12
    level = [box for text, box in zip(drawn, boxes, strict=True) if text.get_rotation() == 0]
    assert not any(a.overlaps(b) for n, a in enumerate(level) for b in level[:n])


def header(path):
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])


def all_needed(direct):
    """Of each notebook, what it needs, and what that needs, and so on."""
    found = {}
    for name in sorted(direct):
        found[name] = set(direct[name]).union(*(found[other] for other in direct[name]))
    return found


def test_the_map_has_every_notebook_and_needs_what_the_headers_say():
    asked = {}
    for path in NOTEBOOKS:
        first = re.search(r"What to know first:\*\*(.*)", header(path))[1].split("it helps")[0]
        asked[path.stem[:2]] = re.findall(r"\]\((\d\d)_", first)
    drawn = {name: needs for name, (_, needs, _, _) in diagrams.NOTEBOOKS.items()}
    assert list(drawn) == [path.stem[:2] for path in NOTEBOOKS]
    assert all_needed(drawn) == all_needed(asked)
    for name, needs in drawn.items():  # an arrow that follows from others is left out
        assert not any(other in all_needed(drawn)[third] for other in needs for third in needs), name


def test_boxes_of_the_map_have_places_of_their_own_to_the_right_of_what_they_need():
    places = {name: place for name, (_, _, *place) in diagrams.NOTEBOOKS.items()}
    assert len({tuple(place) for place in places.values()}) == len(places)
    for name, (_, needs, _, _) in diagrams.NOTEBOOKS.items():
        assert all(places[other][0] < places[name][0] for other in needs), name


def test_sections_on_the_routes_are_there_and_in_the_core():
    for stations in diagrams.ROUTES.values():
        for name, _, sections in (station.partition(":") for station in stations):
            path = next(path for path in NOTEBOOKS if path.stem.startswith(name))
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
            for number in re.findall(r"\d+", sections):
                assert re.search(rf"^## {number}\. (?!.*deeper\)$)", text, re.M), (name, number)


def test_letters_of_the_map_stay_in_their_boxes():
    figure = draw_course()
    figure.canvas.draw()
    boxes = [patch.get_window_extent() for patch in figure.axes[0].patches if patch.get_width() > 1]
    texts = [text for text in figure.axes[0].texts if text.get_text() and text.get_position()[1] > 1.6]
    inside = [text.get_window_extent() for text in texts]
    assert len(boxes) == 15 and len(inside) == 30
    for letters in inside:
        assert any(
            b.x0 < letters.x0 and letters.x1 < b.x1 and b.y0 < letters.y0 and letters.y1 < b.y1 for b in boxes
        )
