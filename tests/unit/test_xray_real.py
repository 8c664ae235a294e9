"""Films of real people: files (PNG, JPEG, DICOM) read as the values that were written, and the 120 of two hospitals.

Fetching is from a server on this machine, of files made here; none of the real pictures is needed.
"""

import hashlib
import io
import os
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from file_server import serving
from PIL import Image

from course_utils.assets import AssetError
from course_utils.pictures import PictureError, read_picture
from course_utils.xray import HOSPITALS, SQUARES, radiographs, read_folder, real, real_radiographs

RAMP = np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(64, 0)  # black on the left, white on the right


def dicom(path, pixels, **tags):
    """Write a DICOM file with these pixels and tags."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data = pydicom.dataset.Dataset()
    data.file_meta = meta
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel, data.PixelRepresentation = 1, 0
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * pixels.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


# --- one file


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.jpeg"])
def test_pictures_come_back(tmp_path, name):
    Image.fromarray(RAMP).save(tmp_path / name, "png" if name.lower().endswith("png") else "jpeg", quality=95)
    read = real.read_picture(tmp_path / name, 64)
    assert read.shape == (1, 64, 64) and read.dtype == torch.float32
    torch.testing.assert_close(read[0], torch.from_numpy(RAMP / 255).float(), atol=0.02, rtol=0)


def test_a_drawn_radiograph_survives_the_file(tmp_path):
    image = radiographs(1, size=64).clean[0, 0]
    Image.fromarray((255 * image).round().byte().numpy()).save(tmp_path / "film.png")
    torch.testing.assert_close(
        real.read_picture(tmp_path / "film.png", 64)[0], image, atol=0.5 / 255 + 1e-6, rtol=0
    )


def disk(height, width):
    """A white disk in the middle of a gray film, of 40 pixels' diameter."""
    y, x = np.ogrid[:height, :width]
    inside = (y - (height - 1) / 2) ** 2 + (x - (width - 1) / 2) ** 2 < 20**2
    return np.where(inside, 255, 60).astype(np.uint8)


@pytest.mark.parametrize("square", SQUARES)
@pytest.mark.parametrize("shape", [(64, 64), (64, 78), (78, 64), (64, 65), (128, 64), (50, 100)])
def test_a_disk_stays_a_disk(tmp_path, shape, square):
    Image.fromarray(disk(*shape)).save(tmp_path / "film.png")
    white = real.read_picture(tmp_path / "film.png", 96, square)[0] > 0.6
    high, wide = int(white.any(1).sum()), int(white.any(0).sum())
    side = min(shape) if square == "crop" else max(shape)
    assert abs(high - wide) <= 1 and abs(high - 40 * 96 / side) <= 2


@pytest.mark.parametrize(
    ("shape", "ends"), [((64, 80), "the left and the right"), ((80, 64), "the top and the bottom")]
)
def test_what_is_cut_off_lies_at_both_ends_and_is_said(tmp_path, shape, ends):
    film = np.full(shape, 100, np.uint8)
    film[:8], film[:, :8], film[-8:], film[:, -8:] = 255, 255, 255, 255
    Image.fromarray(film).save(tmp_path / "a.png")
    folder = read_folder(tmp_path, 64)
    image = folder.images[0, 0]
    lost, kept = (
        (image[8:-8, [0, -1]], image[[0, -1]])
        if shape[1] > shape[0]
        else (image[[0, -1], 8:-8], image[:, [0, -1]])
    )
    assert (lost < 0.5).all() and (kept > 0.9).all()
    assert folder.notes[0][-1] == f"{shape[1]} x {shape[0]}: 10% were cut off at {ends} each, for a square."


@pytest.mark.parametrize("shape", [(64, 80), (80, 64)])
def test_padding_keeps_all_between_black_bars(tmp_path, shape):
    Image.fromarray(np.full(shape, 255, np.uint8)).save(tmp_path / "a.png")
    folder = read_folder(tmp_path, 80, square="pad")
    white = folder.images[0, 0] > 0.5
    assert (int(white.any(1).sum()), int(white.any(0).sum())) == shape
    assert not white[0, 0] and not white[-1, -1]
    assert folder.notes[0][-1].startswith(f"{shape[1]} x {shape[0]}: black bars along its shorter side")


