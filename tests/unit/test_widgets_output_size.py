"""The explorer of notebook 01: every setting of every slider draws, and its sentence tells the truth."""

import re
import time

import pytest
from torch import ones
from torch.nn.functional import conv1d

from course_utils.widgets import output_size_explorer


def without_picture(text):
    return re.sub(r"data:image/[^\"]*", "", text)


@pytest.mark.parametrize("name", ["n", "f", "p", "s", "d"])
def test_every_value_of_every_slider(name):
    explorer = output_size_explorer()
    control = explorer.controls[name]
    seen = {}
    for value in range(control.min, control.max + 1):
        explorer.set(**{name: value})
        seen[value] = explorer.html
        at = explorer.values
        if at["n"] + 2 * at["p"] < at["d"] * (at["f"] - 1) + 1:
            assert 'role="alert"' in explorer.html and "No window fits" in explorer.html
            continue
        row, window = ones(1, 1, at["n"]), ones(1, 1, at["f"])
        expected = conv1d(row, window, padding=at["p"], stride=at["s"], dilation=at["d"]).shape[-1]
        assert f"+ 1 = {expected} position" in explorer.html
        assert "<img src=" in explorer.html
    assert len(set(seen.values())) == len(seen), "each value has its own picture and words"


@pytest.mark.parametrize(
    "setting",
    [
        {"n": 8, "f": 3, "s": 2},
        {"n": 9, "f": 3, "p": 1, "s": 2, "d": 2},
        {"n": 10, "f": 2, "s": 4, "d": 3},
        {"n": 7, "f": 7, "p": 3, "s": 5},
        {"n": 6, "f": 1, "p": 2, "s": 5},
        {"n": 14, "f": 3, "p": 3, "s": 3},
    ],
)
def test_the_cells_that_no_window_reads_are_named(setting):
    explorer = output_size_explorer()
    explorer.set(**setting)
    at = explorer.values
    row = ones(1, 1, at["n"] + 2 * at["p"], requires_grad=True)  # with its padding
    conv1d(row, ones(1, 1, at["f"]), stride=at["s"], dilation=at["d"]).sum().backward()
    positions = [x - at["p"] for x in (row.grad[0, 0] == 0).nonzero().flatten().tolist()]
    unread = [x for x in positions if 0 <= x < at["n"]]
    padding = len(positions) - len(unread)
    told = re.search(r"(\d+) of the (\d+) cells of padding are read by no window", explorer.html)
    assert (int(told[1]), int(told[2])) == (padding, 2 * at["p"]) if told else padding == 0
    found = re.search(r"No window reads cells? ([\d, ]+)\.", without_picture(explorer.html))
    assert [int(x) for x in found[1].split(",")] if found else not unread
    assert not found or [int(x) for x in found[1].split(",")] == unread


def test_a_window_that_does_not_fit_is_told_and_forgotten():
    explorer = output_size_explorer()
    explorer.set(n=3, f=7)
    assert "No window fits" in explorer.html
    explorer.set(n=9)
    assert "No window fits" not in explorer.html


def test_it_answers_at_once():
    explorer = output_size_explorer()
    explorer.draw(**explorer.values)
    start = time.process_time()
    for n in range(5, 15):
        explorer.set(n=n, f=1, p=3)
    assert (time.process_time() - start) / 12 < 0.4  # processor time: another process does not count
