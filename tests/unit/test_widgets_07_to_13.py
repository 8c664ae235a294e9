"""What the explorers of notebooks 07 to 13 show and say, against references made here."""

from __future__ import annotations

import html
import re
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from explorers import (
    NAMES,
    TABLE,
    Reciter,
    answerer,
    background_maps,
    captioner,
    described,
    easily_moved,
    films,
    lone_shapes,
    mistakes,
    readers,
    two_shape_nets,
    words_of,
)
from helpers import tiny_images
from matplotlib.patches import Rectangle
from skimage.measure import label, regionprops

from course_utils.attacks import pgd, random_noise
from course_utils.backgrounds import CLASSES, GROUNDS, TESTED, biased_head, labels_of
from course_utils.explain import explain, grad_cam
from course_utils.failures import KINDS, SHOWN
from course_utils.language import ANSWERS, QUESTIONS, all_questions, caption_scores, read_caption
from course_utils.networks import load_classifier, small_net
from course_utils.pictures import SHAPES, credited, list_photos, load_photo
from course_utils.widgets import (
    BlindGame,
    Explorer,
    attack_explorer,
    attacks,
    blind_game,
    chance_of,
    failures,
    segmentation_explorer,
    threshold_explorer,
)
from course_utils.xray import corner, stamp

# --- 07: thresholds


PHOTOS = ["cat", "coffee", "rocket", "camera", "motorcycle", "palace", "flower"]


THRESHOLDS = list(range(5, 100, 5))


@pytest.fixture(scope="module")
def clf():
    return load_classifier()


@pytest.fixture(scope="module")
def explorer(clf) -> Explorer:
    return threshold_explorer(clf)


@pytest.fixture(scope="module")
def heatmaps(clf) -> dict[str, np.ndarray]:
    return {
        name: grad_cam(clf, load_photo(name).tensor(), load_photo(name).labels[0]).heatmaps()[0, 0].numpy()
        for name in PHOTOS
    }


def drawn(explorer: Explorer, **setting) -> tuple[list[tuple], str]:
    """The two boxes of the right panel (the true one, the found one) as (x0, y0, x1, y1), and the words."""
    figure, words = explorer.draw(**{**explorer.values, **setting})
    outlines = [patch for patch in figure.axes[1].patches if isinstance(patch, Rectangle)][1::2]
    boxes = [
        (p.get_x() + 0.5, p.get_y() + 0.5, p.get_x() + p.get_width() + 0.5, p.get_y() + p.get_height() + 0.5)
        for p in outlines
    ]
    plt.close(figure)
    return boxes, words


