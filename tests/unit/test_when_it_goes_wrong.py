"""data/pages/when_it_goes_wrong.md: each entry's mistake is made here, its text is met, and its code then helps.

An entry is a heading that is all code: a message as it appears, with ... for what differs. A function below, found by
a part of that heading, makes the mistake, and runs the entry's code with the names that a learner would have.
"""

import html
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from helpers import CONVOLUTION, TinyNet, tiny_images
from PIL import Image
from torch import nn

from course_utils import installation
from course_utils.assets import ROOT, download
from course_utils.exercises import ex04_grad_cam as exercises
from course_utils.explain import cam, grad_cam, guided_backprop, saliency
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import load_photo, read_picture
from course_utils.show import draw_heatmap

PAGE = ROOT / "data" / "pages" / "when_it_goes_wrong.md"
HEADING = re.compile(r"^### `(.+)`\n((?:(?!^##).*\n)*)", re.MULTILINE)
CODE = re.compile(r"^```(python|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRIES = dict(HEADING.findall(PAGE.read_text(encoding="utf-8")))  # heading: the text below it
LEAST = 20  # letters of a heading that do not differ from case to case, at least


def fits(heading: str, text: str) -> bool:
    """Whether a message is that of a heading, with anything in place of its ... and lines that are broken anywhere."""
    pattern = ".*?".join(map(re.escape, heading.split("...")))
    return re.fullmatch(pattern, " ".join(text.split())) is not None


@dataclass
class Entry:
    """An entry of the page, while its mistake is being made."""

    heading: str
    text: str
    folder: Path
    patch: pytest.MonkeyPatch
    met: bool = False
    ran: bool = False

    def reads(self, text: str) -> None:
        """This text is what the learner reads: it must be this heading's, and no other's."""
        assert [heading for heading in ENTRIES if fits(heading, text)] == [self.heading], text
        self.met = True

    def reads_line_of(self, text: str) -> None:
        """One line of this text is what the learner reads."""
        lines = [line for line in text.splitlines() if fits(self.heading, line)]
        assert lines, f"no line of these is that of {self.heading!r}:\n{text}"
        self.reads(lines[-1])

    @contextmanager
    def raises(self) -> Iterator[None]:
        """What is run in this context raises an error, whose last line is this heading's."""
        with pytest.raises(Exception) as caught:
            yield
        self.reads(f"{caught.type.__name__}: {caught.value}")

    @contextmanager
    def warns(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield
        self.reads_line_of("\n".join(f"{each.category.__name__}: {each.message}" for each in said))

    def code(self, language: str = "python") -> str:
        """The code that the entry gives."""
        self.ran = True
        (block,) = [code for kind, code in CODE.findall(self.text) if kind == language]
        return block

    def helps(self, **names: object) -> SimpleNamespace:
        """Run the entry's code with these names; return what it leaves."""
        exec(compile(self.code(), PAGE.name, "exec"), names)
        return SimpleNamespace(**names)

    def line_helps(self, number: int, **names: object) -> object:
        """Return the value of one of the entry's lines, each of which helps in another case."""
        return eval(self.code().splitlines()[number], names)


PROVOKED: dict[str, Callable[[Entry], None]] = {}


def provokes(part: str) -> Callable[[Callable], Callable]:
    """Note that a function makes the mistake of the entry in whose heading this part stands."""

    def note(function: Callable) -> Callable:
        assert part not in PROVOKED, part
        PROVOKED[part] = function
        return function

    return note


def test_every_entry_has_one_mistake_and_every_mistake_an_entry():
    assert len(ENTRIES) >= 30
    for part in PROVOKED:
        assert len([heading for heading in ENTRIES if part in heading]) == 1, part
    for heading in ENTRIES:
        assert len([part for part in PROVOKED if part in heading]) == 1, heading
        assert len(re.findall(r"\w", heading.replace("...", ""))) >= LEAST, heading
    assert PAGE.read_text(encoding="utf-8").count("\n### `") == len(ENTRIES)


@pytest.mark.parametrize("part", PROVOKED)
def test_the_mistake_is_met_as_the_page_says_and_its_code_helps(part, tmp_path, monkeypatch):
    ((heading, text),) = [each for each in ENTRIES.items() if part in each[0]]
    entry = Entry(heading, text, tmp_path, monkeypatch)
    PROVOKED[part](entry)
    assert entry.met, f"{heading!r} was not met"
    assert entry.ran or not CODE.search(text), "its code was not run"


def test_what_to_copy_when_asking_can_be_copied(capsys):
    before = PAGE.read_text(encoding="utf-8").split("\n## ")[0]
    ((_, code),) = CODE.findall(before)
    exec(compile(code, PAGE.name, "exec"), {})
    assert installation.check_installation().advice in capsys.readouterr().out


def notebook_cells() -> list[nbformat.NotebookNode]:
    """The code cells of a notebook of the course."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_cam_to_grad_cam.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


class Notebook:
    """A kernel's shell in this process, for cells as a learner runs them."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.shell = InteractiveShell()

    def run(self, source: str) -> BaseException | None:
        """Run a cell; return its error."""
        from IPython.utils.capture import capture_output

        with capture_output():
            result = self.shell.run_cell(source)
        return result.error_before_exec or result.error_in_exec

    def last_line(self, source: str) -> str:
        """Run a cell that fails; return the last line of its red text."""
        error = self.run(source)
        return traceback.format_exception_only(error)[-1].strip()


# --- installing and starting


@dataclass
class OtherPython:
    """A Python without any packages, as a kernel of another environment is."""

    folder: Path

    def __post_init__(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder / "other"], check=True)
        self.python = self.folder / "other" / ("Scripts" if os.name == "nt" else "bin") / "python"

    def run(self, *arguments: object, **environment: str) -> str:
        """Run this Python in an empty folder, with nothing of this one's; return what it prints."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP"))}
        return printed(self.python, *arguments, cwd=self.folder, env={**own, **environment})


def printed(*command: object, **options: object) -> str:
    done = subprocess.run(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    return done.stdout


@provokes("'course_utils'")
def course_is_not_there(entry):
    other = OtherPython(entry.folder)
    entry.reads_line_of(other.run("-c", "import course_utils"))
    installs_from_a_cell(entry)


def installs_from_a_cell(entry):
    """The cell that the page gives installs from the folder of requirements.txt, for the Python of the kernel."""
    entry.patch.chdir(ROOT / "notebooks")
    notebook, ran = Notebook(), []
    entry.patch.setattr(notebook.shell, "system", lambda command: ran.append((command, Path.cwd())))
    assert notebook.run(entry.code()) is None
    ((command, folder),) = ran
    assert sys.executable in command and command.endswith("-m pip install -r requirements.txt")
    assert (folder / "requirements.txt").is_file()


@provokes("'jupyterquiz'")
def package_is_not_there(entry):
    entry.reads_line_of(OtherPython(entry.folder).run("-c", "import jupyterquiz"))


@provokes("jupyter: command not found")
def jupyter_is_not_on_the_path(entry):
    environment = {**os.environ, "PATH": "/nowhere"}
    said = printed("/bin/bash", "-c", "jupyter lab", env=environment)
    entry.reads(said.strip().rpartition("line 1: ")[2])
    (command,) = entry.code("bash").splitlines()
    python, *module, notebook = command.split()
    assert (python, (ROOT / notebook).is_file()) == ("python", True)
    assert module[0] == "-m" and importlib.util.find_spec(f"{module[1]}.__main__")  # what -m runs; not PATH's


def pip(*arguments: object, folder: Path) -> str:
    """What pip prints in a folder, without settings of this machine."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PIP")}
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return printed(sys.executable, "-m", "pip", *arguments, cwd=folder, env={**own, **settings})


