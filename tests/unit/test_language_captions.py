"""Captions and questions about drawn scenes: what is said is true, and what is asked has one answer."""

import numpy as np
import pytest

from course_utils.language import (
    ANSWERS,
    KINDS,
    QUESTION_TYPES,
    QUESTIONS,
    all_questions,
    caption,
    captions,
    nets,
    paired_questions,
    questions,
    questions_about,
    read_caption,
    scene_answerer,
    scene_captioner,
    trained,
    understand,
)
from course_utils.pictures import COLORS, SHAPES, SceneObject


def thing(color, name, x, y):
    return SceneObject(name, SHAPES.index(name), color, np.ones((2, 2), bool), (0, 0, 2, 2), (x, y), 0.3, 1.0)


RED_HYDRANT, BLUE_CAR = thing("red", "hydrant", 0.2, 0.3), thing("blue", "car", 0.8, 0.4)
PINK_STAR, RED_STAR = thing("pink", "star", 0.7, 0.9), thing("red", "star", 0.3, 0.8)
CAN_BE_ASKED = r".*what color is the hydrant\?.*umbrella"
SCENE = [BLUE_CAR, RED_HYDRANT, PINK_STAR]


@pytest.fixture(scope="module")
def shown():
    return captions.described_scenes(60, seed=5)


def test_scenes_show_what_is_spoken_of(shown):
    counts = {len(things) for things in shown.objects}
    assert counts == {2, 3}
    assert {t.name for things in shown.objects for t in things} == set(KINDS) and "hydrant" in KINDS


def test_a_caption_names_objects_from_left_to_right():
    assert caption(SCENE) == "a red hydrant above a pink star below a blue car"
    assert caption([RED_HYDRANT, BLUE_CAR]) == "a red hydrant left of a blue car"


def test_the_mirrored_scene_is_told_the_other_way_round():
    turned = captions.mirrored([RED_HYDRANT, BLUE_CAR])
    assert caption(turned) == "a blue car left of a red hydrant"
    answers = {q.text: q.answer for q in all_questions(turned)}
    assert (
        answers["where is the hydrant"] == "top right" and answers["is the hydrant left of the car"] == "no"
    )
    assert RED_HYDRANT.center == (0.2, 0.3)


def test_every_true_caption_reads_as_true(shown):
    for things in shown.objects:
        found = read_caption(caption(things), things)
        assert len(found) == 2 * len(things) - 1 and all(s.true for s in found)
        assert [s.noun is None for s in found[:3]] == [False, False, True]


def test_statements_of_a_wrong_caption_are_judged_one_by_one():
    found = read_caption("a red hydrant right of a blue car above a green star", SCENE)
    assert [(s.text, s.true) for s in found] == [
        ("a red hydrant", True),
        ("a blue car", True),
        ("right of", False),
        ("a green star", False),
        ("above", False),
    ]
    assert found[0] == captions.Statement("a red hydrant", True, 2, (1,)) and found[3].about == ()
    assert found[1].noun == 7  # of "a red hydrant right of a blue car"


@pytest.mark.parametrize("words", ["a red left", "red hydrant", "a hydrant red", "a", "left of"])
def test_what_cannot_be_read_is_one_false_statement(words):
    assert [s.true for s in read_caption(words, SCENE)] == [False]


def test_a_caption_that_breaks_off_has_a_false_statement_at_its_end():
    assert [s.true for s in read_caption("a red hydrant left of", SCENE)] == [True, False]
    assert [s.true for s in read_caption("a red hydrant a blue car", SCENE)] == [True, False]
    assert read_caption("", SCENE) == []


@pytest.mark.parametrize(
    ("text", "answer", "about"),
    [
        ("what color is the hydrant", "red", (1,)),
        ("what is the blue thing", "car", (0,)),
        ("how many things are there", "3", (0, 1, 2)),
        ("how many fish are there", "0", ()),
        ("how many red things are there", "1", (1,)),
        ("where is the hydrant", "top left", (1,)),
        ("where is the star", "bottom right", (2,)),
        ("is there a star", "yes", (2,)),
        ("is there a red star", "no", ()),
        ("is the star pink", "yes", (2,)),
        ("is the star red", "no", (2,)),
        ("is the hydrant left of the car", "yes", (1, 0)),
        ("is the car left of the hydrant", "no", (0, 1)),
        ("is the car above the star", "yes", (0, 2)),
    ],
)
def test_answers_by_hand(text, answer, about):
    found = {q.text: q for q in all_questions(SCENE)}
    assert (found[text].answer, found[text].about) == (answer, about)


