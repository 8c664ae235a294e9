"""What a Classifier makes of a network's outputs: the kind of score, endings that are undone, names, channels."""

import collections
import copy
import enum
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from helpers import TinyNet, relative_error, tiny_images
from PIL import Image
from torch import nn
from torch.nn import functional as F

from course_utils.attacks import fgsm
from course_utils.explain import batched_logits, cam, grad_cam, saliency
from course_utils.networks import Classifier

NAMES = list("abcde")
IMAGES = tiny_images(3)
NET, ONE, TWO = TinyNet(), TinyNet(n_classes=1), TinyNet(n_classes=2)
with torch.no_grad():
    NET.head[3].weight *= 5  # probabilities that differ


class Then(nn.Module):
    """A network, and a function of what it puts out."""

    def __init__(self, function, net=NET):
        super().__init__()
        self.net, self.function = net, function
        self.eval()

    def forward(self, images):
        return self.function(self.net(images))


def logits_of(net):
    """What the network alone puts out for the images as a Classifier normalizes them."""
    with torch.no_grad():
        return net((IMAGES - 0.5) / 0.5)


def told(clf, images=IMAGES):
    """The probabilities that predict tells, in the order of the classes: (N, K)."""
    rows = clf.predict(images, len(clf.classes))
    return torch.tensor([[dict(row)[name] for name in clf.classes] for row in rows])


Y = logits_of(NET)

# --- endings -----------------------------------------------------------------------------------------

SOFTMAX = {
    "module": nn.Softmax(1),
    "function": lambda y: F.softmax(y, -1),
    "method": lambda y: y.softmax(1),
    "by hand": lambda y: y.exp() / y.exp().sum(1, keepdim=True),
    "in other shapes": lambda y: y[:, :, None, None].softmax(1).flatten(1),
    "log": lambda y: F.log_softmax(y, 1),
    "log module": nn.LogSoftmax(1),
    "in double precision": lambda y: y.softmax(1, dtype=torch.float64),
}
SIGMOID = {
    "module": nn.Sigmoid(),
    "method": lambda y: y.sigmoid(),
    "special": torch.special.expit,
    "in place": lambda y: y.clone().sigmoid_(),
    "a head a class": lambda y: torch.cat([y[:, k : k + 1].sigmoid() for k in range(5)], 1),
    "squeezed": lambda y: y[:, :, None, None].sigmoid().squeeze(3).squeeze(2),
    "doubled": lambda y: y.sigmoid().double(),
}


@pytest.mark.parametrize("ending", SOFTMAX.values(), ids=SOFTMAX)
def test_a_last_softmax_is_told_as_it_is_and_undone_for_maps_and_attacks(ending):
    clf, plain = Classifier(Then(ending), NAMES), Classifier(NET, NAMES)
    torch.testing.assert_close(told(clf).float(), Y.softmax(1))
    assert clf.scores == "exclusive"
    torch.testing.assert_close(clf(IMAGES).float(), Y - Y.mean(1, keepdim=True), atol=1e-5, rtol=1e-5)
    # All that a softmax keeps of the logits' maps are their differences.
    maps = grad_cam(plain, IMAGES, range(5)).maps
    assert relative_error(grad_cam(clf, IMAGES, range(5)).maps, maps - maps.mean(1, keepdim=True)) < 1e-4
    assert (fgsm(clf, IMAGES) - fgsm(plain, IMAGES)).abs().max() < 1e-6


@pytest.mark.parametrize("ending", SIGMOID.values(), ids=SIGMOID)
def test_a_last_sigmoid_is_told_as_it_is_and_undone_for_maps(ending):
    clf, plain = Classifier(Then(ending), NAMES), Classifier(NET, NAMES, scores="independent")
    torch.testing.assert_close(told(clf).float(), Y.sigmoid())
    assert clf.scores == "independent"
    torch.testing.assert_close(clf(IMAGES).float(), Y, atol=1e-5, rtol=1e-5)
    maps = grad_cam(plain, IMAGES, range(5)).maps
    assert relative_error(grad_cam(clf, IMAGES, range(5)).maps, maps) < 1e-4
    assert (fgsm(clf, IMAGES) - fgsm(plain, IMAGES)).abs().max() < 1e-6


