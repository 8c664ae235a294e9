"""What the website's explorer is given: Grad-CAM's maps, the network's probabilities, pictures that may be re-used."""

import base64
import json
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.assets import AssetError
from course_utils.explain import ForwardHook, grad_cam
from course_utils.networks import imagenet_classes, load_classifier
from course_utils.pictures import list_photos, load_photo
from course_utils.website import explorer, write_explorer

CLASSES = [0, 281, 985, 999]
SCRIPT = (explorer.PARTS / "explorer.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder, the page's content, and what its script reads, with the numbers decoded."""
    folder = tmp_path_factory.mktemp("site") / "_static" / "explorer"
    fragment = write_explorer(folder, "../_static/explorer")
    text = (folder / "explorer-data.js").read_text(encoding="utf-8")
    data = json.loads(text.removeprefix("window.EXPLORER_DATA = ").removesuffix(";\n"))
    numbers = base64.b64decode(data["numbers"])
    maps, logits = 8 * 1000 * 49, 8 * 1000
    assert len(numbers) == 2 * maps + 4 * logits + 4 * 8 * 49
    data["maps"] = np.frombuffer(numbers, "<f2", maps).reshape(8, 1000, 7, 7).astype(np.float32)
    data["logits"] = np.frombuffer(numbers, "<f4", logits, 2 * maps).reshape(8, 1000)
    data["free"] = np.frombuffer(numbers, "<f4", offset=2 * maps + 4 * logits).reshape(8, 7, 7)
    return folder, fragment, data


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(device="cpu")


@pytest.fixture(scope="module")
def images():
    return torch.cat([one.seen for one in explorer.shown()])


def test_the_maps_are_grad_cams(written, classifier, images):
    """The product of activations and weights, in half precision, against gradients; 1e-6 where a number is tiny."""
    _, _, data = written
    e = grad_cam(classifier, images, CLASSES)
    np.testing.assert_allclose(data["maps"][:, CLASSES], e.maps.numpy(), rtol=2**-11, atol=1e-6)


def test_the_sum_of_a_map_is_the_logit_less_the_bias(written, classifier):
    _, _, data = written
    bias = [part for part in classifier.modules() if isinstance(part, torch.nn.Linear)][-1].bias
    np.testing.assert_allclose(data["biases"], bias.detach().numpy(), atol=2e-5)
    expected = data["logits"] - bias.detach().numpy()
    np.testing.assert_allclose(data["maps"].sum((2, 3)), expected, atol=5e-3)


def test_probabilities_and_names_are_the_networks(written, classifier, images):
    _, _, data = written
    names = data["names"]
    assert names == imagenet_classes() and len(set(names)) == 1000  # a search tells them apart
    chances = torch.tensor(data["logits"]).softmax(1)
    for row, expected in zip(chances, classifier.predict(images), strict=True):
        assert [names[i] for i in row.topk(5).indices] == [name for name, _ in expected]
        assert row.topk(5).values.tolist() == pytest.approx([chance for _, chance in expected], abs=1e-5)


def test_the_class_free_map_is_the_sum_of_all_channels(written, classifier, images):
    with ForwardHook(classifier.target_layer) as hook, torch.no_grad():
        classifier(images)
    np.testing.assert_allclose(written[2]["free"], hook.stored.sum(1).numpy(), rtol=1e-5)


def test_all_photographs_may_be_used_again_and_say_whose_they_are(written):
    """All that the two packages have, but for the one without a stated license."""
    folder, fragment, data = written
    assert set(explorer.PHOTOS) == {*list_photos("skimage", "sklearn")} - {"motorcycle"}
    for one, told in zip(explorer.shown(), data["photos"], strict=True):
        assert told["file"] == f"../_static/explorer/{one.name}.jpg"
        with Image.open(folder / f"{one.name}.jpg") as picture:
            assert picture.size == (448, 448)
        for photo in one.photos:
            assert not photo.license.startswith("Not stated") and photo.credit in told["caption"]
            assert photo.description in told["description"] and photo.url in fragment
    assert sorted(one.name for one in explorer.shown()) == sorted({"four", *explorer.PHOTOS})
    assert load_photo("motorcycle").license.startswith("Not stated")


def test_the_page_asks_no_other_machine_and_nothing_that_a_file_cannot_give(written):
    folder, fragment, _ = written
    loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]*)"', fragment)
    assert len(loaded) == 3 + 8  # style, scripts, and buttons
    assert all(
        address.startswith("../_static/explorer/") and (folder / address.split("/")[-1]).is_file()
        for address in loaded
        if address
    )
    assert not re.search(r"fetch|XMLHttp|import\b|https?:", SCRIPT + (folder / "explorer.css").read_text())
    assert "$" not in fragment and 'href=""' not in fragment


def test_the_script_is_short():
    lines = SCRIPT.splitlines()
    assert len(lines) <= 200 and max(map(len, lines)) <= 120


def test_without_pytorch_a_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(AssetError, match=r"needs PyTorch \(.*pip install -r requirements.txt"):
        write_explorer(tmp_path / "new")
    assert not (tmp_path / "new").exists()