@provokes("Could not open requirements file")
def terminal_in_another_folder(entry):
    entry.reads_line_of(pip("install", "-r", "requirements.txt", folder=entry.folder))


PIP_OF_A_SYSTEM = """
import runpy, sys, sysconfig
sys.path.insert(0, {site!r})
paths = sysconfig.get_path
sysconfig.get_path = lambda name, *rest: {marked!r} if name == "stdlib" else paths(name, *rest)
sys.argv = ["pip", "--isolated", "install", "--no-index", "no-such-package-anywhere"]
{as_system}
runpy.run_module("pip", run_name="__main__")
"""


@provokes("externally-managed-environment")
def python_of_the_system(entry):
    (entry.folder / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=Use apt.\n")
    names = {"site": sysconfig.get_path("purelib"), "marked": str(entry.folder)}
    as_system = "sys.base_prefix = sys.prefix"  # as it is outside of an environment
    entry.reads_line_of(printed(sys.executable, "-c", PIP_OF_A_SYSTEM.format(**names, as_system=as_system)))
    make, activate, _ = entry.code("bash").splitlines()
    assert make == "python3 -m venv .venv"
    here = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    commands = (
        f'{make} --without-pip && {activate} && python -c "$1"'  # pip is taken from here, to save seconds
    )
    inside = PIP_OF_A_SYSTEM.format(**names, as_system="")
    said = printed("bash", "-c", commands, "-", inside, cwd=entry.folder, env={**os.environ, **here})
    assert "No matching distribution found for no-such-package-anywhere" in said  # pip went on


@provokes("No matching distribution found for torch")
def no_build_to_be_had(entry):
    entry.reads_line_of(pip("download", "--no-index", "torch>=2.4", folder=entry.folder))
    python, option, code = entry.code("bash").strip().split(maxsplit=2)
    assert (python, option) == ("python", "-c")
    said = printed("sh", "-c", f"'{sys.executable}' -c {code}")
    assert sys.version.split()[0] in said and "64bit" in said


@provokes("Missing or too old")
def a_package_is_missing(entry):
    code = "from course_utils.installation import check_installation; print(check_installation())"
    entry.reads_line_of(OtherPython(entry.folder).run("-c", code, PYTHONPATH=str(ROOT)))
    installs_from_a_cell(entry)


@provokes("is too old for the course")
def an_old_python(entry):
    old = SimpleNamespace(version="3.9.19 (main)", version_info=(3, 9, 19), executable="python")
    entry.patch.setattr(installation, "sys", old)
    entry.reads(installation.check_installation().advice)


@provokes("is already in use")
def another_server_is_running(entry):
    from jupyter_server.serverapp import ServerApp

    with socket.create_server(("127.0.0.1", 0)) as other:
        app = ServerApp(ip="127.0.0.1", port=other.getsockname()[1], port_retries=5)
        said = []
        entry.patch.setattr(app.log, "info", lambda message, *_: said.append(message))
        app._find_http_port()
    entry.reads(said[0])
    assert app.port > other_port(said[0])


def other_port(sentence: str) -> int:
    return int(re.search(r"\d+", sentence)[0])


# --- on Colab, in the first cell


class Colab:
    """An empty folder in which the set-up cell runs as on Colab, with what stands in for GitHub."""

    def __init__(self, entry: Entry) -> None:
        self.entry, self.folder = entry, entry.folder / "content"
        self.folder.mkdir()
        self.course = entry.folder / "repository"
        (self.course / "course_utils").mkdir(parents=True)
        (self.course / "course_utils" / "__init__.py").touch()
        (self.course / "course_utils" / "installation.py").touch()  # run by the cell: nothing is missing
        entry.patch.chdir(self.folder)
        entry.patch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
        entry.patch.setattr(importlib.util, "find_spec", lambda name: None)
        entry.patch.setattr(sys, "path", [*sys.path])
        for name in ("COURSE_REPOSITORY", "COURSE_VERSION"):
            entry.patch.delenv(name, raising=False)

    def run_first_cell(self) -> None:
        (cell,) = [cell for cell in notebook_cells() if "setup" in cell.metadata.get("tags", [])]
        exec(cell.source, {})

    def fails(self) -> None:
        """Run the first cell, which ends in the sentences of the entry."""
        with pytest.raises(Exception) as caught:
            self.run_first_cell()
        assert caught.value._render_traceback_() == [str(caught.value)]  # nothing else is shown
        self.entry.reads(str(caught.value))

    def works(self) -> None:
        """Run the first cell, which now has the course."""
        self.run_first_cell()
        assert sys.path[0] == str(self.folder / "course")

    def name_another(self, **names: str) -> None:
        """Run the entry's cell, with these words in place of the page's."""
        magic, setting = self.entry.code().strip().split()
        name, _, value = setting.partition("=")
        assert magic == "%env"
        self.entry.patch.setenv(name, names.get(value.replace("/", "_"), value))

    def upload(self) -> None:
        shutil.make_archive("course", "zip", self.course.parent, self.course.name)

    def repository(self) -> str:
        """The course in a repository on this machine, as an address for git."""
        git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "The course"]):
            subprocess.run([*git, *command], cwd=self.course, check=True)
        return f"file://{self.course}"

    def git_says(self, message: str | None) -> None:
        """Put a git on the path that says this and fails; with None there is no git at all."""
        tools = self.entry.folder / "tools"
        tools.mkdir()
        if message:
            (tools / "git").write_text(f"#!{sys.executable}\nimport sys\nsys.exit({message!r})\n")
            (tools / "git").chmod(0o755)
        self.entry.patch.setenv("PATH", str(tools))