@pytest.mark.parametrize(
    "first", [told, lambda clf: grad_cam(clf, IMAGES), lambda clf: saliency(clf, IMAGES)]
)
def test_the_ending_is_found_whatever_runs_first(first):
    clf = Classifier(Then(torch.sigmoid), NAMES)
    first(clf)
    torch.testing.assert_close(told(clf), Y.sigmoid())


def test_an_average_of_networks():
    clf = Classifier(Then(lambda y: (y.softmax(1) + (2 * y).softmax(1)) / 2), NAMES)
    torch.testing.assert_close(told(clf), (Y.softmax(1) + (2 * Y).softmax(1)) / 2)


def test_plain_logits_stay_what_they_are():
    for function in (lambda y: y, lambda y: y / 3, lambda y: y * y.sigmoid(), lambda y: y - y.softmax(1)):
        net = Then(function)
        clf = Classifier(net, NAMES)
        for _ in range(2):
            assert torch.equal(clf(IMAGES), net((IMAGES - 0.5) / 0.5))
        assert clf.scores == "exclusive"


def test_logits_of_a_linear_layer_may_sum_to_one():
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([1.0, 0.0]))
    clf = Classifier(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head), ["a", "b"])
    assert clf(IMAGES).tolist() == [[1, 0]] * 3


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_probabilities_in_half_precision(kind):
    clf = Classifier(Then(lambda y: y.softmax(1).to(kind)), NAMES)
    torch.testing.assert_close(told(clf), Y.softmax(1), atol=1e-2, rtol=1e-2)


def sure(factor):
    net = TinyNet()
    with torch.no_grad():
        net.head[3].weight *= factor
        net.head[3].bias *= factor
    return net


def test_the_map_of_a_sure_network():
    net = sure(60)  # the largest probability is 1 to three digits, the smallest 1e-17
    clf, maps = (
        Classifier(Then(lambda y: y.softmax(1), net), NAMES),
        grad_cam(Classifier(net, NAMES), IMAGES, range(5)).maps,
    )
    assert relative_error(grad_cam(clf, IMAGES, range(5)).maps, maps - maps.mean(1, keepdim=True)) < 1e-5


def test_what_rounding_leaves_of_a_softmax():
    net = sure(600)  # most probabilities are 0
    clf, plain = Classifier(Then(lambda y: y.softmax(1), net), NAMES), Classifier(net, NAMES)
    p = plain(IMAGES).softmax(1)
    torch.testing.assert_close(told(clf), p.detach())
    known = p[0] > 0
    maps = grad_cam(plain, IMAGES[:1], range(5)).maps[:, known]
    assert 1 < known.sum() < 5
    found = grad_cam(clf, IMAGES[:1], known.nonzero()[:, 0].tolist()).maps
    assert relative_error(found, maps - maps.mean(1, keepdim=True)) < 1e-4
    with pytest.raises(ValueError, match=r"not finite here.*rounds to 0 or 1"):
        grad_cam(clf, IMAGES[:1], int((~known).nonzero()[0]))


def test_a_softmax_rounded_to_one_and_zeros_is_told_and_not_explained():
    net = sure(60000)
    clf = Classifier(Then(lambda y: y.softmax(1), net), NAMES)
    assert [row[0][1] for row in clf.predict(IMAGES)] == [1, 1, 1]
    for call in (grad_cam, saliency, fgsm):
        with pytest.raises(ValueError, match=r"so sure of image\(s\) 0, 1, 2 .*without its softmax"):
            call(clf, IMAGES)
    # Logarithms are not rounded to 0.
    clf, plain = Classifier(Then(lambda y: y.log_softmax(1), net), NAMES), Classifier(net, NAMES)
    maps = grad_cam(plain, IMAGES, range(5)).maps
    assert relative_error(grad_cam(clf, IMAGES, range(5)).maps, maps - maps.mean(1, keepdim=True)) < 1e-5


def test_a_sigmoid_rounded_to_one_is_told_and_not_explained():
    clf = Classifier(Then(torch.sigmoid, sure(600)), NAMES)
    assert clf.predict(IMAGES)[0][0][1] == 1
    for call in (grad_cam, saliency, batched_logits, fgsm):
        with pytest.raises(ValueError, match=r"not finite here.*rounds to 0 or 1"):
            call(clf, IMAGES)


