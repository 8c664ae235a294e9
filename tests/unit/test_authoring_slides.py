"""Decks as text: what is shown, where, and what is left out; the files they carry; the command."""

import hashlib
import io
import re
import tarfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils import __main__ as command
from course_utils.assets import AssetError
from course_utils.authoring import build_decks, slides

LIBRARY = {name: f"/* {name} */" for _, members in slides.LIBRARIES.values() for name in members}
FIGURE = '<figure><img src="data:image/png;base64,AA" alt="A cat"><figcaption>A cat</figcaption></figure>'
BADGE = "[![Open in Colab](https://colab.research.google.com/a.svg)](https://colab.research.google.com/x)"


def typed(cell, kind, name):
    cell.metadata.slideshow = {"slide_type": kind}
    cell.id = name
    return cell


def text(source, kind="slide", name="text"):
    return typed(new_markdown_cell(source), kind, name)


def code(source, kind="-", name="code", outputs=()):
    return typed(new_code_cell(source, outputs=list(outputs)), kind, name)


def html_output(data):
    return new_output("display_data", {"text/html": data, "text/plain": "<IPython.core.display.HTML>"})


def deck(folder, *cells):
    path = folder / "00_small.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return BeautifulSoup(slides.build_deck(path, LIBRARY), "html.parser")


def pages(soup):
    """What each page shows, as lists of cell ids; what comes with a key press is marked."""
    found = []
    for page in soup.select(".slides > section > section"):
        cells = [cell for cell in page.select('[id^="cell-id="]') if not cell.find_parent("aside")]
        found.append([cell["id"][8:] + "*" * bool(cell.find_parent(class_="fragment")) for cell in cells])
    return found


def test_slides_subslides_fragments_and_notes_stand_where_they_are_marked(tmp_path):
    soup = deck(
        tmp_path,
        text("# One?", "slide", "a"),
        text("hidden words", "skip", "b"),
        code("x = 1", "fragment", "c"),
        text("> *For lecturers.* Ask. (3 minutes.)", "notes", "d"),
        text("with c", "-", "e"),
        text("below", "subslide", "f"),
        text("## Two", "slide", "g"),
    )
    assert pages(soup) == [["a", "c*", "e*"], ["f"], ["g"]]
    assert [
        len(section.find_all("section", recursive=False)) for section in soup.select(".slides > section")
    ] == [
        2,
        1,
    ]
    (notes,) = soup.select("aside.notes")
    assert "Ask. (3 minutes.)" in notes.text
    assert "hidden words" not in soup.text
    assert soup.title.text == "One?"


def test_a_deck_carries_all_it_needs(tmp_path):
    soup = deck(
        tmp_path, text(f"# Why?\n\n{BADGE}\n\nBecause of [01](01_next.ipynb) and [2](./02_b.ipynb#x).")
    )
    assert not soup.find_all("link") and not soup.find_all(src=True)
    written = "".join(part.text for part in soup.find_all(["style", "script"]))
    assert all(content in written for content in LIBRARY.values())
    assert "colab" not in soup.select_one(".slides").decode()
    links = [link["href"] for link in soup.select(".slides a[href]")]
    assert links == ["01_next.slides.html", "./02_b.slides.html#x"]


def test_a_script_cannot_end_its_element_early(tmp_path):
    path = tmp_path / "00_small.ipynb"
    nbformat.write(new_notebook(cells=[text("# Why?")]), path)
    page = slides.build_deck(path, {**LIBRARY, "reveal_js": 'var s = "</script>";'})
    assert 'var s = "<\\/script>";' in page


def test_long_code_and_its_figure_stand_on_two_pages(tmp_path):
    lines = "\n".join(f"x{i} = {i}" for i in range(6))
    soup = deck(
        tmp_path,
        text("# Why?", name="a"),
        code(lines, "fragment", "b", [html_output(FIGURE)]),
        text("read", "-", "c"),
        code("draw()", "-", "d", [html_output(FIGURE)]),
        code(lines, "skip", "e", [html_output(FIGURE)]),
    )
    assert pages(soup) == [["a", "b*"], ["b-figure", "c", "d"]]
    assert len(soup.find_all("img")) == 2
    before, after = (soup.find(id=f"cell-id={name}") for name in ("b", "b-figure"))
    assert "x5" in before.text and not before.find("img")
    assert "x5" not in after.text and after.find("img")


def test_a_text_is_divided_at_its_headings():
    cells = slides.deck_cells([text("## Recap\n\nA.\n\n## Sources\n\nB.\n\n## Next\n\nC.", "slide", "a")])
    assert [cell.source.split("\n")[0] for cell in cells] == ["## Recap", "## Sources"]
    assert "## Next" in cells[1].source
    assert [cell.metadata.slideshow.slide_type for cell in cells] == ["slide", "subslide"]
    assert len({cell.id for cell in cells}) == 2
    fenced = text("```\n## no heading\n\n## nor this\n```")
    assert len(slides.deck_cells([fenced])) == 1


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("# NBVAL_CHECK_OUTPUT\nprint(1)", "print(1)"),
        ('show(figure, "The answer.")', 'show(figure, "...")'),
        ('show(\n    draw(1, 2),\n    "The "\n    f"answer {x}.",\n)\ny', 'show(draw(1, 2), "...")\ny'),
        ('if x:\n    show(f("é"), "The answer.")  # why', 'if x:\n    show(f("é"), "...")  # why'),
        ('file.show(figure, "words")', 'file.show(figure, "words")'),
    ],
)  # fmt: skip
def test_code_is_shown_without_marks_and_captions(source, shown):
    original = code(source)
    (cell,) = slides.deck_cells([original])
    assert cell.source == shown and original.source == source


def test_pictures_of_an_explorer_stand_without_the_call(tmp_path):
    soup = deck(tmp_path, text("# Why?"), code("explorer.stills([{}])", "-", "b", [html_output(FIGURE)]))
    assert "stills" not in soup.text and soup.find("img")


def test_scripts_among_the_outputs_are_left_out(tmp_path):
    script = new_output("display_data", {"application/javascript": "quiz()", "text/plain": "Javascript"})
    assert "quiz()" not in deck(tmp_path, text("# Why?"), code("x", outputs=[script])).decode()


def test_solutions_that_are_folded_away_are_left_out():
    folded = "<details><summary>Solution</summary>\n\n42\n\n</details>"
    first, second = slides.deck_cells([text(f"Which?\n\n{folded}"), text(folded, "-")])
    assert first.source == "Which?" and first.metadata.slideshow.slide_type == "slide"
    assert second.metadata.slideshow.slide_type == "skip"


def test_a_note_that_is_folded_away_from_readers_reaches_the_lecturer():
    note = text("<details><summary>For lecturers</summary>Ask. (3 minutes.)</details>", "notes")
    assert [cell.source for cell in slides.deck_cells([note])] == ["Ask. (3 minutes.)"]


def test_formulas_reach_mathjax_as_written(tmp_path):
    source = (
        r"# Why?" + "\n\n" + r"$$\alpha_k^c = \frac{1}{Z} \sum_{i,j} a_{ij} \tag{4}$$ and $a_1 * b_2 * c$"
    )
    shown = deck(tmp_path, text(source)).select_one(".slides").text
    assert r"\alpha_k^c = \frac{1}{Z} \sum_{i,j} a_{ij} \tag{4}" in shown and "$a_1 * b_2 * c$" in shown


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
