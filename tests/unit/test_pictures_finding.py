"""Which files of a folder are taken for pictures, and how the others are told."""

import os

import pytest
from PIL import Image

from course_utils.pictures import PictureError, find_pictures, read_picture

DICOM = bytes(128) + b"DICM" + bytes(20)


def fill(folder, *names):
    """Put small files into a folder: a JPEG, PNG, ... by the name's ending, and whatever its content is called by."""
    for name in names:
        kind = {"png": "PNG", "gif": "GIF", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP"}.get(
            name.lower().rsplit(".", 1)[-1], "JPEG"
        )
        Image.new("RGB", (40, 40), "red").save(folder / name, kind)


def test_by_name_and_files_that_are_named_always(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "below/c.webp"):
        (tmp_path / name).write_bytes(b"x")
    names = [path.name for path in find_pictures([tmp_path])]
    assert names == ["a.png", "b.JPG"]
    assert [p.name for p in find_pictures([tmp_path / "notes.txt", tmp_path, tmp_path / "a.png"])] == [
        "notes.txt", "a.png", "b.JPG",
    ]  # fmt: skip
    assert find_pictures([]) == []


@pytest.mark.parametrize(
    "name",
    [
        "a.jfif",
        "b.JFIF",
        "c.jpe",
        "d.JPEG",
        "noending",
        "photo.backup",
        "e.GIF",
        "f.WebP",
        "g.TIF",
        "h.bmp",
        "1.2.840.1",
    ],
)
def test_pictures_of_all_names_are_taken_and_can_be_read(tmp_path, name):
    fill(tmp_path, name)
    left_out = []
    (path,) = find_pictures([tmp_path], left_out)
    assert read_picture(path).size == (40, 40) and not left_out


@pytest.mark.parametrize(
    ("name", "content"), [("IM0001", DICOM), ("x.DCM", b"damaged"), ("phone.HEIC", b"heic")]
)
def test_what_is_a_picture_but_cannot_be_read_is_taken_to_be_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (path,) = find_pictures([tmp_path])
    with pytest.raises(PictureError, match=name):
        read_picture(path)


def test_what_is_left_out_is_counted_and_named(tmp_path):
    fill(tmp_path, "a.png")
    for name in ("notes.txt", "table.csv", "film.mp4", "zero", "DICOMDIR", ".DS_Store", "._a.png"):
        (tmp_path / name).write_bytes(DICOM if name == "DICOMDIR" else b"")
    for name in ("older", "__MACOSX", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")  # whoever opened it would wait forever
    left_out = []
    assert [path.name for path in find_pictures([tmp_path, tmp_path / "a.png"], left_out)] == [
        "a.png",
        "link",
    ]
    assert left_out == [
        f"left out of {tmp_path}: 3 hidden files (.DS_Store, ._a.png, .git), "
        "7 other files (DICOMDIR, broken, film.mp4, ...), 2 folders (__MACOSX, older)."
    ]


def test_names_that_are_no_letters_can_be_told(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9\n.txt", "wb"):
        pass
    with pytest.raises(PictureError, match=r"holds no picture, only 1 other file .caf..\.txt.\.$") as told:
        find_pictures([tmp_path])
    str(told.value).encode()


def test_folders_without_pictures(tmp_path):
    with pytest.raises(PictureError, match=r"holds no picture\.$"):
        find_pictures([tmp_path])
    with pytest.raises(PictureError, match="there is no file or folder"):
        find_pictures([tmp_path / "gone"])
