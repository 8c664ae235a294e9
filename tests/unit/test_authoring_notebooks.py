"""What `python -m course_utils notebooks` does to notebooks, tried on small ones in a temporary folder."""

import base64
import json
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.authoring import image_sizes, notebooks, publish, publishing, refresh_notebooks, slides

README = "| notebook | time |\n|---|---|\n| [a](notebooks/00_a.ipynb) | 99 s |\n| [b](notebooks/01_b.ipynb) | 99 s |\n"
CODE = """
import os, sys, warnings
import ipywidgets
from IPython.display import HTML, display
print("progress", file=sys.stderr)
for i in range(3):
    print(i, flush=True)
warnings.warn("mind the gap")
print(os.environ["OMP_NUM_THREADS"], os.path.basename(os.getcwd()), os.environ["COURSE_STORING"])
display(ipywidgets.Output())
ipywidgets.IntSlider(3)
"""


def course(folder, *sources, header="# A?\n\nabout 99 seconds to run", name="00_a"):
    """A folder like the course's, with one notebook."""
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "README.md").write_text(README)
    cells = [new_markdown_cell(header), *map(new_code_cell, sources)]
    path = folder / "notebooks" / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_notebook_is_executed_normalized_and_timed(tmp_path, capsys):
    path = course(tmp_path, CODE, "", "1 + 1")
    raw = json.loads(path.read_text())
    kept = raw["cells"][3]["id"]
    del raw["cells"][1]["id"]
    raw["metadata"]["widgets"] = {"state": 1}
    path.write_text(json.dumps(raw))

    assert refresh_notebooks(tmp_path, threads=1) == 0
    first = path.read_text()
    report = capsys.readouterr().out
    assert "ok 00_a: " in report and "1 threads" in report and "MB at the peak" in report
    assert "cell 1 warns: " in report and "mind the gap" in report

    notebook = nbformat.read(path, as_version=4)
    header, code, empty, last = notebook.cells
    assert "about 5 seconds to run" in header.source
    assert [cell.execution_count for cell in (code, empty, last)] == [1, None, 2]
    assert last.id == kept
    # The last is a widget: ipywidgets 7 displays itself, 8 is the cell's result.
    kinds = [output.output_type for output in code.outputs]
    assert kinds in (["stream", "display_data", last] for last in ("execute_result", "display_data"))
    assert code.outputs[0].text == "0\n1\n2\n1 notebooks 1\n"
    assert code.outputs[2].data == {"text/plain": "IntSlider(value=3)"}
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert first.endswith("}\n") and first.startswith('{\n "cells"')
    assert (tmp_path / "README.md").read_text() == README.replace("99", "5", 1)

    assert refresh_notebooks(tmp_path, ["00"], threads=1) == 0
    assert path.read_text() == first


def test_an_error_leaves_the_file_and_the_others_still_run(tmp_path, capsys):
    broken = course(tmp_path, "print('x')", "1 / 0")
    course(tmp_path, "1", name="01_b")
    before = broken.read_bytes()
    assert refresh_notebooks(tmp_path) == 1
    report = capsys.readouterr().out
    assert "FAILED 00_a" in report and "ZeroDivisionError" in report
    assert "ok 01_b" in report
    assert broken.read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "notebooks").iterdir()) == ["00_a.ipynb", "01_b.ipynb"]


def test_the_network_is_refused_and_large_files_are_named(tmp_path, capsys):
    path = course(
        tmp_path,
        "import socket\ntry:\n    socket.gethostbyname('example.com')\nexcept OSError as e:\n    print(e)",
        "import base64; from IPython.display import HTML\n"
        "HTML('<img src=\"data:image/png;base64,' + base64.b64encode(bytes(120_000)).decode() + '\">')",
        "print('x' * 700_000)",
    )
    assert refresh_notebooks(tmp_path) == 1
    report = capsys.readouterr().out
    assert "EXCEEDS 00_a" in report
    assert "a picture has 120 KB; the limit is 110 KB." in report
    assert "the limit is 700 KB." in report
    assert "The network is switched off here" in nbformat.read(path, as_version=4).cells[1].outputs[0].text


