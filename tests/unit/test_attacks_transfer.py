"""Attacks on one network, shown to another."""

import torch

from course_utils.attacks import TRANSFER, attacked_photos, measure_transfer, pgd
from course_utils.networks import load_classifier
from course_utils.pictures import load_photo

PHOTOS = ("cat", "rocket")


def test_the_pictures_are_those_of_the_attack(monkeypatch):
    monkeypatch.setattr("course_utils.attacks.transfer.STEPS", 1)
    monkeypatch.setattr("course_utils.attacks.transfer.SOURCE", "efficientnet_lite0")
    clean = attacked_photos("clean", PHOTOS)
    assert torch.equal(clean[1:], load_photo("rocket").tensor(224))
    noisy = attacked_photos("noise 8", PHOTOS)
    moved = ((noisy - clean).abs() * 255).round()
    assert moved.max() == 8 and (moved == 8).float().mean() > 0.8  # less only where black or white is reached
    clf = load_classifier(device="cpu")
    with torch.no_grad():
        answer = clf(clean[:1]).argmax(1)
    by_hand = pgd(clf, clean[:1], labels=answer, epsilon=16 / 255, steps=1, progress=False)
    torch.testing.assert_close(attacked_photos("PGD 16", PHOTOS)[:1], by_hand)


def test_a_change_is_another_first_answer(monkeypatch):
    monkeypatch.setattr("course_utils.attacks.transfer.list_photos", lambda: PHOTOS)
    monkeypatch.setattr("course_utils.attacks.transfer.TRANSFER", {"noise 16": TRANSFER["noise 16"]})
    clf = load_classifier(device="cpu")
    found = {row.photo: row.value for row in measure_transfer(clf, progress=False)}
    with torch.no_grad():
        pairs = [
            [clf(attacked_photos(how, (photo,)))[0] for how in ("clean", "noise 16")] for photo in PHOTOS
        ]
    # Noise is drawn for all pictures together, so that a single one gets the first part of it.
    assert found["cat"] == float(pairs[0][0].argmax() != pairs[0][1].argmax())
    assert set(found) == set(PHOTOS) and set(found.values()) <= {0.0, 1.0}
