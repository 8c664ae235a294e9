"""What the attacks and their study refuse, in words, and that no hook stays behind."""

import pytest
import torch
from helpers import TinyNet, tiny_images
from torch import nn

from course_utils.attacks import move_map, pgd, study
from course_utils.explain import LayerError

NET, IMAGES = TinyNet(), tiny_images(4)
ONE, PROBABILITIES = TinyNet(n_classes=1), nn.Sequential(TinyNet(), nn.Softmax(1)).eval()
REGIONS = torch.zeros(4, 8, 8, dtype=torch.bool)
REGIONS[:, 1:4, 3:6] = True
ROWS = [
    study.Row("a picture", "photograph", "bee", 0.25, name, "ant", *[0.5] * 6) for name in ("none", "noise 2")
]


def attack(**options):
    return pgd(**{"model": NET, "images": IMAGES, **options})


def move(**options):
    return move_map(**{"model": NET, "images": IMAGES, "regions": REGIONS, **options})


@pytest.fixture
def other(tmp_path):
    """A table with other columns."""
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda _: attack(epsilon=8), ValueError, "Did you mean 8 / 255"),
        (lambda _: attack(epsilon=-0.1), ValueError, "0 or more"),
        (lambda _: attack(epsilon=float("nan")), ValueError, "0 or more"),
        (lambda _: attack(norm="l1"), ValueError, "one of linf, l2"),
        (lambda _: attack(steps=0), ValueError, "at least one step"),
        (lambda _: attack(steps=2.5), TypeError, "steps is a whole number, got 2.5"),
        (
            lambda _: attack(target=1, labels=2),
            ValueError,
            "a target to reach, or labels .* not both; got 1 and 2",
        ),
        (
            lambda _: move(regions=REGIONS.numpy()),
            TypeError,
            r"bool tensor \(4, 8, 8\), got ndarray: `torch.as_tens",
        ),
        (lambda _: attack(step_size=0), ValueError, "above 0"),
        (lambda _: attack(momentum=-1), ValueError, "momentum"),
        (lambda _: attack(stop_at=1.0), ValueError, "between 0 and 1"),
        (lambda _: attack(target=5), ValueError, "no class 5"),
        (lambda _: attack(target="tabby"), ValueError, "is a name"),
        (
            lambda _: attack(model=ONE, target=0),
            ValueError,
            "one logit, and a number could mean .* two names",
        ),
        (
            lambda _: attack(model=ONE, labels=torch.zeros(4, dtype=torch.long)),
            ValueError,
            "one logit, and a number",
        ),
        (
            lambda _: attack(model=PROBABILITIES),
            ValueError,
            "returns probabilities, its last step being a softmax",
        ),
        (
            lambda _: move(model=PROBABILITIES),
            ValueError,
            "returns probabilities, its last step being a softmax",
        ),
        (lambda _: attack(output=3), TypeError, "output must be a function"),
        (lambda _: attack(target=[1, 2]), ValueError, "one for each"),
        (lambda _: attack(target=torch.zeros(4, 2, dtype=torch.long)), ValueError, "one for each"),
        (lambda _: attack(target=torch.zeros(4)), TypeError, "integers"),
        (lambda _: attack(images=IMAGES * 255), ValueError, "lie in"),
        (lambda _: attack(images=IMAGES[0]), ValueError, "batch dimension"),
        (lambda _: move(regions=REGIONS.float()), ValueError, "bool tensor"),
        (lambda _: move(regions=REGIONS[:2]), ValueError, r"bool tensor \(4, 8, 8\)"),
        (lambda _: move(regions=torch.zeros_like(REGIONS)), ValueError, "nowhere"),
        (lambda _: move(epsilon=8), ValueError, "Did you mean 8 / 255"),
        (lambda _: move(steps=0), ValueError, "at least one step"),
        (lambda _: move(step_size=-1.0), ValueError, "above 0"),
        (lambda _: move(classes=9), ValueError, "no class 9"),
        (lambda _: move(keep=9), ValueError, "no class 9"),
        (lambda _: move(images=IMAGES * 255), ValueError, "lie in"),
        (lambda _: move(images=IMAGES[0]), ValueError, "batch dimension"),
        (lambda _: move(model=TinyNet(pooled=False)), LayerError, "CAM needs"),
        (lambda _: study.measure(None, [], ["PGD 9"]), ValueError, "no attack 'PGD 9'"),
        (
            lambda _: study.column(ROWS, "x", "energy"),
            ValueError,
            "no row has the attack 'x'; there are: none, noise 2",
        ),
        (study.load, ValueError, "has the columns"),
    ],
)
def test_what_is_refused(call, error, words, other):
    with pytest.raises(error, match=words):
        call(other)
    assert not any(part._forward_hooks for part in NET.modules())
