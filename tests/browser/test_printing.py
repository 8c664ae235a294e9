"""Pages of the site on paper: one PDF, in order, with an outline, numbers, formulas and links."""

import pytest
from pypdf import PdfReader

from course_utils.website import find_chromium, print_course, printing

PAGE = """<html><body><article role="main"><section id="top"><h1>{title}<a class="headerlink" href="#top">#</a></h1>
<p>See <a href="{other}.html#second">the other</a> and <a href="../search.html">search</a>.</p>
<section id="second"><h2>{section}</h2><pre>{code}</pre>
<details><summary>Deeper</summary><p>unfolded {title}</p></details>
<details><summary>Answer to question 1</summary><p>answer {title}</p></details>
<section id="last"><h2>Last of {title}</h2></section></section></section></article></body></html>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "notebooks").mkdir()
    front = (
        "<html><body><article><section><h1>The course</h1><p>About it.</p></section></article></body></html>"
    )
    (folder / "index.html").write_text(front, encoding="utf-8")
    for name, other, title in [("00_one", "01_two", "First page"), ("01_two", "00_one", "Second page")]:
        text = PAGE.format(
            title=title, other=other, section=f"Section of {title}", code="x = " + "1234567890 " * 30
        )
        (folder / "notebooks" / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


def test_pages_become_one_document(site, tmp_path):
    before = sorted(site.rglob("*"))
    reader = PdfReader(print_course(site, tmp_path / "new" / "course.pdf"))
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) == 4 and "The course" in texts[0] and "Contents" in texts[1]
    assert "unfolded First page" in texts[2] and "unfolded Second page" in texts[3]
    assert texts[2].index("answer First page") > texts[2].index("Last of First page")
    contents = " ".join(texts[1].split())
    assert "First page 3 Section of First page 3" in contents and "Second page 4" in contents
    titles = [one.title for one in reader.outline if not isinstance(one, list)]
    assert titles == ["Contents", "First page", "Second page"]
    assert texts[2].count("1234567890") == 30  # long lines wrap
    targets = [link.get_object().get("/Dest") for link in reader.pages[2]["/Annots"]]
    assert len(targets) == 1 and targets[0] is not None  # to the other page; search is not on paper
    assert sorted(site.rglob("*")) == before


def test_what_is_missing_is_said(site, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="holds no built site"):
        print_course(tmp_path, tmp_path / "course.pdf")
    assert find_chromium()
    monkeypatch.setattr(printing.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt install chromium"):
        print_course(site, tmp_path / "course.pdf")
    assert not (tmp_path / "course.pdf").exists()