def test_names_are_numbers_stems_or_paths(tmp_path):
    for name in ("00_a", "01_b", "010_c"):
        (tmp_path / f"{name}.ipynb").touch()
    names = lambda *given: [path.stem for path in notebooks.find_notebooks(tmp_path, given)]  # noqa: E731
    assert names() == ["00_a", "010_c", "01_b"]
    assert names("01") == ["01_b"]
    assert names("notebooks/01_b.ipynb", "00_a", "01_b") == ["01_b", "00_a"]
    with pytest.raises(ValueError, match=r"'7'.*there are: 00_a, 010_c, 01_b"):
        names("7")


def test_the_command_names_what_is_wrong():
    command = [sys.executable, "-m", "course_utils", "notebooks", "no_such"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No notebook is called 'no_such'" in done.stderr


def write_raw(path, cells):
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    return path


def test_new_ids_are_deterministic_and_unique(tmp_path):
    cell = {"cell_type": "markdown", "metadata": {}, "source": ["same"]}
    path = write_raw(tmp_path / "00_a.ipynb", [cell, cell, {**cell, "id": "mine"}, {**cell, "id": "mine"}])
    ids = [cell.id for cell in notebooks.read_notebook(path).cells]
    assert len(set(ids)) == 4
    assert ids[2] == "mine"
    assert ids == [cell.id for cell in notebooks.read_notebook(path).cells]
    other = write_raw(tmp_path / "01_b.ipynb", [cell])
    assert notebooks.read_notebook(other).cells[0].id != ids[0]


def stored(folder, *cells):
    path = folder / "x.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def old_notebook(folder):
    (folder / "old.ipynb").write_text('{"nbformat": 3, "worksheets": []}')
    return notebooks.read_notebook(folder / "old.ipynb")


def hidden(folder):
    page = stored(folder, new_markdown_cell("# Why?", metadata={"slideshow": {"slide_type": "skip"}}))
    return slides.build_deck("All", slides.notebook_parts(folder, page), {})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (old_notebook, ValueError, r"old\.ipynb has notebook format 3"),
        *(
            (lambda folder, address=address: publish(folder, address), ValueError, "OWNER/REPO")
            for address in ("ada", "https://github.com/ada/course", "ada/course/", "ada /x", "")
        ),
        (
            lambda folder: publishing.stamp(stored(folder, new_markdown_cell("# Why?")), "a/b"),
            ValueError,
            'no "Open in Colab" badge',
        ),
        (
            lambda folder: publishing.stamp(
                stored(folder, new_markdown_cell(publishing.badge("a/b", "x.ipynb"))), "a/b"
            ),
            ValueError,
            '0 cells tagged "setup"',
        ),
        (hidden, ValueError, "has no page to show"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, call, error, words):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=words):
        call(tmp_path)
    assert [path for path in sorted(tmp_path.iterdir()) if path.suffix != ".ipynb"] == before


def test_progress_bars_vanish_and_addresses_are_remarked():
    bar = {
        "text/plain": "  0%|          | 0/3 [00:00<?, ?it/s]",
        notebooks.WIDGET_VIEW: {"model_id": "1"},
    }
    cell = new_code_cell("x", metadata={"execution": {"iopub.status.busy": "2020"}, "tags": ["keep"]})
    cell.outputs = [
        new_output("display_data", bar),
        new_output("stream", name="stderr", text="  0%| | 0/3\r100%|##| 3/3\n"),
        new_output("execute_result", {"text/plain": "<object at 0x7fcb4b6eec50>"}, execution_count=9),
    ]
    notebook = new_notebook(cells=[cell])
    assert notebooks.normalize(notebook) == ["cell 0 prints a memory address, which changes with every run."]
    (result,) = cell.outputs
    assert result.execution_count == cell.execution_count == 1
    assert cell.metadata == {"tags": ["keep"]}


