"""No process of the tests, and no kernel, reaches beyond this machine; this machine itself can be reached."""

import os
import socket
import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from course_utils.authoring.sandbox import FOLDER, confine, pytest_plugin, sitecustomize

ROOT = Path(__file__).resolve().parents[2]

REFUSED = "The network is switched off here"
# 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation (RFC 5737, RFC 3849): even without a guard, nobody
# would be called.
OUTSIDE = "192.0.2.1"


def python(code: str, environ: dict | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with socketserver.TCPServer(("127.0.0.1", 0), Hello) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://localhost:{listening.server_address[1]}"
        listening.shutdown()


@pytest.mark.parametrize(
    "call",
    [
        f"socket.create_connection(('{OUTSIDE}', 80), timeout=2)",
        "socket.create_connection(('example.com', 80), timeout=2)",
        "socket.gethostbyname('example.com')",
        f"socket.gethostbyaddr('{OUTSIDE}')",
        f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{OUTSIDE}', 53))",
        f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('{OUTSIDE}', 53))",
        f"socket.socket().connect_ex(('{OUTSIDE}', 80))",
        "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
        "urllib.request.urlopen('https://example.com', timeout=2)",
    ],
)
def test_refused_in_a_subprocess(call):
    done = python(f"import socket, urllib.request\n{call}")
    assert done.returncode == 1
    assert REFUSED in done.stderr


def test_refused_in_this_process_as_an_os_error():
    with pytest.raises(OSError, match=REFUSED):
        socket.create_connection((OUTSIDE, 80), timeout=2)


def test_refused_in_a_process_of_a_process():
    code = f"import socket; socket.create_connection(('{OUTSIDE}', 80), timeout=2)"
    done = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])")
    assert REFUSED in done.stderr


def test_loopback_works_in_a_subprocess(server):
    done = python(f"import urllib.request; print(urllib.request.urlopen({server!r}).read())")
    assert done.stdout.strip() == "b'hello'", done.stderr


def test_a_kernel_reaches_this_machine_only(server):
    cells = [
        new_code_cell(f"import urllib.request; print(urllib.request.urlopen({server!r}).read())"),
        new_code_cell(
            "try:\n    urllib.request.urlopen('http://example.com')\nexcept OSError as e:\n    print(e)"
        ),
        new_code_cell("import os; print(os.environ['OMP_NUM_THREADS'])"),
    ]
    notebook = NotebookClient(new_notebook(cells=cells), timeout=60, kernel_name="python3").execute()
    inside, outside, threads = (cell.outputs[0].text for cell in notebook.cells)
    assert inside == "b'hello'\n"
    assert REFUSED in outside
    assert threads.strip() == os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "localhost", b"localhost"]
)
def test_loopback_is_allowed(host):
    with socket.socket() as sock:
        sitecustomize.guard("socket.connect", (sock, (host, 80)))
    sitecustomize.guard("socket.getaddrinfo", (host, 80, 0, 0, 0))


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "::ffff:8.8.8.8", "fe80::1%eth0", "localhost.example.com", "0.0.0.0"]
)
def test_other_machines_are_not(host):
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError, match=host.replace(".", r"\.")):
        sitecustomize.guard("socket.connect", (sock, (host, 80)))


def test_servers_may_look_up_where_to_bind():
    for host in (None, "", "0.0.0.0", "::"):
        sitecustomize.guard("socket.getaddrinfo", (host, 80, 0, 0, 0))


def test_local_sockets_and_other_events_are_allowed():
    with socket.socket(socket.AF_UNIX) as sock:
        sitecustomize.guard("socket.connect", (sock, "/var/run/some.sock"))
    with socket.socket() as sock:
        sitecustomize.guard("socket.sendmsg", (sock, None))
        sitecustomize.guard("socket.bind", (sock, ("192.0.2.1", 80)))
    sitecustomize.guard("open", ("file", "r", 0))


def test_a_sitecustomize_that_was_there_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.greeting = 'I was here first'\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    confine(environ)
    done = python("import sys, sitecustomize; print(sys.greeting, sitecustomize.__file__)", environ)
    assert done.stdout.strip() == f"I was here first {tmp_path / 'sitecustomize.py'}", done.stderr
    assert REFUSED in python("import socket; socket.gethostbyname('example.com')", environ).stderr


def test_confine_leaves_the_rest_and_may_be_repeated():
    environ = {"PYTHONPATH": "/a", "HTTPS_PROXY": "http://127.0.0.1:1", "all_proxy": "x", "HOME": "/h"}
    for _ in range(2):
        confine(environ, threads=3)
    assert environ == {
        "PYTHONPATH": f"{FOLDER}{os.pathsep}/a",
        "HOME": "/h",
        "GIT_ALLOW_PROTOCOL": "file",
        "OMP_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "passive",
    }


def test_git_reaches_nothing():
    done = subprocess.run(
        ["git", "ls-remote", f"https://{OUTSIDE}/x"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "not allowed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        ([], 2),
        (["notebooks"], 2),
        (["a/test_x.py"], 0),
        (["a/test_x.py::test_y", "b.ipynb"], 0),
        (["a.py", "b"], 2),
    ],
)
def test_single_files_run_without_workers(arguments, workers):
    class Config:
        args = arguments or ["tests", "notebooks"]
        args_source = pytest.Config.ArgsSource.ARGS if arguments else pytest.Config.ArgsSource.TESTPATHS

    assert pytest_plugin.pytest_xdist_auto_num_workers(Config) == workers


def test_the_longest_tests_come_first_and_the_others_stay_in_order():
    class Item:
        def __init__(self, nodeid):
            self.nodeid = nodeid

    files = [
        "tests/unit/test_b.py",
        "notebooks/00_a.ipynb",
        "tests/unit/test_a.py",
        "tests/browser/test_c.py",
    ]
    items = [Item(f"{file}::{n}") for file in files for n in (1, 2)]
    pytest_plugin.pytest_collection_modifyitems(items)
    found = [item.nodeid.split("::")[0] for item in items[::2]]
    assert found == [files[1], files[3], files[0], files[2]]
    assert all((ROOT / start).exists() for start in pytest_plugin.LONGEST)


def test_only_the_tests_of_whole_notebooks_part_from_their_file():
    def scope(nodeid):
        return pytest_plugin.Scheduling._split_scope(None, nodeid)

    assert scope("notebooks/00_a.ipynb::Cell 0") == scope("notebooks/00_a.ipynb::Cell 1")
    assert scope("tests/browser/test_decks.py::a") == scope("tests/browser/test_decks.py::b")
    for file in pytest_plugin.ONE_BY_ONE:
        assert (ROOT / file.split("::")[0]).is_file()
        assert scope(f"{file}::test[a]") != scope(f"{file}::test[b]")
