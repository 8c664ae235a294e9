"""A stored notebook as a page: what is left out or said instead, where links lead; first page; the command."""

import base64
import io
import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from course_utils import __main__ as command
from course_utils.assets import ROOT, AssetError
from course_utils.authoring import read_notebook
from course_utils.website import Entry, building, landing, pages

GITHUB = "https://github.com/ada/course/blob/v1.0/"
SHOWN = ["notebooks/03_x.ipynb", "notebooks/04_y.ipynb", "data/pages/glossary.md", "data/pages/methods.md"]
BADGE = "[![Open in Colab](https://colab.research.google.com/a.svg)](https://colab.research.google.com/x)"


def page(*cells, github=None, quiz=()):
    return pages.page_of("04_y", new_notebook(cells=list(cells)), quiz, github, SHOWN)


def text(*cells, **options):
    return "\n".join(cell.source for cell in page(*cells, **options).notebook.cells)


def output(html="", plain="", kind="display_data", **data):
    return new_output(kind, data={"text/plain": plain, **({"text/html": html} if html else {}), **data})


@pytest.mark.parametrize(
    ("place", "link", "unpublished", "published"),
    [
        ("notebooks/04_y.ipynb", "[a](03_x.ipynb)", "[a](03_x.ipynb)", None),
        ("notebooks/04_y.ipynb", "[a](03_x.ipynb#2-b)", "[a](03_x.ipynb#2-b)", None),
        ("notebooks/04_y.ipynb", "[a](../data/pages/glossary.md#b)", "[a](../pages/glossary.md#b)", None),
        ("notebooks/04_y.ipynb", "[a](05_gone.ipynb)", "a", "notebooks/05_gone.ipynb"),
        ("notebooks/04_y.ipynb", "[`f`](../course_utils/assets.py)", "`f`", "course_utils/assets.py"),
        ("notebooks/04_y.ipynb", "[a](../../elsewhere.txt)", "a", "a"),
        (
            "data/pages/glossary.md",
            "[a](../../notebooks/04_y.ipynb#c)",
            "[a](../notebooks/04_y.ipynb#c)",
            None,
        ),
        ("data/pages/glossary.md", "[a](methods.md)", "[a](methods.md)", None),
        ("data/pages/glossary.md", "[a [b]](../README.md)", "a [b]", "data/README.md"),
        ("notebooks/04_y.ipynb", "[a](https://x.org/y)", "[a](https://x.org/y)", None),
        ("notebooks/04_y.ipynb", "[a](#b)", "[a](#b)", None),
        ("notebooks/04_y.ipynb", "`[a](../b.py)`", "`[a](../b.py)`", None),
        ("notebooks/04_y.ipynb", "```\n[a](../b.py)\n```", "```\n[a](../b.py)\n```", None),
    ],
)
def test_links_lead_to_pages_or_to_the_repository_or_are_words(place, link, unpublished, published):
    assert pages.rewrite_links(link, place, None, SHOWN) == unpublished
    expected = unpublished
    if published and published != "a":
        expected = f"[{unpublished}]({GITHUB}{published})"
    assert pages.rewrite_links(link, place, GITHUB, SHOWN) == expected


def test_prompts_and_the_setup_cell_are_left_out():
    prompt = new_markdown_cell(
        "<details>Ask the room</details>", metadata={"slideshow": {"slide_type": "notes"}}
    )
    setup = new_code_cell("import os", metadata={"tags": ["setup", "core"]})
    assert text(new_markdown_cell("# Why?"), prompt, setup, new_markdown_cell("Text.")) == "# Why?\nText."


def test_the_badge_becomes_a_link_or_a_sentence():
    header = new_markdown_cell(f"# Why?\n\n{BADGE}\n\n**Coming back:** in JupyterLab.\n\nText.")
    told = text(header)
    assert "colab.research" not in told and "Coming back" not in told and "`notebooks/04_y.ipynb`" in told
    told = text(header, github=GITHUB)
    assert "(https://colab.research.google.com/github/ada/course/blob/v1.0/notebooks/04_y.ipynb)" in told
    assert "![" not in told and "Text." in told


