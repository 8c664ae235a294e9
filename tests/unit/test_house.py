"""The house rules: rooms on floors, entered through their faces; pyproject.toml has the contract."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
NOT_FOR_LEARNERS = ("course_utils.authoring", "course_utils.classroom", "course_utils.website")
ROOMS = {path.parent for path in (ROOT / "course_utils").rglob("__init__.py")} - {ROOT / "course_utils"}
FACES = {".".join(room.relative_to(ROOT).parts) for room in ROOMS}


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "500"}
    command = [sys.executable, "-c", code, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_contract_is_kept():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "explain/maps.py",
            "from course_utils.show import panels",
            "course_utils.explain.maps -> course_utils.show",
        ),
        ("failures/cases.py", "from course_utils.xray import stamp", "course_utils.failures"),
        (
            "show/plots.py",
            "def f():\n    from course_utils.explain.maps import cam",
            "import from course_utils.explain.",
        ),
        ("unheard_of.py", "", "unheard_of"),
    ],
    ids=["upward", "beside", "past the face", "no floor"],
)
def test_a_broken_contract_is_found(tmp_path, file, text, words):
    shutil.copytree(
        ROOT / "course_utils", tmp_path / "course_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / "course_utils" / file, "a", encoding="utf-8") as module:
        module.write(f"\n{text}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1 and words in " ".join(done.stdout.split()), done.stdout + done.stderr


def imported(source: str) -> Iterator[str]:
    """The modules of the course from which a text imports names."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names += [node.module or ""]
            if node.module == "course_utils":
                names += [f"course_utils.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.startswith("course_utils."))


def outside() -> Iterator[tuple[str, str]]:
    """The code that stands outside of the package: notebooks, README, tests."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, "".join(cell["source"])
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S):
        yield "README.md", code
    for path in sorted((ROOT / "tests").rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_names_come_from_faces_everywhere():
    """What is a room's own a test reaches through it, too: ``from course_utils.explain import maps``."""
    modules = {path.stem for path in (ROOT / "course_utils").glob("*.py")}
    allowed = FACES | {f"course_utils.{name}" for name in modules}
    wrong = {(where, name) for where, code in outside() for name in imported(code) if name not in allowed}
    assert not wrong


@pytest.mark.parametrize("face", sorted(FACES))
def test_a_face_says_what_the_room_is_for_and_lists_its_names(face):
    tree = ast.parse((ROOT.joinpath(*face.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    if not face.endswith("sandbox"):
        assert any(isinstance(node, ast.Assign) and node.targets[0].id == "__all__" for node in tree.body)


def test_nothing_of_a_learners_kernel_imports_the_rooms_of_authors_and_lecturers():
    """The contract holds it between rooms; a fresh Python shows it for whatever is imported in other ways."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "course_utils").rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"}
    learners = sorted(name for name in modules if not name.startswith(NOT_FOR_LEARNERS))
    assert {"course_utils.methods", "course_utils.explain_command", "course_utils.installation"} < set(
        learners
    )
    code = (
        f"import importlib, sys\nfor name in {learners}: importlib.import_module(name)\n"
        f"print([name for name in sys.modules if name.startswith({NOT_FOR_LEARNERS})])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"
    names = {name for where, code in outside() if not where.startswith("tests") for name in imported(code)}
    assert names and not [name for name in names if name.startswith(NOT_FOR_LEARNERS)]


def test_the_package_alone_loads_no_torch():
    code = "import sys, course_utils; print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("before", "after"), [({}, "1"), ({HUGE_PAGES: "0"}, "0")])
def test_huge_pages_are_asked_for_unless_the_environment_says_otherwise(before, after):
    environment = {name: value for name, value in os.environ.items() if name != HUGE_PAGES} | before
    code = f"import os, course_utils; print(os.environ['{HUGE_PAGES}'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == after
