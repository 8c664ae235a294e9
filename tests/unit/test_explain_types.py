"""Images and classes of every type that people have them in: right, or refused in a sentence."""

import enum
import importlib
import pkgutil
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from torch import nn

import course_utils
from course_utils.attacks import fgsm
from course_utils.explain import (
    cam,
    check_images,
    deletion_curve,
    excitation_backprop,
    grad_cam,
    guided_backprop,
    guided_grad_cam,
    integrated_gradients,
    saliency,
    smooth_grad,
)  # fmt: skip
from course_utils.networks import Classifier, with_head
from course_utils.pictures import Picture, load_photo
from course_utils.playground import Explainer, typed_class

IMAGES = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
METHODS = [
    cam, grad_cam, saliency, guided_backprop, guided_grad_cam, excitation_backprop, fgsm,
    integrated_gradients, smooth_grad,
    lambda net, x: deletion_curve(net, x, torch.arange(16.0).view(4, 4)).values,
]  # fmt: skip


def network(kind=torch.float32):
    torch.manual_seed(0)
    trunk = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU()]
    return nn.Sequential(*trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).to(kind)


def numbers(made):
    return getattr(made, "maps", made).detach().float()


# --- images


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_images_of_another_precision_are_those_of_the_network(method, kind):
    images = IMAGES.to(kind)
    made, expected = (numbers(method(network(), x)) for x in (images, images.float()))
    torch.testing.assert_close(made, expected)
    assert images.dtype == kind


def test_images_in_single_precision_for_a_network_in_double():
    made, expected = (grad_cam(network(torch.float64), x).maps for x in (IMAGES, IMAGES.double()))
    torch.testing.assert_close(made, expected)


def test_images_of_a_type_that_the_network_has_are_left_as_they_are():
    class Mixed(nn.Module):
        """Begins in double, and goes on in single precision."""

        def __init__(self):
            super().__init__()
            self.rest, self.first = network(), nn.Conv2d(3, 3, 1).double()
            self.kinds = []

        def forward(self, x):
            self.kinds.append(x.dtype)
            return self.rest(self.first(x.double()).float())

    for images in (IMAGES, IMAGES.double()):
        mixed = Mixed()
        grad_cam(mixed, images, 0, "rest.2")
        assert set(mixed.kinds) == {images.dtype}


ARRAY = IMAGES.numpy()


@pytest.mark.parametrize(
    "array",
    [
        ARRAY, ARRAY.astype(np.float64), ARRAY.astype(np.float16), ARRAY.astype(">f4"), ARRAY[..., ::-1],
        ARRAY[:, ::-1], np.asfortranarray(ARRAY), ARRAY[:, :, ::2, ::2], (ARRAY * 255).astype(np.uint8), ARRAY > 0.5,
    ],
)  # fmt: skip
def test_what_the_message_recommends_for_an_array_works(array):
    with pytest.raises(TypeError, match="got ndarray") as told:
        grad_cam(network(), array)
    remedy = str(told.value).split("For this array, use `")[1].removesuffix("`.")
    images = eval(remedy, {"torch": torch, "array": array})
    check_images(images, unit_range=True)
    share = 255 if array.dtype == np.uint8 else 1
    np.testing.assert_allclose(images.numpy(), array.astype(np.float32) / share, atol=1e-6)
    assert grad_cam(network(), images).maps.isfinite().all()


@pytest.mark.parametrize("kind", [torch.uint8, torch.int64, torch.bool])
def test_what_the_message_recommends_for_whole_numbers_works(kind):
    images = (IMAGES * (255 if kind == torch.uint8 else 1)).to(kind)
    with pytest.raises(TypeError, match="must be floating-point") as told:
        grad_cam(network(), images)
    check_images(eval(str(told.value).split("`")[1], {"images": images}), unit_range=True)


# --- classes


class Number(enum.IntEnum):
    TWO = 2


class Word(str, enum.Enum):
    TWO = "2"


TWO = [
    2, np.int64(2), np.uint8(2), torch.tensor(2), torch.tensor(2, dtype=torch.int32), np.array(2), Number.TWO,
    Word.TWO, "2", np.str_("2"), [2], (np.int16(2),), np.array([2]), torch.tensor([2]), [torch.tensor(2)], range(2, 3),
]  # fmt: skip


@pytest.fixture(scope="module")
def numbered():
    return Classifier(network(), np.arange(3), size=32).eval()


@pytest.mark.parametrize("two", TWO, ids=repr)
def test_a_class_of_any_integer_type(numbered, two):
    e = grad_cam(numbered, IMAGES[:1], two)
    assert e.classes.tolist() == [[2]] and e.names == [["2"]]
    image = load_photo("cat").square(64).image
    result = Explainer(numbered).explain(Picture("cat", image, image.size), two)
    assert [(found.index, found.name) for found in result.classes] == [(2, "2")]


@pytest.mark.parametrize(
    "no", [True, np.True_, torch.tensor(True), 2.0, torch.tensor(2.0), np.float32(2), b"2", 1j], ids=repr
)
def test_what_is_no_class_is_refused_with_what_it_is(numbered, no):
    for ask in (lambda: numbered.class_index(no), lambda: grad_cam(numbered, IMAGES[:1], [no])):
        with pytest.raises(TypeError, match=r"a class is a number or a name, got "):
            ask()


def test_class_names_are_text():
    names = Classifier(network(), [np.int64(7), "8", Word.TWO]).classes
    assert names == ["7", "8", "2"] and all(type(name) is str for name in names)
    assert with_head(Classifier(network(), list("abc")), nn.Linear(6, 2), [0, 1]).classes == ["0", "1"]
    numbered = Classifier(network(), [10, 20, 30])
    assert numbered.class_index("20") == numbered.class_index(1) == 1
    assert typed_class("20", numbered.classes) == "20" and typed_class("1", numbered.classes) == 1
    for name in (b"cat", None, 1.5, torch.tensor([1, 2]), ["cat"]):
        with pytest.raises(TypeError, match="a class name is a string or a whole number, got "):
            Classifier(network(), ["a", "b", name])


@pytest.mark.parametrize(
    ("text", "meant"), [("7", 7), ("٧", 7), ("²", "²"), ("-1", "-1"), ("7.0", "7.0"), ("", ""), ("½", "½")]
)
def test_typed_classes(text, meant):
    assert typed_class(text, ["cat"]) == meant


# --- results


def dataclasses():
    for module in pkgutil.walk_packages(course_utils.__path__, "course_utils."):
        if not module.name.endswith("__main__"):
            for found in vars(importlib.import_module(module.name)).values():
                if isinstance(found, type) and is_dataclass(found) and found.__module__ == module.name:
                    yield found


def test_what_holds_tensors_is_compared_by_identity():
    """``==`` of tensors is a tensor, without a truth of its own: a generated comparison would fail."""
    holds = [
        c
        for c in dataclasses()
        if any(part in str(f.type) for f in fields(c) for part in ("Tensor", "ndarray"))
    ]
    assert len(holds) > 10
    assert [c.__name__ for c in holds if c.__eq__ is not object.__eq__] == []


def test_explanations_can_be_compared_and_kept_in_sets():
    one, two = (grad_cam(Classifier(network(), list("abc")), IMAGES) for _ in range(2))
    assert one in [two, one] and one != two and one not in [two] and len({one, two}) == 2