@provokes("has no address yet")
def never_published(entry):
    colab = Colab(entry)
    colab.fails()
    colab.upload()
    colab.works()


@provokes("no public repository has this address")
def a_repository_that_is_gone(entry):
    colab = Colab(entry)
    address, path = colab.repository(), os.environ["PATH"]
    entry.patch.setenv("COURSE_REPOSITORY", "ada/course")
    # As GitHub is asked for an address that it does not know, and git for a name that it may not ask for.
    colab.git_says("fatal: could not read Username for 'https://github.com': terminal prompts disabled")
    colab.fails()
    entry.patch.setenv("PATH", path)
    colab.name_another(owner_repo=address)
    colab.works()


@provokes("not found in upstream origin")
def a_version_that_is_gone(entry):
    colab = Colab(entry)
    entry.patch.setenv("COURSE_REPOSITORY", colab.repository())
    entry.patch.setenv("COURSE_VERSION", "week-1")
    colab.fails()
    colab.name_another()
    colab.works()


@provokes("there is no git")
def without_git(entry):
    colab = Colab(entry)
    entry.patch.setenv("COURSE_REPOSITORY", "ada/course")
    colab.git_says(None)
    colab.fails()
    colab.upload()
    colab.works()


@provokes("not fetched from course.zip")
def half_a_zip(entry):
    colab = Colab(entry)
    Path("course.zip").write_bytes(b"PK\3\4 cut off")
    colab.fails()
    Path("course.zip").unlink()
    shutil.make_archive("course", "zip", entry.folder, "content")  # something else
    colab.fails()
    Path("course.zip").unlink()
    colab.upload()
    colab.works()


