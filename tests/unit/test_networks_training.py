"""``training``: single steps by hand, what a training must leave alone, and the loop on tasks with a known answer."""

import copy

import pytest
import torch
from torch import nn

from course_utils.assets import AssetError
from course_utils.networks import descend, evaluate, fit, load_or_train, one_cycle, save_weights, standardize


def toy(n=96, seed=0):
    """Noise, brighter in the upper (0) or the lower half (1)."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=draw)
    images = torch.rand(n, 3, 8, 8, generator=draw) * 0.6
    images[labels == 0, :, :4] += 0.2
    images[labels == 1, :, 4:] += 0.2
    return images, labels


def small(seed=0, dropout=0.2):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(64, 2),
    )


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.parameters()])


class Recorder(nn.Module):
    """Writes down what it is shown."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(3, 2), []

    def forward(self, images):
        assert self.training
        self.seen.append(images.detach().clone())
        return self.layer(images.mean((2, 3)))


# ---------------------------------------------------------------- fit
def test_learns():
    images, labels = toy()
    net = small()
    losses = fit(net, images, labels, epochs=12, lr=1e-2, progress=False)
    assert len(losses) == 12 and losses[-1] < 0.5 * losses[0]
    assert evaluate(net, *toy(seed=1)).accuracy > 0.95


def test_one_step_of_sgd_by_hand():
    """Nesterov's first step is (1 + 0.9) times the gradient."""
    images, labels = toy(n=8)
    net = small(dropout=0)
    expected = copy.deepcopy(net)
    nn.functional.cross_entropy(expected(images), labels).backward()
    with torch.no_grad():
        for p in expected.parameters():
            p.sub_(0.01 * 1.9 * p.grad)
    fit(net, images, labels, 1, batch=8, lr=0.01, optimizer="sgd", weight_decay=0, flip=False, progress=False)
    torch.testing.assert_close(weights(net), weights(expected))


def test_one_step_of_adamw_by_hand():
    """Adam's first step is the sign of the gradient; decay shrinks the weight first."""
    images, labels = toy(n=8)
    net = small(dropout=0)
    expected = copy.deepcopy(net)
    nn.functional.cross_entropy(expected(images), labels).backward()
    with torch.no_grad():
        for p in expected.parameters():
            rate = 0.002
            p.copy_(p * (1 - rate * 0.1) - rate * p.grad / (p.grad.abs() + 1e-8))
    fit(net, images, labels, 1, batch=8, lr=0.002, weight_decay=0.1, flip=False, progress=False)
    torch.testing.assert_close(weights(net), weights(expected))


def test_each_image_is_shown_once_an_epoch_and_half_of_them_mirrored():
    images = torch.rand(50, 3, 4, 4)
    net = Recorder().eval()
    fit(net, images, torch.zeros(50, dtype=torch.long), 4, batch=16, progress=False)
    assert [len(x) for x in net.seen] == [16, 16, 16, 2] * 4
    orders, mirrored = [], 0
    for epoch in range(4):
        shown = torch.cat(net.seen[4 * epoch : 4 * epoch + 4])
        plain = (shown[:, None] == images[None]).flatten(2).all(2)
        flipped = (shown[:, None] == images[None].flip(4)).flatten(2).all(2)
        assert ((plain | flipped).sum(0) == 1).all()
        mirrored += flipped.sum().item()
        orders.append((plain | flipped).int().argmax(1).tolist())
    assert 70 < mirrored < 130  # of 200
    assert len({tuple(order) for order in orders}) == 4


def test_no_mirroring_unless_asked():
    images = torch.rand(10, 3, 4, 4)
    net = Recorder()
    fit(net, images, torch.zeros(10, dtype=torch.long), 1, batch=10, flip=False, progress=False)
    assert (net.seen[0][:, None] == images[None]).flatten(2).all(2).sum() == 10


def test_the_seed_decides():
    images, labels = toy()
    results = []
    for seed in (3, 3, 4):
        net = small()
        losses = fit(net, images, labels, 3, seed=seed, progress=False)
        results.append((losses, weights(net)))
    assert results[0][0] == results[1][0] and torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][1], results[2][1])


def test_another_number_of_threads_gives_nearly_the_same():
    images, labels = toy()
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            net = small()
            fit(net, images, labels, 2, progress=False)
            results.append(weights(net))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-4)


