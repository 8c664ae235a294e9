import errno
import hashlib
import socket
from pathlib import Path

import pytest
from file_server import serving

from course_utils import assets
from course_utils.assets import AssetError, cache_folder, data_file, download, package_file, verify

CONTENT = b"weights " * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving({"/net-01234567.pth": CONTENT}) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    return folder


def url(server):
    return f"{server.address}/net-01234567.pth"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- downloads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [SHA256, SHA256[:8], SHA256[:8].upper()])
def test_a_complete_download(server, cache, digits):
    path = download(url(server), digits, progress=False)
    assert path == cache / "net-01234567.pth"
    assert path.read_bytes() == CONTENT
    assert left_in(cache) == ["net-01234567.pth"]


def test_the_second_time_needs_no_network(server, cache):
    first = download(url(server), SHA256, progress=False)
    assert download(url(server), SHA256, progress=False) == first
    assert len(server.asked) == 1


def test_another_name_in_the_cache(server, cache):
    assert download(url(server), SHA256, name="other.bin", progress=False) == cache / "other.bin"


def test_the_progress_bar_goes_to_stderr_and_nothing_else_is_said(server, capsys):
    download(url(server), SHA256)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "%" in captured.err
    assert "known_hash" not in captured.err
    assert "Downloading" not in captured.err


def test_a_quiet_download(server, capsys):
    download(url(server), SHA256, progress=False)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_no_such_file_on_the_server(server, cache):
    with pytest.raises(AssetError, match=r"could not download .*/gone.pth \(HTTPError: 404") as caught:
        download(f"{server.address}/gone.pth", SHA256, progress=False)
    assert f"put it at {cache / 'gone.pth'}, or set COURSE_MIRROR" in str(caught.value)
    assert left_in(cache) == []


def test_a_wrong_hash_is_discarded(server, cache):
    server.files["/net-01234567.pth"] = b"an error page of the hotel's network"
    with pytest.raises(AssetError, match=f"SHA-256 begins with .*, expected {SHA256[:8]}. The download was"):
        download(url(server), SHA256[:8], progress=False)
    assert left_in(cache) == []


def test_a_download_that_breaks_off(server, cache):
    server.truncated = ".pth"
    with pytest.raises(AssetError, match=r"could not download .*Check the network connection"):
        download(url(server), SHA256, progress=False)
    assert left_in(cache) == []
    server.truncated = ""
    assert download(url(server), SHA256, progress=False).read_bytes() == CONTENT


def test_no_network(cache):
    with socket.socket() as unused:  # bound, but nobody listens: connections are refused
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/net.pth"
        with pytest.raises(AssetError, match=r"could not download .*ConnectionError.*without one, fetch the"):
            download(address, SHA256, progress=False)
    assert left_in(cache) == []


def test_an_interrupted_download_leaves_nothing(server, cache, monkeypatch):
    def interrupt(path, sha256, remedy=""):
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download(url(server), SHA256, progress=False)
    assert left_in(cache) == []


def test_a_cached_file_that_was_damaged(server, cache):
    path = download(url(server), SHA256, progress=False)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(AssetError, match=r"net-01234567.pth is damaged .*Delete it and fetch it again"):
        download(url(server), SHA256, progress=False)
    path.unlink()
    assert download(url(server), SHA256, progress=False).read_bytes() == CONTENT


@pytest.mark.parametrize("problem", ["a file in its place", "no permission", "a read-only disk"])
def test_a_cache_that_cannot_be_written(server, cache, monkeypatch, problem):
    if problem == "a file in its place":
        cache.write_text("not a folder")
    else:
        number = errno.EACCES if problem == "no permission" else errno.EROFS

        def refuse(path, *args, **kwargs):
            raise OSError(number, "refused", str(path))

        monkeypatch.setattr(Path, "touch", refuse)  # not chmod: root may write anywhere
    with pytest.raises(AssetError, match=r"cache folder .*cache cannot be written .* Set COURSE_CACHE to"):
        download(url(server), SHA256, progress=False)
    assert not server.asked


def test_two_processes_do_not_share_an_unfinished_file(server, cache, monkeypatch):
    cache.mkdir()
    other = cache / "net-01234567.pth.1.unverified"
    other.write_bytes(b"half of it")
    download(url(server), SHA256, progress=False)
    assert other.read_bytes() == b"half of it"


