"""Which cells an explorer depends on is found from their names."""

import pytest
from needed import needed_cells

CELLS = {
    "another name": (["a = 1", "b = 2", "print(a)"], {0, 2}),
    "bound anew": (["a = 1", "a = 2", "print(a)"], {1, 2}),
    "added to": (["a = []", "a.append(1)", "b = a[:]", "print(a)"], {0, 1, 3}),
    "written into": (["a = {}", "a['k'] = 1", "a.x = 2", "print(a)"], {0, 1, 2, 3}),
    "changed in a branch": (["a = 1", "if b:\n    a = 2", "print(a)"], {0, 1, 2}),
    "imported": (["import os.path", "from x import y as z", "z(os)"], {0, 1, 2}),
    "looked up when called": (["k = 1", "def f(x):\n    return x + k", "k = 2", "print(f(3))"], {1, 2, 3}),
    "a parameter is no such name": (["x = 1", "def f(x):\n    return x", "print(f(3))"], {1, 2}),
    "unpacked": (["a, (b, *c) = f()", "print(c)"], {0, 1}),
    "a magic command": (["%matplotlib inline", "a = 1", "print(a)"], {1, 2}),
}


@pytest.mark.parametrize(("sources", "expected"), CELLS.values(), ids=CELLS)
def test_needed_cells(sources, expected):
    assert needed_cells(sources, [len(sources) - 1]) == expected