@provokes("a folder course is here")
def a_folder_of_that_name(entry):
    colab = Colab(entry)
    Path("course").mkdir()
    colab.fails()
    Path("course").rename("other")
    colab.upload()
    colab.works()


@provokes("is not ready")
def a_package_that_does_not_come(entry):
    colab = Colab(entry)
    program = colab.course / "course_utils" / "installation.py"
    program.write_text(
        "import sys\nsys.exit('pip could not install timm; it says: no matching distribution')\n"
    )
    colab.upload()
    colab.fails()
    shutil.rmtree("course")
    program.write_text("")
    colab.upload()
    colab.works()


# --- in a notebook


@provokes("NameError")
def begun_in_the_middle(entry):
    code = [cell.source for cell in notebook_cells()]
    begun = next(number for number, source in enumerate(code) if source.startswith("# NBVAL_CHECK_OUTPUT"))
    notebook = Notebook()
    entry.reads(notebook.last_line(code[begun]))
    above = [notebook.run(source) for source in code[:begun]]  # Run All Above Selected Cell
    assert above == [None] * begun and notebook.run(code[begun]) is None


def shown(feedback: object) -> str:
    """What a check's box shows, without its colors and the code below it."""
    page = feedback._repr_html_().partition("<pre")[0]
    return html.unescape(re.sub(r"<[^>]+>", "", page)).strip()


@provokes("○ not attempted")
def untouched(entry):
    entry.reads(shown(exercises.weights.check(lambda gradient: ...)))


@provokes("returned None")
def without_a_return(entry):
    def weights(gradient):
        print(gradient.mean((2, 3)))

    entry.reads(shown(exercises.weights.check(weights)))


@provokes("Hand in the function itself")
def called_first(entry):
    entry.reads(shown(exercises.weights.check(torch.zeros(1, 8))))
    # The call that the page names.
    assert "exercises.weights.check(weights)" in entry.text
    assert exercises.weights.check(lambda gradient: gradient.mean((2, 3))).state == "correct"


@provokes("Your code raised")
def an_error_inside(entry):
    def weights(gradient):
        return gradient.mean(7)

    feedback = exercises.weights.check(weights)
    entry.reads(shown(feedback))
    assert "Dimension out of range" in feedback.message  # its last line
    names = {"exercises": exercises, "torch": torch}
    exec(feedback.code, names)  # the lines below it, in a new cell
    with pytest.raises(IndexError, match="Dimension out of range"):
        weights(names["gradient"])


@provokes("'ellipsis'")
def dots_left_over(entry):
    def weights(gradient):
        total = ...
        return total / gradient[0, 0].numel()

    with entry.raises():
        weights(torch.zeros(1, 2, 3, 3))
    with entry.raises():
        torch.zeros(1, 2, 3, 3) / ...
    with pytest.raises(AttributeError, match="'ellipsis' object has no attribute 'mean'"):
        (...).mean()


@provokes("object is not callable")
def a_name_given_away(entry):
    notebook = Notebook()
    imports = "import torch\nfrom course_utils.explain import cam"
    setup = "from helpers import TinyNet, tiny_images\nmodel, images = TinyNet(), tiny_images()"
    assert [notebook.run(cell) for cell in (imports, setup, "cam = cam(model, images)")] == [None] * 3
    entry.reads(notebook.last_line("cam = cam(model, images)"))
    assert [notebook.run(cell) for cell in (imports, "tabby_map = cam(model, images)")] == [None] * 2
    assert notebook.run("tabby_map = cam(model, images)") is None


@provokes("cannot import name")
def of_two_versions(entry):
    with entry.raises():
        from course_utils.explain import a_name_of_another_version  # noqa: F401


@provokes("Interactive explorer")
def an_explorer_without_a_kernel(entry):
    from course_utils.widgets import output_size_explorer

    shown = []
    entry.patch.setattr("course_utils.widgets.explorer.display", lambda data, raw: shown.append(data))
    output_size_explorer()._ipython_display_()
    entry.reads(shown[0]["text/plain"])


