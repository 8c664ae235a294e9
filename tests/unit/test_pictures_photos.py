"""``photos`` against brute-force loops, Pillow's own cropping, scikit-image's polygons, and geometry by hand."""

import importlib.util
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from skimage.draw import polygon2mask
from torchvision.models import ResNet50_Weights

from course_utils.assets import AssetError, package_file
from course_utils.pictures import (
    Photo,
    balanced_mosaics,
    box_around,
    composites,
    credited,
    list_photos,
    list_textures,
    load_photo,
    mosaic,
    photos,
    shown_photos,
    texture_part,
)

OBJECTS = ["cat", "coffee", "rocket", "camera", "motorcycle", "astronaut", "palace", "flower"]
MORE = {  # of the package foolbox: the ImageNet class in the file's name, and how many objects of it there are
    "mastiff": (243, 1), "deckchairs": (559, 9), "beaker": (438, 2), "buckeye": (990, 3), "strawberry": (949, 9),
    "thatch": (853, 1), "jeep": (609, 1), "blue jeep": (609, 1), "yurt": (915, 2), "bottlecap": (455, 1),
    "drum": (541, 1), "loafer": (630, 1), "window": (741, 2), "cannon": (471, 1), "spoonbill": (129, 2),
    "goose": (99, 4), "dalmatian": (251, 1), "eagle": (22, 1), "leafhopper": (317, 1), "beetle": (305, 1),
}  # fmt: skip
ALL = OBJECTS + list(MORE)
TEXTURES = ["brick", "grass", "gravel"]
FOUR = ["cat", "coffee", "rocket", "camera"]

# A pixel that lies on the object, and one that does not, read off the pictures by eye: (x, y).
ON_AND_OFF = {
    "cat": [(250, 150), (420, 60)],
    "coffee": [(280, 150), (540, 40)],
    "rocket": [(322, 300), (240, 200)],
    "camera": [(293, 400), (100, 300)],
    "motorcycle": [(420, 200), (620, 200)],
    "astronaut": [(225, 110), (420, 200)],
    "palace": [(200, 210), (450, 250)],
    "flower": [(310, 220), (350, 400)],
    "mastiff": [(220, 200), (380, 150)],
    "deckchairs": [(250, 260), (250, 450)],
    "beaker": [(250, 400), (100, 150)],
    "buckeye": [(320, 420), (300, 60)],
    "strawberry": [(240, 90), (320, 230)],
    "thatch": [(330, 100), (260, 200)],
    "jeep": [(300, 240), (300, 330)],
    "blue jeep": [(260, 230), (260, 330)],
    "yurt": [(420, 350), (300, 200)],
    "bottlecap": [(240, 300), (240, 480)],
    "drum": [(500, 400), (60, 300)],
    "loafer": [(350, 200), (350, 400)],
    "window": [(120, 220), (300, 220)],
    "cannon": [(380, 130), (255, 400)],  # beside it: between two spokes
    "spoonbill": [(205, 220), (234, 200)],  # beside it: between neck and bill
    "goose": [(270, 330), (400, 340)],
    "dalmatian": [(200, 200), (430, 150)],
    "eagle": [(270, 255), (270, 150)],
    "leafhopper": [(180, 200), (60, 300)],
    "beetle": [(230, 260), (350, 320)],
}


