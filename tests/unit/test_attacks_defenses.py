"""Defenses: networks trained on attacks, and a JPEG before the network."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from course_utils.attacks import (
    DIGIT_EPSILON,
    WAYS,
    ThroughJPEG,
    digit_attacks,
    digit_net,
    digits,
    jpeg,
    measure_jpeg,
    pgd,
    train_digits,
)
from course_utils.networks import load_classifier, small_net
from course_utils.pictures import load_photo


def test_the_parts_of_the_digits_have_no_picture_in_common():
    parts = [digits(part)[0] for part in ("held out", "choose", "train")]
    assert [len(part) for part in parts] == [500, 200, 1097]
    assert all(part.min() >= 0 and part.max() <= 1 and part.dtype == torch.float64 for part in parts)
    seen = {tuple(image.flatten().tolist()) for image in parts[2]}
    again = sum(tuple(image.flatten().tolist()) in seen for image in parts[0])
    assert again == 0


def test_a_training_on_attacks_is_the_loop_of_the_notebook():
    found = train_digits(seed=2, way="attacks", epochs=1)
    images, labels = digits("train")
    net = digit_net(2)
    descent = torch.optim.Adam(net.parameters(), 4e-3)
    torch.manual_seed(2)
    batches = torch.randperm(len(images)).split(64)
    for step, chosen in enumerate(batches):
        x, y = images[chosen], labels[chosen]
        x = pgd(net, x, labels=y, epsilon=DIGIT_EPSILON, steps=3, progress=False)
        for group in descent.param_groups:
            group["lr"] = 4e-3 * (1 - step / len(batches))
        descent.zero_grad()
        F.cross_entropy(net(x), y).backward()
        descent.step()
    for a, b in zip(found.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_trainings_leave_the_global_seed_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = train_digits(0, "noise", epochs=1)
    assert torch.equal(torch.rand(3), expected)
    second = train_digits(0, "noise", epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: digits("test"), "no part 'test' of the digits, only held out, choose, train"),
        (lambda: train_digits(0, "luck"), "no training 'luck', only plain, noise, attacks"),
        (lambda: digit_net(-1), "seed"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_attacks_stay_in_the_ball_and_raise_the_loss():
    net, other = train_digits(0, epochs=2), train_digits(1, epochs=2)
    images, labels = (some[:60] for some in digits("choose"))
    found = digit_attacks(net, other, images, labels)
    loss = {name: F.cross_entropy(net(x), labels).item() for name, x in found.items()}
    for x in found.values():
        assert (x - images).abs().max() <= DIGIT_EPSILON + 1e-12 and x.min() >= 0 and x.max() <= 1
    assert loss["clean"] < loss["transfer"] < loss["FGSM"] < loss["PGD"] and loss["noise"] < loss["FGSM"]
    assert set(WAYS) == {"plain", "noise", "attacks", "strong attacks"}


def test_a_jpeg_is_what_pillow_writes():
    image = load_photo("cat").tensor(64)
    file = io.BytesIO()
    array = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(array).save(file, "jpeg", quality=30)
    expected = torch.tensor(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255
    assert torch.equal(jpeg(image, 30), expected) and (jpeg(image) - image).abs().max() > 0.01


def test_the_gradient_through_a_jpeg_is_that_at_the_jpeg():
    net = small_net("vgg", ["a", "b", "c"]).eval()
    image = load_photo("cat").tensor(64)
    gradients = []
    for model, x in ((ThroughJPEG(net), image), (net, jpeg(image))):
        leaf = x.clone().requires_grad_()
        logits = model(leaf)
        gradients.append(torch.autograd.grad(logits[0, 1], leaf)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_jpeg_study_counts_first_answers(monkeypatch):
    monkeypatch.setattr("course_utils.attacks.compression.list_photos", lambda: ["cat", "coffee"])
    monkeypatch.setattr("course_utils.attacks.compression.STEPS", 2)
    clf = load_classifier(device="cpu")
    rows = {(row.measure, row.map, row.photo): row.value for row in measure_jpeg(clf, progress=False)}
    image = load_photo("coffee").tensor()
    with torch.no_grad():
        answers = [int(clf(x).argmax()) for x in (image, jpeg(image))]
    assert rows["first answer changes", "clean", "coffee"] == 0
    assert rows["first answer changes", "clean, JPEG", "coffee"] == float(answers[0] != answers[1])
    target = clf.class_index("airliner")
    hit = pgd(clf, image, target, 8 / 255, 2, momentum=0.9, progress=False)
    with torch.no_grad():
        assert rows["airliner", "attack", "coffee"] == float(clf(hit).argmax() == target)