@provokes("DefaultCPUAllocator")
def more_than_the_memory_holds(entry):
    with entry.raises():
        torch.zeros(2**40, 3, 224, 224)
    model, images = TinyNet(), tiny_images(40)
    logits = entry.helps(torch=torch, model=model, images=images).logits
    torch.testing.assert_close(logits, model(images))
    assert not logits.requires_grad


# --- hooks and gradients


@provokes("element 0 of tensors")
def without_a_graph(entry):
    model, images = TinyNet(), tiny_images()
    with torch.no_grad():
        logits = model(images)
    with entry.raises():
        logits[0, 1].backward()
    with torch.no_grad():
        assert entry.helps(torch=torch, model=model, images=images, c=1).images.grad.any()
    model.requires_grad_(False)  # the other cause
    with entry.raises():
        model(images)[0, 1].backward()
    assert entry.helps(torch=torch, model=model, images=images, c=1).images.grad.any()


@provokes("a second time")
def one_graph_for_two_classes(entry):
    model, images = TinyNet(), tiny_images().requires_grad_()
    logits = model(images)
    logits[0, 0].backward()
    with entry.raises():
        logits[0, 1].backward()
    found = entry.helps(torch=torch, model=model, images=images, a=0, b=1)
    for gradient, c in ((found.first, 0), (found.second, 1)):
        torch.testing.assert_close(gradient, torch.autograd.grad(model(images)[0, c], images)[0])


@provokes("BackwardHookFunction")
def a_backward_hook_before_an_inplace_relu(entry):
    model, images, seen = TinyNet(inplace=True), tiny_images(), []
    logits = model(images)
    model.get_submodule(CONVOLUTION).register_full_backward_hook(lambda module, given, out: seen.append(out))
    with entry.raises():
        model(images)[0, 1].backward()
    entry.helps(model=model)
    again = model(images)
    again[0, 1].backward()
    torch.testing.assert_close(again, logits)
    assert len(seen) == 1

    class Adds(TinyNet):
        def forward(self, images):
            maps = self.features[:5](images)
            maps += 1  # no module that could be told
            return self.head(maps.relu())

    model = Adds()
    layer = model.get_submodule(CONVOLUTION)
    handle = layer.register_full_backward_hook(lambda module, given, out: None)
    entry.helps(model=model)
    with entry.raises():
        model(images)
    handle.remove()
    layer.register_forward_hook(lambda module, given, output: output.register_hook(seen.append) and None)
    model(images)[0, 1].backward()
    assert seen[1].shape == (2, 8, 4, 4) and grad_cam(model, images, 1).maps.shape == (2, 1, 4, 4)


@provokes("has been modified by an inplace operation")
def a_hook_that_writes_over_the_output(entry):
    model, images, layer = TinyNet(), tiny_images(), 5

    def silence(module, inputs, output):
        output[:, 0] = 0

    relu = model.features[layer]
    handle = relu.register_forward_hook(silence)
    with entry.raises():
        model(images)[0, 1].backward()
    handle.remove()
    relu.register_forward_hook(entry.helps(k=0).silence)
    relu.register_forward_hook(lambda module, inputs, output: maps.append(output))
    maps = []
    model(images)[0, 1].backward()
    assert not maps[0][:, 0].any() and maps[0][:, 1:].any()

    y = torch.ones(3, requires_grad=True).exp()
    y += 1
    with entry.raises():
        y.sum().backward()
    y = torch.ones(3, requires_grad=True).exp()
    y = y + 1
    y.sum().backward()


@provokes("a leaf Variable")
def an_image_changed_in_place(entry):
    images = tiny_images().requires_grad_()
    with entry.raises():
        images += 0.1
    new = entry.helps(images=images, step=0.1).images
    assert new.is_leaf and new.requires_grad and torch.equal(new, tiny_images() + 0.1)


@provokes("only for scalar outputs")
def all_logits_at_once(entry):
    model, images = TinyNet(), tiny_images().requires_grad_()
    logits = model(images)
    with entry.raises():
        logits.backward()
    entry.helps(logits=logits, c=1)
    alone = images.detach()[1:].requires_grad_()
    model(alone)[0, 1].backward()
    torch.testing.assert_close(images.grad[1:], alone.grad)  # each image's own


@provokes("appears to not have been used in the graph")
def activations_of_another_pass(entry):
    model, images = TinyNet(), tiny_images()
    A = model.features(images)
    with entry.raises():
        torch.autograd.grad(model(images)[0, 1], A)
    found = entry.helps(torch=torch, trunk=model.features, head=model.head, images=images, c=1)
    assert found.gradient.shape == A.shape


