import numpy as np
import pytest
import torch
from helpers import TinyNet, tiny_images
from PIL import Image
from torch import nn

from course_utils.explain import check_images, check_logits, class_matrix, grad_cam, inputs, prepare, run
from course_utils.networks import Classifier

NAMES = ["tabby", "tiger cat", "crane", "crane", "boxer"]


class Returns(nn.Module):
    """A network with a convolution that returns something else than logits."""

    def __init__(self, result):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.result = result

    def forward(self, images):
        return self.result(self.conv(images))


def classifier():
    return Classifier(TinyNet(), NAMES, target_layer="features.5")


# --- images ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (Image.new("RGB", (8, 8)), TypeError, r"must be a tensor \(N, C, H, W\), got Image.*preprocess"),
        (np.zeros((1, 3, 8, 8)), TypeError, r"must be a tensor \(N, C, H, W\), got ndarray.*from_numpy"),
        ([[0.5]], TypeError, "got list"),
        (
            torch.zeros(3, 8, 8),
            ValueError,
            r"\(3, 8, 8\): the batch dimension is missing. Pass `images\[None\]`",
        ),
        (torch.zeros(8, 8), ValueError, r"must have shape \(N, C, H, W\).*got \(8, 8\)"),
        (torch.zeros(1, 1, 3, 8, 8), ValueError, r"got \(1, 1, 3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), ValueError, r"at least one image, got \(0, 3, 8, 8\)"),
        (torch.zeros(1, 3, 0, 8), ValueError, r"got \(1, 3, 0, 8\)"),
        (
            torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
            TypeError,
            r"got torch.uint8. For bytes, .*float\(\) / 255",
        ),
        (torch.zeros(1, 3, 8, 8, dtype=torch.cfloat), TypeError, "got torch.complex64"),
        (torch.full((1, 3, 8, 8), torch.nan), ValueError, "NaN or infinite values. Check how"),
        (torch.full((1, 3, 8, 8), torch.inf), ValueError, "NaN or infinite"),
        (torch.full((1, 3, 8, 8), -torch.inf), ValueError, "NaN or infinite"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images, error, message):
    with pytest.raises(error, match=message):
        check_images(images)
    for model in (TinyNet(), classifier()):  # and every method says so
        with pytest.raises(error, match=message):
            grad_cam(model, images, 0)
    with pytest.raises(error, match=message):
        classifier()(images)


def test_a_single_bad_pixel_is_found():
    images = tiny_images()
    images[1, 2, 7, 7] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        check_images(images)


def test_a_classifier_takes_values_from_0_to_1_only():
    images = tiny_images()
    for bad, found in [(images * 255, "got values from 2.* to 25"), (images - 0.5, "got values from -0.")]:
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\], " + found) as caught:
            grad_cam(classifier(), bad, 0)
        assert "Divide bytes by 255" in str(caught.value)
        grad_cam(TinyNet(), bad, 0)  # a bare network takes what it likes
    check_images(torch.tensor([-1e-7, 1 + 1e-7]).view(1, 1, 1, 2), unit_range=True)  # rounding is forgiven


def test_a_classifier_refuses_gray_images_and_says_how_to_color_them():
    gray = torch.rand(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"3 channels \(RGB\), got 1 .*`images.expand\(-1, 3, -1, -1\)`"):
        grad_cam(classifier(), gray, 0)
    assert grad_cam(classifier(), gray.expand(-1, 3, -1, -1), 0).maps.shape == (2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"got 4 in shape \(2, 4, 8, 8\)"):
        classifier()(torch.rand(2, 4, 8, 8))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_images_of_every_precision_are_checked(dtype):
    images = tiny_images().to(dtype)
    check_images(images, unit_range=True, channels=3)
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        check_images(images)


# --- the model ---------------------------------------------------------------------------------------


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"model must be a torch.nn.Module, got function"):
        grad_cam(tiny_images, tiny_images(), 0)


def test_wrappers_that_run_copies_or_compiled_code_are_looked_through():
    net = TinyNet()
    compiled = nn.Module()
    compiled._orig_mod = net  # where torch.compile keeps the network
    assert inputs.unwrap(net) is net
    assert inputs.unwrap(nn.DataParallel(net)) is net
    assert inputs.unwrap(compiled) is net
    assert inputs.unwrap(nn.DataParallel(nn.DataParallel(net))) is net
    wrapper = nn.Module()
    wrapper.module = net
    assert inputs.unwrap(wrapper) is wrapper


def test_prepare_copies_the_images():
    net, images = TinyNet(), tiny_images().requires_grad_()
    model, copy = prepare(nn.DataParallel(net), images)
    assert model is net
    assert copy.data_ptr() != images.data_ptr()
    assert not copy.requires_grad
    assert torch.equal(copy, images)
    with torch.inference_mode():
        assert not prepare(net, tiny_images())[1].is_inference()
    assert prepare(nn.ReLU(), images)[1].device == images.device  # no parameters, no device to move to


def test_a_model_made_in_inference_mode_runs_with_copies():
    with torch.inference_mode():
        net = TinyNet()
    parameters = list(net.parameters())
    expected = TinyNet()(tiny_images())
    with torch.enable_grad():
        logits = run(net, tiny_images())
    assert torch.equal(logits, expected)
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))


