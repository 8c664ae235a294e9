"""The drawings of hooks: a chain of modules, one channel, its colors."""

import pytest
import torch

from course_utils.show import color_limit, draw_chain, draw_channel, panels


def test_drawings_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="no module 'pool'"):
        draw_chain(["conv", "relu"], forward=["pool"])
    with pytest.raises(ValueError, match="one to six"):
        draw_chain([])
    _, axes = panels(1)
    with pytest.raises(ValueError, match=r"one channel has shape \(h, w\)"):
        draw_channel(axes[0], torch.rand(3, 4, 4))


def test_one_channel_is_white_at_zero():
    _, axes = panels(2)
    draw_channel(axes[0], torch.tensor([[0.0, 2.0]]))
    draw_channel(axes[1], torch.tensor([[0.0, -3.0]]), gradient=True)
    assert [ax.images[0].get_clim() for ax in axes] == [(-2, 2), (-3, 3)]


def test_a_few_large_values_do_not_bleach_the_rest():
    cells = torch.ones(20, 20)
    cells[0, :3] = -100.0
    assert color_limit(cells) == 1
    assert color_limit(cells[:1]) == 100  # of so few cells, none may lie beyond
    assert color_limit(torch.zeros(20, 20)) == 1
    lonely = torch.zeros(20, 20)
    lonely[3, 3] = 5
    assert color_limit(lonely) == 5


def test_a_hook_is_drawn_behind_its_module():
    figure = draw_chain(["conv", "relu"], forward=["conv"], backward=["conv", "relu"])
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words.count("forward hook gets A") == 1
    assert words.count("backward hook gets ∂y/∂A") == 2
    places = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert places["conv"] < places["forward hook gets A"] < places["relu"]
