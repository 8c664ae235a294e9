"""A folder of packages for a room without internet, fetched from an index on this machine, with pip as it is."""

import hashlib
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from file_server import serving
from package_index import pages, source, wheel

from course_utils import __main__ as command
from course_utils.assets import ROOT
from course_utils.classroom import SYSTEMS, WheelhouseError, make_wheelhouse, systems, wheelhouse

WINDOWS, LINUX, MAC = (
    "cp312-cp312-win_amd64",
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp312-none-macosx_10_9_x86_64",
)
HERE = f"{systems.this_system()} with Python {systems.this_python()}"
# As on PyPI: the newest torch, none for Intel Macs; on Linux it needs what NVIDIA's cards need.
PYPI = [
    *(wheel("torch", "2.6.0", 'nvidia-card; platform_system == "Linux"', tag=tag) for tag in (WINDOWS, LINUX)),
    wheel("torch", "2.2.2", tag=MAC),
    wheel("torchvision", "0.21.0", "torch==2.6.0"),
    wheel("nvidia_card", "1.0", tag="py3-none-manylinux_2_17_x86_64"),
    wheel("parent", "1.5", "pure-source", 'colorama; sys_platform == "win32"', 'pexpect; os_name != "nt"',
          'backport; python_version < "3.11"'),
    *(wheel(name, "1.0") for name in ("colorama", "pexpect")),
    source("pure_source", "0.3"),
    *(wheel(name, "99.0") for name in ("setuptools", "wheel")),
]  # fmt: skip
# A release behind, and still preferred.
CPU = [
    wheel("torch", "2.5.0+cpu", tag=LINUX),
    wheel("torchvision", "0.20.0+cpu", "torch==2.5.0", tag=LINUX),
]
PURE = {
    "parent-1.5-py3-none-any.whl",
    "pure_source-0.3-py3-none-any.whl",
    "setuptools-99.0-py3-none-any.whl",
    "wheel-99.0-py3-none-any.whl",
}
ON_WINDOWS = {
    f"torch-2.6.0-{WINDOWS}.whl",
    "torchvision-0.21.0-py3-none-any.whl",
    "colorama-1.0-py3-none-any.whl",
}
ON_LINUX = {file for file, _ in CPU} | {"pexpect-1.0-py3-none-any.whl"}


@pytest.fixture(scope="module")
def server():
    with serving({**pages("/simple", PYPI), **pages("/cpu", CPU)}) as server:
        yield server