def test_what_only_runs_in_a_notebook_is_left_out_or_said():
    explorer = new_code_cell("explorer", outputs=[output(plain="[Interactive explorer: run this cell]")])
    exercise = new_code_cell(
        "ex.check(f)", outputs=[output("<div>○ not attempted</div>", "○ not attempted: x")]
    )
    script = new_code_cell("x", outputs=[output(**{"application/javascript": "alert()"})])
    view = new_code_cell("w", outputs=[output(**{"application/vnd.jupyter.widget-view+json": "{}"})])
    made = page(explorer, exercise, script, view).notebook.cells
    assert [cell.source for cell in made] == ["explorer", pages.IN_THE_NOTEBOOK, "ex.check(f)", "x", "w"]
    assert not any(cell.outputs for cell in made if cell.cell_type == "code")


@pytest.mark.parametrize("name", ["00_start_here", "04_grad_cam", "07_localization"])
def test_the_sites_explorer_is_named_where_it_answers_the_same(name):
    cell = new_code_cell("explorer", outputs=[output(plain="[Interactive explorer: run this cell]")])
    made = pages.page_of(name, new_notebook(cells=[cell]), (), None, SHOWN).notebook.cells
    assert ("](../explorer.md)" in made[1].source) == (name in pages.EXPLORED)


def test_what_one_does_in_a_notebook_is_said_otherwise_on_a_page():
    stored = "\n".join(
        cell.source
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in read_notebook(path).cells
        if cell.cell_type == "markdown"
    )
    assert [there for there in pages.SAID_HERE if there not in stored] == []
    for there, here in pages.SAID_HERE.items():
        assert text(new_markdown_cell(f"First. {there} Then.")) == f"First. {here} Then."
    told = text(new_markdown_cell(f"# Why?\n\n{BADGE}"))
    assert "hints and solutions work in the notebook" in told


def test_what_another_machine_has_is_left_out():
    cell = new_code_cell("check_installation()", outputs=[output("<b>All is here.</b>", "ok  Python 3.11.7")])
    assert page(cell).notebook.cells[0].outputs == []


def test_a_title_tells_which_notebook_it_is():
    cells = [new_markdown_cell("# Why?\n\nText."), new_markdown_cell("Some\n# more")]
    made = pages.page_of("04_y", new_notebook(cells=cells), (), None, SHOWN, (), "04 Grad-CAM").notebook.cells
    assert [cell.source for cell in made] == ["# 04 Grad-CAM: Why?\n\nText.", "Some\n# more"]


def test_the_search_ranks_pages_that_are_there():
    ranked = re.findall(r'"(pages/\w+)":', (building.THEME / "search.js").read_text(encoding="utf-8"))
    assert len(ranked) == 3
    assert [name for name in ranked if not (ROOT / "data" / f"{name}.md").is_file()] == []


def test_what_was_printed_stays_and_marks_of_the_tests_do_not():
    cell = new_code_cell(
        "# @title A map\n# NBVAL_CHECK_OUTPUT\nprint(1)", outputs=[new_output("stream", text="1\n")]
    )
    (made,) = page(cell).notebook.cells
    assert (made.source, made.metadata["title"], made.outputs[0].text) == ("print(1)", "A map", "1\n")
    assert cell.source.startswith("# @title")  # the notebook stays as it is


def test_pictures_become_files_with_their_size_and_text():
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, "PNG")
    content = base64.b64encode(buffer.getvalue()).decode()
    html = f'<figure><img src="data:image/png;base64,{content}" alt="a b"></figure>'
    made = page(new_code_cell("x", outputs=[output(html * 2)]))
    assert made.figures == {"04_y-1.png": buffer.getvalue(), "04_y-2.png": buffer.getvalue()}
    told = made.notebook.cells[0].outputs[0].data["text/html"]
    assert '<img src="../_static/figures/04_y-2.png" width="30" height="20" alt="a b"></a>' in told
    assert "base64" not in told


def test_a_quiz_is_read_as_text_and_nothing_in_it_is_a_mark():
    questions = [
        {
            "question": "Is w_k * $x a <b>?",
            "type": "multiple_choice",
            "answers": [
                {"answer": "yes", "correct": True, "feedback": "So it is."},
                {"answer": "no", "correct": False, "feedback": "It is not."},
            ],
        },
        {
            "question": "How many?",
            "type": "numeric",
            "answers": [{"type": "value", "value": 7, "correct": True, "feedback": "3 + 4."}],
        },
    ]
    told = text(new_code_cell('quiz("04_y")'), quiz=questions)
    assert r"w\_k \* \$x a \<b\>?" in told
    assert told.count("<details><summary>Answer to question") == 2
    assert "right.** So it is." in told and "wrong.** It is not." in told and "**7.** 3 + 4." in told