def test_a_softmax_over_something_else_is_refused():
    for net in (Then(lambda y: y.softmax(1), ONE), Then(lambda y: y.softmax(0))):
        with pytest.raises(ValueError, match="softmax does not run over its classes"):
            Classifier(net, NAMES[: logits_of(net).shape[1]]).predict(IMAGES)


def test_a_step_that_is_taken_away_later():
    net = nn.Sequential(NET, nn.Softmax(1))
    clf = Classifier(net, NAMES)
    told(clf)
    net[1] = nn.Identity()
    torch.testing.assert_close(clf(IMAGES), Y)


@pytest.mark.filterwarnings("ignore")
def test_scripted_and_exported_networks():
    for ending in (nn.Softmax(1), nn.Sigmoid()):
        net = nn.Sequential(NET, ending).eval()
        expected = net((IMAGES - 0.5) / 0.5)
        exported = Classifier(torch.export.export(net, (IMAGES,)).module(), NAMES)
        torch.testing.assert_close(exported.probabilities(exported(IMAGES)), expected)
        scripted = torch.jit.trace(net, IMAGES)
        if isinstance(ending, nn.Softmax):
            torch.testing.assert_close(told(Classifier(scripted, NAMES)), expected.detach())
            continue
        with pytest.raises(ValueError, match="scripted, which hides its last step"):
            told(Classifier(scripted, NAMES))
        clf = Classifier(scripted, NAMES, scores="independent", output=torch.logit)
        torch.testing.assert_close(told(clf), expected.detach())


# --- the kind of score -------------------------------------------------------------------------------


def test_independent_findings():
    names = [f"finding {k}" for k in range(14)]
    net = TinyNet(n_classes=14)
    clf = Classifier(net, names, scores="independent")
    torch.testing.assert_close(told(clf), logits_of(net).sigmoid())
    assert len(clf.predict(IMAGES)[0]) == 5
    plain = Classifier(net, names)
    torch.testing.assert_close(told(plain), logits_of(net).softmax(1))


@pytest.mark.parametrize("scores", [None, "one logit", "independent"])
@pytest.mark.parametrize("function", [lambda y: y, torch.sigmoid])
def test_one_logit_and_one_name(function, scores):
    clf = Classifier(Then(function, ONE), ["ill"], scores=scores)
    torch.testing.assert_close(told(clf), logits_of(ONE).sigmoid())
    assert clf.scores == (scores or "one logit")
    torch.testing.assert_close(clf(IMAGES).detach(), logits_of(ONE))


@pytest.mark.parametrize("function", [lambda y: y, torch.sigmoid])
def test_one_logit_and_two_names(function):
    clf = Classifier(Then(function, ONE), ["well", "ill"])
    p = logits_of(ONE).sigmoid()
    torch.testing.assert_close(told(clf), torch.cat([1 - p, p], 1))
    assert clf.scores == "exclusive"
    e = grad_cam(clf, IMAGES, ["well", "ill"])
    alone = grad_cam(Classifier(ONE, ["ill"]), IMAGES, "ill")
    torch.testing.assert_close(e.maps, torch.cat([-alone.maps / 2, alone.maps / 2], 1))


def test_the_second_of_two_probabilities():
    clf = Classifier(Then(lambda y: y.softmax(1)[:, 1:], TWO), ["ill"])
    torch.testing.assert_close(told(clf), logits_of(TWO).softmax(1)[:, 1:])
    torch.testing.assert_close(clf(IMAGES).detach(), logits_of(TWO).diff(dim=1))


def test_ordered_classes_through_output():
    net = TinyNet(n_classes=4)  # CORN: y_k says whether the rank is above k, given that it is above k - 1

    def ranks(y):
        above = F.pad(y.sigmoid().cumprod(1), (1, 1))
        above[:, 0] = 1
        return above[:, :-1] - above[:, 1:]

    clf = Classifier(net, NAMES, output=ranks)
    torch.testing.assert_close(told(clf), ranks(logits_of(net)))
    torch.testing.assert_close(told(clf).sum(1), torch.ones(3))


