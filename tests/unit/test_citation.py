"""CITATION.cff against the schema of its format, and against what pyproject.toml, README and LICENSE say."""

import datetime
import hashlib
import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from course_utils.authoring import citing, publishing

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((Path(__file__).parent / "citation_file_format" / "schema-1.2.0.json").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LICENSE = (ROOT / "LICENSE").read_text("utf-8")


def faults(citation: object) -> list[str]:
    checker = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in checker.iter_errors(citation)]


@pytest.fixture
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


def test_it_keeps_to_the_schema(citation):
    assert faults(citation) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", None),
        ("authors", []),
        ("authors", [{"name": "somebody", "shoe-size": 42}]),
        ("license", "MIT AND CC-BY-4.0"),
        ("date-released", datetime.date(2026, 11, 29)),
        ("date-released", "29.11.2026"),
        ("repository-code", "somewhere"),
        ("type", "course"),
        ("references", [{"type": "article", "title": "No authors"}]),
        ("cff-version", "1.1.0"),
        ("licence", "MIT"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_breaks_the_schema_is_found(citation, key, value):
    assert faults({**citation, key: value}), f"{key}: {value!r} should be refused"


def test_it_says_what_the_course_says_elsewhere(citation):
    assert citation["version"] == PROJECT["version"]
    assert citation["authors"] == PROJECT["authors"], "an entity, by the name in pyproject.toml; no person"
    heading = re.match(r"# (.+)\n", (ROOT / "README.md").read_text("utf-8"))[1]
    of_course = PROJECT["description"].removeprefix("Helper package of a")
    assert citation["title"] == f"{heading} A{of_course}"
    assert f'"{citation["title"]}"' in " ".join(LICENSE.split()), (
        "LICENSE names the title that credit is given by"
    )
    assert datetime.date.fromisoformat(citation["date-released"]) <= datetime.date.today()


def test_only_a_published_course_has_an_address(citation):
    address = publishing.repository(ROOT)
    named = citation.get("repository-code")
    assert named == (None if address == citing.UNPUBLISHED else f"https://github.com/{address}")
    assert citing.UNPUBLISHED not in json.dumps(citation)


def test_publishing_writes_the_address_and_takes_it_back(tmp_path):
    path = tmp_path / "CITATION.cff"
    shutil.copy(ROOT / "CITATION.cff", path)
    path.write_text(citing.cited(path, citing.UNPUBLISHED) or path.read_text("utf-8"), encoding="utf-8")
    before = path.read_text("utf-8")
    for address in ("ada/course", "a.b/c_d-e"):
        path.write_text(citing.cited(path, address), encoding="utf-8")
        assert citing.cited(path, address) is None, "once is enough"
        found = yaml.safe_load(path.read_text("utf-8"))
        assert found["repository-code"] == f"https://github.com/{address}" and faults(found) == []
    assert citing.cited(path, citing.UNPUBLISHED) == before
    path.write_text("cff-version: 1.2.0\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the line `version:`"):
        citing.cited(path, "ada/course")
    assert citing.cited(tmp_path / "none.cff", "ada/course") is None


def test_further_reading_has_arxiv_numbers_that_the_notebooks_cite(citation):
    cited = "".join(path.read_text("utf-8") for path in (ROOT / "notebooks").glob("*.ipynb"))
    for paper in citation["references"]:
        (identifier,) = paper["identifiers"]
        number = identifier["value"].removeprefix("arXiv:")
        assert re.fullmatch(r"\d{4}\.\d{5}", number) and paper["url"] == f"https://arxiv.org/abs/{number}"
        assert number in cited, f"no notebook cites {number}"


def test_the_license_has_both_texts_whole():
    """The digests are those of the texts as published, their lines trimmed."""
    assert PROJECT["license"] == "MIT AND CC-BY-4.0" and PROJECT["license-files"] == ["LICENSE"]
    _, _, rest = LICENSE.partition("Part 1: code\n")
    code, _, text = rest.partition("Part 2: text and figures\n")
    mit = code[code.index("Permission is hereby granted") :].strip(" =\n")
    by = text[text.index("Attribution 4.0 International\n") :]
    digests = [hashlib.sha256(" ".join(part.split()).encode()).hexdigest() for part in (mit, by)]
    assert digests == [
        "fe2a9817987f862eaced948f0468c7f51d2fedfc48c5c505b246a49a3870e9a5",
        "1f5a529dc95849305307f0d6861169d8cae9e99807e4abcec68ef9ad19235652",
    ]