def test_minutes_of_deeper_sections_are_those_of_the_header():
    notebook = read_notebook(ROOT / "notebooks" / "04_grad_cam.ipynb")
    taken = pages.deeper_minutes(notebook.cells)
    assert len(taken) == sum(
        "deeper)" in line for cell in notebook.cells for line in cell.source.split("\n")[:1]
    )
    words = new_markdown_cell("## A (deeper)\n\n" + "word " * 259)
    exercise = new_markdown_cell("### Exercise 1 · B (★☆☆, 10 minutes, deeper)")
    cells = [new_markdown_cell("# T"), words, new_markdown_cell("## C"), exercise, new_markdown_cell("## D")]
    assert pages.deeper_minutes(cells) == [2, 10]


def test_terms_lead_to_the_glossary_and_have_one_anchor_a_page():
    entries = [Entry("Raw map", (), "What it is.", "04", (), "raw-map")]
    cells = [new_markdown_cell("The **raw map** is here."), new_markdown_cell("Again a **raw map**.")]
    made = pages.page_of("04_y", new_notebook(cells=cells), [], "OWNER/REPO", SHOWN, entries).notebook.cells
    link = "**[raw map](../pages/glossary.md#raw-map)**"
    assert made[0].source == f'The <a id="term-raw-map"></a>{link} is here.'
    assert made[1].source == f"Again a {link}."


def test_the_first_page_is_made_of_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = landing.table_rows(readme)
    assert [f"{row.name}.ipynb" for row in rows] == [
        path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    ]
    told = landing.index_page(readme, ["glossary", "other"])
    assert told.startswith("# Why did this CNN predict that?")
    assert "[Glossary](pages/glossary.md)" in told and "[](pages/other.md)" in told and "$" not in told
    assert "in the folder of the course that you were given" in told and "git clone" not in told
    told = landing.index_page(readme, ["glossary"], GITHUB)
    assert "](https://github.com/ada/course/archive/v1.0.zip)" in told and "given" not in told
    assert "```bash\ngit clone https://github.com/ada/course\ncd course\npython3 -m venv .venv\n" in told
    with pytest.raises(ValueError, match="no table of notebooks"):
        landing.table_rows("# Title\n\nText.")


def test_a_folder_keeps_what_the_command_did_not_write(tmp_path):
    def build(**files):
        built = tmp_path / "built"
        for name, said in files.items():
            (built / name).parent.mkdir(parents=True, exist_ok=True)
            (built / name).write_text(said)
        building._hand_over(built, out, building._written_before(out))

    out = tmp_path / "out"
    build(**{"a.html": "1", "sub/b.html": "1"})
    (out / "mine.txt").write_text("kept")
    build(**{"a.html": "2"})
    assert {p.name for p in out.rglob("*")} == {"a.html", "mine.txt", building.LIST}
    assert (out / "a.html").read_text() == "2"
    with pytest.raises(ValueError, match=r"has a file mine\.txt that this command did not write"):
        build(**{"mine.txt": "3"})
    assert (out / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda out: out.write_text(""), "is a file"),
        (lambda out: (out.mkdir(), (out / "thesis.tex").touch()), r"is not empty \(thesis\.tex\)"),
        (
            lambda out: (out.mkdir(), (out / "a").mkdir(), (out / "b").touch()),
            r"is not empty \(a and 1 more\)",
        ),
    ],
)
def test_the_command_refuses_what_it_may_not_write_into(tmp_path, prepare, said, capsys):
    out = tmp_path / "out"
    prepare(out)
    with pytest.raises(SystemExit):
        command.main(["site", "--out", str(out)])
    assert re.search(said, capsys.readouterr().err)


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys):
    def no_files(names):
        raise AssetError("MathJax could not be fetched.")

    monkeypatch.setattr(building, "library_files", no_files)
    assert command.main(["site", "--out", str(tmp_path / "out")]) == 1
    assert "No site was built: MathJax could not be fetched." in capsys.readouterr().err
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None if name == "furo" else True)
    assert command.main(["site", "--out", str(tmp_path / "out")]) == 1
    assert "furo must be installed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
