"""The diagram of the three rules: its numbers are autograd's, its reasons are right, its letters do not meet."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.explain import relu_rule
from course_utils.show import draw_relu_rules, relu_rules

Z, G = [2.0, -1.0, 3.0, -2.0], [4.0, 3.0, -2.0, -1.0]


@pytest.fixture
def figure():
    drawn = draw_relu_rules(Z, G)
    yield drawn
    plt.close(drawn)


def rows(figure) -> list[list[str]]:
    """The texts of the figure's rows, from the top, each from the left."""
    found: dict[float, list] = {}
    for text in figure.axes[0].texts:
        if text.get_text():
            found.setdefault(round(text.get_position()[1], 2), []).append(text)
    ordered = [sorted(found[y], key=lambda text: text.get_position()[0]) for y in sorted(found)]
    return [[text.get_text() for text in row] for row in ordered]


def test_the_rows_are_those_worked_out_by_hand(figure):
    shown = rows(figure)
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


@pytest.mark.parametrize("rule", relu_rules.RULES)
def test_the_rules_are_those_of_the_package(rule):
    numbers = [-2.0, -1.0, 0.0, 1.0, 2.0]
    pairs = [(z, g) for z in numbers for g in numbers]
    x = torch.tensor([z for z, _ in pairs], requires_grad=True)
    with relu_rule(rule):
        y = (torch.tensor([g for _, g in pairs]) * x.relu()).sum()
    (expected,) = torch.autograd.grad(y, x)
    assert [relu_rules.RULES[rule](z, g) for z, g in pairs] == expected.tolist()


def test_a_zero_that_arrives_from_above_was_stopped_by_nothing_here():
    figure = draw_relu_rules([1.0], [0.0])
    assert [row[1:] for row in rows(figure)[3:6]] == [["0"], ["0"], ["0"]]
    plt.close(figure)


def test_no_text_leaves_the_figure_or_meets_another_and_all_can_be_read(figure):
    figure.canvas.draw()
    drawn = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [text.get_window_extent() for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
        assert text.get_fontsize() >= 12
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


@pytest.mark.parametrize(("z", "g"), [([], []), ([1.0] * 5, [1.0] * 5), ([1.0, 2.0], [1.0])])
def test_other_numbers_of_units_are_refused(z, g):
    with pytest.raises(ValueError, match=f"got {len(z)} and {len(g)}"):
        draw_relu_rules(z, g)
