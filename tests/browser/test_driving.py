"""What drives the explorers sees what is wrong with them: explorers of its own, each broken in one way."""

from collections.abc import Iterator

import nbformat
import pytest
from answer_times import Row, too_slow
from driving import Explorer, find_explorers
from lab import Notebook, Visit, new_window
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

IMPORTS = """
import ipywidgets
import matplotlib.pyplot as plt
from course_utils.widgets import Explorer, buttons, check_box, choice, slider, typed

def picture(text):
    figure = plt.figure(figsize=(2, 0.3))
    figure.text(0, 0.2, text)
    return figure, f"The picture says {text}."

def draw(n):
    return picture(n)
"""
GOOD = """
def draw_all(n, x, kind, name, loud, word, file):
    if name not in ("tabby", "tiger", "lion"):
        raise ValueError(f"There is no class {name}; try tabby.")
    if any(f["name"].endswith(".txt") for f in file):
        raise ValueError("The file is no picture; use JPEG.")
    if n < 50:  # the box counts only where the slider is low
        x = f"{x} {loud}"
    return picture(f"{n} {x} {kind} {name} {word} {len(file)}")

explorer = Explorer(
    draw_all,
    n=slider("steps", 1, 300, 120),
    x=slider("share", 0, 1, 0.5, 0.1),
    kind=choice("kind", [f"kind {i}" for i in range(20)], "kind 3"),
    name=typed("class", ["tabby", "tiger", "lion"], "tabby"),
    loud=check_box("loud"),
    word=buttons("word", ["a", "red", "hydrant"], "red"),
    file=ipywidgets.FileUpload(description="photograph"),
)
links = ipywidgets.HTML()
button = ipywidgets.Button(description="download")
button.on_click(lambda _: setattr(links, "value", "<a download='a.txt' href='data:,a'>a.txt</a>"))
explorer.box.children += (button, links)
explorer
"""
# What makes an explorer a bad one, and the words that must say so.
BROKEN = {
    "deaf": (
        "e = Explorer(draw, n=slider('steps', 1, 9, 5))\ne.controls['n'].unobserve_all()\ne",
        "steps: nothing changes",
    ),
    "blind": (
        "e = Explorer(lambda n: (picture('one')[0], f'{n}'), n=slider('steps', 1, 9, 5))\ne",
        "no control changes the picture",
    ),
    "mute": (
        "e = Explorer(lambda n: (picture(n)[0], 'One.'), n=slider('steps', 1, 9, 5))\ne",
        "no control changes the words",
    ),
    "late": (
        "old = [5]\ndef late(n):\n    old.append(n)\n    return picture(old[-2])\n"
        "e = Explorer(late, n=slider('steps', 1, 9, 5))\ne",
        "with all controls back at the start the picture is another",
    ),
    "credulous": (
        "e = Explorer(picture, text=typed('class', ['tabby', 'tiger'], 'tabby'))\ne",
        "no sentence says that there is no",
    ),
    "raising": (
        "def fail(n):\n    return picture(n if n < 9 else 1 / 0)\n"
        "e = Explorer(fail, n=slider('steps', 1, 9, 5))\ne",
        "an explorer raised ZeroDivisionError",
    ),
    "frozen": (
        "e = Explorer(draw, n=slider('steps', 1, 9, 5))\ne.controls['n'].disabled = True\ne",
        "its value cannot be moved",
    ),
    "unread": (
        "e = Explorer(draw, n=slider('steps', 1, 9, 5))\ne.box.children[1].layout.display = 'none'\n"
        "e._picture.value = ''\ne.controls['n'].unobserve_all()\ne",
        "there is no picture",
    ),
    "swallowing": (
        "e = Explorer(lambda file: picture(len(file)), file=ipywidgets.FileUpload(description='file'))\ne",
        "no sentence says that letter.txt is no picture",
    ),
    "unlabeled": ("e = Explorer(draw, n=slider('', 1, 9, 5))\ne", "a slider has no label"),
    "unknown": (
        "e = Explorer(draw, n=ipywidgets.RadioButtons(options=['1', '2'], description='steps'))\ne",
        "of a kind that the tests know how to move",
    ),
}


@pytest.fixture(scope="module")
def notebook(browser, lab) -> Iterator[Notebook]:
    """A notebook with the good explorer, and one of each bad kind, all run."""
    cells = [IMPORTS, GOOD, *(code for code, _ in BROKEN.values())]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    written = new_notebook(cells=[new_code_cell(code.strip()) for code in cells], metadata=kernel)
    nbformat.write(written, lab.folder / "explorers.ipynb")
    notebook = Notebook(Visit(new_window(browser)), lab, "explorers.ipynb")
    notebook.run_all()
    assert not notebook.failures()
    yield notebook
    notebook.close()


@pytest.fixture
def files(tmp_path):
    """A picture, and what is none."""
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    (tmp_path / "letter.txt").write_text("Dear reader")
    return tmp_path / "photo.png", tmp_path / "letter.txt"


def test_a_good_explorer_has_no_fault(notebook, files):
    explorer = Explorer(notebook.page, find_explorers(notebook.page)[0], *files)
    kinds = ["slider", "slider", "list", "text", "check box", "buttons", "upload", "button"]
    assert [control.kind for control in explorer.controls] == kinds
    labels = ["steps", "share", "kind", "class", "loud", "word"]
    assert [control.label for control in explorer.controls][:6] == labels
    assert explorer.reached_by_tab() == []
    explorer.drive()
    assert explorer.faults == []
    assert all(control.times for control in explorer.controls)


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=list(BROKEN))
def test_a_bad_explorer_is_found_out(notebook, number, files):
    _, words = list(BROKEN.values())[number]
    explorer = Explorer(notebook.page, find_explorers(notebook.page)[1 + number], *files)
    explorer.drive()
    faults = explorer.faults + notebook.failures()
    assert any(words in fault for fault in faults), faults


def test_a_control_that_tab_does_not_reach_is_named(notebook):
    box = find_explorers(notebook.page)[1]
    box.locator("[role=slider]").evaluate("handle => handle.tabIndex = -1")
    assert Explorer(notebook.page, box).reached_by_tab() == ["steps"]


def test_errors_and_requests_are_told(notebook):
    notebook.page.evaluate(
        "() => { console.error('oh dear'); setTimeout(() => { throw new Error('ouch') });"
        "return fetch('https://example.org/x').catch(() => 0) }"
    )
    notebook.type_into(0, "print('Traceback (most recent call last)')\n1 / 0")
    notebook.run_cell(0)
    told = "\n".join(notebook.failures())
    for words in ("oh dear", "ouch", "https://example.org/x", "ended with ZeroDivisionError", "Traceback"):
        assert words in told


def test_only_medians_far_over_the_target_are_faults():
    rows = [Row("00", "a", [100, 200, 9000], [100, 200, 9000]), Row("00", "b", [3100, 3200], [3100, 9900])]
    assert too_slow(rows) == ["b answers in 3150 ms, more than 10 times the target of 300 ms."]
    assert "over the target of 300 ms" in str(rows[1]) and "over" not in str(rows[0])
    assert str(rows[1]).split()[:7] == ["00", "b", "2", "3150", "3200", "6500", "9900"]