@pytest.mark.parametrize(
    "text",
    [
        "what color is the boat",  # there is none
        "is the hydrant above the car",  # nearly at one height
        "is the boat red",
        "where is the car",  # set below on the middle line
    ],
)
def test_what_has_no_clear_answer_is_not_asked(text):
    things = [thing("blue", "car", 0.8, 0.52), RED_HYDRANT, PINK_STAR] if "where" in text else SCENE
    assert text not in {q.text for q in all_questions(things)}


def test_the_definite_article_needs_exactly_one():
    asked = {q.text: q.answer for q in all_questions([RED_STAR, PINK_STAR, RED_HYDRANT])}
    assert not {
        "what color is the star",
        "where is the star",
        "is the star red",
        "what is the red thing",
    } & set(asked)
    assert asked["how many stars are there"] == asked["how many red things are there"] == "2"
    assert asked["what is the pink thing"] == "star"


def test_questions_and_answers_are_of_the_language(shown):
    asked = [q for things in shown.objects for q in all_questions(things)]
    assert {q.text for q in asked} <= set(QUESTIONS) and {q.answer for q in asked} == set(ANSWERS)
    assert {q.kind for q in asked} == set(QUESTION_TYPES)
    for things in shown.objects[:20]:  # what is named is what is asked about
        for q in all_questions(things):
            if q.kind in ("color", "where"):
                assert things[q.about[0]].name == q.text.split()[-1]
            if q.kind == "count":
                assert int(q.answer) == len(q.about)


def test_drawn_questions_are_balanced(shown):
    draw = np.random.default_rng(0)
    asked = [q for things in shown.objects for q in questions.sample_questions(things, 40, draw)]
    shares = {kind: np.mean([q.kind == kind for q in asked]) for kind in QUESTION_TYPES}
    assert all(0.15 < share < 0.25 for share in shares.values()), shares
    yes = np.mean([q.answer == "yes" for q in asked if q.kind == "yes / no"])
    assert 0.4 < yes < 0.6


def test_the_same_seed_draws_the_same_questions(shown):
    first, again, other = (
        questions.sample_questions(shown.objects[0], 30, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_questions_about_several_scenes_follow_from_the_seed(shown):
    assert questions_about(shown, 3, seed=4) == questions_about(shown, 3, seed=4)
    assert questions_about(shown, 3, seed=4) != questions_about(shown, 3, seed=5)


@pytest.mark.parametrize("kind", QUESTION_TYPES)
def test_pairs_are_of_one_form_about_different_objects(shown, kind):
    pairs = [pair for things in shown.objects if (pair := paired_questions(things, kind))]
    assert len(pairs) > 20
    for one, two in pairs:
        assert one.kind == two.kind == kind and one.about and two.about
        assert not set(one.about) & set(two.about)
        assert len(one.text.split()) == len(two.text.split())
        plain = [{w for w in q.text.split() if w not in {*COLORS, *KINDS}} for q in (one, two)]
        assert plain[0] == plain[1] or kind == "count"


@pytest.mark.parametrize(
    "text", ["What color is the hydrant?", " what  COLOUR is the hydrant ", "what color is the hydrant"]
)
def test_typed_questions_are_understood(text):
    assert understand(text) == "what color is the hydrant"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: understand("what color is the zebra?"), rf"no word 'zebra'{CAN_BE_ASKED}"),
        (lambda: understand("hydrant what color"), rf"no question 'hydrant what color'{CAN_BE_ASKED}"),
        (lambda: understand(""), rf"no question ''{CAN_BE_ASKED}"),
        (lambda: paired_questions(SCENE, "taste"), "only color"),
        (lambda: nets.Vocabulary(["a red car", "a car left"]).encode(["a bus"]), "'bus'"),
        (lambda: scene_answerer(trained.RUNS), "run"),
        (lambda: scene_captioner(trained.RUNS), "run"),
    ],
)
def test_what_the_room_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_relations():
    assert captions.holds("left of", RED_HYDRANT, BLUE_CAR) and not captions.holds(
        "right of", RED_HYDRANT, BLUE_CAR
    )
    assert captions.holds("above", RED_HYDRANT, PINK_STAR) and not captions.holds(
        "below", RED_HYDRANT, PINK_STAR
    )