def test_a_square_film_is_left_alone_by_both(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    crop, pad = (read_folder(tmp_path, 64, square=square) for square in SQUARES)
    assert (
        torch.equal(crop.images, pad.images) and crop.notes == pad.notes and "square" not in str(crop.notes)
    )


def test_a_strip_is_no_film(tmp_path):
    Image.fromarray(np.zeros((64, 129), np.uint8)).save(tmp_path / "strip.png")
    with pytest.raises(PictureError, match=r"strip.png has 129 x 64 pixels, which is no chest film's shape"):
        real.read_picture(tmp_path / "strip.png")
    assert real.read_picture(tmp_path / "strip.png", square="pad").shape == (1, 224, 224)


@pytest.mark.parametrize("square", ["squeeze", "", None])
def test_another_way_to_a_square_is_refused(tmp_path, square):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a film becomes square by 'crop' or 'pad', not by"):
        real.read_picture(tmp_path / "a.png", square=square)


def test_dicom_keeps_its_proportion(tmp_path):
    path = dicom(tmp_path / "a.dcm", disk(64, 78).astype(np.uint16))
    white = real.read_picture(path, 64)[0] > 0.6
    assert abs(int(white.any(1).sum()) - int(white.any(0).sum())) <= 1


def test_color_becomes_gray(tmp_path):
    Image.fromarray(RAMP).convert("RGBA").save(tmp_path / "color.png")
    torch.testing.assert_close(
        real.read_picture(tmp_path / "color.png", 64)[0],
        torch.from_numpy(RAMP / 255).float(),
        atol=1e-6,
        rtol=0,
    )


def test_more_than_8_bits_are_read_as_by_the_other_reader(tmp_path):
    noisy = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    Image.fromarray(noisy).save(tmp_path / "deep.png")
    shown = np.asarray(read_picture(tmp_path / "deep.png").image)[..., 0] / 255
    np.testing.assert_allclose(
        real.read_picture(tmp_path / "deep.png", 64)[0].numpy(), shown, atol=0.5 / 255 + 1e-6
    )


def test_a_damaged_picture_is_named(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"/a.png is damaged or cut off"):
        real.read_picture(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"/b\.jpg is no picture that can be read"):
        real.read_picture(tmp_path / "b.jpg")


# --- DICOM


def test_dicom_values_fill_the_range(tmp_path):
    path = dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16) * 8 + 300)
    torch.testing.assert_close(
        real.read_picture(path, 64)[0], torch.from_numpy(RAMP / 255).float(), atol=1e-3, rtol=0
    )


def test_dicom_where_small_values_are_white_is_turned_around(tmp_path):
    path = dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16), PhotometricInterpretation="MONOCHROME1")
    torch.testing.assert_close(
        real.read_picture(path, 64)[0], 1 - torch.from_numpy(RAMP / 255).float(), atol=1e-3, rtol=0
    )


def test_dicom_goes_through_slope_and_window(tmp_path):
    path = dicom(
        tmp_path / "a.dcm", RAMP.astype(np.uint16), RescaleSlope=2, RescaleIntercept=-100, WindowCenter=155,
        WindowWidth=101, RescaleType="US",
    )  # fmt: skip
    read = real.read_picture(path, 64)[0]
    stored = torch.from_numpy(RAMP.astype(np.float32)) * 2 - 100  # the window shows 105 to 205
    assert (read[stored < 104] == 0).all() and (read[stored > 206] == 1).all()
    middle = (stored > 110) & (stored < 200)
    torch.testing.assert_close(read[middle], (stored[middle] - 105) / 100, atol=0.02, rtol=0)


def test_several_pictures_in_a_dicom_file_are_refused(tmp_path):
    path = dicom(tmp_path / "film.dcm", np.stack([RAMP, RAMP]))
    with pytest.raises(ValueError, match=r"film.dcm holds pixels of shape \(2, 64, 64\): one gray picture"):
        real.read_picture(path)


