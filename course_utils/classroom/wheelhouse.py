"""Everything that the course needs, in one folder that pip installs from without a network.

pip fetches it, with its own settings (index, proxy, certificates), and proves at the end that the folder suffices: it
is asked what it would install from there alone. Only then are the instructions and the sums written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch
from packaging.version import Version

from .systems import PYTHONS, SYSTEMS, System, this_python, this_system

__all__ = ["WheelhouseError", "make_wheelhouse"]

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where PyTorch for Linux lies without what NVIDIA's cards need."""
INSTRUCTIONS, SUMS = "INSTALL.txt", "SHA256SUMS"
SCRATCH = ".unfinished-"
EDITABLE = ("setuptools>=77.0.3", "wheel")  # what `-e .` is built with: pip takes it from the folder, too
OLDEST_PIP = Version("22.2")  # the first with --dry-run and --report
TORCH = re.compile(r"torch(vision)?\b")
FOR_CARDS = re.compile(r"(torch|nvidia|cuda|triton)[_-]")

# pip, with the answers of another system to "what are you?"; tells if this pip cannot be given them.
_AS_ANOTHER = """\
import json, sys
from pip._internal.resolution.resolvelib.candidates import RequiresPythonCandidate
from pip._vendor.packaging import markers
answers = json.loads(sys.argv[1])
markers.default_environment = lambda: dict(answers)
made = RequiresPythonCandidate.__init__
version = tuple(map(int, answers["python_full_version"].split(".")))
# `pip install --dry-run` would hold Requires-Python against the version that it runs on.
RequiresPythonCandidate.__init__ = lambda candidate, *own: made(candidate, version)
if not all(markers.Marker(f"{name} == '{answers[name]}'").evaluate() for name in ("sys_platform", "python_version")):
    sys.exit("pip does not take the answers of another system")
from pip._internal.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
_NO_NETWORK = re.compile(
    r"(?:connection broken by|Could not fetch URL|Max retries exceeded|Connection (?:refused|timed out|error))[^\n]*",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(
    r"No space left on device|not enough space on the disk|Disk quota exceeded", re.IGNORECASE
)
_DAMAGED = re.compile(r"IncompleteRead|DO NOT MATCH THE HASHES|Wheel '[^']*' located at \S+ is invalid")
_NOT_FOUND = re.compile(
    r"No matching distribution found for ([^\s;(]+)|no matching distributions available for your environment:\s+(\S+)"
)

# The same, where pip's settings have a constraint on torch; on an Intel Mac it is not the constraint.
_TORCH_CONFLICT = re.compile(r"Cannot install (torch[^\s;(]*) because")


class WheelhouseError(RuntimeError):
    """The folder could not be filled; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """A system with a version of Python, for which files are fetched; ``here``: this very machine's, as it is."""

    name: str
    python: str
    here: bool = False

    def __str__(self) -> str:
        return f"{self.name} with Python {self.python}"

    @property
    def system(self) -> System | None:
        """What is known of the system; nothing of one that pip cannot be told of."""
        return SYSTEMS.get(self.name)

    @property
    def options(self) -> list[str]:
        """What makes pip choose files for it."""
        if self.here:
            return []
        tags = [f"--platform={tag}" for tag in self.system.tags]
        return ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}", *tags]


