"""What is computed behind a first answer: shown in order, dropped when a control moves again, told when it fails."""

import asyncio

import matplotlib.pyplot as plt
import pytest
import torch
from explorers import TABLE, picture, small_pictures

from course_utils import widgets
from course_utils.show import figure_html, panels
from course_utils.widgets import Progress, behind, slider
from course_utils.widgets import explorer as explorer_module


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """However busy the machine, no bar comes but those that are tested."""
    monkeypatch.setattr(explorer_module, "PATIENCE", float("inf"))


def drawn(n, words):
    figure, (ax,) = panels(1, width=2, places={})
    ax.bar(range(n), 1)
    return figure, words


class Long:
    """An explorer whose pictures come in steps; ``done`` notes which step of which setting was computed."""

    def __init__(self, fails=None):
        self.done, self.fails = [], fails
        self.explorer = widgets.Explorer(self.draw, n=slider("steps", 1, 9, 2))

    def draw(self, n):
        if n == 9:
            raise ValueError("nine is <not> drawn: take another number.")
        for k in range(n):
            yield Progress(f"part {k + 1}", k / n)
            if n == 8 and k == 3:
                raise self.fails
            self.done.append((n, k))
        yield drawn(n, f"{n}, and the rest is being computed.")
        self.done.append((n, "rest"))
        return drawn(n, f"{n}, and all of it.")


def in_a_kernel(steps):
    """Run a coroutine as a kernel does, on an event loop that handles messages one after the other."""
    return asyncio.run(steps)


async def until_done(explorer):
    """Let the loop come round until nothing is left; return all that was shown, pictures and bars."""
    seen = [(explorer.html, explorer._bar.value)]
    while explorer.pending:
        await asyncio.sleep(0.001)
        if (now := (explorer.html, explorer._bar.value)) != seen[-1]:
            seen.append(now)
    return seen


def busy(explorer):
    return explorer_module.BUSY in explorer.box._dom_classes


def test_bars_a_first_picture_and_the_whole_come_one_after_the_other():
    async def move():
        explorer = Long().explorer
        await until_done(explorer)
        explorer.set(n=3)
        assert explorer.pending and busy(explorer)
        assert "<img" not in explorer.html and "2, and" not in explorer.html, "the picture of other controls"
        return explorer, await until_done(explorer)

    explorer, seen = in_a_kernel(move())
    bars = [bar for page, bar in seen if "<img" not in page]
    assert [f"part {k}" in bar for k, bar in enumerate(bars, 1)] == [True] * 3
    assert all('<progress max="1" value="' in bar and 'role="status"' in bar for bar in bars)
    first, last = [(page, bar) for page, bar in seen if "<img" in page]
    assert "being computed" in first[0] and "computing the rest" in first[1]
    assert "all of it" in last[0] and last[1] == ""
    assert not explorer.pending and not busy(explorer)


def test_what_is_left_is_dropped_when_a_control_moves_again():
    async def move():
        long = Long()
        await until_done(long.explorer)
        long.done.clear()
        long.explorer.set(n=7)
        while len(long.done) < 3:
            await asyncio.sleep(0.001)
        long.explorer.set(n=3)
        before = len(long.done)
        seen = await until_done(long.explorer)
        await asyncio.sleep(0.1)
        return long, before, seen

    long, before, seen = in_a_kernel(move())
    assert {n for n, _ in long.done[:before]} == {7} and {n for n, _ in long.done[before:]} == {3}
    assert (7, "rest") not in long.done and len(long.done) < 3 + 3 + 1 + 7
    assert not any("7, and" in page for page, _ in seen)
    assert "3, and all of it" in long.explorer.html and not busy(long.explorer)


def test_a_refusal_drops_what_is_left_too():
    async def move():
        long = Long()
        long.explorer.set(n=7)
        long.explorer.set(n=9)
        assert not long.explorer.pending and not busy(long.explorer)
        await asyncio.sleep(0.1)
        assert not [step for step in long.done if step[0] == 7 and step[1] != 0]
        return long.explorer

    explorer = in_a_kernel(move())
    assert 'role="alert"' in explorer.html and "nine is &lt;not&gt; drawn" in explorer.html
    assert explorer._bar.value == ""


@pytest.mark.parametrize(
    "error", [RuntimeError("out of <memory>"), ValueError("no <such> thing: take another."), MemoryError()]
)
def test_an_error_behind_ends_in_a_sentence_and_the_next_move_in_a_picture(error):
    raised = []

    async def move():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: raised.append(context["exception"])
        )
        long = Long(error)
        await until_done(long.explorer)
        long.explorer.set(n=8)
        await until_done(long.explorer)
        refused = long.explorer.html
        assert not long.explorer.pending and not busy(long.explorer) and long.explorer._bar.value == ""
        long.explorer.set(n=4)
        await until_done(long.explorer)
        return refused, long.explorer

    refused, explorer = in_a_kernel(move())
    assert 'role="alert"' in refused and "<img" not in refused
    assert str(error).replace("<", "&lt;").replace(">", "&gt;") in refused and len(refused.split()) > 5
    assert raised == ([] if isinstance(error, ValueError) else [error])  # a fault is told to the kernel, too
    assert "4, and all of it" in explorer.html