def test_a_damaged_dicom_file_is_named(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"DICM or so")
    with pytest.raises(ValueError, match=r"a.dcm ends like a DICOM file, and does not begin like"):
        real.read_picture(tmp_path / "a.dcm")


def test_without_pydicom_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"a.dcm is a DICOM file; .*`pip install pydicom`"):
        real.read_picture(path)


# --- a folder


def save(path, value):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.full((40, 40), value, np.uint8)).save(path)


def test_sub_folders_are_groups(tmp_path):
    for name, value in (("sick/1_a.png", 200), ("sick/1_b.png", 210), ("healthy/2.jpg", 10)):
        save(tmp_path / name, value)
    (tmp_path / "healthy" / "notes.txt").write_text("no picture")
    (tmp_path / "healthy" / ".hidden.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning) as told:
        read = read_folder(tmp_path, 32)
    assert [str(warning.message).split("left out of ")[1] for warning in told] == [
        f"{tmp_path / 'healthy'}: 1 hidden file (.hidden.png), 1 other file (notes.txt).",
        f"{tmp_path}: 1 folder (empty).",
    ]
    assert repr(read) == "Folder(3 radiographs: 1 healthy, 2 sick)"
    assert read.groups == ["healthy", "sick"] and read.labels.tolist() == [0, 1, 1]
    assert [round(255 * float(image.mean())) for image in read.images] == [10, 200, 210]
    assert len(set(read.patients)) == 3
    with pytest.warns(UserWarning, match="left out"):
        patients = read_folder(tmp_path, 32, patient=lambda path: path.stem.split("_")[0]).patients
    assert patients == ["2", "1", "1"]


def test_a_folder_without_sub_folders_has_no_groups(tmp_path):
    save(tmp_path / "b.png", 1)
    save(tmp_path / "a.png", 2)
    read = read_folder(str(tmp_path), 32)
    assert (read.groups, read.labels, repr(read)) == ([], None, "Folder(2 radiographs)")
    assert [file.name for file in read.files] == ["a.png", "b.png"]


def test_a_folder_says_what_was_done_to_each_picture_and_takes_dicom_without_an_ending(tmp_path):
    dicom(tmp_path / "IM0001", RAMP.astype(np.uint16) * 8 + 300)
    save(tmp_path / "a.jfif.png", 7)
    read = read_folder(tmp_path, 32)
    assert [file.name for file in read.files] == ["IM0001", "a.jfif.png"]
    (deep,), (gray,) = read.notes
    assert "300 is shown black and 2340 white" in deep and gray.startswith("It is gray")


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there is no radiograph in \S*\.$"):
        read_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"there is no radiograph in .*, only 1 other file \(notes.txt\)\.$"):
        read_folder(tmp_path)
    save(tmp_path / "loose.png", 1)
    save(tmp_path / "group" / "a.png", 1)
    with pytest.raises(ValueError, match=r"\(loose.png, ...\) beside sub-folders .*\(group\)"):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="size must be at least 32"):
        real.read_picture(tmp_path / "loose.png", 8)


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
        real.Record(
            name, hashlib.sha256(content).hexdigest(), len(content), "covid19", f"p{k}", "pa",
            f"{server.address}/pub/{name}", "CC BY 3.0" if name.startswith("h") else "none",
        )
        for k, (name, content) in enumerate(FILES.items())
    ]  # fmt: skip


def fetch(records, **options):
    return real_radiographs(size=48, progress=False, records=records, **options)


# --- the list


def test_the_list_names_120_radiographs_of_120_patients():
    found = real.registry()
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
    assert sorted(os.listdir(cache)) == sorted(FILES) and len(read.notes) == 3


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
    download = real.download

    def stop(url, *arguments, **options):
        if url.endswith("hannover_b.png"):
            raise KeyboardInterrupt
        return download(url, *arguments, **options)

    monkeypatch.setattr(real, "download", stop)
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
