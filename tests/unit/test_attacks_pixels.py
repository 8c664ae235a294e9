"""Attacks against foolbox, against a linear model that can be solved on paper, and against their own promises."""

import copy
from itertools import pairwise

import foolbox
import pytest
import torch
from helpers import TinyNet, relative_error, tiny_images
from torch import nn
from torch.nn import functional as F

from course_utils.attacks import fgsm, pgd, pgd_path, project, random_noise
from course_utils.networks import Classifier

EPSILON = 8 / 255
LABELS, TARGETS = torch.tensor([0, 1, 2, 3]), torch.tensor([3, 0, 4, 1])


def lively(pooled=False, seed=1):
    """A TinyNet whose logits differ enough for an attack to matter."""
    net = TinyNet(pooled, seed=seed)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    return net


NET, IMAGES = lively(), tiny_images(4)


def theirs(attack, epsilon, targeted, **options):
    model = foolbox.PyTorchModel(copy.deepcopy(NET), bounds=(0, 1))  # it fills parameters' .grad
    kind = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    wanted = TARGETS if targeted else LABELS
    # Its run() does not stop early and does not look whether the attack succeeded.
    return attack(**options).run(model, IMAGES.clone(), kind(wanted), epsilon=epsilon)


def wanted(targeted):
    return {"target": TARGETS} if targeted else {"labels": LABELS}


@pytest.mark.parametrize("epsilon", [1 / 255, EPSILON, 0.3])
def test_fgsm_is_foolbox_s(epsilon):
    expected = theirs(foolbox.attacks.LinfFastGradientAttack, epsilon, False)
    assert (fgsm(NET, IMAGES, labels=LABELS, epsilon=epsilon) - expected).abs().max() < 1e-6
    expected = theirs(foolbox.attacks.L2FastGradientAttack, 10 * epsilon, False)
    found = fgsm(NET, IMAGES, labels=LABELS, epsilon=10 * epsilon, norm="l2")
    assert (found - expected).abs().max() < 1e-6


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("norm", "attack", "epsilon"),
    [
        ("linf", foolbox.attacks.LinfProjectedGradientDescentAttack, EPSILON),
        ("l2", foolbox.attacks.L2ProjectedGradientDescentAttack, 0.7),
    ],
)
def test_pgd_is_foolbox_s(norm, attack, epsilon, targeted):
    options = {"steps": 7, "abs_stepsize": epsilon / 3, "random_start": False}
    expected = theirs(attack, epsilon, targeted, **options)
    found = pgd(NET, IMAGES, epsilon=epsilon, steps=7, step_size=epsilon / 3, norm=norm, **wanted(targeted))
    assert (found - expected).abs().max() < 1e-6
    assert (found - IMAGES).abs().max() > 0.9 * epsilon / (1 if norm == "linf" else IMAGES[0].numel() ** 0.5)


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"norm": "l2", "epsilon": 1.0}, {"random_start": True}]
)
def test_a_path_ends_where_pgd_does_and_leaves_the_model_alone_between_steps(options):
    settings = {"steps": 4, **options}
    NET.train()
    try:
        path = []
        for x in pgd_path(NET, IMAGES, TARGETS, **settings):
            assert NET.training and not torch.is_inference_mode_enabled()
            path.append(x)
    finally:
        NET.eval()
    assert len(path) == 5 and torch.equal(path[-1], pgd(NET, IMAGES, TARGETS, **settings))
    assert all(not torch.equal(x, y) for x, y in pairwise(path))
    if not options.get("random_start"):
        assert torch.equal(path[0], IMAGES)


def test_targeted_fgsm_is_one_step_of_foolbox_s_pgd():
    for norm, attack, epsilon in [
        ("linf", foolbox.attacks.LinfProjectedGradientDescentAttack, EPSILON),
        ("l2", foolbox.attacks.L2ProjectedGradientDescentAttack, 0.7),
    ]:
        expected = theirs(attack, epsilon, True, steps=1, abs_stepsize=epsilon, random_start=False)
        assert (fgsm(NET, IMAGES, TARGETS, epsilon, norm=norm) - expected).abs().max() < 1e-6


@pytest.mark.parametrize("targeted", [False, True])
def test_momentum_by_its_definition(targeted):
    # foolbox's momentum adds gradients up without dividing each by its 1-norm, which is not the paper's rule.
    sign, classes = (-1, TARGETS) if targeted else (1, LABELS)
    x, g = IMAGES.clone(), torch.zeros_like(IMAGES)
    for _ in range(6):
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(NET(leaf), classes, reduction="sum"), leaf)
        for n in range(4):
            g[n] = 0.9 * g[n] + gradient[n] / gradient[n].abs().sum()
        x = (x + sign * 0.01 * g.sign()).clamp(IMAGES - EPSILON, IMAGES + EPSILON).clamp(0, 1)
    found = pgd(NET, IMAGES, steps=6, step_size=0.01, momentum=0.9, **wanted(targeted))
    assert (found - x).abs().max() < 1e-6
    assert (pgd(NET, IMAGES, steps=6, step_size=0.01, **wanted(targeted)) - x).abs().max() > 1e-3


