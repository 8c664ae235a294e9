"""The house rules: who may import whom, how long a module may be, and that what is public is explained."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "course_utils"
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
MAX_LINES = 300
MAX_EXERCISES = 400  # exercises are a list: tasks, and a message for each likely mistake

# A module imports only from lower floors. A new module needs a floor here.
FLOORS = {
    0: ["sandbox"],
    1: ["shapes", "hooks", "assets", "inputs", "installation", "notebook_files", "arguments", "names"],
    2: [
        "models",
        "photos",
        "scenes",
        "xray",
        "training",
        "layers",
        "explanation",
        "ilsvrc",
        "calibration",
        "pictures",
    ],
    3: ["cam", "attacks", "perturbation", "trained", "segmentation", "made_folders", "xray_strips"],
    # These take maps of cam.
    4: [
        "backprop",
        "trained_language",
        "trained_segmentation",
        "xray_study",
        "background_bias",
        "failures",
        "attack_study",
    ],
    5: ["plots", "localization", "topics"],  # localization measures the maps of cam and of backprop
    6: ["playground"],  # methods, measures and figures, behind one call
    7: ["widgets", "exercises"],  # explorers and checks draw with plots
    8: ["authoring", "publishing", "explain_command"],
    9: ["slides"],
    10: ["__main__"],
}
# Modules split off from one that had grown too long: they stand on its floor, and import one another.
PART_OF = {
    "shape_table": "shapes",
    "tracing": "shapes",
    "photo_files": "photos",
    "composites": "photos",
    "background_scenes": "background_bias",
    "scene_shapes": "scenes",
    "scene_language": "scenes",
    "scene_questions": "scenes",
    "small_nets": "models",
    "language_nets": "models",
    "weights": "assets",
    "relu_rules": "backprop",
    "excitation": "backprop",
    "covering": "perturbation",
    "failure_kinds": "failures",
    "figures": "plots",
    "map_attacks": "attack_study",
    "gradient_images": "plots",
    "segmentation_nets": "segmentation",
    "xray_anatomy": "xray",
    "xray_bones": "xray",
    "xray_findings": "xray",
    "xray_markers": "xray",
    "xray_nets": "models",
    "xray_patient": "xray",
    "xray_physics": "xray",
    "xray_files": "photos",
    "xray_real": "photos",
    "trained_xray": "xray_study",
}  # and ..._diagrams: plots

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def topic(name: str) -> str:
    """The module or sub-package directly below course_utils that a dotted name belongs to."""
    first = name.split(".", maxsplit=1)[0]
    return "plots" if first.endswith("_diagrams") else PART_OF.get(first, first)


def floor(name: str) -> int:
    for number, names in FLOORS.items():
        if topic(name) in names:
            return number
    raise AssertionError(
        f"course_utils.{name} has no floor: add it to FLOORS (or PART_OF) in tests/unit/test_floors.py."
    )


def dotted(path: Path, package: Path = PACKAGE) -> str:
    """Name below course_utils: "cam", "exercises.engine"; the package itself is ""."""
    parts = list(path.relative_to(package).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Names below course_utils that a module's text imports, anywhere in it, whether absolute or relative."""
    here = ["course_utils", *module.split(".")] if module else ["course_utils"]
    if not is_package:
        here = here[:-1]
    for node in ast.walk(ast.parse(source)):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found = (
                [f"course_utils.{alias.name}" for alias in node.names] if base == "course_utils" else [base]
            )
        for name in found:
            if name.startswith("course_utils."):
                yield name.removeprefix("course_utils.")


def upward(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What the module imports although it does not stand on a lower floor."""
    wrong = []
    for name in imported(source, module, is_package=is_package):
        if topic(name) != topic(module) and floor(name) >= floor(module):
            wrong.append(f"{module} (floor {floor(module)}) imports {name} (floor {floor(name)})")
    return wrong


@each_module
def test_imports_only_from_lower_floors(path):
    module = dotted(path)
    if not module:
        assert not list(imported(path.read_text(), module, is_package=True)), (
            "course_utils itself imports nothing."
        )
        return
    assert not upward(path.read_text(), module, is_package=path.name == "__init__.py")


@pytest.mark.parametrize(
    "text",
    [
        "from course_utils.plots import show",
        "from .plots import show",
        "from . import plots",
        "from course_utils import plots",
        "import course_utils.plots as p",
        "def f():\n    from .localization import iou",
        "from course_utils.exercises.nb03 import alpha",
    ],
)
def test_an_import_upward_is_found(text):
    assert upward(text, "cam")
    assert not upward(text, "authoring")


def test_relative_imports_inside_a_package_are_resolved():
    assert list(imported("from .engine import Exercise", "exercises.nb03")) == ["exercises.engine"]
    assert list(imported("from ..cam import cam", "exercises.nb03")) == ["cam"]
    assert list(imported("from .engine import Exercise", "exercises", is_package=True)) == [
        "exercises.engine"
    ]
    assert not upward("from .engine import Exercise", "exercises.nb03")
    assert not upward("from .tracing import trace", "shapes")


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


@each_module
def test_modules_stay_short(path):
    lines = len(path.read_text().splitlines())
    most = MAX_EXERCISES if re.match(r"ex\d\d_", path.name) else MAX_LINES
    assert lines <= most, f"{path.name} has {lines} lines; split it where its subject divides."


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public functions and classes of a module, and the public methods of those classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name, node
            for member in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
                if isinstance(member, kinds) and not member.name.startswith("_"):
                    yield f"{node.name}.{member.name}", member


def unexplained(source: str) -> list[str]:
    """What lacks a docstring, a parameter's type or a return type among what is public in ``source``."""
    wrong = []
    for name, node in public(ast.parse(source)):
        if not ast.get_docstring(node):
            wrong.append(f"{name} has no docstring")
        if isinstance(node, ast.ClassDef):
            continue
        if node.returns is None:
            wrong.append(f"{name} does not say what type it returns")
        given = node.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        for parameter in parameters:
            if (
                parameter is not None
                and parameter.annotation is None
                and parameter.arg not in ("self", "cls")
            ):
                wrong.append(f"{name}: parameter {parameter.arg} has no type")
    return wrong


@each_module
def test_what_is_public_has_docstring_and_types(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.name} has no docstring"
    assert not unexplained(path.read_text())


def test_what_is_missing_is_named():
    source = 'def f(x, *y: int): return x\n\nclass A:\n    """An A."""\n    def m(self) -> int: return 1\n'
    assert unexplained(source) == [
        "f has no docstring",
        "f does not say what type it returns",
        "f: parameter x has no type",
        "A.m has no docstring",
    ]
