"""Interactive explorers: a few controls, one picture, and words that say what the picture shows."""

from course_utils.widgets.explorer import Explorer, check_box, choice, slider, typed

__all__ = ["Explorer", "check_box", "choice", "slider", "typed"]
