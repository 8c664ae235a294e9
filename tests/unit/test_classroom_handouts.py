"""Hand-outs: nothing given away, everything still runs and checks; and one that comes back from a real kernel."""

import os
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell
from submissions import NO_KNOWN, write

from course_utils import __main__ as command
from course_utils.assets import ROOT
from course_utils.authoring import notebooks, read_notebook
from course_utils.classroom import collect, handouts, write_handouts
from course_utils.exercises import CORRECT, HANDOUT, NOT_ATTEMPTED, UNCLEAR, WRONG, course_tasks
from course_utils.exercises import ex04_grad_cam as exercises

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHARE = "You compared mean brightness inside with that of the picture"


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handouts")
    write_handouts(ROOT, [], folder)
    return folder


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_handout_gives_nothing_away(path, all_of_them):
    notebook = nbformat.read(all_of_them / path.name, as_version=4)
    nbformat.validate(notebook)
    setups = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    assert [cell.source.splitlines()[-1] for cell in setups] == [handouts.SWITCH]
    for cell in notebook.cells:
        if cell in setups:
            continue
        assert not re.search(r"(?:hint|solution)\(\)|\.(?:hint|solution)\b", cell.source), cell.source
        assert not re.search(r"<summary>[^<]*(solution|answer|hint)", cell.source, re.I), cell.source
        assert "For lecturers" not in cell.source and "colab-badge" not in cell.source
        if cell.cell_type == "code" and re.search(r"\.check\(|\bquiz\(", cell.source):
            assert cell.outputs == [] and cell.execution_count is None
        assert not any(
            "questions" in str(o.get("data", {}).get("application/javascript"))
            for o in cell.get("outputs", [])
        )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_all_else_stays_as_it_is(path, all_of_them):
    before, after = read_notebook(path), read_notebook(all_of_them / path.name)
    code = {cell.id: cell for cell in after.cells if cell.cell_type == "code"}
    for cell in before.cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            kept = re.sub(r"(?m)^#.*\.(hint|solution)\(\).*\n?", "", cell.source).rstrip()
            assert code[cell.id].source.rstrip() == kept
            if not re.search(r"\.check\(|\bquiz\(", cell.source):
                assert code[cell.id].outputs == cell.outputs
    assert after.cells[-1].source == "exercises.progress()"


def test_a_handout_handed_back_untouched_is_not_attempted(all_of_them):
    collected = collect(all_of_them)
    states = [found.state for each in collected.submissions.values() for found in each.standings.values()]
    assert states == [NOT_ATTEMPTED] * sum(map(len, course_tasks().values()))


def test_links_lead_to_what_is_handed_out(tmp_path):
    write_handouts(ROOT, ["03", "04"], tmp_path)
    text = "\n".join(cell.source for cell in read_notebook(tmp_path / "04_grad_cam.ipynb").cells)
    assert set(re.findall(r"\]\((\w+\.ipynb)", text)) == {"03_cam_to_grad_cam.ipynb"}


def test_core_leaves_out_what_is_deeper():
    setup = new_code_cell("import os", metadata={"tags": ["setup"]})
    cells = [
        setup,
        new_markdown_cell("core", metadata={"tags": ["core"]}),
        new_markdown_cell("deeper", metadata={"tags": ["deeper"]}),
        new_markdown_cell("neither"),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "x"}, "language_info": {"name": "python"}}
    for core, words in ((True, ["core", "neither"]), (False, ["core", "deeper", "neither"])):
        made = nbformat.v4.new_notebook(
            cells=[nbformat.from_dict(dict(cell)) for cell in cells], metadata=metadata
        )
        made.cells[0] = new_code_cell("import os", metadata={"tags": ["setup"]})
        kept = [cell.source for cell in handouts.hand_out(made, core).cells]
        assert kept[1:-2] == words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Read it. `hint()` and `solution()` are there. Go on.", "Read it. Go on."),
        ("Section 5 has a hint. Go.", "Section 5 has a hint. Go."),
        ("`check`, `hint`, and `solution` in the exercises; more.", "`check` in the exercises; more."),
        ("Above.\n\n`hint()` helps.\n\nBelow.", "Above.\n\n\n\nBelow."),
        ("<details><summary>Solutions to (a)</summary>\n\n42\n\n</details>\n\nOn.", "On."),
        ("<details><summary>For the curious</summary>\n\n42\n\n</details>", None),
        (
            "[04](04_grad_cam.ipynb#a) and [05 Guided](05_guided_backprop.ipynb)",
            "[04](04_grad_cam.ipynb#a) and 05 Guided",
        ),
    ],
)
def test_what_offers_answers_is_taken_out_of_a_text(text, left):
    cell = new_markdown_cell(text)
    handouts._without_answers(cell, {"04_grad_cam"})
    assert cell.source == (text if left is None else left)


