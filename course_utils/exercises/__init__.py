"""Exercises with checks, hints and solutions, and the quizzes. One module a notebook, of the same name."""

from .engine import Exercise, Feedback, Misconception
from .quizzes import quiz

__all__ = ["Exercise", "Feedback", "Misconception", "quiz"]