def brute_force_box(mask):
    seen = [(x, y) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    xs, ys = [x for x, _ in seen], [y for _, y in seen]
    return (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def distance_to_outline(x, y, points):
    """Distance from (x, y) to the nearest side of a closed polygon."""
    here = np.array([x, y])
    shortest = np.inf
    for a, b in zip(np.array(points), np.roll(points, -1, axis=0), strict=True):
        t = np.clip(np.dot(here - a, b - a) / max(np.dot(b - a, b - a), 1e-12), 0, 1)
        shortest = min(shortest, np.linalg.norm(a + t * (b - a) - here))
    return shortest


def outlines(entry, key):
    return [points for instance in entry["instances"] for points in instance[key]]


def fingerprint(photo):
    """A photograph's content, copied, so that it cannot change along with the photograph."""
    return photo.image.tobytes(), photo.mask.tobytes(), list(photo.labels), photo.box, photo.crop


def unchanged(function):
    """Run ``function`` and check that every photograph is afterwards as it was."""
    before = {name: fingerprint(load_photo(name)) for name in ALL}
    result = function()
    for name in ALL:
        assert fingerprint(load_photo(name)) == before[name], name
    return result


# ---------------------------------------------------------------- the lists and the records
def test_names():
    assert list_photos() == ALL
    assert list_photos("skimage", "sklearn") == OBJECTS and list_photos("foolbox") == list(MORE)
    assert list_photos(labeled=True) == [name for name in ALL if name != "astronaut"]
    assert list_photos("skimage", "sklearn", labeled=True) == [n for n in OBJECTS if n != "astronaut"]
    assert list_textures() == TEXTURES


@pytest.mark.parametrize("name", ALL + TEXTURES)
def test_every_record_is_complete(name):
    photo = load_photo(name)
    assert photo.name == name
    assert photo.image.mode == "RGB"
    assert photo.mask.dtype == bool
    assert photo.mask.shape == (photo.image.height, photo.image.width)
    for text in (
        photo.description,
        photo.mask_covers,
        photo.source,
        photo.license,
        photo.author,
        photo.credit,
    ):
        assert text.strip()
    assert photo.description.endswith(".") and photo.description[0].isupper()
    assert photo.url == "" or photo.url.startswith("http")


def test_sizes_are_those_of_the_packages():
    sizes = {
        name: load_photo(name).image.size for name in ("cat", "coffee", "palace", "camera", "motorcycle")
    }
    expected = {"cat": (451, 300), "coffee": (600, 400), "palace": (640, 427), "camera": (512, 512)}
    assert sizes == {**expected, "motorcycle": (741, 500)}


def test_pixels_are_those_of_the_package():
    with Image.open(package_file("skimage", "data/chelsea.png")) as file:
        assert np.array_equal(np.array(file), np.array(load_photo("cat").image))
    with Image.open(package_file("skimage", "data/camera.png")) as file:
        gray = np.array(file)
    assert np.array_equal(np.stack([gray] * 3, axis=-1), np.array(load_photo("camera").image))


def test_every_label_is_an_imagenet_class():
    categories = ResNet50_Weights.DEFAULT.meta["categories"]
    for name, (number, _) in MORE.items():  # the number that the package gives, and one class alone
        assert load_photo(name).labels == [categories[number]]
        assert photos.record(name)["path"].endswith(f"_{number}.jpg")
    for name in ALL:
        labels = load_photo(name).labels
        assert (labels == []) == (name == "astronaut")
        assert set(labels) <= set(categories), name
        assert len(set(labels)) == len(labels)
        # A name that two classes share would not say which one is meant.
        assert all(categories.count(label) == 1 for label in labels)
    assert [load_photo(name).labels for name in TEXTURES] == [[], [], []]


# ---------------------------------------------------------------- masks and boxes
def test_fill_polygon_by_hand():
    # Width 3, height 2, moved by a half pixel: the centers 0.5 .. 3.5 that lie between 1 and 4 are three.
    expected = np.zeros((4, 6), dtype=bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(photos.fill_polygon([[1, 1], [4, 1], [4, 3], [1, 3]], 4, 6), expected)
    triangle = photos.fill_polygon([[0, 0], [3.2, 0], [0, 3.2]], 4, 4)
    assert triangle.astype(int).tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_fill_polygon_clips_at_the_image():
    assert photos.fill_polygon([[-5, -5], [50, -5], [50, 50], [-5, 50]], 4, 6).all()
    assert not photos.fill_polygon([[8, 0], [12, 0], [12, 4], [8, 4]], 4, 6).any()


@pytest.mark.parametrize("name", ALL)
def test_masks_are_the_polygons_without_the_holes(name):
    entry = photos.record(name)
    width, height = entry["size"]
    for instance, mask in zip(entry["instances"], load_photo(name).instances, strict=True):
        expected = np.zeros((height, width), dtype=bool)
        for key, inside in (("polygons", True), ("holes", False)):
            for points in instance[key]:
                expected[polygon2mask((height, width), np.array(points)[:, ::-1] - 0.5)] = inside
        # The two may differ only where a pixel's center lies on the line itself.
        for y, x in np.argwhere(mask != expected):
            every = instance["polygons"] + instance["holes"]
            assert min(distance_to_outline(x + 0.5, y + 0.5, points) for points in every) < 1e-6


@pytest.mark.parametrize("name", ALL + TEXTURES)
def test_the_mask_is_all_instances(name):
    photo = load_photo(name)
    count = 0 if name in TEXTURES else MORE[name][1] if name in MORE else 1
    assert len(photo.instances) == len(photo.boxes) == count
    together = np.zeros_like(photo.mask, dtype=int)
    for mask, box in zip(photo.instances, photo.boxes, strict=True):
        assert mask.any() and not mask.flags.writeable
        assert box == brute_force_box(mask)
        together += mask
    assert np.array_equal(photo.mask, together > 0)
    # What is seen of one is not seen of another; where they touch, a line drawn twice may differ by a pixel.
    assert (together > 1).sum() <= 0.001 * photo.mask.sum()
    sizes = [mask.sum() for mask in photo.instances]
    assert sizes == sorted(sizes, reverse=True)


def test_instances_outside_the_square_are_left_out():
    photo = load_photo("strawberry")
    corner = replace(photo, crop=(0, 170, 110, 280)).square(
        110
    )  # the one at the left, and a bit of its neighbor
    assert len(corner.instances) == len(corner.boxes) == 2
    assert sorted(corner.boxes)[0] == (8, 13, 94, 96)  # by eye: x 8 to 94, y 183 to 266 of the original
    assert np.array_equal(corner.mask, corner.instances[0] | corner.instances[1])
    assert len(photo.square(97).instances) == 9


@pytest.mark.parametrize("name", ALL)
def test_outlines_stay_inside_the_picture(name):
    entry = photos.record(name)
    for points in outlines(entry, "polygons") + outlines(entry, "holes"):
        assert len(points) >= 3
        assert all(0 <= x <= entry["size"][0] and 0 <= y <= entry["size"][1] for x, y in points)


@pytest.mark.parametrize("name", ALL)
def test_mask_lies_on_the_object(name):
    (x_on, y_on), (x_off, y_off) = ON_AND_OFF[name]
    mask = load_photo(name).mask
    assert mask[y_on, x_on]
    assert not mask[y_off, x_off]


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_masks_agree_with_the_colors():
    """What differs in color from all around it is found by color alone, roughly."""
    flower = load_photo("flower")
    red, _, blue = np.moveaxis(np.array(flower.image).astype(int), -1, 0)
    orange = red - blue > 60
    orange[365:] = False  # the second blossom
    assert overlap(orange, flower.mask) > 0.93
    strawberry = load_photo("strawberry")
    red, green, blue = np.moveaxis(np.array(strawberry.image).astype(int), -1, 0)
    assert overlap(red - green > 40, strawberry.mask) > 0.85
    leafhopper, spoonbill = load_photo("leafhopper"), load_photo("spoonbill")
    red, green, blue = np.moveaxis(np.array(leafhopper.image).astype(int), -1, 0)
    assert overlap(np.maximum(red, blue) - green > -16, leafhopper.mask) > 0.88
    red, green, blue = np.moveaxis(np.array(spoonbill.image).astype(int), -1, 0)
    above = slice(160, 280)  # the cable
    assert overlap((blue - red <= 20)[above], spoonbill.mask[above]) > 0.78


@pytest.mark.parametrize("name", ALL)
def test_box_is_the_mask_s(name):
    photo = load_photo(name)
    assert photo.box == brute_force_box(photo.mask)
    square = photo.square(64)
    assert square.box == brute_force_box(square.mask)


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_has_no_object(name):
    photo = load_photo(name)
    assert not photo.mask.any()
    assert photo.box is None
    assert photo.square(32).box is None


# ---------------------------------------------------------------- squares
@pytest.mark.parametrize("name", ALL + TEXTURES)
@pytest.mark.parametrize("size", [224, 97])
def test_square_is_pillow_s_crop_and_resize(name, size):
    photo = load_photo(name)
    x0, y0, x1, y1 = photo.crop
    assert x1 - x0 == y1 - y0
    assert x0 >= 0 and y0 >= 0 and x1 <= photo.image.width and y1 <= photo.image.height
    square = photo.square(size)
    assert square.image.size == (size, size)
    image = photo.image.crop(photo.crop).resize((size, size), Image.Resampling.BICUBIC)
    assert square.image.tobytes() == image.tobytes()
    mask = Image.fromarray(photo.mask).crop(photo.crop).resize((size, size), Image.Resampling.NEAREST)
    # Where a new pixel's center falls exactly between two old pixels, Pillow's rounding decides; leave those out.
    clear = np.array([(2 * i + 1) * (x1 - x0) % (2 * size) != 0 for i in range(size)])
    assert clear.mean() > 0.8
    assert np.array_equal(square.mask[clear][:, clear], np.array(mask)[clear][:, clear])
    assert square.crop == (0, 0, size, size)
    assert (square.name, square.labels, square.license) == (photo.name, photo.labels, photo.license)


@pytest.mark.parametrize("name", ALL)
def test_square_keeps_the_object(name):
    photo = load_photo(name)
    x0, y0, x1, y1 = photo.crop
    kept = photo.mask[y0:y1, x0:x1].sum() / photo.mask.sum()
    assert kept > {"cat": 0.84, "motorcycle": 0.92, "drum": 0.88}.get(name, 0.995)
    # Resizing keeps the mask's share of the area.
    share = photo.mask[y0:y1, x0:x1].mean()
    assert photo.square(224).mask.mean() == pytest.approx(share, abs=0.005)


def test_square_of_a_square_is_itself():
    once = load_photo("flower").square(128)
    twice = once.square(128)
    assert once.image.tobytes() == twice.image.tobytes()
    assert np.array_equal(once.mask, twice.mask)


def test_tensor():
    tensor = load_photo("coffee").tensor(64)
    assert tensor.shape == (1, 3, 64, 64)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert tensor.min() >= 0 and tensor.max() <= 1
    square = load_photo("coffee").square(64).image
    for x, y in [(0, 0), (10, 3), (63, 40)]:
        expected = [channel / 255 for channel in square.getpixel((x, y))]
        assert tensor[0, :, y, x].tolist() == pytest.approx(expected)
    assert load_photo("coffee").tensor().shape == (1, 3, 224, 224)


# ---------------------------------------------------------------- nothing is shared that can be spoiled
def test_drawing_on_a_photo_leaves_the_next_one_alone():
    def spoil():
        for name in ALL:
            photo = load_photo(name)
            ImageDraw.Draw(photo.image).rectangle((0, 0, 200, 200), fill="white")
            photo.labels.append("airliner")
            photo.tensor(32).zero_()

    unchanged(spoil)


def test_the_mask_is_read_only():
    for photo in (load_photo("cat"), load_photo("cat").square(32)):
        with pytest.raises(ValueError, match="read-only"):
            photo.mask[0, 0] = True


def test_square_and_mosaic_change_nothing():
    photo = load_photo("cat")
    pixels, mask, labels = photo.image.tobytes(), photo.mask.copy(), list(photo.labels)
    square = photo.square(64)
    square.labels.clear()
    ImageDraw.Draw(square.image).rectangle((0, 0, 64, 64), fill="black")
    four = [photo, "coffee", "rocket", "flower"]
    picture = unchanged(lambda: mosaic(four, 64))
    picture.mask("cat")[:] = False
    picture.quarter("cat")[:] = False
    assert picture.mask("cat").any() and picture.quarter("cat").any()
    assert four == [photo, "coffee", "rocket", "flower"]
    assert photo.image.tobytes() == pixels
    assert np.array_equal(photo.mask, mask)
    assert photo.labels == labels


def test_a_photo_cannot_be_reassigned():
    with pytest.raises(AttributeError):
        load_photo("cat").name = "dog"


# ---------------------------------------------------------------- mosaics
@pytest.mark.parametrize("size", [224, 62])
def test_quarters_partition_the_mosaic(size):
    picture = mosaic(FOUR, size)
    assert picture.names == FOUR
    assert picture.image.size == (size, size)
    assert (sum(picture.quarter(name).astype(int) for name in FOUR) == 1).all()
    half = size // 2
    corners = [(0, 0), (half, 0), (0, half), (half, half)]
    for name, (x0, y0) in zip(FOUR, corners, strict=True):
        assert picture.box(name) == (x0, y0, x0 + half, y0 + half) == brute_force_box(picture.quarter(name))
        assert picture.quarter(name).sum() == half * half


def test_each_quarter_holds_its_own_photo():
    picture = mosaic(FOUR, 128)
    for place, name in enumerate(FOUR):
        square = load_photo(name).square(64)
        assert picture.image.crop(picture.box(name)).tobytes() == square.image.tobytes()
        x0, y0, x1, y1 = picture.box(name)
        assert np.array_equal(picture.mask(name)[y0:y1, x0:x1], square.mask)
        assert not (picture.mask(name) & ~picture.quarter(name)).any()
        assert np.array_equal(picture.mask(place), picture.mask(name))
        assert np.array_equal(picture.quarter(np.int64(place)), picture.quarter(name))
        assert torch.equal(picture.tensor()[:, :, y0:y1, x0:x1], load_photo(name).tensor(64))
    assert picture.tensor().shape == (1, 3, 128, 128)


def test_mosaic_takes_photo_objects_and_textures():
    own = Photo(**{**vars(load_photo("cat")), "name": "my cat"})
    picture = mosaic([own, "brick", load_photo("flower"), "grass"], 64)
    assert picture.names == ["my cat", "brick", "flower", "grass"]
    assert not picture.mask("brick").any()
    assert picture.mask("my cat").any()


def test_seed_deals_out_the_places():
    orders = [tuple(mosaic(FOUR, 8, seed=seed).names) for seed in range(30)]
    assert all(sorted(order) == sorted(FOUR) for order in orders)
    assert len(set(orders)) > 10
    assert mosaic(FOUR, 8, seed=5).names == list(orders[5])
    assert {order.index("cat") for order in orders} == {0, 1, 2, 3}


def test_the_same_photo_twice_needs_a_place():
    picture = mosaic(["cat", "flower", "coffee", "cat"], 32)
    assert picture.box(3) == (16, 16, 32, 32)
    assert picture.box("flower") == (16, 0, 32, 16)


# ---------------------------------------------------------------- credits
def test_a_caption_ends_with_each_credit_once():
    shown = [mosaic(["cat", "goose", "mastiff", "cat"], 8), "beaker", load_photo("palace")]
    credits = "Stefan van der Walt (CC0); from the package foolbox (MIT), photographer not named there; "
    expected = f"Five. Photographs: {credits}danielbuechele on Flickr (CC BY 2.0)."
    assert credited("Five. ", shown) == expected
    assert [photo.name for photo in shown_photos(shown)] == [
        "cat",
        "goose",
        "mastiff",
        "cat",
        "beaker",
        "palace",
    ]
    assert credited("A cat.", "cat") == "A cat. Photograph: Stefan van der Walt (CC0)."
    assert credited("A cat.", load_photo("cat").square(8)) == credited("A cat.", ["cat"])
    (pasted,) = composites(1, names=["coffee"], background="grass")
    credits = "Rachel Michetti, Pikolo Espresso Bar (CC0); linolafett (CC0)."
    assert credited("One.", pasted) == f"One. Photographs: {credits}"
    assert credited("A map.", []) == "A map."


def test_what_may_be_stored():
    assert {load_photo(name).stored_at_most for name in OBJECTS + TEXTURES} == {None}
    assert {name: load_photo(name).stored_at_most for name in MORE} == {**dict.fromkeys(MORE, 224), "drum": 0}
    assert load_photo("drum").square(8).stored_at_most == 0  # it stays so


# ---------------------------------------------------------------- packages that are missing or changed
@pytest.fixture
def fresh_pixels():
    photos.pixels.cache_clear()
    yield
    photos.pixels.cache_clear()


def test_without_the_package_its_photographs_are_missing_and_no_others(monkeypatch, fresh_pixels):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "foolbox" else find(name, *more)
    )
    with pytest.raises(
        AssetError, match=r"package 'foolbox' is not installed. Run `pip install -r requirements"
    ):
        load_photo("goose")
    assert load_photo("cat").image.size == (451, 300)
    assert list_photos() == ALL and len(composites(3)) == 3


def test_a_changed_file_is_not_taken_for_the_photograph(tmp_path, monkeypatch, fresh_pixels):
    (tmp_path / "foolbox/data").mkdir(parents=True)
    (tmp_path / "foolbox/__init__.py").touch()
    Image.new("RGB", (512, 512)).save(tmp_path / "foolbox/data/imagenet_15_99.jpg")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "foolbox", raising=False)
    with pytest.raises(AssetError, match=r"damaged .*pip install --force-reinstall --no-deps foolbox"):
        load_photo("goose")
    with pytest.raises(AssetError, match=r"'data/imagenet_00_243.jpg' is not in it"):
        load_photo("mastiff")
    assert load_photo("flower").image.size == (640, 427)


# ---------------------------------------------------------------- other pictures, no torch
def test_another_picture_under_the_same_name_is_refused(tmp_path, monkeypatch):
    other = tmp_path / "chelsea.png"
    Image.new("RGB", (300, 451)).save(other)
    monkeypatch.setattr(photos, "package_file", lambda package, path, sha256: other)
    photos.pixels.cache_clear()
    try:
        with pytest.raises(
            AssetError, match=r"300 x 451 pixels, but the outline of 'cat' was drawn for 451 x 300"
        ):
            load_photo("cat")
    finally:
        photos.pixels.cache_clear()


def test_listing_and_loading_need_no_torch():
    code = (
        "import sys; from course_utils.pictures import load_photo; "
        "load_photo('cat').square(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---------------------------------------------------------------- boxes and parts, by hand
def test_the_box_around_a_mask():
    draw = np.random.default_rng(0)
    for density in (0.02, 0.1, 0.5, 1):
        for height, width in draw.integers(1, 12, (50, 2)):
            mask = draw.random((height, width)) < density
            assert box_around(mask) == (brute_force_box(mask) if mask.any() else None)
    assert all(type(edge) is int for edge in box_around(np.ones((2, 3), dtype=bool)))


def test_parts_of_a_texture_lie_in_it_and_are_drawn():
    """On a picture whose colors are its coordinates, the corners of a part say where it was cut out."""
    across, down = np.meshgrid(np.arange(200), np.arange(120))
    ground = Image.fromarray(np.stack([across, down, 0 * down], axis=-1).astype(np.uint8))
    found = set()
    for number in range(40):
        part = np.asarray(texture_part(ground, 240, np.random.default_rng(number))).astype(int)
        assert part.shape == (240, 240, 3)
        (x0, y0), (x1, y1) = part[0, 0, :2], part[-1, -1, :2]
        side = x1 - x0 + 1
        assert 60 - 1 <= side <= 120 + 1 and abs(side - (y1 - y0 + 1)) <= 1
        found.add((x0, y0, side))
    assert len(found) > 30
    again = texture_part(ground, 240, np.random.default_rng(3))
    assert again.tobytes() == texture_part(ground, 240, np.random.default_rng(3)).tobytes()


def test_balanced_mosaics_show_each_photograph_equally_often_in_each_place():
    names = list_photos()[:5]
    made = balanced_mosaics(names, rounds=2, seed=1, size=8)
    assert len(made) == 10 and all(len(set(four.names)) == 4 for four in made)
    for place in range(4):
        assert Counter(four.names[place] for four in made) == dict.fromkeys(names, 2)
    again = balanced_mosaics(names, rounds=2, seed=1, size=8)
    assert [four.names for four in made] == [four.names for four in again]
    assert [four.names for four in made] != [
        four.names for four in balanced_mosaics(names, 2, seed=2, size=8)
    ]


@pytest.mark.parametrize("names", [["cat", "coffee", "flower"], ["cat", "cat", "coffee", "flower"]])
def test_balanced_mosaics_take_four_different_photographs(names):
    with pytest.raises(ValueError, match="four or more different"):
        balanced_mosaics(names)
