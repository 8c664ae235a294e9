"""The pages about the package: every public name with its signature, and docstrings that keep to what they describe."""

import importlib
import inspect
import io
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from myst_parser.docutils_ import Parser
from sphinx.addnodes import desc_signature
from sphinx.application import Sphinx

from course_utils.website import FLOORS, SETTINGS, reference, reference_anchor, reference_pages, sources

ROOT = Path(__file__).resolve().parents[2]
ROLE = re.compile(r":(?:func|class|data|mod|meth|attr):`~?([\w.]+)`")
OTHERS = {"matplotlib.gridspec.GridSpec"}  # what docstrings name of other packages
ENTRIES = [
    one
    for room in sources.room_names()
    for _, entries in sources.read_face(room).parts
    for entry in entries
    for one in (entry, *entry.members)
]


@pytest.fixture(scope="module")
def pages():
    return reference_pages(ROOT)


@pytest.fixture(scope="module")
def built(pages, tmp_path_factory):
    """The pages as Sphinx reads them, alone; a warning is an error."""
    folder = tmp_path_factory.mktemp("reference")
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (folder / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        (folder / "notebooks" / f"{path.stem}.md").write_text("---\norphan: true\n---\n# A notebook\n")
    settings = {
        **SETTINGS,
        "extensions": ["myst_parser"],
        "myst_enable_extensions": ["dollarmath", "amsmath"],
    }
    places = (folder, None, folder / "out", folder / "doctrees", "dummy")
    warnings = io.StringIO()
    app = Sphinx(*places, confoverrides=settings, status=None, warning=warnings, freshenv=True)
    app.build()
    assert warnings.getvalue() == ""
    return app


def test_every_room_has_a_page_and_a_floor(pages):
    rooms = [room for _, rooms in FLOORS for room in rooms]
    assert sorted(rooms) == sorted(path.parent.name for path in (ROOT / "course_utils").glob("*/__init__.py"))
    assert set(rooms) | {"index", "localization.evaluation"} == set(pages)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rooms == re.findall(r"^\| \[`(\w+)/`\]", readme, re.M)


def test_every_public_name_has_its_entry_and_every_entry_its_anchor(built):
    objects = built.env.domains.python_domain.objects
    for room in sources.room_names():
        face = sources.find_module(f"course_utils.{room}")
        for name in face.public:
            module, there = sources.locate(face, name)
            handed_on = [] if there else sorted(set(module.public) - set(face.public))
            for path in [f"{module.name}.{one}" for one in handed_on] or [f"{face.name}.{name}"]:
                assert path in objects, path
                page, anchor = objects[path].docname, objects[path].node_id
                assert reference_anchor(path) == f"reference/{page}.html#{anchor}"
    assert {entry.path for entry in ENTRIES} <= set(objects)


@pytest.mark.parametrize("room", ["explain", "networks", "pictures", "evidence"])
def test_signatures_read_from_the_source_are_those_of_the_imported_names(room):
    """Every other room is read in the same way; these are imported by other tests anyway."""
    compared = 0
    for _, entries in sources.read_face(room).parts:
        for entry in entries:
            value = importlib.import_module(entry.path.rpartition(".")[0])
            value = getattr(value, entry.name)
            if entry.kind == "data" or (entry.kind == "class" and not is_dataclass(value)):
                continue
            signature = inspect.signature(value)
            assert entry.parameters == tuple(signature.parameters), entry.path
            optional = {name for name, one in signature.parameters.items() if one.default is not one.empty}
            for name in entry.parameters:
                shown = re.search(rf"[(, ]\*{{0,2}}{name}: [^:]*?(?=, \w+: |\)$|\) ->)", entry.signature)
                assert shown and ("=" in shown[0]) == (name in optional), (entry.path, name)
            compared += 1
    assert compared > 10


def test_what_a_docstring_lists_is_there():
    """Parameters of the signature, fields and properties of the class, names that lead somewhere."""
    wrong = []
    for entry in ENTRIES:
        parts = reference.SECTION.split(entry.doc)
        there = {
            "Args": set(entry.parameters),
            "Attributes": {name for name, _ in entry.fields} | {one.name for one in entry.members},
        }
        for title, body in zip(parts[1::2], parts[2::2], strict=True):
            for names in re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*): ", body, re.M):
                listed = {name.strip("* ") for name in names.split(",")}
                wrong += [(entry.path, title, name) for name in listed - there.get(title, listed)]
        for name in set(ROLE.findall(entry.doc)) - OTHERS:
            if not (
                sources.exists(entry.module, name) or sources.exists(entry.module, f"{entry.owner}.{name}")
            ):
                wrong.append((entry.path, name))
    for room in sources.room_names():
        for module, _ in sources.read_face(room).parts:
            wrong += [
                (module.name, name) for name in ROLE.findall(module.doc) if not sources.exists(module, name)
            ]
    assert not wrong


