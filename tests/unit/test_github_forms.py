"""What stands in .github for people: the forms as GitHub reads them, and what CONTRIBUTING says of the course."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
CONTRIBUTING = (GITHUB / "CONTRIBUTING.md").read_text("utf-8")

# docs.github.com, "Syntax for issue forms" and "Syntax for GitHub's form schema": keys at the top, and each type's
# attributes, the required ones first.
TOP = {"name", "description", "body", "assignees", "labels", "title", "type", "projects"}
ATTRIBUTES = {
    "markdown": ({"value"}, set()),
    "input": ({"label"}, {"description", "placeholder", "value"}),
    "textarea": ({"label"}, {"description", "placeholder", "value", "render"}),
    "dropdown": ({"label", "options"}, {"description", "multiple", "default"}),
    "checkboxes": ({"label", "options"}, {"description"}),
}


def faults(form: dict) -> list[str]:
    found = [f"{key} is missing or empty" for key in ("name", "description", "body") if not form.get(key)]
    found += [f"{key} is no key of a form" for key in set(form) - TOP]
    ids, labels = [], []
    for number, part in enumerate(form.get("body") or [], 1):
        kind, attributes = part.get("type"), part.get("attributes") or {}
        if kind not in ATTRIBUTES:
            found.append(f"part {number} is of no type that there is: {kind!r}")
            continue
        needed, further = ATTRIBUTES[kind]
        found += [f"part {number} lacks {key}" for key in needed if not attributes.get(key)]
        found += [f"part {number} has {key}" for key in set(attributes) - needed - further]
        found += [
            f"part {number} has {key}" for key in set(part) - {"type", "id", "attributes", "validations"}
        ]
        if set(part.get("validations", {"required": True})) != {"required"}:
            found.append(f"part {number} is validated by something else than required")
        if not all(isinstance(option, str) for option in attributes.get("options", [])):
            found.append(f"part {number} has an option that YAML does not read as text")
        if kind != "markdown":
            ids.append(part.get("id", f"part {number}"))
            labels.append(attributes.get("label"))
    found += [f"id {name!r} has other characters" for name in ids if not re.fullmatch(r"[\w -]+", name)]
    found += ["two parts share an id or a label"] * (
        len(set(ids)) < len(ids) or len(set(labels)) < len(labels)
    )
    return found + ["there is nothing to fill in"] * (not ids)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_keep_to_the_schema(path):
    assert faults(yaml.safe_load(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type: textarea", "type: text"),
        ("label: Section", "title: Section"),
        ("id: seen", "id: says"),
        ("description: A sentence", "about: A sentence"),
        ("- 14 Explain your own", "- 14"),
        ("required: true", "needed: true"),
        ("      label: Page\n", ""),
    ],
)
def test_a_broken_form_is_found(old, new):
    text = (GITHUB / "ISSUE_TEMPLATE" / "mistake.yml").read_text("utf-8")
    assert old in text and faults(yaml.safe_load(text.replace(old, new, 1)))


def test_the_form_names_every_notebook():
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "mistake.yml").read_text("utf-8"))
    options = form["body"][0]["attributes"]["options"]
    table = re.findall(r"^\| \[(\d\d [^\]]+)\]\(notebooks/", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert options[:-1] == table and len(table) == len(list((ROOT / "notebooks").glob("*.ipynb")))


def test_blank_issues_are_open_and_no_address_is_made_up():
    config = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text("utf-8"))
    assert config == {"blank_issues_enabled": True}
    assert "OWNER/REPO" not in "".join(
        path.read_text("utf-8") for path in [*FORMS, GITHUB / "CONTRIBUTING.md"]
    )


def test_contributing_names_files_and_commands_that_there_are():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", CONTRIBUTING):
        assert (GITHUB / target).resolve().exists(), f"CONTRIBUTING links to {target}"
    help_text = (ROOT / "course_utils" / "__main__.py").read_text("utf-8")
    for command in re.findall(r"python -m course_utils (\w+)", " ".join(CONTRIBUTING.split())):
        assert f'"{command}"' in help_text, f"there is no command {command}"


def test_the_words_for_a_translator_are_counted_by_the_lines_below_the_table():
    stated = [int(n.replace(",", "")) for n in re.findall(r"\| ([\d,]+) \|$", CONTRIBUTING, re.M)]
    code = re.search(r"```python\n(.*?)```", CONTRIBUTING, re.S)[1]
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    counted = [int(n) for n in run.stdout.split()]
    assert len(stated) == len(counted) > 8
    for said, found in zip(stated, counted, strict=True):
        assert abs(said - found) <= max(0.25 * found, 300), f"the table says {said}, there are {found} words"