@provokes("The .grad attribute of a Tensor that is not a leaf")
def the_gradient_in_the_middle(entry):
    model, images = TinyNet(), tiny_images()
    A = model.features(images)
    model.head(A)[0, 1].backward()
    with entry.warns():
        assert A.grad is None
    assert entry.helps(trunk=model.features, head=model.head, images=images, c=1).gradient.any()


@provokes("'NoneType' object has no attribute")
def a_gradient_that_nobody_asked_for(entry):
    model, images = TinyNet(), tiny_images().detach()
    model(images)[0, 1].backward()
    with entry.raises():
        images.grad.abs()
    assert entry.helps(model=model, images=images, c=1).size.any()


@provokes("cannot register a hook on a tensor")
def a_tensor_hook_in_a_pass_without_gradients(entry):
    model, images, seen = TinyNet(), tiny_images(), []
    layer = model.get_submodule(CONVOLUTION)
    handle = layer.register_forward_hook(
        lambda module, inputs, output: output.register_hook(seen.append) and None
    )
    with torch.no_grad(), entry.raises():
        model(images)
    handle.remove()
    layer.register_forward_hook(entry.helps(keep=seen.append).listen)
    with torch.no_grad():
        model(images)
    model(images)[0, 1].backward()
    assert len(seen) == 1


@provokes("takes 2 positional arguments but 3 were given")
def a_hook_of_two_arguments(entry):
    def look(module, output):
        print(output.shape)

    model, images, seen = TinyNet(), tiny_images(), []
    handle = model.features.register_forward_hook(look)
    with entry.raises():
        model(images)
    handle.remove()
    forward, backward = re.findall(r"`(def look\(.*?\):)`", entry.text)
    for line, register in (
        (forward, model.features.register_forward_hook),
        (backward, model.features.register_full_backward_hook),
    ):
        names = {"seen": seen}
        exec(f"{line}\n    seen.append(module)", names)
        register(names["look"])
    model(images)[0, 1].backward()
    assert seen == [model.features] * 2


@provokes("non-full backward hook")
def the_retired_backward_hook(entry):
    model, images, seen = TinyNet(), tiny_images(), []
    with entry.warns():
        old = TinyNet()
        old.register_backward_hook(lambda module, given, out: None)
        old(images)[0, 1].backward()
    entry.helps(module=model, look=lambda module, given, out: seen.append(out))
    model(images)[0, 1].backward()
    assert seen[0][0].shape == (2, 5)


@provokes("Can't call numpy()")
def numbers_on_their_graph(entry):
    heatmap = TinyNet().features(tiny_images())[0, 0]
    with entry.raises():
        heatmap.numpy()
    with entry.raises():
        plt.imshow(heatmap)
    plt.close()
    assert isinstance(entry.helps(heatmap=heatmap).array, np.ndarray)


# --- shapes and types


@provokes("mat1 and mat2 shapes")
def features_that_do_not_fit(entry):
    model = TinyNet(pooled=False)
    with entry.raises():
        model(tiny_images(size=12))
    with entry.raises():
        nn.Linear(8, 5)(model.features(tiny_images()).mean((2, 3), keepdim=True))
    images = entry.helps(torch=torch, images=tiny_images(size=12), side=8).images
    assert model(images).shape == (2, 5) and images.min() >= 0 and images.max() <= 1
    maps = model.features(tiny_images()).mean((2, 3), keepdim=True)
    assert nn.Linear(8, 5)(torch.flatten(maps, 1)).shape == (2, 5)


@provokes("to have 3 channels, but got")
def channels_that_are_not_three(entry):
    rgb, model = tiny_images(), TinyNet()
    faulty = [rgb[:, :1], torch.cat([rgb, rgb[:, :1]], 1), rgb.permute(0, 2, 3, 1)]
    for number, images in enumerate(faulty):
        with entry.raises():
            model(images)
        assert model(entry.line_helps(number, images=images)).shape == (2, 5)
    assert torch.equal(entry.line_helps(2, images=faulty[2]), rgb)


@provokes("Expected 3D (unbatched) or 4D (batched)")
def too_few_and_too_many_dimensions(entry):
    model = TinyNet()
    for number, images in enumerate([tiny_images()[0, 0], tiny_images(4)[:, None]]):
        with entry.raises():
            model(images)
        assert model(entry.line_helps(number, images=images)).ndim == 2


@provokes("should be the same")
def double_and_float(entry):
    model = TinyNet()
    for images in (tiny_images().double(), tiny_images().half(), (tiny_images() * 255).byte()):
        with entry.raises():
            model(images)
        assert model(entry.helps(model=model, images=images).images).shape == (2, 5)
    model.double()
    assert entry.helps(model=model, images=tiny_images()).images.dtype == torch.float64


