"""The audit: its rows against loops, and whether it tells a network with a shortcut from one without."""

import csv
import math

import numpy as np
import pytest
import torch
from helpers import TinyNet
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

from course_utils import playground
from course_utils.__main__ import main
from course_utils.evidence import centre_blob, interval
from course_utils.explain import grad_cam
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import Picture, load_photo
from course_utils.playground import (
    AUDITED,
    PREPARATIONS,
    Explainer,
    Intervention,
    audit,
    audited_case,
    auditing,
    flips,
    interventions,
    labeled_pictures,
    prepared_logits,
    twins,
)

SIZE = 28
NAMES = ["ant", "bee", "cat", "dog", "elk"]


def picture(seed=0, name=None):
    values = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    image = Image.fromarray(values)
    return Picture(name or f"p{seed}.png", image, image.size)


class Reader(nn.Module):
    """Says "bright" where a place of the picture is bright, by a layer with maps and a pooling of that place alone."""

    def __init__(self, rows, columns):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        self.register_buffer("place", torch.zeros(SIZE, SIZE))
        self.place[rows, columns] = 1
        with torch.no_grad():
            self.features[0].weight.copy_(torch.tensor([[1.0] * 3, [-1.0] * 3])[..., None, None] / 3)
            self.features[0].bias.copy_(torch.tensor([0.0, 1.0]))

    def forward(self, x):
        return (self.features(x) * self.place).sum((2, 3)) / self.place.sum()


CORNER, MIDDLE = (slice(0, 8), slice(0, 8)), (slice(8, 24), slice(8, 24))


def reader(place):
    net = Reader(*place)
    return Classifier(net, ["bright", "dark"], 0.0, 1.0, target_layer="features", size=SIZE).eval()


def scenes(n=12):
    """A gray picture with a thing in the middle, bright or dark, and in the corner as bright a mark."""
    pictures, labels, draw = [], [], np.random.default_rng(0)
    for number in range(n):
        bright = number % 2 == 0
        values = draw.integers(110, 140, (SIZE, SIZE, 3)).astype(np.uint8)
        values[10:20, 10:20] = 220 if bright else 30
        values[:8, :8] = 250 if bright else 5
        image = Image.fromarray(values)
        pictures.append(Picture(f"{number}.png", image, image.size))
        labels.append("bright" if bright else "dark")
    return pictures, labels


def corner_inverted(x):
    x[..., :8, :8] = 1 - x[..., :8, :8]  # also in place
    return x


def other_corner_inverted(x):
    y = x.clone()
    y[..., -8:, -8:] = (y[..., -8:, -8:] + 0.5) % 1
    return y


FEARED = Intervention("corner inverted", corner_inverted, other_corner_inverted)


@pytest.mark.parametrize(("place", "verdict", "share"), [(CORNER, "fails", 1.0), (MIDDLE, "passes", 0.0)])
def test_the_flips_tell_a_network_with_a_shortcut_from_one_without(place, verdict, share):
    pictures, labels = scenes()
    found = audit(Explainer(reader(place)), pictures, labels, intervention=FEARED)
    rows = {row.question: row for row in found.rows}
    right, flipped = rows["right class first"], rows["first answer flips: corner inverted"]
    assert right.verdict == "passes" and right.measured.mean == 1, "by accuracy the two are equal"
    assert (flipped.verdict, flipped.measured.mean, flipped.beside.mean) == (verdict, share, 0)
    assert found.values["flips", "corner inverted"] == (share,) * 12
    card = found.card()
    assert "corner inverted" in card and ("**Fails:** first answer flips" in card) == (verdict == "fails")
    assert all(len(line.split("|")) == 6 for line in card.splitlines() if line.startswith("|"))
    assert len(found.words()) == 1 + len(found.rows)
    assert found.words()[2].startswith("first answer flips: corner inverted") and verdict in found.words()[2]


def test_a_control_that_flips_as_much_takes_the_alarm_away():
    pictures, labels = scenes()
    same = Intervention("corner inverted", corner_inverted, corner_inverted)
    for intervention, verdict, control in (
        (same, "passes", "its control"),
        (Intervention("corner inverted", corner_inverted), "fails", "no control"),
    ):
        row = audit(Explainer(reader(CORNER)), pictures, labels, intervention=intervention).rows[1]
        assert (row.verdict, row.control) == (verdict, control) and row.measured.mean == 1