def test_an_error_at_once_leaves_no_picture_of_other_controls():
    def draw(n):
        return drawn(1 // (n - 3), f"{n}.")

    explorer = widgets.Explorer(draw, n=slider("n", 1, 9, 5))
    with pytest.raises(ZeroDivisionError):
        explorer.set(n=3)
    assert "ZeroDivisionError" in explorer.html and "<img" not in explorer.html
    explorer.set(n=4)
    assert "<img" in explorer.html


def test_where_the_last_picture_took_long_a_bar_comes_first(monkeypatch):
    def draw(n):
        return drawn(n, f"{n} bars.")

    async def move(patience):
        monkeypatch.setattr(explorer_module, "PATIENCE", patience)
        explorer = widgets.Explorer(draw, n=slider("n", 1, 9, 5))
        explorer.set(n=3)
        return explorer, await until_done(explorer)

    _, seen = in_a_kernel(move(float("inf")))
    assert len(seen) == 1
    explorer, seen = in_a_kernel(move(0.0))
    (first, bar), (last, none) = seen[0], seen[-1]
    assert (
        "<img" not in first and "drawing" in bar and "3 bars." in last and none == "" and not busy(explorer)
    )


def test_finish_computes_the_rest_now():
    async def move():
        long = Long()
        long.explorer.finish()
        assert "2, and all of it" in long.explorer.html
        long.explorer.set(n=5)
        long.explorer.finish()
        assert not long.explorer.pending and "5, and all of it" in long.explorer.html
        done = list(long.done)
        await asyncio.sleep(0.1)
        assert long.done == done

    in_a_kernel(move())


def test_without_a_loop_everything_is_computed_at_once():
    explorer = Long().explorer
    explorer.set(n=4)
    assert "4, and all of it" in explorer.html and not explorer.pending


def test_draw_returns_the_last_picture_and_leaves_no_figure_open():
    long, before = Long(), plt.get_fignums()
    figure, words = long.explorer.draw(n=4)
    assert words == "4, and all of it." and plt.get_fignums() == [*before, figure.number]
    plt.close(figure)


def test_two_explorers_do_not_drop_one_another_s_work():
    async def move():
        one, two = Long(), Long()
        one.explorer.set(n=5)
        two.explorer.set(n=6)
        await until_done(one.explorer)
        await until_done(two.explorer)
        return one.explorer.html, two.explorer.html

    first, second = in_a_kernel(move())
    assert "5, and all of it" in first and "6, and all of it" in second


def test_threads_are_halved_and_given_back_also_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with pytest.raises(RuntimeError), behind.few_threads():
            assert torch.get_num_threads() == 2
            raise RuntimeError
        assert torch.get_num_threads() == 4
        torch.set_num_threads(1)
        with behind.few_threads():
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_step_that_raises_leaves_nothing_to_do():
    def steps():
        yield
        raise RuntimeError("second")

    work = behind.Behind()
    with pytest.raises(RuntimeError, match="second"):
        work.begin(steps())
    assert not work.pending and list(work.take()) == []


# --- the course's own


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("attacks", [{"epsilon": 3}, {"steps": 5}, {"target": "cat"}]),
        ("counterfactual", [{"cells": 3}, {"fill": "gray"}, {"first": "cat"}]),
        ("playground", [{"picture": "cat"}, {"method": "grad-cam++"}, {"first": "bee"}, {"threshold": 40}]),
    ],
)
def test_the_last_picture_is_that_of_a_direct_computation(name, moves):
    async def move():
        explorer = TABLE[name].build()
        for setting in moves:
            explorer.set(**setting)
            await asyncio.sleep(0.03)  # a few steps, which the next move drops
        await until_done(explorer)
        return explorer

    with small_pictures():
        explorer = in_a_kernel(move())
        fresh = TABLE[name].build()
        figure, words = fresh.draw(**explorer.values)
        for ax in figure.axes:
            ax.set_title(ax.get_title(), y=1.0)
        direct = figure_html(figure, words, small=False, photos=fresh.photos(**explorer.values))
    assert explorer.html == direct and picture(direct)


def test_downloads_wait_for_what_belongs_to_the_picture():
    async def move():
        explorer = TABLE["playground"].build()
        explorer.set(picture="cat")
        explorer.button.click()
        links = explorer.box.children[-1]
        assert links.value == "" and busy(explorer)
        await until_done(explorer)
        return explorer, links.value

    explorer, links = in_a_kernel(move())
    assert links.count("<a download") == 3 and not busy(explorer)
    assert all(c.check.random for c in explorer.result.classes if c.check)


@pytest.mark.parametrize("name", TABLE)
def test_no_explorer_lets_matplotlib_find_the_places(name):
    explorer = TABLE[name].build()
    figure, _ = explorer.draw(**{**explorer.values, **TABLE[name].start})
    assert figure.get_layout_engine() is None, "that takes as long as all the rest: use picture_places"
    plt.close(figure)
