"""Notebooks under other arithmetics and run twice: what does not hold is found, and nothing is written."""

import pytest
import torch
from nbclient import NotebookClient
from nbformat import write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils.__main__ import main
from course_utils.authoring import compare_machines, machines

ISA = "import os\nisa = os.environ.get('ONEDNN_MAX_CPU_ISA', 'all')"
PRINTS = "# NBVAL_CHECK_OUTPUT\nprint('level', 0.47 if isa == 'all' else 0.49, 'of 3')"
FAILS = "assert isa == 'all', 'only\\nhere'"
NET = """import torch
net = torch.nn.Linear(3, 1)
net.load_state_dict({'weight': torch.ones(1, 3), 'bias': torch.ones(1)})
error = (net.weight - 1).abs().max().item()
assert 1e-8 < error < 1e-5, error"""


GROWS = "hooks.append(1)\nassert len(hooks) == 1, 'one hook'"
ONCE = "assert 'later' not in globals(), 'a later cell has run'"
GROWING = "# NBVAL_CHECK_OUTPUT\nprint(len(hooks), 'hook')"


@pytest.fixture
def course(tmp_path):
    """A course of two notebooks: one that hangs on the instructions used, and one that holds."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    checked = new_code_cell(PRINTS, outputs=[new_output("stream", text="level 0.47 of 3\n")])
    cells = [new_markdown_cell("# A?"), new_code_cell(ISA), checked, new_code_cell(FAILS), new_code_cell("1")]
    write(new_notebook(cells=cells), folder / "00_a.ipynb")
    write(new_notebook(cells=[new_code_cell("1 + 1")]), folder / "01_b.ipynb")
    return tmp_path


def test_cells_that_do_not_hold_are_listed_with_the_spread(course, capsys):
    before = (course / "notebooks" / "00_a.ipynb").read_bytes()
    assert compare_machines(course, only=["1 thread", "SSE 4.1"]) == 1
    printed = capsys.readouterr().out
    assert "00_a, code cell 2:\n  SSE 4.1: prints something else" in printed
    assert "level 0.47 .. 0.49 of 3" in printed
    assert "00_a, code cell 3:\n  SSE 4.1: AssertionError: only" in printed
    assert "2 notebooks under: 1 thread, SSE 4.1. Cells that do not hold everywhere: 2." in printed
    assert "01_b" not in printed and (course / "notebooks" / "00_a.ipynb").read_bytes() == before


def test_what_holds_everywhere_is_no_fault(course, capsys):
    assert compare_machines(course, ["01"], ["1 thread", "SSE 4.1"]) == 0
    assert "do not hold everywhere: 0." in capsys.readouterr().out


def test_the_jitter_changes_every_weight_that_is_loaded(tmp_path):
    path = tmp_path / "net.ipynb"
    write(new_notebook(cells=[new_code_cell(NET)]), path)
    jitter, plain = machines.ARITHMETICS[-1], machines.ARITHMETICS[0]
    assert [run.errors for run in machines.run_notebook(path, jitter)] == [{}]
    assert [list(run.errors) for run in machines.run_notebook(path, plain)] == [[1]]


def test_a_processor_that_cannot_is_left_out(course, monkeypatch, capsys):
    monkeypatch.setattr(machines, "_flags", lambda: {"sse4_1"})
    assert compare_machines(course, ["01"], ["1 thread", "AVX-512"]) == 0
    assert "left out: AVX-512, which this processor cannot." in capsys.readouterr().out


def test_cells_that_cannot_run_twice_are_listed(tmp_path, capsys):
    """A cell that adds to an earlier cell's list, one that prints how long that is, one that a later cell breaks."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    printing = new_code_cell(GROWING, outputs=[new_output("stream", text="1 hook\n")])
    cells = [new_code_cell(text) for text in ("hooks = []", GROWS, ONCE, "later = True")]
    write(new_notebook(cells=[*cells[:2], printing, *cells[2:]]), folder / "00_a.ipynb")
    assert compare_machines(tmp_path, only=["1 thread"], twice=True) == 1
    printed = capsys.readouterr().out
    assert "00_a, code cell 2:\n  1 thread (cell run again): AssertionError: one hook\n00_a" in printed
    both = "  1 thread: prints something else\n  1 thread (cell run again): prints something else"
    assert f"code cell 3:\n{both}\n  printed:\n    1 .. 2 hook" in printed
    assert "00_a, code cell 4:\n  1 thread (all run again): AssertionError: a later cell has run" in printed
    under = "1 thread, 1 thread (cell run again), 1 thread (all run again)"
    assert f"1 notebooks under: {under}. Cells that do not hold everywhere: 3." in printed