@provokes("Kernel size can't be greater")
def a_window_larger_than_the_map(entry):
    model = nn.Sequential(*[nn.Conv2d(3, 3, 3, stride=2) for _ in range(4)])
    with entry.raises():
        model(tiny_images())
    from course_utils.shapes import trace_shapes

    entry.helps(torch=torch, model=model)
    assert "13" in str(trace_shapes(model, torch.zeros(1, 3, 224, 224)))


@provokes("Output size is too small")
def a_pool_larger_than_the_map(entry):
    with entry.raises():
        nn.MaxPool2d(16)(tiny_images())
    assert nn.AdaptiveAvgPool2d(1)(tiny_images()).shape == (2, 3, 1, 1)


@provokes("The size of tensor a")
def weights_without_their_dimensions(entry):
    alpha, A = torch.rand(2, 8), torch.rand(2, 8, 4, 4)
    with entry.raises():
        alpha * A
    torch.testing.assert_close(
        entry.helps(alpha=alpha, A=A).weighted.sum(1), torch.einsum("nk,nkhw->nhw", alpha, A)
    )


@provokes("the same number of spatial dimensions")
def a_map_enlarged(entry):
    heatmap = torch.rand(7, 7)
    with entry.raises():
        nn.functional.interpolate(heatmap, size=(224, 224), mode="bilinear")
    with entry.raises():
        nn.functional.interpolate(heatmap[None], size=(224, 224), mode="bilinear")
    assert entry.helps(torch=torch, heatmap=heatmap).large.shape == (224, 224)


@provokes("IndexError: index")
def a_class_of_another_network(entry):
    model, images = TinyNet(), tiny_images()
    with entry.raises():
        model(images)[0, 281]
    clf = Classifier(model, ["dog", "jay", "Tabby", "daisy", "suit"])
    assert clf(images)[0, entry.helps(clf=clf).c] == clf(images)[0, 2]


@provokes("for image data")
def an_image_with_its_channels_first(entry):
    images = tiny_images()
    for wrong in (images[0], images[:1]):
        with entry.raises():
            plt.imshow(wrong)
    entry.helps(plt=plt, images=images)
    assert plt.gca().images[-1].get_size() == (8, 8)
    plt.close("all")


@provokes("Expected more than 1 value per channel")
def in_training_mode(entry):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten())
    with entry.raises():
        model(tiny_images(1))
    entry.helps(model=model)
    torch.testing.assert_close(model(tiny_images(2))[:1], model(tiny_images(2)[:1]))


@provokes("Error(s) in loading state_dict")
def weights_of_another_network(entry):
    stored, model, images = TinyNet(seed=1), TinyNet(), tiny_images()
    state = nn.DataParallel(stored).state_dict()
    with entry.raises():
        model.load_state_dict(state)
    before = model(images)
    model.load_state_dict(state, strict=False)
    assert torch.equal(model(images), before)  # no remedy: nothing was loaded
    entry.helps(model=model, state=state)
    torch.testing.assert_close(model(images), stored(images))
    with entry.raises():
        TinyNet(n_classes=7).load_state_dict(stored.state_dict())


# --- the course's own sentences


@provokes("images must lie in [0, 1]")
def not_between_0_and_1(entry):
    clf, photo = load_classifier(), load_photo("cat")
    for images in (photo.tensor() * 255, (photo.tensor() - 0.5) / 0.5):
        with entry.raises():
            clf(images)
    assert clf(entry.helps(clf=clf, picture=photo.image).images).shape == (1, 1000)


@provokes("images must be a tensor")
def a_photograph_as_it_is(entry):
    clf, photo = load_classifier(), load_photo("cat")
    for images in (photo, photo.image, np.asarray(photo.image)):
        with entry.raises():
            grad_cam(clf, images)
    images = entry.helps(load_photo=load_photo).images
    assert grad_cam(clf, images).maps.ndim == grad_cam(clf, clf.preprocess(photo.image)).maps.ndim == 4


@provokes("the batch dimension is missing")
def one_image_without_a_batch(entry):
    model, images = TinyNet(), tiny_images()
    with entry.raises():
        grad_cam(model, images[0], 1)
    one = grad_cam(model, images[0][None], 1).maps
    assert torch.equal(one, grad_cam(model, images[:1], 1).maps)


@provokes("there is no class")
def a_class_that_is_not_there(entry):
    clf, images = load_classifier(), load_photo("cat").tensor()
    for c in ("cat", "tabbi", 1000, "rocket launcher of my own"):
        with entry.raises():
            grad_cam(clf, images, c)
    names = entry.line_helps(0, clf=clf)
    assert "Egyptian cat" in names and grad_cam(clf, images, names).maps.shape[1] == len(names)