@dataclass
class Pip:
    """pip, called for one target; what it writes before it is done goes to ``scratch``."""

    target: Target
    folder: Path
    scratch: Path

    def run(self, command: str, *arguments: str | Path) -> subprocess.CompletedProcess:
        """Call pip and return how it ended; its progress is shown on a terminal."""
        start = [sys.executable, "-m", "pip"]
        if not self.target.here:
            answers = json.dumps(self.target.system.environment(self.target.python))
            start = [sys.executable, "-c", _AS_ANOTHER, answers]
        place = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.scratch))
        return subprocess.run(
            [*start, command, *map(str, arguments)],
            env=os.environ | place | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=None if sys.stdout.isatty() else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def would_install(self, *arguments: str | Path) -> tuple[list[dict], str]:
        """Return what pip would install, as its report says, and what it said: nothing, if it finds no solution."""
        report = self.scratch / "report.json"
        report.unlink(missing_ok=True)
        elsewhere = [] if self.target.here else [f"--target={self.scratch / 'nowhere'}"]
        options = ("--dry-run", "--ignore-installed", "--no-user", f"--report={report}", *elsewhere)
        done = self.run("install", *options, *self.target.options, *arguments)
        if done.returncode:
            return [], _last_words(done.stderr)
        return json.loads(report.read_text(encoding="utf-8"))["install"], ""

    def fetch(self, *arguments: str | Path) -> None:
        """Put into the folder what is not in it: files that install without a compiler.

        Raises:
            WheelhouseError: pip could not.
        """
        into, built = f"--find-links={self.folder}", set()
        while True:
            if self.target.here:
                done = self.run("wheel", f"--wheel-dir={self.folder}", into, *arguments)
            else:
                done = self.run("download", f"--dest={self.folder}", into, *self.target.options, *arguments)
            if done.returncode == 0:
                return
            absent = _absent(done.stderr)
            hopeless = self.target.here or not absent or absent in built or TORCH.match(absent)
            if hopeless or not self._build(absent):
                raise WheelhouseError(self._why(done.stderr))
            built.add(absent)

    def _build(self, requirement: str) -> bool:
        """Build a package that is offered as source alone; True if the result fits every system."""
        name = re.split(r"[^\w.-]", requirement)[0]
        here = Pip(Target(this_system(), this_python(), here=True), self.folder, self.scratch)
        made = Path(tempfile.mkdtemp(dir=self.scratch))
        here.run("wheel", "--no-deps", f"--no-binary={name}", f"--wheel-dir={made}", requirement)
        wheels = list(made.glob("*-none-any.whl"))
        for wheel in wheels:
            wheel.replace(self.folder / wheel.name)
        return bool(wheels)

    def _why(self, stderr: str) -> str:
        """Say in a sentence why pip failed."""
        again = "What has been fetched is kept: the same command goes on from there."
        absent, network = _absent(stderr), _NO_NETWORK.search(stderr)
        if self.target.name == "macos-x86_64" and (conflict := _TORCH_CONFLICT.search(stderr)):
            absent = conflict[1]
        if _NO_SPACE.search(stderr):
            free = shutil.disk_usage(self.folder).free / 1e6
            return (
                f"the disk is full: {self.folder} is left with {free:,.0f} MB. pip needs room there for each file "
                "twice while it fetches, and for a copy in its cache (`pip cache dir`). Free some, or name another "
                f"--out. {again}"
            )
        if _DAMAGED.search(stderr):
            return f"a file arrived damaged or in part, and was thrown away ({_last_words(stderr)}). {again}"
        if network:
            found = f" It found no {absent}." if absent else ""
            return (
                f"pip could not reach a package index ({network[0].strip()[:200]}).{found} Check the network and "
                f"`pip config list` (index, proxy). {again}"
            )
        if absent:
            words = f"no package index offers {absent} for {self.target}, as a file that installs without a compiler."
            if self.target.name == "macos-x86_64" and TORCH.match(absent):
                return (
                    f"{words} PyTorch ended its support of Intel Macs with version 2.2. Leave macos-x86_64 out; such a "
                    "machine takes the course on Colab, or in its browser from yours by Voila (README.md, In a room "
                    "without internet)."
                )
            if self.target.here:
                return f"{words} `pip config list` says which indexes pip asks."
            return f"{words} Run the command on such a system, or leave it out."
        return f"pip failed for {self.target}: {_last_words(stderr)}"


def _last_words(stderr: str) -> str:
    """What pip said last, errors before all else."""
    lines = [line for line in stderr.splitlines() if line.strip()] or ["it said nothing"]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return " ".join(errors[-3:])[:600]


def _absent(stderr: str) -> str:
    """The requirement that pip found nothing for, or nothing."""
    found = _NOT_FOUND.search(stderr)
    return (found[1] or found[2]) if found else ""


def make_wheelhouse(
    root: Path, folder: Path, systems: Iterable[str] = (), pythons: Iterable[str] = ()
) -> Iterator[str]:
    """Fill a folder with all that the course needs, and yield lines that say what became of it.

    The last lines are the instructions, which are then in the folder, too. Files that are there are not fetched again.

    Args:
        root: the course's folder.
        folder: made if it is not there.
        systems: names out of :data:`SYSTEMS`: files then fit older releases of them, too. By default this machine, with
            what is best for it.
        pythons: versions out of :data:`PYTHONS`; this one by default.

    Raises:
        ValueError: there is no such system or version; the folder is none, or cannot be written.
        WheelhouseError: a file could not be had. The folder then has no instructions.
    """
    targets = _targets(systems, pythons)
    requirements = _requirements(root)
    folder = _prepared(folder)
    for name in _without_broken(folder):
        yield f"{name} was half-written, and is fetched again."
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
        needed = Path(scratch) / "requirements.txt"
        needed.write_text("\n".join([*requirements, *EDITABLE]), encoding="utf-8")
        for target in targets:
            yield f"Fetching for {target} ..."
            pip = Pip(target, folder, Path(scratch))
            pins = _fetch_cpu_torch(pip, [line for line in requirements if TORCH.match(line)])
            limits = Path(scratch) / "constraints.txt"
            limits.write_text("\n".join(pins), encoding="utf-8")
            pip.fetch("--requirement", needed, "--constraint", limits)
            files = _proven(pip, needed)
            yield _summary(target, files)
            if target.system and target.system.cpu_index and not pins:
                yield _no_cpu_build(target, files)
    sums, text = _sums(folder), _instructions(folder, targets)
    _write(folder / SUMS, sums)
    _write(folder / INSTRUCTIONS, text)
    yield f"{folder}: {len(sums.splitlines())} files, {_megabytes(folder.glob('*.whl')):,.0f} MB"
    yield from text.splitlines()


def _targets(systems: Iterable[str], pythons: Iterable[str]) -> list[Target]:
    """The systems with the versions of Python, each once."""
    systems = list(systems)
    pip = next((d.version for d in metadata.distributions(name="pip")), None)
    if pip is None or Version(pip) < OLDEST_PIP:
        found = "has no pip" if pip is None else f"has pip {pip}, which is older than {OLDEST_PIP}"
        remedy = "python -m ensurepip --upgrade" if pip is None else "python -m pip install --upgrade pip"
        raise ValueError(f"this Python {found}: run `{remedy}` first.")
    names, versions = dict.fromkeys(systems or [this_system()]), dict.fromkeys(pythons or [this_python()])
    for version in versions:
        if version not in PYTHONS:
            raise ValueError(
                f"the course supports Python {', '.join(PYTHONS)}, not {version}: name one with --python."
            )
    named = bool(systems)
    targets = [
        Target(name, version, not named and version == this_python())
        for name in names
        for version in versions
    ]
    for target in targets:
        if target.system is None and not target.here:
            raise ValueError(
                f"--system {target.name} is not known: {', '.join(SYSTEMS)} are. For others, run the command there."
            )
    return targets


def _requirements(root: Path) -> list[str]:
    """The lines of requirements.txt that name packages."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith(("#", "-"))]


def _prepared(folder: Path) -> Path:
    """The folder, made if it is not there, without the signs of an earlier run: it is not whole until the end."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out names a folder, but {folder} is a file.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for sign in (INSTRUCTIONS, SUMS):
            (folder / sign).unlink(missing_ok=True)
        for left in folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"--out {folder} cannot be written ({error.strerror}): name another folder."
        ) from error
    return folder.resolve()


