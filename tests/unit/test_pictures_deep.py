"""Grays of more than 8 bits, as PNG, TIFF and DICOM: which number is black, which is white, and what decides it.

pydicom is the independent reference for windows and tables of DICOM files.
"""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from test_xray_real import dicom

from course_utils.pictures import PictureError, as_rgb, load_photo, read_grays, read_picture
from course_utils.xray import real

GRAY = np.asarray(load_photo("coffee").square(160).image.convert("L")).astype(np.uint16)  # 0 to 255
FILM = (GRAY * 8).astype(np.uint16)  # 11 bits, up to 2040


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def tiff(values, **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def grays(data):
    return read_grays(data)[0]


def changed(values, places):
    values = values.copy()
    for place, value in places.items():
        values[place] = value
    return values


# --- the range


@pytest.mark.parametrize("value", [0, 2060, 4095, 4096, 30_000, 65_535])
def test_one_pixel_moves_nothing_but_itself(value):
    before, after = grays(png(FILM)), grays(png(changed(FILM, {(80, 80): value})))
    assert np.abs(np.delete(after.ravel() - before.ravel(), 80 * 160 + 80)).max() < 0.01


def test_a_stamp_in_the_corner_moves_little():
    stamped = FILM.copy()
    stamped[4:12, 4:18] = 65_535  # 0.4% of the picture
    assert abs(grays(png(stamped))[40:].mean() - grays(png(FILM))[40:].mean()) < 0.03


@pytest.mark.parametrize("factor", [1, 4, 16, 64, 257])
def test_one_film_of_8_to_16_bits_looks_the_same(factor):
    # 257 v is what 16 bits have for v of 255; 16 v has 12 bits.
    low, high = np.percentile(GRAY, [0.5, 99.5])
    expected = ((GRAY - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(grays(png((GRAY * factor).astype(np.uint16))), expected, atol=1e-6)


def test_a_little_more_exposure_is_a_little_brighter_at_every_power_of_two():
    for top in (1020, 2040, 4090, 16_380):
        films = [grays(png((GRAY / 255 * top * share).astype(np.uint16))) for share in (1, 1.02)]
        assert abs(films[0].mean() - films[1].mean()) < 0.01


def test_all_readers_show_the_same(tmp_path):
    (tmp_path / "film.png").write_bytes(png(FILM))
    picture = np.asarray(read_picture(tmp_path / "film.png").image)
    assert (picture == picture[..., :1]).all()
    with Image.open(tmp_path / "film.png") as file:
        assert np.array_equal(np.asarray(as_rgb(file, "film.png")), picture)
    np.testing.assert_allclose(
        picture[..., 0] / 255, real.read_picture(tmp_path / "film.png", 160)[0], atol=0.003
    )
    np.testing.assert_allclose(grays(tmp_path / "film.png"), picture[..., 0] / 255, atol=0.003)


def test_the_range_is_stated():
    low, high = np.percentile(FILM, [0.5, 99.5])
    (note,) = read_picture(png(FILM)).notes
    assert (
        f"16 bits of gray, and does not say how bright they are: {low:g} is shown black and {high:g} white"
        in note
    )


def test_eight_bits_state_their_range():
    dark = (GRAY // 4).astype(np.uint8)
    np.testing.assert_allclose(grays(png(dark)), dark / 255)


def test_tiff_with_white_zero_and_with_signed_numbers():
    assert np.abs(grays(tiff(FILM)) - grays(png(FILM))).max() == 0
    inverted = tiff(FILM, tiffinfo={262: 0})
    with Image.open(io.BytesIO(inverted)) as file:
        assert file.tag_v2[262] == 0 and file.mode.startswith("I;16")
    np.testing.assert_allclose(grays(inverted), 1 - grays(png(FILM)))
    signed = FILM.astype(np.int32) - 1000
    np.testing.assert_allclose(grays(tiff(signed)), grays(png(FILM)))
    big = FILM.astype(">u2")
    np.testing.assert_allclose(grays(tiff(np.asarray(Image.fromarray(big)))), grays(png(FILM)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(np.full((64, 64), 40_000, np.uint16)), "more than 8 bits .* nearly all of its pixels are equal"),
        (
            png(changed(np.full((64, 64), 2040, np.uint16), {(3, 3): 2060})),
            "nearly all of its pixels are equal",
        ),
        (tiff(FILM.astype(np.int32) * 1000), "whole numbers from \\d+ to \\d+000, more than 16 bits"),
        (tiff(FILM.astype(np.int32) - 40_000), "whole numbers from -39\\d+ to"),
        (tiff(FILM.astype(np.float32)), "decimal numbers"),
    ],
)
def test_numbers_without_a_brightness_are_refused(data, words):
    for read in (read_picture, read_grays):
        with pytest.raises(PictureError, match=words):
            read(data)


def png16(colors):
    """A PNG of 16 bits a color, which Pillow reads and does not write."""
    import struct
    import zlib

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    height, width = colors.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colors)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_deep_colors_of_fewer_bits_are_refused_instead_of_nearly_black():
    whole = np.repeat(GRAY[..., None] * 257, 3, axis=2)
    picture = read_picture(png16(whole))
    assert np.array_equal(np.asarray(picture.image)[..., 0], GRAY) and "upper 8 are used" in picture.notes[0]
    with pytest.raises(
        PictureError, match="16 bits a color, but nearly all of its numbers are below 4096 of 65535"
    ):
        read_picture(png16(whole // 16))


# --- DICOM


def through_pydicom(path):
    """What pydicom makes of a file, divided by the range that the standard gives its output."""
    file = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(file.pixel_array, file), file).astype(float)
    slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    bits, signed = file.BitsStored, file.PixelRepresentation
    if "VOILUTSequence" in file:
        ends = 0, 2 ** file.VOILUTSequence[0].LUTDescriptor[2] - 1
    else:
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        ends = [end * slope + intercept for end in ends]
    shown = (values - ends[0]) / (ends[1] - ends[0])
    return 1 - shown if file.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 1000, "WindowWidth": 900},
        {"WindowCenter": 1000, "WindowWidth": 2},
        {"WindowCenter": 0, "WindowWidth": 3000},
        {"WindowCenter": 1000, "WindowWidth": 900.5, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": [1000, 40], "WindowWidth": [900, 80]},
        {
            "WindowCenter": 500,
            "WindowWidth": 900,
            "RescaleSlope": 2,
            "RescaleIntercept": -1000,
            "RescaleType": "US",
        },
        {"WindowCenter": 1000, "WindowWidth": 900, "PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": 1000, "WindowWidth": 900, "BitsStored": 12, "HighBit": 11},
        {
            "WindowCenter": 40_000,
            "WindowWidth": 50_000,
        },  # far wider than the picture: it stays dark, as the file says
    ],
)
def test_windows_are_pydicoms(tmp_path, tags):
    path = dicom(tmp_path / "a.dcm", FILM, **tags)
    shown, notes = read_grays(path)
    np.testing.assert_allclose(shown, through_pydicom(path), atol=1e-9)
    assert "its own window" in notes[0]


def test_a_table_of_grays_is_pydicoms(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor = [2048, 0, 12]
    table.LUTData = np.sqrt(np.arange(2048) / 2047 * 4095**2).astype(np.uint16).tobytes()
    path = dicom(tmp_path / "a.dcm", FILM, VOILUTSequence=[table], WindowCenter=9, WindowWidth=9)
    np.testing.assert_allclose(grays(path), through_pydicom(path), atol=1e-9)


@pytest.mark.parametrize(
    ("padding", "tags"),
    [
        (0, {"PixelPaddingValue": 0}),
        (65_535, {"PixelPaddingValue": 65_535}),
        (63_000, {"PixelPaddingValue": 62_000, "PixelPaddingRangeLimit": 64_000}),
        (63_000, {"PixelPaddingValue": 64_000, "PixelPaddingRangeLimit": 62_000}),
    ],
)
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_counts_for_no_range_and_is_black(tmp_path, padding, tags, kind):
    film = FILM + 100
    film[:60] = padding
    shown, notes = read_grays(dicom(tmp_path / "a.dcm", film, PhotometricInterpretation=kind, **tags))
    alone = grays(dicom(tmp_path / "b.dcm", film[60:], PhotometricInterpretation=kind))
    assert (shown[:60] == 0).all() and np.array_equal(shown[60:], alone)
    assert "38% of it is padding" in notes[-1]


def test_padding_of_signed_numbers(tmp_path):
    film = FILM.astype(np.int16) - 500
    film[:60] = -2000
    path = dicom(tmp_path / "a.dcm", film, PixelRepresentation=1, PixelPaddingValue=-2000)
    assert np.array_equal(grays(path)[60:], grays(png(FILM[60:])))


def test_without_a_window_it_is_as_in_a_png_of_the_same_numbers(tmp_path):
    np.testing.assert_allclose(grays(dicom(tmp_path / "a.dcm", FILM)), grays(png(FILM)))
    eight = (GRAY // 4).astype(np.uint8)  # 8 bits state their range: dark stays dark
    np.testing.assert_allclose(grays(dicom(tmp_path / "b.dcm", eight)), eight / 255)
    unusable = dicom(tmp_path / "c.dcm", FILM, WindowCenter=0, WindowWidth=0)
    np.testing.assert_allclose(grays(unusable), grays(png(FILM)))


def test_the_values_survive_either_byte_order_compression_and_an_old_file(tmp_path):
    path = dicom(tmp_path / "a.dcm", FILM, WindowCenter=1000, WindowWidth=900)
    expected = grays(path)
    file = pydicom.dcmread(path)
    file.compress(pydicom.uid.RLELossless)
    file.save_as(tmp_path / "rle")
    assert np.array_equal(grays(tmp_path / "rle"), expected)
    old = pydicom.dcmread(path)
    old.file_meta = pydicom.dataset.FileMetaDataset()
    old.preamble = None
    old.SOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    old.save_as(tmp_path / "old.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert b"DICM" not in (tmp_path / "old.dcm").read_bytes()[:200]
    assert np.array_equal(grays(tmp_path / "old.dcm"), expected)


def test_colors(tmp_path):
    rgb = np.asarray(load_photo("coffee").square(64).image)
    path = dicom(
        tmp_path / "a.dcm",
        rgb[..., 0],
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    )
    file = pydicom.dcmread(path)
    file.PixelData = rgb.tobytes()
    file.save_as(path)
    assert np.array_equal(np.asarray(read_picture(path).image), rgb)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"PixelData": None}, "without a picture in it"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"Rows": 20}, r"holds pixels of shape \(3, 20, 64\): one gray picture"),
        ({"Rows": 200}, r"cannot be read as a DICOM picture \(ValueError"),
        ({"Columns": 16, "Rows": 256}, "16 x 256 pixels; the shorter side"),
        ({"Rows": 60_000, "Columns": 60_000}, "60000 x 60000 pixels, more than are read"),
    ],
)
def test_dicom_files_that_are_no_picture_are_refused(tmp_path, change, words):
    file = pydicom.dcmread(dicom(tmp_path / "a.dcm", FILM[:64, :64]))
    for name, value in change.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    file.save_as(tmp_path / "b.dcm")
    with pytest.raises(PictureError, match=words) as told:
        read_picture(tmp_path / "b.dcm")
    assert "b.dcm" in str(told.value)


def test_an_upload_of_a_dicom_file_needs_no_ending(tmp_path):
    data = dicom(tmp_path / "a", FILM, WindowCenter=1000, WindowWidth=900).read_bytes()
    picture = read_picture(data, "IM0001")
    assert picture.name == "IM0001" and picture.size == (160, 160) and "its own window" in picture.notes[0]
