"""What the room ``pictures`` refuses, and in which words. Refusals that need a prepared file stand in its own tests."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.pictures import (
    PictureError,
    composites,
    credited,
    find_pictures,
    list_photos,
    load_photo,
    mosaic,
    read_picture,
    scenes,
)

FOUR = ["cat", "coffee", "rocket", "camera"]
TWICE = ["cat", "flower", "coffee", "cat"]
HERE = Path(__file__).parent  # holds no picture


def as_file(image, kind="PNG"):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def cut(kind, share):
    """The first bytes of a file of 200 x 200 pixels."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    data = as_file(noise, kind)
    return data[: int(len(data) * share)]


def damaged():
    data = bytearray(as_file(load_photo("cat").square().image))
    data[len(data) // 2] ^= 255
    return bytes(data)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        # photographs and mosaics
        (lambda: load_photo("cofee"), ValueError, "no photograph 'cofee'. Did you mean 'coffee'.*cat, coffee"),
        (lambda: load_photo("Cat"), ValueError, "Did you mean 'cat'"),
        (lambda: load_photo("zzz"), ValueError, "no photograph 'zzz'. Photographs: cat, .*Textures: brick"),
        (lambda: load_photo(3), TypeError, "is a string such as 'cat', not int"),
        (lambda: load_photo(None), TypeError, "not NoneType"),
        (lambda: list_photos("scikit-image"), ValueError, "package 'scikit-image', only from skimage, sklearn, foo"),
        (lambda: credited("A.", ["cat", 3]), TypeError, "names of photographs, .* not by int"),
        (lambda: credited("A.", None), TypeError, "not by NoneType"),
        (lambda: credited("A.", ["bet"]), ValueError, "no photograph 'bet'"),
        (lambda: load_photo("cat").square(0), ValueError, "at least 1 pixel, not 0"),
        (lambda: load_photo("cat").square(10.5), TypeError, "whole number of pixels, not 10.5"),
        (lambda: load_photo("cat").tensor(-3), ValueError, "not -3"),
        (lambda: mosaic(FOUR, 223), ValueError, "223 is odd.*use 222 or 224"),
        (lambda: mosaic(FOUR, 1), ValueError, "use 2 or 2"),
        (lambda: mosaic(FOUR, 0), ValueError, "at least 1"),
        (lambda: mosaic(FOUR[:3]), ValueError, "exactly four photographs, but 3"),
        (lambda: mosaic([*FOUR, "cat"]), ValueError, "but 5 were given"),
        (lambda: mosaic("cat"), TypeError, "a list of four photographs"),
        (lambda: mosaic(load_photo("cat")), TypeError, "a list of four photographs"),
        (lambda: mosaic([*FOUR[:3], "flwer"]), ValueError, "Did you mean 'flower'"),
        (lambda: mosaic([*FOUR[:3], 7]), TypeError, "not int"),
        (lambda: mosaic(FOUR, 8).quarter("flower"), ValueError, "not in this mosaic, which shows cat, coffee"),
        (lambda: mosaic(FOUR, 8).box(4), ValueError, "places 0 to 3 in reading order, not 4"),
        (lambda: mosaic(FOUR, 8).mask(-1), ValueError, "not -1"),
        (lambda: mosaic(FOUR, 8).mask(1.5), TypeError, "name or its place 0 to 3, not 1.5"),
        (
            lambda: mosaic(TWICE, 32).box("cat"),
            ValueError,
            r"2 times, at the places \[0, 3\]: give one of these numbers",
        ),
        (lambda: mosaic(TWICE, 32).quarter("cat"), ValueError, r"2 times, at the places \[0, 3\]: give one of these"),
        (
            lambda: mosaic(TWICE, 32).mask("cat"),
            ValueError,
            r"2 times, at the places \[0, 3\]: give one of these numbers",
        ),
        # composites
        (lambda: composites(-1), ValueError, "n must be at least 0, not -1"),
        (lambda: composites(2.0), TypeError, "n is a whole number, not 2.0"),
        (lambda: composites(1, seed=-3), ValueError, "seed must be at least 0"),
        (lambda: composites(1, size=16), ValueError, "at least 32 pixels, not 16"),
        (lambda: composites(1, objects=0), ValueError, "objects must be between 1 and 8, got 0"),
        (lambda: composites(1, objects=(3, 1)), ValueError, "the lowest comes first"),
        (lambda: composites(1, objects=1.5), TypeError, "objects is a whole number or a pair"),
        (lambda: composites(1, names="cat"), TypeError, r"such as \[\"cat\"\]"),
        (lambda: composites(1, names=[]), ValueError, "names is empty"),
        (lambda: composites(1, names=["kat"]), ValueError, "Did you mean 'cat'"),
        (lambda: composites(1, names=["brick"]), ValueError, "a texture, without an object"),
        (lambda: composites(1, background="cat"), ValueError, "no texture 'cat'"),
        (lambda: composites(1, background=3), TypeError, "texture's name or a PIL image, not int"),
        (lambda: composites(1, scale=(0.05, 0.5)), ValueError, "between 0.11"),
        (lambda: composites(1, scale=(0.5, 1.2)), ValueError, "does not fit into it"),
        (lambda: composites(1, scale=0.5), TypeError, "scale is a pair of numbers"),
        (lambda: composites(1, overhang=0.7), ValueError, "share between 0 and 0.5"),
        (lambda: composites(1, objects=8, scale=(0.9, 1.0), size=48), ValueError, "ask for fewer objects"),
        # drawn scenes
        (lambda: scenes(0), ValueError, "n must be at least 1, not 0"),
        (lambda: scenes(2.5), TypeError, "n is a whole number, not 2.5"),
        (lambda: scenes(1, size=16), ValueError, "size must be at least 32, not 16"),
        (lambda: scenes(1, seed=-1), ValueError, "seed must be at least 0"),
        (lambda: scenes(1, objects=9), ValueError, "between 1 and 8, got 9"),
        (lambda: scenes(1, objects=(2, 1)), ValueError, "the lowest comes first"),
        (lambda: scenes(1, objects=6, scale=(0.8, 0.9)), ValueError, "ask for fewer objects"),
        (lambda: scenes(1, scale=(0.1, 0.5)), ValueError, "between 0.16"),
        (lambda: scenes(1, scale=(0.5, 1.0)), ValueError, "and 0.95"),
        (lambda: scenes(1, scale="big"), TypeError, "scale is a pair of numbers"),
        (lambda: scenes(1, shapes="cup"), TypeError, r"such as \[\"cup\"\]"),
        (lambda: scenes(1, shapes=["cap"]), ValueError, "shapes: there is no 'cap', only boat"),
        (lambda: scenes(1, shapes=[]), ValueError, "shapes is empty"),
        (lambda: scenes(1, colors=["rot"]), ValueError, "colors: there is no 'rot', only red"),
        (lambda: scenes(1, background="sea"), ValueError, "background: there is no 'sea'"),
        (lambda: scenes(1, clutter=(-1, 3)), ValueError, "between 0 and 200"),
        # files
        (lambda: read_picture(b"", "it.jpg"), PictureError, "^it.jpg is empty"),
        (lambda: read_picture(b"no picture", "it.jpg"), PictureError, "^it.jpg is no picture"),
        (
            lambda: read_picture(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it.jpg"),
            PictureError,
            "^it.jpg .*JPEG, PNG or WebP",
        ),
        (lambda: read_picture(b"%PDF-1.7 ...", "it.jpg"), PictureError, "^it.jpg is no picture"),
        (lambda: read_picture(b"\x00\x00\x00\x18ftypheic" + bytes(20), "it.jpg"), PictureError, "^it.jpg .*HEIC"),
        (lambda: read_picture(b"\xff\xd8\xff\xe0", "it.jpg"), PictureError, "^it.jpg .*no picture"),
        *[
            (partial(read_picture, cut(kind, share), "a.jpg"), PictureError, r"cut off|no picture")
            for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
            for share in (0.3, 0.6, 0.95)
        ],
        (lambda: read_picture(damaged(), "a.png"), PictureError, "damaged"),
        (lambda: read_picture(as_file(Image.new("F", (64, 64)), "TIFF")), PictureError, "decimal"),
        (lambda: read_picture(as_file(Image.new("RGB", (9, 50)))), PictureError, "9 x 50 pixels"),
        (lambda: read_picture(HERE / "gone.png"), PictureError, "no file .*gone"),
        (lambda: read_picture(HERE), PictureError, "folder"),
        (lambda: find_pictures([HERE / "gone"]), PictureError, "no file or folder"),
        (lambda: find_pictures([HERE]), PictureError, "holds no picture"),
        *[(lambda one=one: find_pictures(one), PictureError, "unit holds no picture") for one in (HERE, str(HERE))],
        (
            lambda: find_pictures([HERE.parent]),
            PictureError,
            "holds no picture, only .* folders .*Name the folders below",
        ),
        *[
            (lambda call=call: call("https://a.org/b.png"), PictureError, "Addresses are not fetched: save the picture")
            for call in (read_picture, lambda address: find_pictures([address]))
        ],
        *[
            (lambda it=it: read_picture(it), TypeError, f"path of a file or from its bytes, got {type(it).__name__}")
            for it in (np.zeros((64, 64, 3), np.uint8), Image.new("RGB", (64, 64)), io.BytesIO(b"x"), 5, None)
        ],
        *[
            (lambda it=it: read_picture(it, "film.dcm"), PictureError, "film.dcm ends like a DICOM file, and does not")
            for it in (as_file(Image.new("RGB", (64, 64)), "JPEG"), b"no film" * 99)
        ],
    ],
)  # fmt: skip
def test_it_is_refused_in_a_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).endswith(".")