def test_no_sign_of_a_docstring_has_become_markup_and_no_markup_is_left_as_a_sign(built):
    for page in built.env.found_docs:
        if page.startswith("notebooks/"):
            continue
        doctree = built.env.get_doctree(page)
        stressed = {
            node.astext() for kind in (nodes.emphasis, nodes.strong) for node in doctree.findall(kind)
        }
        assert all(
            re.fullmatch("[A-Za-z .-]+", words) for words in stressed - set(reference.HEADINGS.values())
        ), page
        for kind in (nodes.literal_block, nodes.literal, desc_signature):
            for code in list(doctree.findall(kind)):
                code.parent.remove(code)
        for left in (
            r":(func|class|meth|mod|data|attr|obj):",
            r"``",
            r"\*\*",
            r"\{py:",
            r"^ *(Args|Raises|Returns):",
        ):
            assert not re.search(left, doctree.astext(), re.M), (page, left)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("F' = F - <F - m, u> u, |T'| and d_+ * 2 ** 3, H^c, -1/|T'|", None),
        ("a *b* others_ and [1] {x} $y$ $$z$$ #3 <b> & ~a~ ` !", None),
        ("[a](b) ![c](d) {py:obj}e &amp; \\n f\\_g ==h== {{ i }} @j :k: [^1]", None),
        ("-- 3. is no list, see https://a.b/c_d_e.", None),
        ("# is no heading", None),
        ("3) and 2. are no list", None),
        ("+ is no list", None),
        ("> is no quotation", None),
        ("a | b | c", None),
        (
            "the *cause*, **temperature scaling** and a **bc**2",
            "the cause, temperature scaling and a **bc**2",
        ),
        ("- is a list", "is a list"),
        ("3. is a list, too", "is a list, too"),
        ("``x_``, ``|a|*b*`` and `c`", "x_, |a|*b* and c"),
        (
            ":func:`cam`, :func:`~course_utils.explain.maps.cam` and :func:`unheard_of`",
            "cam, cam and unheard_of",
        ),
        ("    d_+ *one*  |two|\n     indented", "d_+ *one*  |two|\n indented"),
        (">>> 2 * 3\n6", ">>> 2 * 3\n6"),
    ],
)
def test_plain_text_stays_what_it_is(line, shown):
    text = "\n".join(reference.blocks(sources.find_module("course_utils.explain"), line))
    settings = {"myst_enable_extensions": ["dollarmath", "amsmath"], "report_level": 5}
    text = text.replace("{py:obj}`cam <course_utils.explain.cam>`", "`cam`")  # a role of Sphinx
    read = publish_doctree(text, parser=Parser(), settings_overrides=settings)
    assert read.astext().rstrip() == (shown or line)
    assert not list(read.findall(nodes.problematic))


def test_an_address_that_is_no_example_gives_links_to_the_source(pages, monkeypatch):
    assert "Source](" not in pages["explain"]
    monkeypatch.setattr(reference, "repository", lambda root: "ada/course")
    page = reference_pages(ROOT)["explain"]
    assert "[Source](https://github.com/ada/course/blob/main/course_utils/explain/maps.py)" in page


@pytest.mark.parametrize(
    "path", ["course_utils.explain.nothing", "grad_cam", "course_utils.explain.maps.cam", ""]
)
def test_a_name_without_an_entry_is_refused(path):
    with pytest.raises(ValueError, match="has no entry in the reference"):
        reference_anchor(path)
    assert sources.room_of("course_utils.localization.evaluation.evaluate") == "localization.evaluation"