def test_a_linear_model_on_paper():
    # Logits (0, w x) with w = (1, -2, 0.5), x = (0.5, 0.5, 0.9): 0.5 - 1 + 0.45 = -0.05, class 0. The sign step of
    # 0.1 toward class 1 is (+, -, +): w x rises by 0.1 (1 + 2 + 0.5) = 0.35, but 0.9 + 0.1 just meets the bound.
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0, 0, 0], [1, -2, 0.5]]))
    x = torch.tensor([0.5, 0.5, 0.9]).view(1, 3, 1, 1)
    for found in (
        fgsm(net, x, target=1, epsilon=0.1),
        fgsm(net, x, epsilon=0.1),
        fgsm(net, x, labels=0, epsilon=0.1),
    ):
        assert found.flatten().tolist() == pytest.approx([0.6, 0.4, 1.0])
        assert net(found)[0, 1].item() == pytest.approx(0.3)
    # One step of 0.2: the third value would be 1.1 and is clipped.
    assert fgsm(net, x, target=1, epsilon=0.2).flatten().tolist() == pytest.approx([0.7, 0.3, 1.0])
    # Euclidean: along w / |w|, |w| = sqrt(5.25).
    found = fgsm(net, x, target=1, epsilon=0.1, norm="l2")
    assert (found - x).flatten().tolist() == pytest.approx([v * 0.1 / 5.25**0.5 for v in (1, -2, 0.5)])


