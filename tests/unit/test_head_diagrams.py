"""The diagram of a pooled head: its numbers are those of the formulas, and its letters stay inside."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils.show import draw_pooled_head


@pytest.fixture
def figure():
    drawn = draw_pooled_head(
        torch.tensor([[[4.0, 0.0], [2.0, 2.0]], [[0.0, 4.0], [0.0, 8.0]]]), torch.tensor([3.0, -1.0]), 1.0
    )
    yield drawn
    plt.close(drawn)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_the_numbers_are_those_worked_out_by_hand(figure):
    shown = texts(figure)
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


def test_no_text_leaves_the_figure_or_meets_another(figure):
    figure.canvas.draw()
    drawn = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [text.get_window_extent() for text in drawn]
    for text, box in zip(drawn, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
    level = [box for text, box in zip(drawn, boxes, strict=True) if text.get_rotation() == 0]
    assert not any(a.overlaps(b) for n, a in enumerate(level) for b in level[:n])


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2, 2\)"):
        draw_pooled_head(torch.ones(3, 2, 2), torch.ones(3), 0)