@provokes("the model has no layer named")
def a_layer_of_another_network(entry):
    model, images = TinyNet(), tiny_images()
    with entry.raises() as _:
        grad_cam(model, images, 1, layer="layer4")
    assert torch.equal(
        grad_cam(model, images, 1, layer=CONVOLUTION).maps, grad_cam(model, images, 1, layer=CONVOLUTION).maps
    )
    assert grad_cam(model, images, 1).maps.shape == (2, 1, 4, 4)


@provokes("is not a layer of the model")
def a_layer_of_the_network_before(entry):
    model, images = TinyNet(), tiny_images()
    layer = model.get_submodule(CONVOLUTION)
    model = TinyNet()
    with entry.raises():
        grad_cam(model, images, 1, layer=layer)
    assert grad_cam(model, images, 1, layer=entry.helps(model=model).layer).maps.shape == (2, 1, 4, 4)


@provokes("CAM needs global average pooling")
def cam_of_another_head(entry):
    with entry.raises():
        cam(TinyNet(pooled=False), tiny_images(), 1)
    assert grad_cam(TinyNet(pooled=False), tiny_images(), 1).maps.shape == (2, 1, 4, 4)


class TinyTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 5)
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(16, 2, 8, batch_first=True) for _ in range(3)]
        )

    def forward(self, images):
        tokens = self.patches(images).flatten(2).mT
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(tokens.mean(1))


@provokes("lies behind its last map")
def a_transformer(entry):
    model = TinyTransformer().eval()
    with entry.raises():
        grad_cam(model, tiny_images(), 1)
    assert saliency(model, tiny_images(), 1).any()


@provokes("ActivationError")
def an_activation_without_a_rule(entry):
    model, images = TinyNet(), tiny_images()
    model.features[5] = nn.SiLU()
    with entry.raises():
        guided_backprop(model, images, 1)
    assert saliency(model, images, 1).any() and grad_cam(model, images, 1).maps.any()
    assert guided_backprop(load_classifier(), load_photo("cat").tensor(), "tabby").any()


@provokes("the model returns probabilities")
def a_softmax_at_the_end(entry):
    inside, images = TinyNet(), tiny_images()
    model = nn.Sequential(inside, nn.Softmax(1))
    with entry.raises():
        grad_cam(model, images, 1)
    clf = entry.helps(Classifier=Classifier, model=model, classes=list("abcde")).clf
    assert grad_cam(clf, images, "b").maps.shape == grad_cam(inside, images, 1).maps.shape


@provokes("images contains NaN")
def divided_by_zero(entry):
    images = tiny_images(3)
    images[1] = images[1] * 0 / (images[1] * 0).max()
    with entry.raises():
        grad_cam(TinyNet(), images, 1)
    found = entry.helps(images=images, heatmap=torch.zeros(4, 4))
    assert found.faulty.tolist() == [[1]] and not found.fraction.any()


@provokes("PictureError: there is no file")
def a_path_from_another_folder(entry):
    (entry.folder / "notebooks").mkdir()
    Image.new("RGB", (64, 64)).save(entry.folder / "mine.png")
    entry.patch.chdir(entry.folder / "notebooks")
    with entry.raises():
        read_picture("mine.png")
    entry.helps()
    assert read_picture("../mine.png").image.size == (64, 64)


@provokes("is no picture that can be read here")
def a_web_page_called_jpg(entry):
    file = entry.folder / "cat.jpg"
    file.write_text("<!doctype html><title>Not found</title>")
    with entry.raises():
        read_picture(file)


@provokes("AssetError: could not download")
def no_network(entry):
    entry.patch.setenv("COURSE_CACHE", str(entry.folder / "cache"))
    entry.patch.delenv("COURSE_MIRROR", raising=False)
    with entry.raises():
        load_classifier("resnet18")
    for name in re.findall(r'"(efficientnet\w+)"', entry.text):
        load_classifier(name)
    (entry.folder / "weights.pth").write_bytes(b"weights")
    wanted = (
        "https://example.org/weights.pth",
        "9a3a45d01531a20e89ac6ae10b0b0beb0492acd7216a368aa062d1a5fecaf9cd",
    )
    entry.patch.setenv("COURSE_MIRROR", "")  # put back afterwards
    exec(entry.code().replace("/path/to/folder", str(entry.folder)), {})
    with pytest.raises(Exception, match="damaged"):
        download(*wanted)


@provokes("no positive evidence for")
def an_empty_map(entry):
    _, ax = plt.subplots()
    draw_heatmap(ax, torch.zeros(8, 8), load_photo("cat").image.resize((8, 8)), "tabby")
    entry.reads(" ".join(text.get_text().replace("\n", " ") for text in ax.texts))
    plt.close()
