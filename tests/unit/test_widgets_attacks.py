"""The explorer of attacks: every setting draws, within epsilon, with the numbers of the attack itself."""

import html
import re
import time

import pytest
import torch
from helpers import TinyNet, tiny_images

from course_utils.attacks import pgd, random_noise
from course_utils.networks import Classifier, load_classifier
from course_utils.pictures import load_photo
from course_utils.widgets import attack_explorer, attacks
from course_utils.widgets import explorer as explorer_module

NAMES = ["ant", "bee", "cat", "dog", "eel"]


@pytest.fixture(scope="module")
def small():
    net = TinyNet(seed=1)
    with torch.no_grad():
        net.head[-1].weight.mul_(20)
    return Classifier(net, NAMES, target_layer="features.5").eval(), tiny_images(1)


def test_every_setting_and_its_numbers(small):
    classifier, image = small
    explorer = attack_explorer(classifier, image, "bee", "dog")
    before = classifier(image).softmax(1)[0]
    settings = [(attacks.ATTACK, epsilon, 5) for epsilon in range(17)]
    settings += [(attacks.ATTACK, 8, steps) for steps in (1, 2, 12, 23, 24)]
    settings += [(attacks.NOISE, epsilon, 3) for epsilon in (0, 1, 8, 16)]
    for how, epsilon, steps in settings:
        explorer.set(how=how, epsilon=epsilon, steps=steps)
        words = html.unescape(explorer.html)
        picture = image
        if epsilon and how == attacks.NOISE:
            picture = random_noise(image, epsilon / 255, full_size=True)
        elif epsilon:
            picture = pgd(classifier, image, "dog", epsilon / 255, steps)
        after = classifier(picture).softmax(1)[0]
        found = re.search(
            r"before and after: bee (\S+) and (\S+), dog (\S+) and (\S+?)\. Pred", words
        ).groups()
        expected = [f"{p:.2g}" for p in (before[1], after[1], before[3], after[3])]
        assert list(found) == expected
        assert f"{NAMES[before.argmax()]} before, {NAMES[after.argmax()]} after" in words
        largest = float(re.search(r"largest change of a value (\S+)/255", words)[1])
        assert largest <= epsilon + 0.05
        assert words.count("random noise") + words.count("Random noise") == 2 * (how == attacks.NOISE)


def test_every_class(small):
    explorer = attack_explorer(*small, "bee", "dog")
    for name in NAMES:
        explorer.set(target=name)
        assert ("type another target" in explorer.html) == (name == "bee")
        assert ("<img" in explorer.html) == (name != "bee")
    explorer.set(target="beee")
    assert "Did you mean" in explorer.html and "<img" not in explorer.html
    explorer.set(target=" ")
    assert "type the name of a class" in explorer.html


def test_it_is_marked_as_slow_and_takes_one_picture(small):
    assert explorer_module.SLOW in attack_explorer(*small, "bee", "dog").box._dom_classes
    with pytest.raises(ValueError, match=r"one image \(1, 3, H, W\), got \(2, 3, 8, 8\)"):
        attack_explorer(small[0], tiny_images(2), "bee", "dog")
    with pytest.raises(ValueError, match="no class 'wolf'"):
        attack_explorer(*small, "wolf", "dog")


def test_the_real_network_answers_within_five_seconds():
    explorer = attack_explorer(load_classifier(), load_photo("cat").tensor(), "tabby", "airliner")
    start = time.process_time()
    explorer.set(steps=24)
    assert time.process_time() - start < 5
    assert "airliner after" in html.unescape(explorer.html)