def overlap(a, b) -> float:
    """IoU by counting pixels."""
    grids = []
    for x0, y0, x1, y1 in (a, b):
        grid = np.zeros((224, 224), dtype=bool)
        grid[int(y0) : int(y1), int(x0) : int(x1)] = True
        grids.append(grid)
    return (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()


def test_it_offers_every_photograph_that_has_a_class(explorer):
    assert list(explorer.controls["photo"].options) == list_photos(labeled=True)
    assert set(PHOTOS) < set(list_photos(labeled=True))
    control = explorer.controls["threshold"]
    assert list(range(control.min, control.max + 1, control.step)) == THRESHOLDS
    assert control.value == 15


@pytest.mark.parametrize("photo", ["goose", "strawberry"])
def test_of_several_objects_the_nearest_counts(explorer, photo):
    """Every true box is drawn; the IoU is that of the one that the box found comes closest to."""
    truths = load_photo(photo).square().boxes
    for threshold in (15, 60):
        boxes, words = drawn(explorer, photo=photo, threshold=threshold)
        assert boxes[:-1] == truths and len(truths) > 3
        best = max(truths, key=lambda truth: overlap(truth, boxes[-1]))
        assert f"IoU is {overlap(best, boxes[-1]):.3f}" in words
        size = f"{best[2] - best[0]} x {best[3] - best[1]}"
        assert f"the nearest of {len(truths)} true ones {size}" in words


@pytest.mark.parametrize("photo", PHOTOS)
def test_every_threshold_shows_the_box_and_the_iou_that_a_second_library_finds(explorer, heatmaps, photo):
    heat, truth = heatmaps[photo], load_photo(photo).square().box
    for threshold in THRESHOLDS:
        boxes, words = drawn(explorer, photo=photo, threshold=threshold)
        marked = heat >= threshold / 100 * heat.max()
        parts = regionprops(label(marked, connectivity=2))
        y0, x0, y1, x1 = max(parts, key=lambda part: part.num_pixels).bbox
        assert boxes == [truth, (x0, y0, x1, y1)]
        assert f"{marked.mean():.0%} of the picture reaches {threshold}%" in words
        assert ("in one piece" in words) == (len(parts) == 1)
        assert f"in {len(parts)} pieces" in words or len(parts) == 1
        found = overlap(boxes[0], boxes[1])
        assert f"IoU is {found:.3f}" in words
        assert ("enough for a hit" in words) == (found >= 0.5)
        assert ("a miss" in words) == (found < 0.5)


def test_an_empty_map_has_no_box_and_says_so(clf, monkeypatch):
    explorer = threshold_explorer(clf, ["cat"])
    empty = grad_cam(clf, load_photo("cat").tensor(), "tabby")
    object.__setattr__(empty, "maps", torch.zeros_like(empty.maps))
    monkeypatch.setattr("course_utils.widgets.localization.grad_cam", lambda *arguments: empty)
    explorer = threshold_explorer(clf, ["cat"])
    boxes, words = drawn(explorer)
    assert len(boxes) == 1
    assert "no box" in words


# --- 08: masks and seeds


@pytest.fixture(scope="module")
def masks_and_seeds() -> Explorer:
    return TABLE["segmentation"].build()


@pytest.mark.parametrize("source", ["pooling", "dense"])
@pytest.mark.parametrize(
    ("scene", "foreground", "background"), [(1, 50, 10), (2, 20, 20), (3, 80, 0), (4, 5, 5)]
)
def test_the_numbers_are_those_of_the_mask(masks_and_seeds, source, scene, foreground, background):
    n, shown = scene - 1, lone_shapes()
    words = words_of(
        masks_and_seeds, source=source, scene=scene, foreground=foreground, background=background
    )
    e = grad_cam(two_shape_nets()[source], shown.images[n : n + 1], [int(shown.labels[n])])
    heat = e.heatmaps()[0, 0]
    mask, truth = heat >= foreground / 100, shown.masks[n, 0]
    found = re.search(r"IoU of (\S+) with.*: (\d+)% of it is right, (\d+)% of the object is in it", words)
    assert float(found[1]) == pytest.approx(float((mask & truth).sum() / (mask | truth).sum()), abs=0.006)
    assert float(found[2]) == pytest.approx(100 * float(truth[mask].float().mean()), abs=0.6)
    assert float(found[3]) == pytest.approx(100 * float(mask[truth].float().mean()), abs=0.6)
    unlabeled = float(((heat < foreground / 100) & (heat >= background / 100)).float().mean())
    assert float(re.search(r"(\d+)% of the picture stays", words)[1]) == pytest.approx(
        100 * unlabeled, abs=0.6
    )
    ground = heat < background / 100
    blue = re.search(r"right in (\d+)% of its pixels", words)
    assert (blue is None) == (not ground.any())
    if blue is not None:
        assert float(blue[1]) == pytest.approx(100 * float((~truth)[ground].float().mean()), abs=0.6)
    best = re.search(r"has (\S+), at (\d+)%", words)
    at = heat >= int(best[2]) / 100
    assert float(best[1]) == pytest.approx(float((at & truth).sum() / (at | truth).sum()), abs=0.006)
    assert float(best[1]) >= float(found[1])


def test_a_net_that_speaks_against_all_has_an_empty_map():
    net = small_net("vgg_gap", SHAPES)
    with torch.no_grad():
        net.net.head[2].weight.fill_(-1)
    assert "empty" in words_of(segmentation_explorer({"negative": net}, lone_shapes()))


def test_without_a_background_there_is_no_blue(masks_and_seeds):
    assert "blue: none" in words_of(masks_and_seeds, background=0)
    assert "blue the background (right in" in words_of(masks_and_seeds, foreground=50, background=50)


# --- 09: mistakes, and the blind game


@pytest.fixture(scope="module")
def browser() -> Explorer:
    return TABLE["failures"].build()


def test_every_kind_and_family_shows_the_mistakes_it_names(browser):
    kinds, families = (browser.controls[name].options for name in ("kind", "made"))
    assert kinds == ("all", *KINDS) and set(families) == {"all", *(m.case.family for m in mistakes())}
    # Drawing takes long: each value of either control at least once, together with those that follow it.
    pairs = [(kind, families[n % len(families)]) for n, kind in enumerate(kinds)]
    pairs += [("all", made) for made in families] + [(kind, "all") for kind in kinds]
    for kind, made in pairs:
        fitting = [m for m in mistakes() if kind in ("all", m.kind) and made in ("all", m.case.family)]
        if not fitting:
            with pytest.raises(ValueError, match="Choose others"):
                words_of(browser, kind=kind, made=made)
            continue
        last = words_of(browser, kind=kind, made=made, number=len(fitting))
        assert f"Mistake {len(fitting)} of {len(fitting)}. {fitting[-1].names[1]} taken for" in last
        assert kind in last or kind == "all"


def test_every_number_goes_round(browser):
    control = browser.controls["number"]
    assert (control.min, control.max) == (1, len(mistakes()))
    for number, m in enumerate(mistakes(), 1):
        words = words_of(browser, number=number)
        assert f"{m.names[1]} taken for {m.names[0]} with" in words
        for part, drop in m.drops.items():
            told = re.search(rf"without the {part} (falls|rises) by (\S+) \((another|it still)", words)
            assert float(told[2]) == pytest.approx(abs(drop), abs=0.051) and (told[1] == "falls") == (
                drop >= 0
            )
            assert (told[3] == "another") == m.gone[part]
        assert words.endswith(
            f"to lose: the {m.cause}." if m.cause else "to lose: no part (none is worth a whole logit)."
        )
        assert f"Kind, by the map: {m.kind} (contrast: " in words
    once = mistakes()[0].case.family
    fitting = [m for m in mistakes() if m.case.family == once]
    assert words_of(browser, made=once, number=1 + len(fitting)).startswith(f"Mistake 1 of {len(fitting)}.")


def test_captions_of_mistakes_and_rounds_credit_what_is_seen(browser):
    for number, m in enumerate(mistakes(), 1):
        assert browser.photos(**{**browser.values, "number": number}) == [m.case]
        assert credited("", m.case).endswith(f"{load_photo(m.case.photos[-1]).credit}.")
    browser.set(kind=mistakes()[3].kind, number=1)
    (shown,) = browser.photos(**browser.values)
    assert credited("", shown) in browser.html
    browser.set(kind="all")
    game = blind_game.BlindGame(mistakes(), rounds=3)
    play = game.explorer()
    for number, m in enumerate(game.mistakes, 1):
        play.set(number=number)
        assert credited("", m.case) in play.html


def test_the_second_map_is_that_of_the_class_chosen(browser):
    for second in SHOWN[1:]:
        figure, _ = browser.draw(**{**browser.values, "second": second})
        k = SHOWN.index(second)
        title = figure.axes[2].get_title().replace("\n", " ")
        assert mistakes()[0].names[k] in title and title.endswith(f"({second})")
        plt.close(figure)


def test_outlines_and_enlarged_maps():
    case = next(m.case for m in mistakes() if m.case.masks["other object"].any())
    changed = (failures.outlined(case) != np.asarray(case.image) / 255).any(2)
    assert changed.any() and not (changed & case.masks["object"]).any()
    heat = failures.enlarged(mistakes()[0], 2)
    assert heat.shape == (224, 224) and heat.min() >= 0 and heat.max() == 1


def test_chance_is_a_binomial_tail():
    assert chance_of(0, 12) == pytest.approx(1) and chance_of(12, 12) == pytest.approx(3.0**-12)
    drawn = np.random.default_rng(0).binomial(12, 1 / 3, 200_000)
    assert chance_of(6, 12) == pytest.approx((drawn >= 6).mean(), abs=0.005)


def test_each_class_is_the_answer_equally_often_and_no_mistake_comes_twice():
    game = BlindGame(mistakes(), rounds=12, seed=4)
    answers = [game.answer(number) for number in range(1, 13)]
    assert all(answers.count(choice) == 4 for choice in blind_game.CHOICES)
    assert len(set(map(id, game.mistakes))) == 12
    again = BlindGame(mistakes(), rounds=12, seed=4)
    assert [again.answer(n) for n in range(1, 13)] == answers and again.mistakes == game.mistakes
    assert [BlindGame(mistakes(), 12, seed=5).answer(n) for n in range(1, 13)] != answers


def test_players():
    game = BlindGame(mistakes(), rounds=12)
    assert [game.play(lambda m, heat, c=c: c) for c in blind_game.CHOICES] == [4, 4, 4]
    assert (
        game.play(
            lambda m, heat: next(
                c for k, c in enumerate(blind_game.CHOICES) if torch.equal(heat, failures.enlarged(m, k))
            )
        )
        >= 10
    )


def test_a_game_played_with_the_controls():
    game = BlindGame(mistakes(), rounds=3, seed=1)
    play = game.explorer()
    assert "0 of 3 rounds played" in play.html
    hits = 0
    for number in range(1, 4):
        play.set(number=number)
        assert play.values["answer"] == blind_game.NO_GUESS and number not in game.guesses
        assert f"{number - 1} of 3 rounds played" in play.html
        guess = blind_game.CHOICES[number % 3]
        play.set(answer=guess)
        hits += guess == game.answer(number)
        words = html.unescape(play.html)
        assert ("Yes: " if guess == game.answer(number) else "No: ") in words
        assert (
            f"So far {hits} of {number} right" in words
            and f"probability {chance_of(hits, number):.2f}" in words
        )
        play.set(answer=blind_game.CHOICES[(number + 1) % 3])  # too late: the first guess counts
        assert game.guesses[number] == guess and game.score == (hits, number)
    play.set(number=2)
    assert f"it is that of the {game.answer(2)} class" in html.unescape(play.html)


def test_the_answer_is_hidden_before_the_guess_and_drawing_changes_nothing():
    game = BlindGame(mistakes(), rounds=6)
    figure, words = game._draw(3, "right")
    assert figure.axes[1].get_title() == "whose map?" and "it is that" not in words and not game.guesses
    plt.close(figure)
    game.guess(3, "right")
    figure, words = game._draw(3, blind_game.NO_GUESS)
    assert figure.axes[1].get_title().endswith(f"({game.answer(3)})")
    plt.close(figure)


# --- 10: attacks


def test_every_way_to_change_a_picture_and_its_numbers():
    classifier, image, explorer = easily_moved(), tiny_images(1), TABLE["attacks"].build()
    before = classifier(image).softmax(1)[0]
    settings = [(attacks.ATTACK, epsilon, 5) for epsilon in range(17)]
    settings += [(attacks.ATTACK, 8, steps) for steps in (1, 2, 12, 23, 24)]
    settings += [(attacks.NOISE, epsilon, 3) for epsilon in (0, 1, 8, 16)]
    for how, epsilon, steps in settings:
        words = words_of(explorer, how=how, epsilon=epsilon, steps=steps)
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
        assert words.count("random noise") + words.count("Random noise") == (how == attacks.NOISE)


def test_the_real_network_answers_within_five_seconds():
    explorer = attack_explorer(load_classifier(), load_photo("cat").tensor(), "tabby", "airliner")
    start = time.process_time()
    explorer.set(steps=24)
    assert time.process_time() - start < 5
    assert "airliner after" in html.unescape(explorer.html)


# --- 11: backgrounds


@pytest.fixture(scope="module")
def biased() -> Explorer:
    return TABLE["backgrounds"].build()


@pytest.mark.parametrize(
    ("strength", "repair"), [(50, "none"), (95, "group weights"), (100, "none"), (95, "none")]
)
def test_the_numbers_are_those_of_the_heads(biased, strength, repair):
    maps, words = background_maps(), words_of(biased, strength=strength, repair=repair)
    labels, pooled = labels_of(TESTED[:12]), maps.mean((3, 4))
    tables = []
    for run in range(3):
        head = biased_head(run, strength / 100, repair)
        right = head(pooled).argmax(2) == labels[:, None]
        tables.append(torch.stack([right[labels == c].double().mean(0) for c in (0, 1)]))
    means = torch.stack(tables).mean(0)
    for c, name in enumerate(CLASSES):
        for g, ground in enumerate(GROUNDS):
            said = re.search(rf"{name} on {ground} (\d\.\d+)", words)[1]
            assert float(said) == pytest.approx(float(means[c, g]), abs=0.006)
    assert f"worst group has {means.min():.2f}" in words
    p = biased_head(0, strength / 100, repair)(pooled[0]).softmax(1)[:, 0]
    said = re.search(r"probability is (\S+) on gravel and (\S+) on grass", words)
    for text, value in zip(said.groups(), p, strict=True):
        assert text == "<0.01" or float(text) == pytest.approx(float(value), abs=0.006)


def test_the_caption_credits_object_and_grounds(biased):
    for picture in biased.controls["picture"].options:
        biased.set(picture=picture)
        assert credited("", [picture.split(": ")[1], *GROUNDS]) in biased.html


def test_an_empty_map_of_a_biased_head_is_said_to_be_empty(biased):
    assert any(
        "the map is empty" in words_of(biased, strength=100, picture=p)
        for p in biased.controls["picture"].options
    )


# --- 12: stamps on radiographs


@pytest.fixture(scope="module")
def stamps() -> Explorer:
    return TABLE["xray_stamp"].build()


@pytest.mark.parametrize("model", ["biased", "repaired"])
@pytest.mark.parametrize(
    ("film", "text", "position", "opacity"), [(1, "PORTABLE", "top left", 100), (2, "AP", "center", 50)]
)
def test_the_words_are_the_networks(stamps, model, film, text, position, opacity):
    clean = films().clean[film - 1 : film]
    printed = stamp(clean, text, position, opacity / 100)
    with torch.no_grad():
        p = {False: readers()[model](clean), True: readers()[model](printed)}
    p = {key: float(value.softmax(1)[0, 1]) for key, value in p.items()}
    for stamped in (False, True):
        words = words_of(
            stamps, model=model, film=film, stamped=stamped, text=text, position=position, opacity=opacity
        )
        assert f"answers {'finding' if p[stamped] > 0.5 else 'normal'}" in words
        said = [float(x.replace("<", "")) for x in re.findall(r"(<?\d\.\d\d)", words)]
        assert said[0] == pytest.approx(p[stamped], abs=0.011) and said[1] == pytest.approx(
            p[not stamped], abs=0.011
        )
        assert ("turns the answer" in words) == ((p[True] > 0.5) != (p[False] > 0.5))


@pytest.mark.parametrize("stamped", [False, True])
def test_the_picture_has_the_stamp_or_has_it_not(stamps, stamped):
    figure, _ = stamps.draw(**{**stamps.values, "film": 2, "stamped": stamped})
    shown = torch.as_tensor(figure.axes[0].images[0].get_array())
    plt.close(figure)
    clean = films().clean[1:2]
    expected = stamp(clean, stamps.values["text"], stamps.values["position"]) if stamped else clean
    torch.testing.assert_close(shown.float(), expected[0, 0])


def test_the_energy_in_the_finding(stamps):
    shown = films()
    n = int(shown.has_finding.nonzero()[0])
    heat = grad_cam(readers()["repaired"], shown.clean[n : n + 1], 1).heatmaps()[0, 0]
    expected = float(heat[shown.masks["finding"][n]].sum() / heat.sum())
    words = words_of(stamps, model="repaired", film=n + 1, stamped=False)
    assert float(re.search(r"(\d+)% in the finding", words)[1]) == pytest.approx(100 * expected, abs=0.6)
    large = corner(heat.shape[-1])
    expected = float(heat[large].sum() / heat.sum())
    assert float(re.search(r"(\d+)% in the corner", words)[1]) == pytest.approx(100 * expected, abs=0.6)
    normal = int((~shown.has_finding).nonzero()[0])
    assert "There is no finding" in words_of(stamps, film=normal + 1, stamped=True)


def test_the_map_of_the_difference_is_that_of_a_network_with_one_score(stamps):
    class Difference(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net, self.target_layer = net, net.target_layer

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.net(images).diff(dim=1)

    image = stamp(films().clean[1:2], "AP", "center", 0.5)
    expected = grad_cam(Difference(readers()["biased"]), image, 0).heatmaps()[0, 0]
    settings = {"film": 2, "stamped": True, "text": "AP", "position": "center", "opacity": 50}
    figure, words = stamps.draw(**{**stamps.values, **settings, "score": "finding - normal"})
    plt.close(figure)
    share = 100 * float(expected[corner(96)].sum() / expected.sum())
    assert float(re.search(r"(\d+)% in the corner", words)[1]) == pytest.approx(share, abs=0.6)


# --- 13: questions and captions


@pytest.fixture(scope="module")
def asking() -> Explorer:
    return TABLE["question"].build()


@pytest.fixture(scope="module")
def telling() -> Explorer:
    return TABLE["caption"].build()


def test_every_question_can_be_picked(asking):
    options = asking.controls["question"].options
    assert len(options) == len(QUESTIONS)
    for text in options[::37]:
        assert f'Asked "{text}"' in words_of(asking, question=text)
    assert 'Asked "what color is the hydrant?"' in words_of(asking, question="What COLOUR is the hydrant")


@pytest.mark.parametrize("layer", ["features", "conditioned"])
def test_the_numbers_are_those_of_the_map(asking, layer):
    net, shown = answerer(), described()
    image = shown.images[:1]
    for question in [q for q in all_questions(shown.objects[0]) if q.about][::9]:
        label = {"conditioned": "after the question", "features": "before the question"}[layer]
        words = words_of(asking, scene=1, question=question.text, layer=label)
        logits = net.ask(image, [question.text])[0].detach()
        given = int(logits.argmax())
        assert f'answers "{ANSWERS[given]}" (probability {logits.softmax(0)[given]:.2f})' in words
        assert f'The truth is "{question.answer}"' in words
        module = net.get_submodule(layer)
        e = explain(module, lambda q=question, i=given: net.ask(image, [q.text])[:, [i]])
        heat, mask = e.heatmaps(64)[0, 0], shown.masks[0, list(question.about)].any(0)
        if e.empty.any():
            assert "empty" in words
            continue
        numbers = re.search(r"(\d+)% of the map's energy .* cover (\d+)%", words)
        assert float(numbers[1]) == pytest.approx(100 * float(heat[mask].sum() / heat.sum()), abs=0.6)
        assert float(numbers[2]) == pytest.approx(100 * float(mask.float().mean()), abs=0.6)


def test_a_question_without_a_clear_answer_is_told(asking):
    clear = {q.text for q in all_questions(described().objects[0])}
    unclear = next(text for text in QUESTIONS if text not in clear)
    assert "no clear answer" in words_of(asking, scene=1, question=unclear)


def test_every_word_of_every_caption():
    telling = TABLE["caption"].build()
    for scene, text in enumerate(Reciter.texts, 1):
        telling.set(scene=scene)
        expected = [f"{at}. {word}" for at, word in enumerate(text.split(), 1)]
        assert list(telling.controls["word"].options) == ["the whole caption", *expected]
        for word in telling.controls["word"].options:
            assert words_of(telling, word=word)
        telling.set(word=word)
    telling.set(scene=1)
    assert telling.values["word"] == "the whole caption"


def test_the_map_of_a_word_is_that_of_its_log_probability(telling):
    net, shown = captioner(), described()
    codes = net.vocabulary.encode([net.texts[0]], end=True)
    scores = caption_scores(net, shown.images[:1], codes).detach()[0]
    assert f"is {scores[2]:.2g}." in words_of(telling, scene=1, word="3. hydrant")
    assert f"is {scores.sum():.2g}." in words_of(telling, scene=1, word="the whole caption")


def test_untrue_statements_are_told(telling):
    for n, text in enumerate(Reciter.texts):
        for s in read_caption(text, described().objects[n]):
            if s.noun is not None and not s.true:
                words = words_of(telling, scene=n + 1, word=f"{s.noun + 1}. {text.split()[s.noun]}")
                assert "There is no such object" in words and s.text in words
                # The statement begins with its "a", before color and noun.
                article = words_of(telling, scene=n + 1, word=f"{s.noun - 1}. {text.split()[s.noun - 2]}")
                assert "There is no such object" in article
                return
    pytest.fail("no caption tells of what is not there")


def test_energy_in_the_object_of_a_true_statement(monkeypatch):
    shown = described()
    monkeypatch.setattr(
        Reciter, "texts", [f"a {things[0].color} {things[0].name}" for things in shown.objects]
    )
    explorer = TABLE["caption"].build()
    words = words_of(explorer, word=explorer.controls["word"].options[3])
    assert "of its energy lies in" in words or "empty" in words
