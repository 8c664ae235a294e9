"""Pictures that people bring along: each kind is shown right, or refused in a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from course_utils.networks import load_classifier
from course_utils.pictures import Picture, PictureError, files, load_photo, read_picture


def as_file(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def quarters(size=64):
    """Red, green, blue, yellow, in reading order: whatever turns or mirrors it shows."""
    image = Image.new("RGB", (size, size), "red")
    half = size // 2
    for color, x, y in (("lime", half, 0), ("blue", 0, half), ("yellow", half, half)):
        image.paste(color, (x, y, x + half, y + half))
    return image


def colors(image):
    """The colors in the middle of the four quarters."""
    w, h = image.size
    return [image.getpixel((w * x // 4, h * y // 4)) for y in (1, 3) for x in (1, 3)]


RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)


def near(found, expected, tolerance=12):
    assert np.abs(np.subtract(found, expected)).max() <= tolerance, (found, expected)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"quality": 95}), ("WEBP", {"lossless": True}),
        ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("JPEG", {"quality": 95, "progressive": True}),
    ],
)  # fmt: skip
def test_formats(kind, options):
    picture = read_picture(as_file(quarters(), kind, **options), "a")
    assert (picture.name, picture.size, picture.notes, picture.image.mode) == ("a", (64, 64), (), "RGB")
    near(colors(picture.image), [RED, GREEN, BLUE, YELLOW])


@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_turns_it_upright(way, kind):
    upright = quarters().resize((96, 64))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright if way == 1 else upright.transpose(undo[way])
    exif = Image.Exif()
    exif[0x0112] = way
    picture = read_picture(as_file(stored, kind, exif=exif, quality=95))
    assert picture.size == picture.image.size == (96, 64)
    near(colors(picture.image), [RED, GREEN, BLUE, YELLOW], 25)
    assert len(picture.notes) == (way > 1)
    # Nothing is left by which the classifier's own preprocessing would turn it again.
    assert picture.image.getexif().get(0x0112, 1) == 1 and not picture.image.info


def test_a_large_turned_jpeg_has_its_size_and_place():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = quarters().resize((3000, 2000), Image.Resampling.NEAREST).transpose(Image.Transpose.ROTATE_90)
    picture = read_picture(as_file(stored, "JPEG", quality=90, exif=exif))
    assert picture.size == (3000, 2000) and picture.image.size == (1152, 768)
    near(colors(picture.image), [RED, GREEN, BLUE, YELLOW], 25)
    assert "Reduced from 3000 x 2000 to 1152 x 768" in picture.notes[1]


def test_gray():
    gray = Image.linear_gradient("L")
    picture = read_picture(as_file(gray))
    assert np.array_equal(np.asarray(picture.image), np.repeat(np.asarray(gray)[..., None], 3, axis=2))
    assert picture.notes == ("It is gray; the network gets three equal colors.",)
    assert read_picture(as_file(gray.convert("1"))).image.getextrema() == ((0, 255),) * 3


def test_cmyk():
    picture = read_picture(as_file(quarters().convert("CMYK"), "JPEG", quality=95))
    near(colors(picture.image), [RED, GREEN, BLUE, YELLOW])
    assert "CMYK" in picture.notes[0]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_becomes_white(kind):
    image = quarters().convert("RGBA")
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, 32, 32))
    alpha.paste(128, (32, 0, 64, 32))
    image.putalpha(alpha)
    picture = read_picture(as_file(image, kind, lossless=True))
    near(colors(picture.image), [(255, 255, 255), (127, 255, 127), BLUE, YELLOW], 1)
    assert "white" in picture.notes[0]


def test_transparent_palettes_and_gray_become_white():
    palette = quarters().quantize(8)
    corner = palette.getpixel((8, 8))
    picture = read_picture(as_file(palette, transparency=corner))
    near(colors(picture.image), [(255, 255, 255), GREEN, BLUE, YELLOW], 1)
    clear = Image.merge("LA", (Image.new("L", (64, 64), 90), Image.new("L", (64, 64), 0)))
    assert read_picture(as_file(clear)).image.getextrema() == ((255, 255),) * 3
    opaque = quarters().convert("RGBA")
    assert read_picture(as_file(opaque)).notes == ()  # nothing was changed, so nothing is said


def test_an_animation_counts_by_its_first_frame():
    frames = [quarters(), Image.new("RGB", (64, 64), "black")]
    picture = read_picture(as_file(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    near(colors(picture.image), [RED, GREEN, BLUE, YELLOW])
    assert "2 frames" in picture.notes[0]


def test_twenty_megapixels_are_reduced_and_give_the_same_prediction():
    clf = load_classifier()
    photo = load_photo("coffee").image.resize((5472, 3648), Image.Resampling.BICUBIC)
    picture = read_picture(as_file(photo, "JPEG", quality=92))
    assert picture.size == (5472, 3648) and min(picture.image.size) == 768
    seen, whole = (clf.preprocess(image) for image in (picture.image, photo))
    assert (seen - whole).abs().mean() < 0.01
    (name, p), (expected, q) = (clf.predict(image, 1)[0][0] for image in (seen, whole))
    assert name == expected == "espresso" and abs(p - q) < 0.05


def bomb(width, height):
    """A PNG whose header promises far more pixels than its few bytes hold."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10)))


@pytest.mark.parametrize("size", [(9600, 9600), (12_000, 12_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_header(size, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was unpacked"))
    with pytest.raises(PictureError, match="million"):
        read_picture(bomb(*size), "bomb.png")


def test_the_limit_is_pillows_own(monkeypatch):
    data = as_file(quarters())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64)
    assert read_picture(data).size == (64, 64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    with pytest.raises(PictureError):
        read_picture(data)


def test_files_that_are_too_large(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    path = tmp_path / "a.png"
    path.write_bytes(as_file(load_photo("cat").image))
    for source in (path, path.read_bytes()):
        with pytest.raises(PictureError, match="MB"):
            read_picture(source)


def test_broken_metadata_do_not_cost_the_picture():
    data = as_file(quarters(), "JPEG", quality=95, exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff")
    near(colors(read_picture(data).image), [RED, GREEN, BLUE, YELLOW])


def test_paths(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(as_file(quarters()))
    before = sorted(tmp_path.iterdir())
    assert read_picture(path).name == "photo.png" and read_picture(str(path), "mine").name == "mine"
    assert read_picture(memoryview(path.read_bytes())).size == (64, 64)
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_is_plain_to_make():
    image = quarters()
    assert Picture("a", image, image.size).notes == ()