def test_cells_that_make_what_they_change_run_twice(tmp_path):
    path = tmp_path / "good.ipynb"
    cells = [new_code_cell(f"hooks = []\n{GROWS}"), new_code_cell("hooks = [*hooks[:1], 2]")]
    write(new_notebook(cells=cells), path)
    runs = machines.run_notebook(path, machines.ARITHMETICS[0], twice=True)
    assert [run.errors for run in runs] == [{}, {}, {}] and not any(run.differing for run in runs)


def test_a_cell_that_takes_too_long_is_named_and_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(machines, "PATIENCE", 2)
    path = tmp_path / "slow.ipynb"
    cells = [new_code_cell("import time"), new_code_cell("time.sleep(60)"), new_code_cell("1 / 0")]
    write(new_notebook(cells=cells), path)
    runs = machines.run_notebook(path, machines.ARITHMETICS[0])
    assert [run.errors for run in runs] == [{2: "CellTimeoutError: the notebook stopped"}]


def test_the_command_runs_cells_twice(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "course_utils.authoring.compare_machines", lambda root, *rest: asked.append(rest) or 0
    )
    assert main(["notebooks", "--twice", "02"]) == 0
    assert main(["notebooks", "--machines", "--only", "SSE 4.1", "--twice"]) == 0
    assert main(["notebooks", "--machines"]) == 0
    assert asked == [(["02"], ["1 thread"], True), ([], ["SSE 4.1"], True), ([], [], False)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["energy 0.47, cat", "energy 0.49, cat"], "energy 0.47 .. 0.49, cat"),
        (["1,200 of 3", "980 of 3", "1,001 of 3"], "980 .. 1,200 of 3"),
        (["a 1e-7", "a 2e-7"], "a 1e-7 .. 2e-7"),
        (["cat 1", "dog 1"], "cat 1\ndog 1"),
        (["same 1", "same 1"], "same 1"),
    ],
)
def test_spread(texts, expected):
    assert machines.spread(texts) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--machines", "--only", "MMX"], "there is no arithmetic 'MMX', only 1 thread"),
        (["--only", "AVX2"], "--only goes with --machines"),
        (["--machines", "99"], "No notebook is called '99'"),
    ],
)
def test_what_does_not_exist_is_named(arguments, words, capsys):
    with pytest.raises(SystemExit):
        main(["notebooks", *arguments])
    assert words in capsys.readouterr().err


def test_every_arithmetic_differs_from_the_others():
    kinds = [(dict(a.environment), a.threads, a.prelude) for a in machines.ARITHMETICS]
    assert all(kinds.count(kind) == 1 for kind in kinds) and torch.backends.mkldnn.enabled


def test_a_kernel_that_dies_at_the_start_gets_a_second_try(tmp_path, monkeypatch):
    path = tmp_path / "one.ipynb"
    write(new_notebook(cells=[new_code_cell("print(1)")]), path)
    start, tries = NotebookClient.start_new_kernel, []

    def dies_once(client, **options):
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return start(client, **options)

    monkeypatch.setattr(NotebookClient, "start_new_kernel", dies_once)
    assert [run.errors for run in machines.run_notebook(path, machines.ARITHMETICS[0])] == [{}]
    assert len(tries) == 2