# --- mirrors -----------------------------------------------------------------------------------------


def test_a_mirror_folder(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert download("https://unreachable.invalid/net.pth", SHA256) == tmp_path / "net.pth"
    assert left_in(cache) == []
    with pytest.raises(AssetError, match=r"COURSE_MIRROR names the folder .*no other.pth .*unreachable"):
        download("https://unreachable.invalid/other.pth", SHA256)
    (tmp_path / "net.pth").write_bytes(b"something else")
    with pytest.raises(AssetError, match=r"is damaged .*Copy it to the mirror again"):
        download("https://unreachable.invalid/net.pth", SHA256)


def test_a_mirror_folder_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("COURSE_MIRROR", "~/mirror")
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "net.pth").write_bytes(CONTENT)
    assert download("https://unreachable.invalid/net.pth", SHA256) == tmp_path / "mirror" / "net.pth"
    monkeypatch.setenv("COURSE_CACHE", "~/kept")
    assert cache_folder() == tmp_path / "kept"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_address(server, cache, monkeypatch, slash):
    server.files["/class/room/net.pth"] = CONTENT
    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/class/room{slash}")
    path = download("https://unreachable.invalid/some/where/net.pth?x=1", SHA256, progress=False)
    assert path == cache / "net.pth"
    assert path.read_bytes() == CONTENT


def test_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x"
    for unset in (lambda: monkeypatch.setenv("COURSE_CACHE", ""), lambda: monkeypatch.delenv("COURSE_CACHE")):
        unset()
        assert cache_folder().name == "course_utils"


# --- files that are there already --------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that holds one file, and must not be imported."""
    package = tmp_path / "some_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "models" / "net.pth").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(assets, "DATA", tmp_path / "data")
    return package


def test_what_is_there_is_found(package, tmp_path):
    verify(package / "models" / "net.pth", SHA256)
    verify(package / "models" / "net.pth", SHA256[:8])
    assert package_file("some_package", "models/net.pth", SHA256[:8]) == package / "models" / "net.pth"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.json").write_text("{}")
    assert data_file("a.json").read_text() == "{}"


def test_the_course_lies_where_the_package_lies():
    assert (assets.ROOT / "course_utils" / "assets.py").samefile(assets.__file__)
    assert (assets.ROOT / "pyproject.toml").is_file()
    assert data_file("photos.json") == assets.DATA / "photos.json"


NET = "models/net.pth"
DIGITS = "must be 8 to 64 hexadecimal digits, got"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda package: verify(package / NET, "00000000", remedy="Do this."),
            AssetError,
            rf"begins with {SHA256[:8]}, expected 00000000. Do this",
        ),
        (lambda package: verify(package / NET, ""), ValueError, DIGITS),
        (lambda package: verify(package / NET, SHA256[:7]), ValueError, DIGITS),
        (lambda package: verify(package / NET, "xyz" * 4), ValueError, DIGITS),
        (lambda package: verify(package / NET, SHA256 + "0"), ValueError, DIGITS),
        (lambda _: data_file("a.json"), AssetError, r"data/a.json is missing at .*fetch the course again"),
        (
            lambda _: package_file("some_package", "models/gone.pth"),
            AssetError,
            r"'models/gone.pth' is not in it .*--upgrade -r requirements.txt",
        ),
        (
            lambda _: package_file("no_such_package", NET),
            AssetError,
            r"'no_such_package' is not installed. Run `pip install -r require",
        ),
        (
            lambda _: package_file("some_package", NET, "00000000"),
            AssetError,
            r"is damaged .*`pip install --force-reinstall --no-deps some_pack",
        ),
        # a damaged package is reinstalled under the name it is installed by
        (
            lambda _: package_file("skimage", "__init__.py", "00000000"),
            AssetError,
            r"no-deps scikit-image`\.$",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_named(package, call, error, words):
    with pytest.raises(error, match=words):
        call(package)


def test_verify_reads_the_whole_file(tmp_path):
    big = b"0" * (1 << 20) + b"1"  # longer than one block
    (tmp_path / "file").write_bytes(big)
    verify(tmp_path / "file", hashlib.sha256(big).hexdigest())
    with pytest.raises(AssetError):
        verify(tmp_path / "file", hashlib.sha256(big[:-1]).hexdigest())