# --- logits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (lambda a: a, r"shape \(2, 4, 6, 6\)"),
        (lambda a: a.sum(), r"shape \(\)"),
        (lambda a: a.mean((0, 2, 3))[None], r"shape \(1, 4\)"),
        (lambda a: a.mean((2, 3))[:, :0], r"shape \(2, 0\)"),
        (lambda a: (a.mean((2, 3)), a), "tuple"),
        (lambda a: {"logits": a.mean((2, 3))}, "dict"),
    ],
)
def test_logits_that_are_not_n_by_classes_are_refused(result, found):
    with pytest.raises(ValueError, match=rf"logits \(N, classes\) for 2 image\(s\), got {found}.*explain"):
        grad_cam(Returns(result), tiny_images(), 0, layer="conv")


def test_check_logits_hands_on_good_ones():
    logits = torch.zeros(2, 5)
    assert check_logits(logits, 2) is logits


# --- classes -----------------------------------------------------------------------------------------

LOGITS = torch.tensor([[0.0, 3, 1, 2, -1], [5.0, 3, 1, 2, -1]])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (None, [[1], [0]]),
        (3, [[3], [3]]),
        (np.int64(3), [[3], [3]]),
        (np.uint8(3), [[3], [3]]),
        (np.array(3), [[3], [3]]),
        (torch.tensor(3), [[3], [3]]),
        ([4, 0, 4], [[4, 0, 4], [4, 0, 4]]),
        ((4, np.int32(0), torch.tensor(2)), [[4, 0, 2], [4, 0, 2]]),
        (range(2), [[0, 1], [0, 1]]),
        (torch.tensor([4, 0]), [[4, 0], [4, 0]]),
        (torch.tensor([4, 0], dtype=torch.int16), [[4, 0], [4, 0]]),
        (np.array([4, 0]), [[4, 0], [4, 0]]),
        (torch.tensor([[4, 0, 1], [2, 2, 3]]), [[4, 0, 1], [2, 2, 3]]),
        (np.array([[4], [2]]), [[4], [2]]),
    ],
)
def test_ways_to_ask_for_classes(classes, expected):
    matrix = class_matrix(nn.ReLU(), classes, LOGITS)
    assert matrix.tolist() == expected
    assert matrix.dtype == torch.long


def test_classes_by_name():
    assert class_matrix(classifier(), "boxer", LOGITS).tolist() == [[4], [4]]
    assert class_matrix(classifier(), ["boxer", 1, "Tabby"], LOGITS).tolist() == [[4, 1, 0]] * 2
    assert class_matrix(classifier(), np.array(["boxer", "tabby"]), LOGITS).tolist() == [[4, 0]] * 2


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        (5, ValueError, "there is no class 5: this model has 5 classes, 0 to 4"),
        (-1, ValueError, "there is no class -1"),
        (2**70, ValueError, f"there is no class {2**70}"),
        ([0, 7], ValueError, "there is no class 7"),
        (torch.tensor([[0], [9]]), ValueError, "there is no class 9"),
        (3.7, TypeError, r"a class is a number or a name, got 3.7 \(float\)"),
        (True, TypeError, "got True"),
        (np.bool_(True), TypeError, "a class is a number or a name"),
        ([torch.tensor(3.7)], TypeError, r"got tensor\(3.7"),
        ([[1, 2], [3, 4]], TypeError, r"got \[1, 2\] \(list\)"),
        ([None], TypeError, "got None"),
        (torch.tensor([0.5]), TypeError, "class numbers .*got a tensor of torch.float32"),
        (np.array([0.5]), TypeError, "got a tensor of torch.float64"),
        (torch.tensor([True, False]), TypeError, "torch.bool"),
        ([], ValueError, r"got shape \(2, 0\)"),
        (torch.zeros(3, 1, dtype=torch.long), ValueError, r"a tensor \(2, K\) .*got shape \(3, 1\)"),
        (torch.zeros(2, 1, 1, dtype=torch.long), ValueError, r"got shape \(2, 1, 1\)"),
        (
            "tabby",
            ValueError,
            "'tabby' is a name, but this TinyNet has no class names. Give the class number",
        ),
    ],
)
def test_bad_classes(classes, error, message):
    with pytest.raises(error, match=message):
        grad_cam(TinyNet(), tiny_images(), classes)


def test_names_that_do_not_exist_or_are_shared():
    with pytest.raises(ValueError, match=r"there is no class 'tabi'. Did you mean 'tabby'"):
        grad_cam(classifier(), tiny_images(), "tabi")
    with pytest.raises(ValueError, match=r"'crane' is the name of 2 classes, \[2, 3\]: give the number"):
        grad_cam(classifier(), tiny_images(), ["tabby", "crane"])


def test_class_names():
    matrix = torch.tensor([[4, 0], [1, 1]])
    assert inputs.class_names(classifier(), matrix) == [["boxer", "tabby"], ["tiger cat", "tiger cat"]]
    net = TinyNet()
    assert inputs.class_names(net, matrix) is None
    for other in (5, ["one", "two"], {"a": 1}):  # some networks keep something else under that name
        net.classes = other
        assert inputs.class_names(net, matrix) is None