def _without_broken(folder: Path) -> list[str]:
    """Delete wheels that an interrupted run left half-written, and return their names.

    A wheel is a zip, whose list of contents stands at its end.
    """
    broken = [path for path in folder.glob("*.whl") if not zipfile.is_zipfile(path)]
    for path in broken:
        path.unlink()
    return [path.name for path in broken]


def _fetch_cpu_torch(pip: Pip, torch: list[str]) -> list[str]:
    """Fetch PyTorch's CPU build where it lies apart and its index answers; return its versions, as constraints.

    The index is asked for these packages alone, with little patience: all others come from where pip usually looks.
    Both must be CPU builds: one of them with the other from elsewhere, as pip's settings may have it, may not fit.
    """
    if not (pip.target.system and pip.target.system.cpu_index and torch):
        return []
    index = f"--index-url={CPU_INDEX}"
    items, _ = pip.would_install(index, "--retries=1", "--timeout=10", *torch)
    versions = {item["metadata"]["name"]: item["metadata"]["version"] for item in items}
    pins = [f"{name}=={version}" for name, version in versions.items() if TORCH.fullmatch(name)]
    if not pins or not all(pin.endswith("+cpu") for pin in pins):
        return []
    options = (index, "--no-deps", f"--dest={pip.folder}", *pip.target.options)
    return pins if pip.run("download", *options, *pins).returncode == 0 else []


