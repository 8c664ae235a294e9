"""Radiographs from files: PNG, JPEG and DICOM, read as the values that were written, or refused in a sentence."""

import sys

import numpy as np
import pydicom
import pytest
import torch
from PIL import Image

from course_utils.xray import files, radiographs, read_folder

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
    read = files.read_picture(tmp_path / name, 64)
    assert read.shape == (1, 64, 64) and read.dtype == torch.float32
    torch.testing.assert_close(read[0], torch.from_numpy(RAMP / 255).float(), atol=0.02, rtol=0)


def test_a_drawn_radiograph_survives_the_file(tmp_path):
    image = radiographs(1, size=64).clean[0, 0]
    Image.fromarray((255 * image).round().byte().numpy()).save(tmp_path / "film.png")
    torch.testing.assert_close(
        files.read_picture(tmp_path / "film.png", 64)[0], image, atol=0.5 / 255 + 1e-6, rtol=0
    )


def test_the_whole_picture_is_scaled_to_a_square(tmp_path):
    wide = np.zeros((64, 128), np.uint8)
    wide[:, -32:] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    read = files.read_picture(tmp_path / "wide.png", 64)[0]
    assert read.shape == (64, 64)
    assert read[:, :46].max() == 0 and read[:, 50:].min() == pytest.approx(200 / 255)


def test_color_becomes_gray_and_more_bits_are_scaled_by_those_in_use(tmp_path):
    Image.fromarray(RAMP).convert("RGBA").save(tmp_path / "color.png")
    torch.testing.assert_close(
        files.read_picture(tmp_path / "color.png", 64)[0],
        torch.from_numpy(RAMP / 255).float(),
        atol=1e-6,
        rtol=0,
    )
    Image.fromarray(RAMP.astype(np.uint16) * 16).save(tmp_path / "deep.png")  # up to 4080: 12 bits
    torch.testing.assert_close(
        files.read_picture(tmp_path / "deep.png", 64)[0],
        torch.from_numpy(RAMP / 255.0 * 4080 / 4095).float(),
        atol=1e-3,
        rtol=0,
    )


def test_a_damaged_picture_is_named(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a.png cannot be read as a picture .*damaged"):
        files.read_picture(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.jpg cannot be read"):
        files.read_picture(tmp_path / "b.jpg")


# --- DICOM


def test_dicom_values_fill_the_range(tmp_path):
    path = dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16) * 8 + 300)
    torch.testing.assert_close(
        files.read_picture(path, 64)[0], torch.from_numpy(RAMP / 255).float(), atol=1e-3, rtol=0
    )


def test_dicom_where_small_values_are_white_is_turned_around(tmp_path):
    path = dicom(tmp_path / "a.dcm", RAMP.astype(np.uint16), PhotometricInterpretation="MONOCHROME1")
    torch.testing.assert_close(
        files.read_picture(path, 64)[0], 1 - torch.from_numpy(RAMP / 255).float(), atol=1e-3, rtol=0
    )


def test_dicom_goes_through_slope_and_window(tmp_path):
    path = dicom(
        tmp_path / "a.dcm", RAMP.astype(np.uint16), RescaleSlope=2, RescaleIntercept=-100, WindowCenter=155,
        WindowWidth=101, RescaleType="US",
    )  # fmt: skip
    read = files.read_picture(path, 64)[0]
    stored = torch.from_numpy(RAMP.astype(np.float32)) * 2 - 100  # the window shows 105 to 205
    assert (read[stored < 104] == 0).all() and (read[stored > 206] == 1).all()
    middle = (stored > 110) & (stored < 200)
    torch.testing.assert_close(read[middle], (stored[middle] - 105) / 100, atol=0.02, rtol=0)


def test_several_pictures_in_a_dicom_file_are_refused(tmp_path):
    path = dicom(tmp_path / "film.dcm", np.stack([RAMP, RAMP]))
    with pytest.raises(ValueError, match=r"film.dcm holds pixels of shape \(2, 64, 64\): one gray picture"):
        files.read_picture(path)


def test_a_damaged_dicom_file_is_named(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"DICM or so")
    with pytest.raises(ValueError, match=r"a.dcm cannot be read as a DICOM picture \(InvalidDicomError"):
        files.read_picture(tmp_path / "a.dcm")


def test_without_pydicom_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = dicom(tmp_path / "a.dcm", RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ImportError, match=r"a.dcm is a DICOM file; .*`pip install pydicom`"):
        files.read_picture(path)


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
    read = read_folder(tmp_path, 32)
    assert repr(read) == "Folder(3 radiographs: 1 healthy, 2 sick)"
    assert read.groups == ["healthy", "sick"] and read.labels.tolist() == [0, 1, 1]
    assert [round(255 * float(image.mean())) for image in read.images] == [10, 200, 210]
    assert len(set(read.patients)) == 3
    patients = read_folder(tmp_path, 32, patient=lambda path: path.stem.split("_")[0]).patients
    assert patients == ["2", "1", "1"]


def test_a_folder_without_sub_folders_has_no_groups(tmp_path):
    save(tmp_path / "b.png", 1)
    save(tmp_path / "a.png", 2)
    read = read_folder(str(tmp_path), 32)
    assert (read.groups, read.labels, repr(read)) == ([], None, "Folder(2 radiographs)")
    assert [file.name for file in read.files] == ["a.png", "b.png"]


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there is no radiograph in .*end in .png, .jpg"):
        read_folder(tmp_path)
    save(tmp_path / "loose.png", 1)
    save(tmp_path / "group" / "a.png", 1)
    with pytest.raises(ValueError, match=r"\(loose.png, ...\) beside sub-folders .*\(group\)"):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="size must be at least 32"):
        files.read_picture(tmp_path / "loose.png", 8)
