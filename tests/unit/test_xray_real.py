"""The real radiographs: the list that the course carries, and fetching, from a server on this machine, of files made
here; none of the real pictures is needed."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
from file_server import serving
from PIL import Image

from course_utils.assets import AssetError
from course_utils.xray import HOSPITALS, real_radiographs
from course_utils.xray import real as real_module
from course_utils.xray import real as xray_real


def picture(value: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(value).integers(0, 40, (48, 48))
    Image.fromarray((noise + value).astype(np.uint8)).save(buffer, "png")
    return buffer.getvalue()


FILES = {"hannover_a.png": picture(10), "hannover_b.png": picture(90), "nih_c.png": picture(170)}


@pytest.fixture
def server():
    folders = ("pub", "m/chest_xray")
    files = {f"/{folder}/{name}": content for name, content in FILES.items() for folder in folders}
    with serving(files) as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    return tmp_path / "cache" / "chest_xray"


@pytest.fixture
def records(server):
    return [
        real_module.Record(
            name, hashlib.sha256(content).hexdigest(), len(content), "covid19", f"p{k}", "pa",
            f"{server.address}/pub/{name}", "CC BY 3.0" if name.startswith("h") else "none",
        )
        for k, (name, content) in enumerate(FILES.items())
    ]  # fmt: skip


def fetch(records, **options):
    return real_radiographs(size=48, progress=False, records=records, **options)


# --- the list


def test_the_list_names_120_radiographs_of_120_patients():
    found = real_module.registry()
    assert len(found) == len({r.file for r in found}) == len({r.patient for r in found}) == 120
    assert len({r.sha256 for r in found}) == 120 and all(len(r.sha256) == 64 for r in found)
    assert [sum(r.hospital == k for r in found) for k in (0, 1)] == [64, 56]
    for r in found:
        assert r.file.startswith("hannover_") == (r.label == "covid19") == ("CC BY 3.0" in r.license)
        assert r.url.startswith("https://raw.githubusercontent.com/") and " " not in r.url
        assert r.url.endswith((".png", ".jpg", ".jpeg")) and r.bytes > 10_000
    assert 30e6 < sum(r.bytes for r in found) < 40e6


# --- fetching


def test_a_complete_download(server, records, cache):
    read = fetch(records, fetch=True)
    assert read.images.shape == (3, 1, 48, 48)
    assert read.hospital.tolist() == [1, 1, 0] and read.patients == ["p0", "p1", "p2"]
    assert repr(read) == "RealRadiographs(1 NIH, 2 Hannover)"
    assert read.credits() == "2 x Hannover: CC BY 3.0\n1 x NIH: none"
    expected = np.asarray(Image.open(io.BytesIO(FILES["nih_c.png"]))) / 255
    np.testing.assert_allclose(read.images[2, 0].numpy(), expected, atol=1e-6)
    assert sorted(os.listdir(cache)) == sorted(FILES)


def test_the_second_time_asks_nobody(server, records):
    fetch(records, fetch=True)
    server.asked.clear()
    assert len(fetch(records)) == 3 and not server.asked


def test_without_fetch_nothing_is_fetched(server, records, cache):
    with pytest.raises(
        AssetError, match=r"3 of 3 radiographs are not on this machine. With `fetch=True`.*0 MB"
    ):
        fetch(records)
    assert not server.asked and not cache.exists()


def test_an_interrupted_download_goes_on_where_it_stopped(server, records, cache):
    server.truncated = "hannover_b"
    with pytest.raises(AssetError, match="could not download"):
        fetch(records, fetch=True)
    assert os.listdir(cache) == ["hannover_a.png"]  # nothing half
    server.truncated = ""
    server.asked.clear()
    assert len(fetch(records, fetch=True)) == 3
    assert server.asked == ["/pub/hannover_b.png", "/pub/nih_c.png"]


def test_an_interruption_by_hand_leaves_whole_files_only(server, records, cache, monkeypatch):
    real = xray_real.download

    def stop(url, *arguments, **options):
        if url.endswith("hannover_b.png"):
            raise KeyboardInterrupt
        return real(url, *arguments, **options)

    monkeypatch.setattr(xray_real, "download", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch(records, fetch=True)
    assert os.listdir(cache) == ["hannover_a.png"]


def test_another_file_than_listed_is_discarded(server, records, cache):
    server.files["/pub/hannover_a.png"] = picture(11)
    with pytest.raises(AssetError, match=r"SHA-256 begins with .* The download was discarded"):
        fetch(records, fetch=True)
    assert os.listdir(cache) == []


def test_a_file_that_was_damaged_in_the_cache_is_named(server, records, cache):
    fetch(records, fetch=True)
    (cache / "nih_c.png").write_bytes(b"x" + FILES["nih_c.png"][1:])
    with pytest.raises(AssetError, match=r"nih_c.png is damaged .*Delete it and fetch it again"):
        fetch(records)


def test_a_missing_file_is_named(server, records):
    del server.files["/pub/nih_c.png"]
    with pytest.raises(AssetError, match=r"could not download .*/pub/nih_c.png \(HTTPError: 404"):
        fetch(records, fetch=True)


def test_a_cache_that_cannot_be_written(server, records, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("COURSE_CACHE", str(blocked))
    with pytest.raises(AssetError, match=r"cache folder .* cannot be written .*COURSE_CACHE"):
        fetch(records, fetch=True)
    assert not server.asked


# --- a mirror


def test_a_mirrors_address_needs_no_flag(server, records, cache, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/m")
    assert len(fetch(records)) == 3
    assert server.asked == [f"/m/chest_xray/{name}" for name in FILES]
    assert sorted(os.listdir(cache)) == sorted(FILES)


def test_a_mirrors_folder_is_read_in_place(records, tmp_path, cache, monkeypatch):
    folder = tmp_path / "mirror" / "chest_xray"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        Path(folder, name).write_bytes(content)
    monkeypatch.setenv("COURSE_MIRROR", str(folder.parent))
    assert len(fetch(records)) == 3
    assert not cache.exists()
    (folder / "nih_c.png").unlink()
    with pytest.raises(AssetError, match=r"COURSE_MIRROR names the folder .*no chest_xray/nih_c.png in it"):
        fetch(records)


def test_the_progress_bar_counts_radiographs(server, records, capsys):
    real_radiographs(fetch=True, size=48, records=records)
    captured = capsys.readouterr()
    assert "radiographs" in captured.err and "3/3" in captured.err and captured.out == ""


def test_hospitals_are_the_classes():
    assert HOSPITALS == ["NIH", "Hannover"]