def _proven(pip: Pip, needed: Path) -> list[Path]:
    """Return the files that pip would install from the folder alone.

    Raises:
        WheelhouseError: the folder does not suffice.
    """
    items, said = pip.would_install("--no-index", f"--find-links={pip.folder}", "--requirement", needed)
    names = [unquote(urlsplit(item["download_info"]["url"]).path).rsplit("/", 1)[-1] for item in items]
    files = [pip.folder / name for name in names]
    away = [file.name for file in files if not file.is_file()]
    if not files or away:
        said = said or f"it would take {', '.join(away)} from elsewhere"
        raise WheelhouseError(
            f"pip fetched files for {pip.target}, but would not install the course from them alone ({said}). Name an "
            "empty --out; if it happens again, another pip may help: python -m pip install --upgrade pip."
        )
    return files


def _megabytes(files: Iterable[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


def _summary(target: Target, files: list[Path]) -> str:
    unpacked = sum(info.file_size for file in files for info in zipfile.ZipFile(file).infolist()) / 1e6
    return f"{target}: {len(files)} packages, {_megabytes(files):,.0f} MB; installed they take {unpacked:,.0f} MB."


def _no_cpu_build(target: Target, files: list[Path]) -> str:
    heavy = _megabytes(file for file in files if FOR_CARDS.match(file.name))
    return (
        f"{target}: PyTorch's CPU build could not be had from {CPU_INDEX}, so this is the build that your package "
        f"index offers, in general that for NVIDIA's cards: {heavy:,.0f} MB of the above. It runs without a card, too."
    )


def _sums(folder: Path) -> str:
    """The wheels' SHA-256, as `sha256sum --check` reads them."""
    wheels = sorted(folder.glob("*.whl"))
    return "".join(f"{pooch.file_hash(str(path), alg='sha256')}  {path.name}\n" for path in wheels)


def _instructions(folder: Path, targets: list[Target]) -> str:
    return f"""\
What the course on visual explanations needs, for {", ".join(map(str, targets))}.
Copy this folder and the course's own to the machine. In the course's folder, where requirements.txt stands, and in a
virtual environment (README.md, In a room without internet), this installs it without a network:

python -m pip install --no-index --find-links {_quoted(folder)} -r requirements.txt

Behind --find-links stands where this folder lies: change it if it lies elsewhere. `sha256sum --check {SUMS}`, run in
this folder, tells whether all files arrived whole.
"""


def _quoted(folder: Path) -> str:
    """The path as bash, cmd and PowerShell take it."""
    return str(folder) if re.fullmatch(r"[\w./\\:-]+", str(folder)) else f'"{folder}"'


def _write(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    unfinished = path.with_name(f"{SCRATCH}{path.name}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