ATTACKS = {
    "fgsm": lambda **o: fgsm(NET, IMAGES, **o),
    "fgsm, targeted": lambda **o: fgsm(NET, IMAGES, TARGETS, **o),
    "pgd": lambda **o: pgd(NET, IMAGES, **o),
    "pgd, random start": lambda **o: pgd(NET, IMAGES, random_start=True, **o),
    "pgd, momentum, large steps": lambda **o: pgd(NET, IMAGES, TARGETS, momentum=1, step_size=0.5, **o),
    "noise": lambda **o: random_noise(IMAGES, **o),
    "noise of full size": lambda **o: random_noise(IMAGES, full_size=True, **o),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


@each_attack
@pytest.mark.parametrize("epsilon", [0, 1 / 255, EPSILON, 0.5, 1])
def test_within_epsilon_and_within_the_range_of_images(attack, epsilon):
    found = attack(epsilon=epsilon)
    assert (found - IMAGES).abs().max() <= epsilon + 1e-7
    assert found.min() >= 0 and found.max() <= 1
    assert epsilon in (0, 1) or (found - IMAGES).abs().amax((1, 2, 3)).min() > 0.9 * epsilon
    length = 20 * epsilon
    found = attack(epsilon=length, norm="l2")
    lengths = torch.linalg.vector_norm(found - IMAGES, dim=(1, 2, 3))
    assert (lengths <= length * (1 + 1e-6) + 1e-7).all()
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal(attack(epsilon=length, norm="l2"), found)


@each_attack
def test_images_and_model_are_left_as_they_were(attack):
    given, state = IMAGES.clone(), copy.deepcopy(NET.state_dict())
    NET.train()
    try:
        before = torch.get_rng_state()
        first = attack()
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(attack(), first)
        assert all(part.training for part in NET.modules())
        with torch.inference_mode():
            assert torch.equal(attack(), first)
        assert not first.requires_grad
    finally:
        NET.eval()
    assert torch.equal(IMAGES, given)
    assert all(torch.equal(value, state[key]) for key, value in NET.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in NET.parameters())


def test_an_exception_leaves_the_mode_as_it_was():
    net = lively().train()
    with pytest.raises(ValueError, match="no class 9"):
        pgd(net, IMAGES, 9)
    assert all(part.training for part in net.modules())


def test_a_batch_is_each_image_by_itself():
    for norm, epsilon in (("linf", EPSILON), ("l2", 0.7)):
        together = pgd(NET, IMAGES, TARGETS, epsilon, norm=norm, momentum=0.5)
        for n in range(4):
            alone = pgd(NET, IMAGES[[n]], int(TARGETS[n]), epsilon, norm=norm, momentum=0.5)
            assert relative_error(together[[n]], alone) < 1e-6


def test_targets_are_reached_and_labels_are_left():
    found = pgd(NET, IMAGES, TARGETS, 0.4, steps=60)
    assert NET(found).argmax(1).tolist() == TARGETS.tolist()
    before = NET(IMAGES).argmax(1)
    assert (NET(pgd(NET, IMAGES, epsilon=0.4, steps=60)).argmax(1) != before).all()


def test_names_and_one_class_for_all():
    clf = Classifier(lively(), list("abcde"))
    by_number = pgd(clf, IMAGES, [2, 0, 1, 4])
    assert torch.equal(pgd(clf, IMAGES, ["c", "a", "b", "e"]), by_number)
    assert torch.equal(pgd(clf, IMAGES, torch.tensor([2, 0, 1, 4])), by_number)
    assert torch.equal(pgd(clf, IMAGES, "c"), pgd(clf, IMAGES, [2, 2, 2, 2]))
    assert torch.equal(pgd(clf, IMAGES, torch.tensor(2)), pgd(clf, IMAGES, 2))


class Counting(TinyNet):
    calls = 0

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


@pytest.mark.parametrize("targeted", [False, True])
def test_it_stops_when_every_image_has_arrived(targeted):
    net = Counting(pooled=False, seed=1)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    options = {"epsilon": 0.4, "steps": 60, "step_size": 0.02, **wanted(targeted)}
    pgd(net, IMAGES, **options)
    all_steps, net.calls = net.calls, 0
    found = pgd(net, IMAGES, stop_at=0.5 if targeted else 0.95, **options)
    assert net.calls < all_steps - 10
    chances = net(found).softmax(1).gather(1, (TARGETS if targeted else LABELS)[:, None])[:, 0]
    arrived = chances >= 0.5 if targeted else chances <= 0.05
    assert arrived.all()
    # One step less would not have been enough.
    less = pgd(net, IMAGES, **{**options, "steps": net.calls - 4})
    chances = net(less).softmax(1).gather(1, (TARGETS if targeted else LABELS)[:, None])[:, 0]
    assert not (chances >= 0.5 if targeted else chances <= 0.05).all()


def test_seeds():
    assert not torch.equal(random_noise(IMAGES, seed=1), random_noise(IMAGES, seed=2))
    one = pgd(NET, IMAGES, TARGETS, random_start=True, seed=1, steps=2)
    assert not torch.equal(one, pgd(NET, IMAGES, TARGETS, random_start=True, seed=2, steps=2))


def test_noise_fills_the_ball_evenly():
    gray = torch.full((400, 3, 4, 4), 0.5)
    noise = random_noise(gray, 0.1) - 0.5
    assert noise.mean().abs() < 0.002 and noise.abs().mean() == pytest.approx(0.05, abs=0.002)
    lengths = torch.linalg.vector_norm(random_noise(gray, 0.1, "l2") - 0.5, dim=(1, 2, 3))
    # In d dimensions, the mean distance from the center is d / (d + 1) of the radius.
    assert lengths.mean() == pytest.approx(0.1 * 48 / 49, abs=0.0005)


def test_noise_of_full_size_lies_on_the_border():
    gray = torch.full((50, 3, 4, 4), 0.5)
    noise = random_noise(gray, 0.1, full_size=True) - 0.5
    assert (noise.abs() - 0.1).abs().max() < 1e-6
    assert noise.sign().mean().abs() < 0.06  # 2,400 coins: three standard deviations
    lengths = torch.linalg.vector_norm(random_noise(gray, 0.1, "l2", full_size=True) - 0.5, dim=(1, 2, 3))
    assert (lengths - 0.1).abs().max() < 1e-6


def test_the_projection_finds_the_nearest_point():
    # On paper: from (0.5, 0.9), the point (0.8, 1.3) is 0.3 and 0.4 away, 0.5 in all.
    center, x = torch.tensor([0.5, 0.9]).view(1, 1, 1, 2), torch.tensor([0.8, 1.3]).view(1, 1, 1, 2)
    assert project(x, center, 0.2).flatten().tolist() == pytest.approx([0.7, 1.0])
    assert project(x, center, 0.1, "l2").flatten().tolist() == pytest.approx([0.56, 0.98])
    assert project(x, center, 0.25, "l2").flatten().tolist() == pytest.approx([0.65, 1.0])
    assert torch.equal(project(center, center, 0, "l2"), center)
    inside = (IMAGES + 0.01).clamp(0, 1)
    for norm in ("linf", "l2"):
        assert torch.allclose(project(inside, IMAGES, 1, norm), inside)


def test_a_bar_is_shown_on_long_runs_only(capsys):
    pgd(NET, IMAGES, steps=3)
    assert "PGD" not in capsys.readouterr().err
    pgd(NET, IMAGES, steps=3, progress=True)
    assert "PGD" in capsys.readouterr().err
    pgd(NET, IMAGES, steps=50)
    assert "PGD" in capsys.readouterr().err
    pgd(NET, IMAGES, steps=50, progress=False)
    assert "PGD" not in capsys.readouterr().err


# --- other scores than those of exclusive classes ----------------------------------------------------

FINDINGS = lively(seed=2)
ONE = nn.Sequential(lively(seed=3), nn.Linear(5, 1)).eval()


def foolbox_s(logits_of, labels, epsilon=EPSILON):
    """FGSM of foolbox away from labels 0 (no) and 1 (yes), of a network made of one logit: (0, y)."""

    class Answers(nn.Module):
        def forward(self, images):
            y = logits_of(images)
            return torch.stack([torch.zeros_like(y), y], 1)

    model = foolbox.PyTorchModel(Answers().eval(), bounds=(0, 1))
    away = foolbox.criteria.Misclassification(labels)
    return foolbox.attacks.LinfFastGradientAttack().run(model, IMAGES.clone(), away, epsilon=epsilon)


def raw(images):
    return (images - 0.5) / 0.5


def test_one_logit_is_turned_over():
    net = copy.deepcopy(ONE).requires_grad_(False)
    with torch.no_grad():
        middle = (
            net(raw(IMAGES)).flatten().sort().values[1:3].mean()
        )  # between two of the four: no answer is near 0
        net[1].bias.sub_(middle)  # answers of both kinds
    answers = (net(raw(IMAGES))[:, 0] > 0).long()
    assert 0 < answers.sum() < 4
    expected = foolbox_s(lambda x: net(raw(x))[:, 0], answers)
    one, two = Classifier(net, ["ill"]), Classifier(net, ["well", "ill"])
    for clf in (one, two, Classifier(nn.Sequential(net, nn.Sigmoid()), ["ill"])):
        assert (fgsm(clf, IMAGES) - expected).abs().max() < 1e-6
    assert (fgsm(two, IMAGES, labels=answers) - expected).abs().max() < 1e-6
    up = foolbox_s(lambda x: net(raw(x))[:, 0], torch.zeros(4, dtype=torch.long))
    assert (fgsm(one, IMAGES, "ill") - up).abs().max() < 1e-6
    assert (fgsm(two, IMAGES, 1) - up).abs().max() < 1e-6
    far = pgd(one, IMAGES, epsilon=0.3, steps=20)
    assert ((net(raw(far))[:, 0] > 0).long() == 1 - answers).all()
    bare = fgsm(net, IMAGES)  # not normalized: its own answers
    assert (bare - IMAGES).abs().amax((1, 2, 3)).gt(0.9 * EPSILON).all()


def test_independent_classes_are_attacked_one_by_one():
    clf = Classifier(FINDINGS, list("abcde"), scores="independent")
    for c, name in enumerate("abcde"):
        y = lambda x, c=c: FINDINGS(raw(x))[:, c]  # noqa: E731
        up = foolbox_s(y, torch.zeros(4, dtype=torch.long))
        assert (fgsm(clf, IMAGES, name) - up).abs().max() < 1e-6
        down = foolbox_s(y, torch.ones(4, dtype=torch.long))
        assert (fgsm(clf, IMAGES, labels=c) - down).abs().max() < 1e-6
    first = clf(IMAGES).argmax(1)
    highest = foolbox_s(
        lambda x: FINDINGS(raw(x)).gather(1, first[:, None])[:, 0], (clf(IMAGES).amax(1) > 0).long()
    )
    assert (fgsm(clf, IMAGES) - highest).abs().max() < 1e-6


def test_it_stops_by_the_probability_of_the_answer():
    clf = Classifier(FINDINGS, list("abcde"), scores="independent")
    reached = pgd(clf, IMAGES, "c", epsilon=0.5, steps=60, step_size=0.01, stop_at=0.9)
    p = clf(reached)[:, 2].sigmoid()
    assert (p >= 0.9).all() and (reached - IMAGES).abs().max() < 0.5


def test_logits_inside_of_something():
    class Packed(nn.Module):
        def forward(self, images):
            return {"logits": NET(images)}

    for options in ({"labels": LABELS}, {"target": TARGETS}, {}):
        found = pgd(Packed(), IMAGES, output=lambda out: out["logits"], **options)
        assert torch.equal(found, pgd(NET, IMAGES, **options))


def test_an_attack_without_a_direction_is_refused():
    sure = copy.deepcopy(NET)
    with torch.no_grad():
        sure.head[-1].weight.mul_(1e5)
    constant = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.no_grad():
        constant[1].weight.zero_()
    for net in (sure, constant):
        with pytest.raises(ValueError, match=r"zero everywhere for image\(s\) 0, 1, 2, 3"):
            fgsm(net, IMAGES)
