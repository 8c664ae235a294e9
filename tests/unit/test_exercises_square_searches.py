"""The pictures of the search exercise hold what the exercise promises, and each search goes wrong as it says."""

import numpy as np
import pytest
import torch

from course_utils.exercises import ex06_counterfactuals
from course_utils.exercises import square_searches as searches

PICTURES = searches.draw_pictures(np.random.default_rng(0))
FIRM, RISING, TIES = (picture for picture, _ in PICTURES[-3:])


def winner(picture):
    return int(picture([]).argmax())


def test_one_of_a_pair_is_enough():
    picture = searches.Picture(np.random.default_rng(1), 4, 3, 1)
    a, b = picture.pairs[0]
    alone = picture([a]) + picture([b]) - picture([])
    torch.testing.assert_close(alone - picture([a, b]), torch.tensor(picture.evidence[0]).float())
    torch.testing.assert_close(picture(range(4)), torch.tensor(picture.bias).float())


def test_most_searches_end_early_and_one_covers_everything():
    ends = [(len(ex06_counterfactuals.fewest_squares.model_answer(picture, n)), n) for picture, n in PICTURES]
    assert sum(count < n for count, n in ends) >= 6
    assert ends[6] == (6, 6) and int(FIRM(range(6)).argmax()) == winner(FIRM)


def test_every_square_raises_the_score_of_the_rising_picture():
    covered = ex06_counterfactuals.fewest_squares.model_answer(RISING, 9)
    scores = [float(RISING(covered[:n])[winner(RISING)]) for n in range(len(covered) + 1)]
    assert len(covered) > 1 and scores == sorted(set(scores))
    assert int(RISING(covered).argmax()) != winner(RISING)


def test_the_picture_with_ties_has_one_at_a_step_of_the_search():
    first = [float(TIES([square])[winner(TIES)]) for square in range(9)]
    covered = ex06_counterfactuals.fewest_squares.model_answer(TIES, 9)
    assert covered != searches.search(TIES, 9, searches.last_of_equals)
    assert covered[0] == first.index(min(first))


def test_a_search_without_end_is_stopped():
    picture = searches.Picture(np.random.default_rng(2), 4, 3, 1, "firm")
    with pytest.raises(RuntimeError, match="your search does not end"):
        while True:
            picture([0])


@pytest.mark.parametrize(
    "choose", ["lowest_probability", "lowest_lead", "lowest_largest", "last_of_equals", "one_shot", "highest"]
)
def test_each_wrong_choice_differs_from_the_right_one_somewhere(choose):
    wrong = [searches.search(picture, n, getattr(searches, choose)) for picture, n in PICTURES]
    right = [searches.search(picture, n, searches.lowest) for picture, n in PICTURES]
    assert wrong != right
    assert right == [ex06_counterfactuals.fewest_squares.model_answer(picture, n) for picture, n in PICTURES]