# --- as many names as outputs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "names", "words"),
    [
        (
            1001,
            1000,
            r"puts out 1001 numbers an image, but there are 1000 .* background class, put its name in front",
        ),
        (4, 5, "puts out 4 numbers an image, but there are 5 .* K - 1 outputs for K ordered classes"),
        (5, 2, "puts out 5 numbers an image, but there are 2 class name"),
        (
            1,
            3,
            r"puts out 1 number an image, but there are 3 class name\(s\), .*\. One output has one name.*or two",
        ),
        (10, 4, "puts out 10 numbers .* Give a name for each output, in their order"),
        (4, 5, "If one of the names is a background class's"),
    ],
)
def test_another_number_of_names_is_refused_by_every_call(outputs, names, words):
    clf = Classifier(TinyNet(n_classes=outputs), [str(k) for k in range(names)])
    for call in (Classifier.predict, grad_cam, cam, saliency, fgsm, batched_logits):
        with pytest.raises(ValueError, match=words):
            call(clf, IMAGES)


def test_a_background_class_in_front():
    net = TinyNet(n_classes=6)
    clf = Classifier(net, ["background", *NAMES])
    assert grad_cam(clf, IMAGES, "c").classes.tolist() == [[3]] * 3


class Shape(enum.Enum):
    CIRCLE = "round"
    SQUARE = "angular"


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ({0: "cat", 1: "dog"}, ["cat", "dog"]),
        ({"1": "dog", "0": "cat"}, ["cat", "dog"]),
        ({np.int64(1): "dog", np.int64(0): "cat"}, ["cat", "dog"]),
        (Shape, ["CIRCLE", "SQUARE"]),
        ([Shape.SQUARE, Shape.CIRCLE], ["SQUARE", "CIRCLE"]),
        (np.array(["cat", "dog"]), ["cat", "dog"]),
        (np.array(["cat", "dog"], dtype=object), ["cat", "dog"]),
        (range(2), ["0", "1"]),
        ([10, np.int64(20)], ["10", "20"]),
        (("a", "a"), ["a", "a"]),
        ((name for name in "ab"), ["a", "b"]),
        ({"cat": 0, "dog": 1}.keys(), ["cat", "dog"]),
    ],
    ids=[f"names{n}" for n in range(12)],
)
def test_names(classes, names):
    clf = Classifier(TWO, classes)
    assert clf.classes == names and all(type(name) is str for name in clf.classes)
    assert grad_cam(clf, IMAGES, [0, 1]).names == [names] * 3
    if len(set(names)) == 2:
        assert [clf.class_index(name) for name in names] == [0, 1]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Classifier(TWO, {"cat": 0, "dog": 1}), ValueError, r"id2label\); the keys of this one are 'cat', 'd"),
        (lambda: Classifier(TWO, {1: "a", 2: "b"}), ValueError, "from the numbers 0 to 1 to names"),
        (lambda: Classifier(TWO, {0: "a", "0": "b"}), ValueError, "keys of this one are 0, '0'"),
        (lambda: Classifier(TWO, "ab"), TypeError, "a list of names.*got str"),
        (lambda: Classifier(TWO, {"a", "b"}), TypeError, "a list of names.*got set"),
        (lambda: Classifier(TWO, 2), TypeError, "a list of names.*got int"),
        (lambda: Classifier(TWO, [None, "a"]), TypeError, "a class name is a string or a whole number, got None"),
        (lambda: Classifier(TWO, [0.5, "a"]), TypeError, "a class name is .* got 0.5"),
        (lambda: Classifier(TWO, ["a", "b"], scores="softmax"), ValueError, "scores must be one of .*got 'softmax'"),
        (lambda: Classifier(ONE, ["a"], scores="exclusive"), ValueError, "cannot be 'exclusive' for 1 class"),
        (lambda: Classifier(NET, NAMES, scores="one logit"), ValueError, "cannot be 'one logit' for 5 class"),
        (lambda: Classifier(TWO, ["a", "b"], output="logits"), TypeError, "output must be a function"),
        (lambda: Classifier(TWO, ["a", "b"], [0.5, 0.5], [1, 1, 1]), ValueError, "a number for each channel"),
        (lambda: Classifier(TWO, []).predict(IMAGES), ValueError, "has no class names: its network puts out features"),
        (lambda: Classifier(Then(lambda y: {"y": y}), NAMES).predict(IMAGES), ValueError, r"dict. It holds out\['y'\]"),
        (lambda: Classifier(gray(), NAMES)(IMAGES), ValueError, r"1 channel \(gray\), got 3 .*images.mean\(1, keepdim"),
        (
            lambda: Classifier(nn.Conv2d(5, 2, 1), ["a"], [0.5] * 5).preprocess(Image.new("RGB", (9, 9))),
            ValueError,
            "takes images of 5 channels",
        ),
    ],
)  # fmt: skip
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("k", [1, 2, 3, 5, 7])
def test_predict_tells_five_classes_or_all(k):
    clf = Classifier(TinyNet(n_classes=k), [str(n) for n in range(k)])
    assert [len(row) for row in clf.predict(IMAGES)] == [min(k, 5)] * 3