@pytest.fixture
def index(server, monkeypatch, tmp_path):
    """The index as pip's own setting; no other setting of whoever runs the tests, and no cache."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    settings = {"CONFIG_FILE": os.devnull, "INDEX_URL": f"{server.address}/simple", "NO_CACHE_DIR": "1"}
    for name, value in {**settings, "RETRIES": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setattr(wheelhouse, "CPU_INDEX", f"{server.address}/cpu")
    server.asked.clear()
    server.truncated = ""
    return server


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    folder.mkdir()

    def with_lines(*lines):
        (folder / "requirements.txt").write_text("\n".join(["# what it needs", *lines, "", "-e ."]))
        return folder

    return with_lines


def fetched(server):
    return [path for path in server.asked if path.endswith((".whl", ".tar.gz"))]


def wheels(folder):
    return {path.name for path in folder.glob("*.whl")}


def test_two_systems_in_one_folder_and_once_more(index, course, tmp_path):
    root, folder = course("torch>=2.4", "torchvision>=0.19", "parent>=1.0"), tmp_path / "für alle"
    lines = list(make_wheelhouse(root, folder, ["windows-amd64", "linux-x86_64"], ["3.12"]))
    assert wheels(folder) == PURE | ON_WINDOWS | ON_LINUX
    assert not [path for path in folder.iterdir() if path.name.startswith(".")], "unfinished things are left"
    assert re.match(
        r"windows-amd64 with Python 3\.12: 7 packages, \d+ MB; installed they take \d+ MB", lines[1]
    )
    assert not any("NVIDIA" in line for line in lines)
    text = (folder / "INSTALL.txt").read_text(encoding="utf-8")
    assert (
        f'python -m pip install --no-index --find-links "{folder}" -r requirements.txt' in text.splitlines()
    )
    assert text.splitlines() == lines[-len(text.splitlines()) :]
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((folder / name).read_bytes()).hexdigest()

    # A half-written file is fetched again, and nothing else.
    broken = folder / f"torch-2.6.0-{WINDOWS}.whl"
    broken.write_bytes(broken.read_bytes()[:900])
    index.asked.clear()
    lines = list(make_wheelhouse(root, folder, ["windows-amd64"], ["3.12"]))
    assert lines[0] == f"{broken.name} was half-written, and is fetched again."
    assert fetched(index) == [f"/simple/files/{broken.name}"]
    assert wheels(folder) == PURE | ON_WINDOWS | ON_LINUX


def test_where_the_cpu_index_does_not_answer_the_larger_build_is_fetched_and_said_so(
    index, course, tmp_path, monkeypatch
):
    monkeypatch.setattr(wheelhouse, "CPU_INDEX", f"{index.address}/not-there")
    monkeypatch.setattr(wheelhouse.Pip, "fetch", lambda pip, *what: limits.append(Path(what[-1]).read_text()))
    monkeypatch.setattr(wheelhouse, "_proven", lambda pip, needed: [tmp_path / "nvidia_card-1.0.whl"])
    (tmp_path / "nvidia_card-1.0.whl").write_bytes(wheel("nvidia_card", "1.0")[1])
    limits = []
    lines = list(make_wheelhouse(course("torch>=2.4"), tmp_path / "out", ["linux-x86_64"], ["3.12"]))
    assert limits == [""] and not fetched(index)
    assert lines[2].startswith(
        "linux-x86_64 with Python 3.12: PyTorch's CPU build could not be had from http"
    )
    assert "that for NVIDIA's cards: 0 MB of the above" in lines[2]


def test_an_intel_mac(index, course, tmp_path):
    (tmp_path / "INSTALL.txt").write_text("of an earlier run")
    with pytest.raises(WheelhouseError) as error:
        list(make_wheelhouse(course("torch>=2.4"), tmp_path, ["macos-x86_64"], ["3.12"]))
    assert str(error.value).startswith(
        "no package index offers torch>=2.4 for macos-x86_64 with Python 3.12, as a file that installs without a "
        "compiler. PyTorch ended its support of Intel Macs with version 2.2. Leave macos-x86_64 out; such a machine"
    )
    assert not (tmp_path / "INSTALL.txt").exists(), "a folder that is not whole passes for whole"


def test_without_a_network(index, course, tmp_path, monkeypatch, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("PIP_INDEX_URL", closed)
        monkeypatch.setattr(command, "ROOT", course("parent"))
        assert command.main(["wheelhouse", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "out is not whole: pip could not reach a package index (" in said
    assert "It found no parent. Check the network and `pip config list`" in said
    assert not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("ERROR: Could not install: OSError: [Errno 28] No space left on device", "the disk is full: "),
        ("OSError: [WinError 112] There is not enough space on the disk: 'D:'", "the disk is full: "),
        ("WARNING: a\nERROR: something new\n", f"pip failed for {HERE}: ERROR: something new"),
        ("", f"pip failed for {HERE}: it said nothing"),
        ("ERROR: No matching distribution found for parent>=1.0 (from x)",
         f"no package index offers parent>=1.0 for {HERE}, as a file that installs without a compiler. `pip config"),
        ("ERROR: Cannot install\nAdditionally, some packages in these conflicts have no matching distributions "
         "available for your environment:\n    eagerpy\n", f"no package index offers eagerpy for {HERE}"),
        ("ERROR: Wheel 'torch' located at /tmp/x.whl is invalid.", "a file arrived damaged or in part, and was thrown"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "a file arrived damaged or in part, and was thrown"),
    ],
)  # fmt: skip
def test_other_failures_of_pip(monkeypatch, course, tmp_path, stderr, words):
    failed = subprocess.CompletedProcess([], 1, None, stderr)
    monkeypatch.setattr(wheelhouse.Pip, "run", lambda *arguments: failed)
    with pytest.raises(WheelhouseError, match=re.escape(words)):
        list(make_wheelhouse(course("parent"), tmp_path / "out"))


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("macos-x86_64", "PyTorch ended its support of Intel Macs"),
        ("windows-amd64", "pip failed for windows-amd64 with"),
    ],
)
def test_a_constraint_of_ones_own_does_not_hide_what_is_wrong_with_an_intel_mac(
    monkeypatch, course, tmp_path, system, words
):
    said = "ERROR: Cannot install torch>=2.4 because these package versions have conflicting dependencies."
    failed = subprocess.CompletedProcess([], 1, None, f"{said}\nERROR: ResolutionImpossible: for help visit")
    monkeypatch.setattr(wheelhouse.Pip, "run", lambda *arguments: failed)
    with pytest.raises(WheelhouseError, match=words):
        list(make_wheelhouse(course("torch>=2.4"), tmp_path / "out", [system], ["3.12"]))


def test_what_is_offered_as_source_and_fits_one_system_is_named(monkeypatch, course, tmp_path):
    failed = subprocess.CompletedProcess([], 1, None, "ERROR: No matching distribution found for compiled")
    monkeypatch.setattr(wheelhouse.Pip, "run", lambda *arguments: failed)
    words = "offers compiled for windows-amd64 with Python 3.12, as a file that installs without a compiler. Run the"
    with pytest.raises(WheelhouseError, match=re.escape(words)):
        list(make_wheelhouse(course("compiled"), tmp_path / "out", ["windows-amd64"], ["3.12"]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "FILE"], "--out names a folder, but"),
        (["--out", "FILE/below"], "cannot be written (Not a directory): name another folder."),
        (["--out", "DIR", "--system", "solaris"], "--system solaris is not known: linux-x86_64, "),
        (["--out", "DIR", "--python", "3.9"], "the course supports Python 3.10, 3.11, 3.12, 3.13, not 3.9: name"),
        (["--out", "DIR", "--python", "3.1"], "3.13, not 3.1: name one"),
        ([], "the following arguments are required: --out"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(tmp_path, capsys, arguments, words):
    (tmp_path / "FILE").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        command.main(["wheelhouse", *(re.sub("^(FILE|DIR)", rf"{tmp_path}/\1", word) for word in arguments)])
    assert ended.value.code == 2 and words in capsys.readouterr().err
    assert (tmp_path / "FILE").read_text() == "mine" and not (tmp_path / "DIR").exists()


@pytest.mark.parametrize(
    ("version", "words"), [(None, "has no pip: run `python -m ensurepip"), ("21.3", "older than")]
)
def test_a_pip_that_will_not_do(monkeypatch, course, tmp_path, version, words):
    found = [type("Pip", (), {"version": version})] if version else []
    monkeypatch.setattr(wheelhouse.metadata, "distributions", lambda name: found)
    with pytest.raises(ValueError, match=re.escape(words)):
        list(make_wheelhouse(course("parent"), tmp_path / "out"))


def test_this_very_machine_is_among_the_systems_or_named_as_it_calls_itself():
    name = systems.this_system()
    assert name in SYSTEMS or re.fullmatch(r"\w+-\w+", name)


def test_what_the_course_is_built_with_is_fetched_too():
    """`-e .` builds the course's package, and pip looks for these in the folder."""
    text = (ROOT / "pyproject.toml").read_text()
    needs = re.findall(r'"([^"]+)"', re.search(r"requires = \[(.*)\]", text)[1])
    assert set(needs) <= set(wheelhouse.EDITABLE)
    assert re.search(r'requires-python = ">=(.*)"', text)[1] == systems.PYTHONS[0]
    assert Path(ROOT / "requirements.txt").read_text().rstrip().endswith("-e .")