def test_the_switch_turns_hints_and_solutions_off(monkeypatch):
    assert exercises.weights.hint().state.startswith("hint ") and exercises.weights.solution().code
    monkeypatch.setenv(HANDOUT, "1")
    for said in (exercises.weights.hint(), exercises.weights.solution()):
        assert said.state in ("no hint", "no solution") and "hand-out" in said.message and not said.code
    assert exercises.weights.check(exercises.weights.model_answer).state == CORRECT


# --- arguments


def test_the_command(tmp_path, capsys):
    assert command.main(["handout", "04", "00", "--core", "--out", str(tmp_path / "new" / "for you")]) == 0
    assert [line.rsplit("/", 1)[1] for line in capsys.readouterr().out.split("\n")[:2]] == [
        "04_grad_cam.ipynb",
        "00_start_here.ipynb",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["99", "--out", "new"], "No notebook is called '99'."),
        (["04", "--out", "file"], "--out names a folder, but file is a file."),
        (
            ["04", "05", "--out", "there"],
            "there already has 04_grad_cam.ipynb: name another folder, or add --overwrite",
        ),
        (["04", "--overwrite", "--out", str(ROOT / "notebooks")], "holds the course's own notebooks"),
        (["04"], "the following arguments are required: --out"),
    ],
)
def test_arguments_that_do_not_fit_write_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "04_grad_cam.ipynb").write_text("a learner's")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        command.main(["handout", *arguments])
    assert ended.value.code == 2 and words in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there" / "04_grad_cam.ipynb").read_text() == "a learner's"


# --- there and back, in a real kernel


@pytest.fixture(scope="module")
def handed_back(all_of_them, tmp_path_factory):
    """Notebook 00 as its learner's kernel stored it: one answer right, one wrong, one of a kind of its own."""
    folder = tmp_path_factory.mktemp("back")
    notebook = read_notebook(all_of_them / "00_start_here.ipynb")
    answers = {
        "chance": "1 / 8",
        "share_of_energy": "heat[mask].mean() / heat.mean()",
        "most_probable": "'five'",
    }
    kept = [c for c in notebook.cells if "setup" in c.metadata.get("tags", []) or "import ex00" in c.source]
    kept = kept[:2]
    kept[1].source = "from course_utils.exercises import ex00_start_here as exercises"
    for name, code in answers.items():
        (cell,) = [c for c in notebook.cells if f".{name}.check(" in c.source]
        cell.source = cell.source.replace("...", code, 1)
        kept.append(cell)
    kept[-2].source += "\nexercises.share_of_energy.hint()"
    kept.append(notebook.cells[-1])
    notebook.cells = kept
    client = notebooks.kernel_client(notebook, folder, force_raise_errors=True)
    with notebooks.started(client, {**os.environ, "PYTHONPATH": str(ROOT)}):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    return notebook


def test_what_a_kernel_stored_is_read_back(handed_back, tmp_path):
    write(handed_back, tmp_path / "Ada" / "00_start_here.ipynb")
    (submission,) = collect(tmp_path).submissions.values()
    found = {name: (standing.state, standing.mistake) for name, standing in submission.standings.items()}
    assert found["chance"] == (CORRECT, "") and found["most_probable"] == (WRONG, NO_KNOWN)
    assert found["share_of_energy"][0] == WRONG and found["share_of_energy"][1].startswith(SHARE)
    assert not any(standing.remark for standing in submission.standings.values())
    page = handed_back.cells[3].outputs[0].data["text/html"]
    assert "This is a hand-out, without hints" in page and page.index(SHARE) < page.index("hand-out")


def test_a_cell_that_was_changed_after_that_is_told(handed_back, tmp_path):
    changed = nbformat.from_dict(handed_back)
    cell = changed.cells[2]
    cell.source, before = cell.source.replace("1 / 8", "1 / 4"), cell.source
    write(changed, tmp_path / "Ada" / "00_start_here.ipynb")
    cell.source = before
    (submission,) = collect(tmp_path).submissions.values()
    assert submission.standings["chance"].state == UNCLEAR


def test_progress_in_the_kernel_says_what_is_left(handed_back):
    text = handed_back.cells[-1].outputs[0].data["text/plain"]
    lines = text.splitlines()
    assert lines[0] == "00_start_here: 1 of 3 correct"
    assert lines[1] == "  ✓ Exercise 1 · Chance: correct" and lines[2].startswith(
        "  ✗ Exercise 2 · The share of energy"
    )
    assert lines[-1].startswith("No file of yours is here for 01_cnn_output_size, 02_")