# --- what holds the logits ---------------------------------------------------------------------------


@dataclass
class Output(collections.OrderedDict):
    """As the outputs of transformers: a dataclass and a dictionary."""

    logits: torch.Tensor = None
    hidden: tuple = field(default=())

    def __post_init__(self):
        self["logits"] = self.logits


def test_logits_inside_of_something():
    pair = collections.namedtuple("pair", "out aux")
    for pack, output in [
        (lambda y: (y, y[:, :2]), lambda out: out[0]),
        (lambda y: [2 * y, y], lambda out: out[-1]),
        (lambda y: {"head": {"logits": y}}, lambda out: out["head"]["logits"]),
        (lambda y: Output(logits=y), lambda out: out.logits),
        (lambda y: pair(y, None), lambda out: out.out),
        (lambda y: y[:, :, None, None], lambda out: out.flatten(1)),
    ]:
        clf = Classifier(Then(pack), NAMES, output=output)
        assert torch.equal(clf(IMAGES), Classifier(NET, NAMES)(IMAGES))
        torch.testing.assert_close(told(clf), Y.softmax(1))
        torch.testing.assert_close(cam(clf, IMAGES, range(5)), cam(Classifier(NET, NAMES), IMAGES, range(5)))
    clf = Classifier(Then(lambda y: {"p": y.sigmoid()}), NAMES, output=lambda out: out["p"])
    torch.testing.assert_close(told(clf), Y.sigmoid())


# --- channels ----------------------------------------------------------------------------------------


def gray():
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)]
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), *head)


@pytest.mark.parametrize("numbers", [{}, {"mean": 0.5, "std": 0.5}, {"mean": [0.5], "std": [0.5]}])
def test_a_network_of_gray_images(numbers):
    net = gray()
    clf = Classifier(net, NAMES, **numbers)
    images = IMAGES[:, :1]
    assert torch.equal(clf(images), net((images - 0.5) / 0.5))
    assert grad_cam(clf, images, 0).maps.shape == (3, 1, 6, 6)
    picture = Image.new("RGB", (300, 300), (255, 0, 0))
    assert clf.preprocess(picture).shape == (1, 1, 224, 224)
    assert clf.preprocess(picture).unique().item() == pytest.approx(76 / 255)  # ITU-R 601: 0.299 of red


def test_one_number_for_three_channels():
    clf = Classifier(NET, NAMES, [0.2], 0.4)
    torch.testing.assert_close(clf(IMAGES), NET((IMAGES - 0.2) / 0.4))
    assert clf.mean.shape == clf.std.shape == (1, 3, 1, 1)


def test_other_numbers_of_channels():
    net = nn.Sequential(nn.Conv2d(5, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    clf = Classifier(net, ["a", "b", "c"], [0.1] * 5, [0.2] * 5)
    assert clf(torch.rand(2, 5, 8, 8)).shape == (2, 3)


def test_a_copy_knows_what_the_classifier_knew():
    clf = Classifier(Then(torch.sigmoid), NAMES)
    told(clf)
    assert copy.deepcopy(clf).scores == "independent"
