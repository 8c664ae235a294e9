"""The two networks that put pictures into words: what they read, what they put out, what can be explained."""

import pytest
import torch

from course_utils.explain import explain
from course_utils.language import (
    ANSWERS,
    QUESTIONS,
    Answerer,
    Captioner,
    caption,
    caption_scores,
    captions,
    nets,
    trained,
)
from course_utils.networks import small_net
from course_utils.pictures import SHAPES

TEXTS = ["what color is the hydrant", "where is the star", "is there a blue fish"]


@pytest.fixture(scope="module")
def shown():
    return captions.described_scenes(3, seed=2)


@pytest.fixture(scope="module")
def trunk():
    return small_net("vgg_gap", SHAPES).net.features


@pytest.fixture(scope="module")
def answerer(trunk):
    torch.manual_seed(0)
    return Answerer(trunk, nets.Vocabulary(QUESTIONS), ANSWERS).eval()


@pytest.fixture(scope="module")
def captioner(trunk):
    torch.manual_seed(0)
    return Captioner(trunk, nets.Vocabulary(captions.caption_words())).eval()


def test_words_and_numbers():
    known = nets.Vocabulary(["a red car", "a car left"])
    assert known.words == ["", "<end>", "a", "car", "left", "red"] and len(known) == 6
    assert known.encode(["a car", "a red car"]).tolist() == [[nets.PAD, 2, 3], [2, 5, 3]]
    assert known.encode(["a car", "a red car"], end=True).tolist() == [
        [2, 3, nets.END, nets.PAD],
        [2, 5, 3, nets.END],
    ]
    assert known.decode(torch.tensor([2, 5, 3, nets.END, 3])) == "a red car"


def test_a_question_means_the_same_in_any_company(answerer, shown):
    alone = answerer.ask(shown.images[:1], [TEXTS[1]])
    beside = answerer.ask(shown.images[:2], [TEXTS[1], "is the hydrant left of the mushroom"])
    assert alone.shape == (1, len(ANSWERS))
    torch.testing.assert_close(beside[:1], alone, rtol=1e-4, atol=1e-5)


def test_several_questions_a_picture_are_answered_as_one_by_one(answerer, shown):
    codes = answerer.vocabulary.encode(TEXTS * 2)
    together = answerer(shown.images[:2], codes)
    for row in range(6):
        alone = answerer(shown.images[row // 3 : row // 3 + 1], codes[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_the_trunk_does_not_know_the_question_and_the_last_map_does(answerer, shown):
    image = shown.images[:1]
    maps = {}
    for name in ("features", "conditioned"):
        for text in TEXTS[:2]:
            e = explain(answerer.get_submodule(name), lambda t=text: answerer.ask(image, [t])[:, :1])
            maps[name, text] = e.activations
            assert e.maps.shape == (1, 1, 8, 8) and e.activations.min() >= 0
    assert torch.equal(maps["features", TEXTS[0]], maps["features", TEXTS[1]])
    assert (maps["conditioned", TEXTS[0]] - maps["conditioned", TEXTS[1]]).abs().max() > 1e-3


def test_film_is_its_formula(answerer):
    block = answerer.conditioned
    maps, question = torch.rand(2, 64, 8, 8), torch.randn(2, 64)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 8), torch.linspace(-1, 1, 8), indexing="ij")
    places = torch.stack([x, y]).expand(2, 2, 8, 8)
    z = block.enter(torch.cat([maps, places], 1)).relu()
    norm = block.norm(block.conv(z))
    both = block.modulate(question)
    gamma, beta = both[:, :64, None, None], both[:, 64:, None, None]
    torch.testing.assert_close(block(maps, question), z + ((1 + gamma) * norm + beta).relu())


def test_a_captions_log_probability_is_that_of_its_words(captioner, shown):
    codes = captioner.vocabulary.encode([caption(things) for things in shown.objects], end=True)
    logs = captioner(shown.images, codes)
    torch.testing.assert_close(logs.exp().sum(2), torch.ones(logs.shape[:2]))
    logs = logs.detach()
    found = caption_scores(captioner, shown.images, codes).detach()
    for n, row in enumerate(codes.tolist()):
        for t, word in enumerate(row):
            expected = float(logs[n, t, word]) if word != nets.PAD else 0.0
            assert float(found[n, t]) == pytest.approx(expected, abs=1e-6)


def test_a_word_depends_on_the_words_before_it_alone(captioner, shown):
    codes = captioner.vocabulary.encode(["a red car left of a blue fish"], end=True)
    other = captioner.vocabulary.encode(["a red car above a pink star left"], end=True)[:, : codes.shape[1]]
    one, two = (caption_scores(captioner, shown.images[:1], c) for c in (codes, other))
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert (one[:, 3:] - two[:, 3:]).abs().max() > 1e-3


def test_what_is_written_is_the_likeliest_word_at_each_step(captioner, shown):
    written = captioner.write(shown.images, longest=6)
    for n, text in enumerate(written):
        codes = captioner.vocabulary.encode([text], end=True)
        steps = len(text.split())
        logs = captioner(shown.images[n : n + 1], codes)[0, :steps]
        assert logs[:, 2:].argmax(1).add(2).tolist() == codes[0, :steps].tolist() or nets.PAD in logs.argmax(
            1
        )


def test_the_map_of_a_caption_is_the_sum_of_its_words_maps(captioner, shown):
    codes = captioner.vocabulary.encode([caption(things) for things in shown.objects], end=True)
    words = explain(captioner.features, lambda: caption_scores(captioner, shown.images, codes))
    whole = explain(
        captioner.features, lambda: caption_scores(captioner, shown.images, codes).sum(1, keepdim=True)
    )
    torch.testing.assert_close(words.maps.sum(1, keepdim=True), whole.maps, rtol=1e-3, atol=1e-6)
    behind = codes == nets.PAD
    assert behind.any() and words.maps[behind].abs().max() == 0


def test_the_trunk_is_copied(trunk, answerer, captioner):
    assert answerer.features is not trunk and captioner.features is not trunk
    assert torch.equal(next(answerer.features.parameters()), next(trunk.parameters()))


def test_pictures_are_mirrored_where_their_words_are():
    images = torch.rand(2, 3, 4, 5)
    turned = trained._turn(images, torch.tensor([0, 1]))
    assert torch.equal(turned[0], images[0]) and torch.equal(turned[1], images[1].flip(2))
