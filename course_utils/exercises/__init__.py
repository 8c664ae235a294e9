"""Exercises with checks, hints and solutions, and the quizzes. One module a notebook, of the same name."""

from course_utils.exercises.engine import Exercise, Feedback, Misconception
from course_utils.exercises.quizzes import quiz

__all__ = ["Exercise", "Feedback", "Misconception", "quiz"]