def test_what_is_measured_is_what_loops_measure():
    clf, labels = Classifier(TinyNet(seed=5), NAMES, size=SIZE).eval(), [0, 1, "cat", 0]
    explainer, pictures = Explainer(clf, "tiny"), [picture(seed) for seed in range(4)]
    found, index = audit(explainer, pictures, labels), [0, 1, 2, 0]
    images = [clf.preprocess(p.image) for p in pictures]
    following = [1, 2, 3, 1]  # the next picture with another label

    def squares(raw):
        h = raw.shape[0] // 7
        return np.array(
            [[raw[h * i : h * i + h, h * j : h * j + h].mean() for j in range(7)] for i in range(7)]
        )

    def own_map(n, c):
        return squares(grad_cam(clf, images[n], c).maps[0, 0].numpy())

    @torch.no_grad()
    def fall(n, cells):
        covered = images[n].clone()
        for i, j in cells:
            covered[0, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = images[n].mean((2, 3))[0, :, None, None]
        return (clf(images[n]) - clf(covered))[0, index[n]].item()

    def highest(order):
        return [divmod(int(k), 7) for k in np.argsort(-order.flatten(), kind="stable")[:5]]

    for n in range(4):
        maps = {
            "the map": own_map(n, index[n]),
            "another class": own_map(n, index[following[n]]),
            "another picture": own_map(following[n], index[following[n]]),
            "class-free sum": squares(grad_cam(clf, images[n], 0).activations.sum(1)[0].numpy()),
            "centre blob": centre_blob(7, 7).numpy(),
        }
        falls = np.array([[fall(n, [(i, j)]) for j in range(7)] for i in range(7)])
        for name, order in maps.items():
            expected = spearmanr(order.flatten(), falls.flatten()).statistic
            assert found.values["occlusion", name][n] == pytest.approx(expected, abs=1e-3)
            if name == "the map" and found.results[n].classes[0].empty:
                assert math.isnan(found.values["fall", name][n])
                continue
            measured = found.values["fall", name][n]
            assert measured == pytest.approx(fall(n, highest(order)), abs=1e-5)
        check = found.results[n].classes[0].check
        if check is not None:
            elsewhere = found.values["fall", "elsewhere"][n]
            assert elsewhere == pytest.approx(check.before - np.mean(check.random), abs=1e-6)
        ranks = spearmanr(maps["the map"].flatten(), maps["class-free sum"].flatten()).statistic
        assert found.values["like class-free sum", "the map"][n] == pytest.approx(ranks)
    assert found.values["right", "always the commonest label"] == (0.5,) * 4
    right = found.values["right", "the network"]
    assert right == tuple(float(clf(x).argmax() == c) for x, c in zip(images, index, strict=True))
    (row,) = [row for row in found.rows if row.question == "rank correlation with occlusion"]
    measured = found.values["occlusion", "the map"]
    leads = {
        name: np.mean(np.subtract(measured, found.values["occlusion", name]))
        for name in maps
        if name != "the map"
    }
    assert row.control == min(leads, key=leads.get) and row.lead.mean == pytest.approx(leads[row.control])
    assert row.measured == interval(measured)


def test_intervals_are_by_photograph():
    pictures, labels = scenes(8)
    photos = ["a", "a", "a", "b", "b", "c", "c", "c"]
    found = audit(Explainer(reader(MIDDLE)), pictures, labels, photos=photos)
    own = found.values["occlusion", "the map"]
    (row,) = [row for row in found.rows if row.question == "rank correlation with occlusion"]
    assert row.measured == interval(own, photos) and row.measured.n == 3
    assert "8 pictures of 3 photographs" in found.card()


def test_pictures_of_one_class_have_a_rival_all_the_same():
    explainer = Explainer(Classifier(TinyNet(), NAMES, size=SIZE).eval())
    found = audit(explainer, [picture(seed) for seed in range(3)], ["bee"] * 3)
    assert len(found.values["fall", "another class"]) == 3
    assert found.rows[0].beside.mean == 1, "who always says bee is always right"


def test_an_audit_leaves_network_and_pictures_as_they_were():
    clf, pictures = Classifier(TinyNet(), NAMES, size=SIZE), [picture(0), picture(1)]
    clf.train()
    before = {key: value.clone() for key, value in clf.state_dict().items()}
    pixels = [np.asarray(p.image).copy() for p in pictures]
    audit(Explainer(clf), pictures, [0, 1], intervention=FEARED)
    assert all(torch.equal(before[key], value) for key, value in clf.state_dict().items())
    assert clf.training and all(not part._forward_hooks for part in clf.modules())
    assert all(np.array_equal(np.asarray(p.image), x) for p, x in zip(pictures, pixels, strict=True))


def test_a_picture_in_which_nothing_changes_is_left_out_and_counted():
    pictures, labels = scenes(4)
    changed = [pictures[0], *scenes(5)[0][1:3], pictures[3]]
    values = np.asarray(pictures[1].image).copy()
    values[:8, :8] = 255 - values[:8, :8]
    changed[1] = Picture("x", Image.fromarray(values), (SIZE, SIZE))
    assert np.isnan(flips(reader(CORNER), pictures, changed)[0])
    row = audit(Explainer(reader(CORNER)), pictures, labels, intervention=Intervention("x", changed)).rows[1]
    assert row.verdict == "open" and row.measured is None, "one changed picture is no evidence"
    assert "(3 of 4 pictures have nothing to change)" in row.question


def test_twins_and_functions_give_the_same_flips():
    pictures, _ = scenes()
    images = [reader(CORNER).preprocess(p.image) for p in pictures]
    changed = [
        Picture(
            p.name,
            Image.fromarray((corner_inverted(x.clone())[0].permute(1, 2, 0) * 255).round().byte().numpy()),
            p.size,
        )
        for p, x in zip(pictures, images, strict=True)
    ]
    by_twins = flips(reader(CORNER), pictures, changed)
    assert by_twins == flips(reader(CORNER), pictures, corner_inverted) == (1.0,) * 12


def test_less_than_half_a_step_of_eight_bits_is_no_change():
    pictures, _ = scenes(2)
    for step, changes in ((interventions.LEAST / 2, False), (2 * interventions.LEAST, True)):

        def brighter(x, step=step):
            return (x + step).clamp(0, 1)

        if changes:
            assert not np.isnan(flips(reader(CORNER), pictures, brighter)).any()
        else:
            with pytest.raises(ValueError, match="changes no pixel of any of the 2 pictures"):
                flips(reader(CORNER), pictures, brighter)


@pytest.mark.parametrize("name", AUDITED)
def test_the_networks_to_try_it_on_come_with_pictures_and_a_fear(name):
    case = audited_case(name, 2)
    assert len(case.pictures) == len(case.labels) == len(case.photos) == 2
    clf = case.explainer.classifier
    assert all(clf.class_index(label) is not None for label in case.labels)
    for change in (case.intervention.change, case.intervention.control):
        changed = interventions.changed_images(change, clf, case.pictures)
        assert all(image is not None for image in changed)


def test_the_audit_tells_the_stamped_readers_apart():
    """By its flips, with a margin: the biased and the laundered one fail, the repaired one does not."""
    found = {}
    for name in ("12 biased", "12 repaired", "12 laundered"):
        case = audited_case(name, 16)
        own, control = (
            np.mean(flips(case.explainer.classifier, case.pictures, change))
            for change in (case.intervention.change, case.intervention.control)
        )
        found[name] = own - control
    assert found["12 biased"] > found["12 repaired"] + auditing.MARGIN
    assert found["12 laundered"] > found["12 repaired"] + auditing.MARGIN
    assert found["12 repaired"] < auditing.MARGIN < min(found["12 biased"], found["12 laundered"])


def test_a_scene_with_another_piece_of_ground_has_the_object_where_it_was():
    case = audited_case("11 biased", 2)
    for picture_, control in zip(case.pictures, case.intervention.control, strict=True):
        same = np.asarray(picture_.image) == np.asarray(control.image)
        assert 0 < same.all(2).mean() < 0.5, "the object stays, the ground is another"


def test_each_way_to_prepare_a_picture_is_what_its_name_says():
    clf, photo = load_classifier(), load_photo("rocket")
    image = photo.image  # 640 x 427
    seen = {}

    class Spy(nn.Module):
        def forward(self, x):
            seen["x"] = x
            return x.mean((2, 3))

    spy = Classifier(Spy(), ["r", "g", "b"], clf.mean.flatten().tolist(), clf.std.flatten().tolist(), size=64)
    inputs = {}
    for way in PREPARATIONS:
        prepared_logits(spy, way, image)
        inputs[way] = seen["x"]
    side = round(427 * 0.875)
    left, top = (640 - 427 * 0.875) / 2, (427 - 427 * 0.875) / 2
    cut = image.resize((64, 64), Image.Resampling.BICUBIC, (left, top, 640 - left, 427 - top))
    cut = torch.from_numpy(np.asarray(cut)).permute(2, 0, 1)[None] / 255
    assert side == 374
    torch.testing.assert_close(inputs["as tested"], (cut - 0.5) / 0.5, atol=0.02, rtol=0)
    torch.testing.assert_close(inputs["no mean and deviation"], inputs["as tested"] / 2 + 0.5)
    torch.testing.assert_close(inputs["0 to 255"], 255 * inputs["no mean and deviation"])
    torch.testing.assert_close(inputs["blue for red"], inputs["as tested"].flip(1))
    assert inputs["half the pixels a side"].shape[-1] == 32
    whole, squeezed = inputs["whole square"], inputs["squeezed to a square"]
    assert not torch.allclose(whole, inputs["as tested"], atol=0.1) and not torch.allclose(
        whole, squeezed, atol=0.1
    )


# --- folders, and the command


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "twins").mkdir()
    pictures, labels = scenes(6)
    for number, (one, label) in enumerate(zip(pictures, labels, strict=True)):
        one.image.save(tmp_path / "test" / f"{label}_{number}.png")
        values = np.asarray(one.image).copy()
        values[:8, :8] = 255 - values[:8, :8]
        Image.fromarray(np.repeat(np.repeat(values, 2, 0), 2, 1)).save(
            tmp_path / "twins" / f"{label}_{number}.webp", lossless=True
        )
        one.image.resize((2 * SIZE,) * 2, Image.Resampling.NEAREST).save(
            tmp_path / "test" / f"{label}_{number}.png"
        )
    return tmp_path