def test_pictures_are_measured_decoded():
    encode = lambda size: base64.b64encode(bytes(size)).decode()  # noqa: E731
    html = f'<img src="data:image/png;base64,{encode(20)}"><img src="data:image/jpeg;base64,{encode(31)}">'
    cell = new_code_cell(
        "x", outputs=[new_output("display_data", {"image/png": encode(10), "text/html": html})]
    )
    assert image_sizes(new_notebook(cells=[new_markdown_cell(""), cell])) == [
        (1, 10),
        (1, 20),
        (1, 31),
    ]


@pytest.mark.parametrize(("measured", "shown"), [(0.2, 5), (5, 5), (5.01, 10), (41, 45), (59.9, 60)])
def test_seconds_are_rounded_to_five(measured, shown):
    assert notebooks.rounded_seconds(measured) == shown


def test_seconds_go_to_their_places_only(tmp_path):
    notebook = new_notebook(
        cells=[new_code_cell("about 1 seconds to run"), new_markdown_cell("no figure here")]
    )
    assert not notebooks.write_seconds(notebook, 5)
    notebook.cells[1].source = "read 10 minutes, about 1 seconds to run."
    assert notebooks.write_seconds(notebook, 5)
    assert [cell.source for cell in notebook.cells] == [
        "about 1 seconds to run",
        "read 10 minutes, about 5 seconds to run.",
    ]
    readme = tmp_path / "README.md"
    assert not notebooks.write_seconds_in_table(readme, "00_a.ipynb", 5)
    readme.write_text(
        README + "In text: (notebooks/01_b.ipynb) 7 s\n| (notebooks/02_c.ipynb) | 3 s | later |"
    )
    assert notebooks.write_seconds_in_table(readme, "01_b.ipynb", 5)
    assert not notebooks.write_seconds_in_table(readme, "02_c.ipynb", 5)
    expected = README.replace("01_b.ipynb) | 99 s", "01_b.ipynb) | 5 s")
    assert readme.read_text().startswith(expected + "In text: (notebooks/01_b.ipynb) 7 s\n")


def test_a_report_names_the_limits_it_exceeds():
    assert notebooks.Report(1, None, 2, size=700_000, largest_image=110_000).faults == []
    assert len(notebooks.Report(1, None, 2, size=700_001, largest_image=110_001).faults) == 2
    assert "? MB" in str(notebooks.Report(1, None, 2))


OPTIONAL = """
import os
print("measured: 0.98" if os.environ.get("COURSE_MIRROR") else "Not on this machine: a measurement would follow.")
"""


def test_optional_cells_keep_their_outputs_where_they_cannot_run(tmp_path, monkeypatch, capsys):
    path = course(tmp_path, OPTIONAL, "print('always')", "print('other')")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["tags"] = ["optional"]
    nbformat.write(notebook, path)

    def printed():
        cells = nbformat.read(path, as_version=4).cells
        return [cell.outputs[0].text for cell in cells[1:]]

    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    assert refresh_notebooks(tmp_path, threads=1) == 0  # nothing stored before: the sentence is kept
    assert printed()[0].startswith("Not on this machine: ")
    assert "keeps" not in capsys.readouterr().out

    monkeypatch.setenv("COURSE_MIRROR", "/somewhere")  # passed on to the kernel
    assert refresh_notebooks(tmp_path, threads=1) == 0
    assert printed() == ["measured: 0.98\n", "always\n", "other\n"]

    monkeypatch.delenv("COURSE_MIRROR")
    assert refresh_notebooks(tmp_path, threads=1) == 0
    assert printed() == ["measured: 0.98\n", "always\n", "other\n"]
    assert "cell 1 could not run here and keeps the outputs that were stored" in capsys.readouterr().out


def test_only_optional_cells_keep_their_outputs():
    said = [new_output("stream", name="stdout", text="Not on this machine: no pictures.\n")]
    before = [new_output("stream", name="stdout", text="0.98\n")]
    cells = [new_code_cell("a", outputs=list(said)) for _ in range(2)]
    cells[1].metadata["tags"] = ["optional"]
    notebook = new_notebook(cells=cells)
    remarks = notebooks.keep_optional(notebook, {cell.id: before for cell in cells})
    assert cells[0].outputs == said and cells[1].outputs == before
    assert len(remarks) == 1 and remarks[0].startswith("cell 1 ")
