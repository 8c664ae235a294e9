"""Captions of drawn scenes and questions about them, and networks that answer in words. Notebook 13."""

from .captions import KINDS, caption, read_caption
from .drawings import draw_answers, word_maps
from .nets import Answerer, Captioner, caption_scores
from .questions import (
    ANSWERS,
    QUESTION_TYPES,
    QUESTIONS,
    Question,
    all_questions,
    paired_questions,
    understand,
)
from .trained import (
    ask_all,
    questions_about,
    scene_answerer,
    scene_captioner,
    train_language,
    unseen_described,
)

__all__ = [
    "ANSWERS",
    "KINDS",
    "QUESTIONS",
    "QUESTION_TYPES",
    "Answerer",
    "Captioner",
    "Question",
    "all_questions",
    "ask_all",
    "caption",
    "caption_scores",
    "draw_answers",
    "paired_questions",
    "questions_about",
    "read_caption",
    "scene_answerer",
    "scene_captioner",
    "train_language",
    "understand",
    "unseen_described",
    "word_maps",
]