def test_leaves_alone_what_is_not_its_own():
    images, labels = toy()
    net = small().eval()
    net[4].train()
    kept, torch_state = (images.clone(), labels.clone()), torch.random.get_rng_state()
    with torch.no_grad():
        fit(net, images, labels, 1, progress=False)
        assert not torch.is_grad_enabled()
    assert torch.equal(images, kept[0]) and torch.equal(labels, kept[1])
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert [part.training for part in net] == [False] * 4 + [True, False]
    assert all(p.grad is None for p in net.parameters())


def test_frozen_parameters_stay():
    images, labels = toy()
    net = small()
    net[0].requires_grad_(False)
    before = net[0].weight.clone(), net[5].weight.clone()
    fit(net, images, labels, 1, progress=False)
    assert torch.equal(net[0].weight, before[0]) and not torch.equal(net[5].weight, before[1])


def test_a_training_that_diverges_says_so():
    images, labels = toy()
    net = small().eval()
    with pytest.raises(FloatingPointError, match="not finite in epoch 1"):
        fit(net, images, labels, 3, lr=1e30, optimizer="sgd", progress=False)
    assert not net.training


def test_progress_bar(capsys):
    images, labels = toy(32)
    fit(small(), images, labels, 2)
    assert "epoch 2, loss 0." in capsys.readouterr().err
    fit(small(), images, labels, 2, progress=False)
    assert capsys.readouterr().err == ""


def test_one_cycle_by_hand():
    rates = [one_cycle(step, 12) for step in range(12)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[3:] == sorted(rates[3:], reverse=True) and 0 < rates[-1] < 0.03 and rates[3] < 1
    assert rates[7] == pytest.approx(0.5)  # half of the way down
    assert all(0 < one_cycle(step, steps) <= 1 for steps in range(1, 9) for step in range(steps))


# ---------------------------------------------------------------- evaluate, standardize
def test_evaluate_by_hand():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.9), nn.Linear(3, 3))
    with torch.no_grad():
        net[3].weight.copy_(torch.eye(3))
        net[3].bias.zero_()
    images = torch.eye(3).view(3, 3, 1, 1).expand(3, 3, 4, 4)  # red, green, blue
    found = evaluate(net, images, torch.tensor([0, 1, 0]), batch=2)
    assert found.predicted.tolist() == [0, 1, 2]
    assert found.accuracy == pytest.approx(2 / 3)
    torch.testing.assert_close(found.logits, torch.eye(3))
    e = torch.e
    assert found.loss == pytest.approx(
        (-2 * torch.tensor(e / (e + 2)).log() - torch.tensor(1 / (e + 2)).log()) / 3
    )
    assert net.training and not found.logits.requires_grad


def test_standardized_layers():
    images, _ = toy()
    net = small().train()
    standardize(net, images)
    assert net.training and not any(part._forward_hooks for part in net.modules())
    net.eval()
    first = net[0](images)
    torch.testing.assert_close(first.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.std((0, 2, 3)), torch.ones(4))
    last = net(images)
    torch.testing.assert_close(last.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(last.std(0), torch.ones(2))


# ---------------------------------------------------------------- load_or_train
def test_load_or_train(tmp_path):
    path = tmp_path / "net.pt"
    trained = []
    with pytest.raises(AssetError, match=r"net.pt are missing .*retrain=True"):
        load_or_train(path, small, trained.append)
    fresh = load_or_train(path, small, trained.append, retrain=True)
    assert trained == [fresh] and not list(tmp_path.iterdir())
    save_weights(small(seed=7), path)
    loaded = load_or_train(path, small, trained.append)
    assert len(trained) == 1
    torch.testing.assert_close(weights(loaded), weights(small(seed=7)), rtol=1e-3, atol=1e-6)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in loaded.parameters())


def test_descent_by_hand():
    """Two steps from w = 1 on w^2 with rate 0.25: each halves w; the first epoch's mean weighs samples, 3 to 1."""
    w = torch.nn.Parameter(torch.ones(()))
    descent = torch.optim.SGD([w], lr=0.25)
    schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: 1.0)

    def losses():
        yield w**2, 3
        yield w**2, 1

    means = descend(descent, schedule, losses, 2, 4, progress=False)
    assert means == [(3 * 1 + 0.25) / 4, (3 / 16 + 1 / 64) / 4]
    assert w.item() == 1 / 16 and w.grad is None
