"""Decks as text: sections, notes and their clock, what is left out; the files that they carry; the command."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils import __main__ as command
from course_utils.assets import AssetError
from course_utils.authoring import build_decks, pages_of, slides

LIBRARY = {name: f"/* {name} */" for _, members in slides.LIBRARIES.values() for name in members}
BADGE = "[![Open in Colab](https://colab.research.google.com/a.svg)](https://colab.research.google.com/x)"


def typed(cell, kind, name):
    cell.metadata.slideshow = {"slide_type": kind}
    cell.id = name
    return cell


def text(source, kind="slide", name="text"):
    return typed(new_markdown_cell(source), kind, name)


def code(source, kind="-", name="code", outputs=()):
    return typed(new_code_cell(source, outputs=list(outputs)), kind, name)


def deck(folder, *cells):
    path = folder / "00_small.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return BeautifulSoup(
        slides.build_deck("One?", slides.notebook_parts(folder, path), LIBRARY), "html.parser"
    )


def pages(soup):
    """What each page shows, as lists of words without their notes."""
    found = []
    for page in soup.select(".slides > section > section"):
        for aside in page.select("aside"):
            aside.extract()
        found.append(" ".join(page.get_text(" ").split()))
    return found


def test_a_section_begins_with_each_heading_and_notes_stand_apart(tmp_path):
    soup = deck(
        tmp_path,
        text("# One?\n\nThis is what the first of all pages says.", "slide", "a"),
        text("hidden words", "skip", "b"),
        text("## Two\n\nAnd this is what the second one says.", "subslide", "c"),
        text("> Ask. (3 minutes.)", "notes", "d"),
        code("x = 1", "fragment", "e"),
    )
    sections = soup.select(".slides > section")
    assert [len(section.find_all("section", recursive=False)) for section in sections] == [1, 2]
    notes = [aside.get_text(" ") for aside in soup.select("aside.notes")]
    assert "Ask: Ask. (3 minutes.)" in " ".join(notes[1].split()) and "second one says" in notes[1]
    assert "hidden words" not in soup.text
    assert soup.title.text == "One?"
    assert pages(soup) == [
        "One? This is what the first of all pages says.",
        "Two And this is what the second one says.",
        "Two x = 1",
    ]


def test_the_notes_tell_the_time(tmp_path):
    cells = [text("# One?"), text("## Two"), text("> Ask. (3 minutes.)", "notes"), text("## Three")]
    notes = [" ".join(aside.get_text(" ").split()) for aside in deck(tmp_path, *cells).select("aside.notes")]
    assert [note.split(" · ")[0] for note in notes] == ["0:00 of 4:30", "0:30 of 4:30", "4:00 of 4:30"]


def test_a_deck_carries_all_it_needs(tmp_path):
    soup = deck(tmp_path, text(f"# Why?\n\n{BADGE}\n\nBecause of [01](01_next.ipynb) and what comes then."))
    assert not soup.find_all("link") and not soup.find_all(src=True)
    written = "".join(part.text for part in soup.find_all(["style", "script"]))
    assert all(content in written for content in LIBRARY.values())
    assert "colab" not in soup.select_one(".slides").decode() and not soup.select(".slides a[href]")


def test_a_script_cannot_end_its_element_early():
    parts = [slides.Part("a", pages_of([text("# Why?")]), None)]
    page = slides.build_deck("Why?", parts, {**LIBRARY, "reveal_js": 'var s = "</script>";'})
    assert 'var s = "<\\/script>";' in page


def test_deeper_sections_and_the_quiz_of_a_notebook(tmp_path):
    (tmp_path / "data" / "quizzes").mkdir(parents=True)
    answers = [{"answer": "yes", "correct": True, "feedback": "so it is"}, {"answer": "no", "feedback": "?"}]
    asked = [{"question": "Is it?", "type": "multiple_choice", "answers": answers}]
    (tmp_path / "data" / "quizzes" / "00_small.json").write_text(json.dumps(asked))
    cells = [text("# Why?"), text("## 1. More (deeper)\n\nAnd this is more than the core says.")]
    assert pages(deck(tmp_path, *cells)) == ["Why?", "Quiz Is it? A yes B no A"]
    (part,) = slides.notebook_parts(tmp_path, tmp_path / "00_small.ipynb", deeper=True)
    assert part.pages[1].section == "1. More"


def test_scripts_among_the_outputs_are_left_out(tmp_path):
    script = new_output("display_data", {"application/javascript": "quiz()", "text/plain": "Javascript"})
    assert "quiz()" not in deck(tmp_path, text("# Why?"), code("x", outputs=[script])).decode()


def test_formulas_reach_mathjax_as_written(tmp_path):
    formula = r"$$\alpha_k^c = \frac{1}{Z} \sum_{i,j} a_{ij} \tag{4}$$"
    source = f"# Why?\n\n{formula}\n\n**Predict:** is $a_1 * b_2 * c$ so?"
    shown = deck(tmp_path, text(source)).select_one(".slides").text
    assert formula.strip("$") in shown and "$a_1 * b_2 * c$" in shown


def test_a_notebook_without_pages_is_named(tmp_path):
    path = tmp_path / "00_small.ipynb"
    nbformat.write(new_notebook(cells=[text("# Why?", "skip")]), path)
    with pytest.raises(ValueError, match='"00" has no page to show'):
        slides.build_deck("00", slides.notebook_parts(tmp_path, path), LIBRARY)


# --- the files that each deck carries


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with small archives in place of the real ones, and no other way to get any."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    small = {}
    for address, (_, members) in slides.LIBRARIES.items():
        path = folder / Path(address).name
        with tarfile.open(path, "w:gz") as archive:
            for name, member in members.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(LIBRARY[name])
                archive.addfile(entry, io.BytesIO(LIBRARY[name].encode()))
        small[address] = (hashlib.sha256(path.read_bytes()).hexdigest(), members)
    monkeypatch.setattr(slides, "LIBRARIES", small)
    monkeypatch.setenv("COURSE_MIRROR", str(folder))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return folder


def test_libraries_come_out_of_their_archives(mirror):
    assert slides.library_files() == LIBRARY


def test_a_changed_archive_is_refused(mirror):
    next(mirror.iterdir()).write_bytes(b"something else")
    with pytest.raises(AssetError, match="SHA-256"):
        slides.library_files()


def test_addresses_and_hashes_are_fixed():
    for address, (sha256, _) in slides.LIBRARIES.items():
        assert re.fullmatch(r"https://registry\.npmjs\.org/[\w.]+/-/[\w.]+-\d+\.\d+\.\d+\.tgz", address)
        assert re.fullmatch(r"[0-9a-f]{64}", sha256)


# --- the command


@pytest.fixture
def course(tmp_path, monkeypatch):
    root = tmp_path / "course"
    (root / "notebooks").mkdir(parents=True)
    for name in ("00_first", "01_second"):
        nbformat.write(new_notebook(cells=[text(f"# {name}?")]), root / "notebooks" / f"{name}.ipynb")
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.chdir(tmp_path)
    return root


def test_the_command_builds_all_decks_or_those_named(mirror, course, tmp_path, capsys):
    assert command.main(["slides"]) == 0
    assert sorted(path.name for path in (tmp_path / "build" / "slides").iterdir()) == [
        "00_first.slides.html",
        "01_second.slides.html",
    ]
    assert command.main(["slides", "01", "--to", "lectures/today"]) == 0
    assert [path.name for path in (tmp_path / "lectures" / "today").iterdir()] == ["01_second.slides.html"]
    assert "01_second.slides.html: 0.0 MB" in capsys.readouterr().out


def test_the_same_notebook_gives_the_same_deck(mirror, course, tmp_path):
    (first,) = build_decks(course, ["00"], tmp_path / "a")
    (second,) = build_decks(course, ["00"], tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_an_unknown_name_ends_with_a_sentence_and_no_deck(mirror, course, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["slides", "07"])
    assert ended.value.code == 2
    assert (
        "No notebook is called '07'. In notebooks/ there are: 00_first, 01_second." in capsys.readouterr().err
    )
    assert not (tmp_path / "build").exists()


def test_a_file_in_the_folders_place_is_named(mirror, course, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit) as ended:
        command.main(["slides", "--to", "taken"])
    assert ended.value.code == 2 and "taken is a file" in capsys.readouterr().err


def test_without_network_the_command_says_what_to_do(course, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "empty"))
    assert command.main(["slides"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("No deck was built: could not download https://registry.npmjs.org/reveal.js/")
    assert "COURSE_MIRROR" in message and not (tmp_path / "build").exists()