def test_labels_stand_in_the_names_of_the_files(folders):
    pictures, labels = labeled_pictures(folders / "test")
    assert labels == ["bright"] * 3 + ["dark"] * 3
    assert [p.name for p in twins(folders / "twins", pictures)] == [
        p.name.replace(".png", ".webp") for p in pictures
    ]


def test_the_command_prints_the_table_writes_card_and_numbers_and_fails_with_a_row(
    folders, monkeypatch, capsys
):
    for place, status in ((CORNER, 1), (MIDDLE, 0)):
        monkeypatch.setattr("course_utils.networks.named_classifier", lambda *_, place=place: reader(place))
        arguments = [
            folders / "test",
            "--feared",
            folders / "twins",
            "--card",
            folders / "card.md",
            "--csv",
            folders / "n.csv",
        ]
        failed = main(["audit", *map(str, arguments), "--model", "mine:net"])
        out, err = capsys.readouterr()
        assert failed == ("fails" in out)
        assert err == "" and out.splitlines()[2].startswith(f"first answer flips: {folders / 'twins'}")
        assert ("fails" in out.splitlines()[2]) == bool(status)
        assert (
            (folders / "card.md").read_text(encoding="utf-8").startswith("# mine:net: an audit of 6 pictures")
        )
    with open(folders / "n.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "flips"]
    assert [float(row["value"]) for row in rows] == [0.0] * 6 and rows[0]["picture"] == "bright_0.png"


def test_the_command_takes_functions(folders, monkeypatch, capsys, tmp_path):
    (tmp_path / "my_changes.py").write_text(
        "def feared(x):\n    x[..., :16, :16] = 1 - x[..., :16, :16]\n    return x\n\n\n"
        "def other(x):\n    x[..., -8:, -8:] = 1 - x[..., -8:, -8:]\n    return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("course_utils.networks.named_classifier", lambda *_: reader(CORNER))
    arguments = ["--feared", "my_changes:feared", "--control", "my_changes:other", "--model", "mine:net"]
    assert main(["audit", str(folders / "test"), *arguments]) == 1
    assert "its control" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere"),
        (["test", "--control", "twins"], "name that with --feared"),
        (["test", "--feared", "nowhere"], "there is no folder of that name, and it is not MODULE:FUNCTION"),
        (
            ["test", "--feared", "no_such_module:f"],
            "--feared no_such_module:f: 'no_such_module' cannot be imported",
        ),
        (["test", "--feared", "math:nothing"], "in math there is no 'nothing'"),
        (["test", "--feared", "half"], "half has no twin of bright_2.png"),
        (["test", "--feared", "test"], "changes no pixel of any of the 6 pictures"),
        (["unlabeled"], "nameless.png does not say its class"),
        (["foreign"], "there is no class 'elk'"),
        (["test", "--card", "test"], "it must be a file in a folder that exists"),
        (["test", "--method", "guided-backprop"], "invalid choice: 'guided-backprop'"),
    ],
)
def test_the_command_refuses_in_words(folders, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(folders)
    monkeypatch.setattr("course_utils.networks.named_classifier", lambda *_: reader(MIDDLE))
    for name, files in {
        "half": ["bright_0", "dark_1"],
        "unlabeled": ["nameless"],
        "foreign": ["elk_1", "elk_2"],
    }.items():
        (folders / name).mkdir()
        for file in files:
            picture(name=file).image.resize((64, 64)).save(folders / name / f"{file}.png")
    try:
        status = main(["audit", *arguments, "--model", "mine:net"])
    except SystemExit as end:
        status = end.code
    assert status == 2 and words in capsys.readouterr().err
    assert not (folders / "card.md").exists()


def test_the_face_has_what_the_notebook_takes():
    assert {"audit", "flips", "Intervention", "audited_case", "labeled_pictures"} <= set(playground.__all__)
