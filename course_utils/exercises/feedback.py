"""What a check answers, how a notebook stores it, and how it is read back from there.

Of everything that a cell shows, a notebook's file keeps the text and the HTML as they are, whether JupyterLab, VS Code
or Colab wrote it; what else belongs to an output (metadata, kinds of data of one's own) a front end may drop. So the
text is the record of state and message, and the HTML carries a mark of the cell that was run: a result that was stored
with another text of the cell can be told.
"""

from __future__ import annotations

import hashlib
import html
import re
import sys
from dataclasses import dataclass

__all__ = [
    "CORRECT",
    "MARKS",
    "NOT_ATTEMPTED",
    "WRONG",
    "Feedback",
    "cell_mark",
    "kind_of_mistake",
    "read_feedback",
    "running_cell",
]

NOT_ATTEMPTED, WRONG, CORRECT = "not attempted", "not yet", "correct"
MARKS = {NOT_ATTEMPTED: "○", WRONG: "✗", CORRECT: "✓"}
_COLORS = {NOT_ATTEMPTED: "#595959", WRONG: "#A33F00", CORRECT: "#00664B"}
_STORED = re.compile(rf"[{''.join(MARKS.values())}] ({'|'.join(MARKS)}): (.*?)(?:\n\n|\Z)", re.DOTALL)
_STORED_MARK = re.compile(r"<div role='status' data-cell='([0-9a-f]+)'")
# What messages say of slips that are no known mistake begins alike; what follows differs from learner to learner.
_SLIPS = {
    r"Your code raised (\w+)": r"The code raised \1.",
    r"Hand in the function itself": "Not the function itself was handed in.",
    r"Not yet: ": "A wrong result, by none of the known mistakes.",
}


@dataclass(frozen=True)
class Feedback:
    """What a check, a hint or a solution answers: shown as a box in a notebook, as text elsewhere.

    Attributes:
        state: "not attempted", "not yet" or "correct" for a check; "hint 1 of 3", "solution" else.
        message: sentences for the learner.
        code: source code shown below the message, if any.
        cell: the mark of the notebook's cell that asked, see :func:`cell_mark`; "" elsewhere.
        above: feedback that is shown first: of a check, where the same cell goes on to ask for a hint.
    """

    state: str
    message: str
    code: str = ""
    cell: str = ""
    above: Feedback | None = None

    def __repr__(self) -> str:
        text = f"{MARKS.get(self.state, '·')} {self.state}: {self.message}"
        return "\n\n".join([*map(repr, filter(None, [self.above])), text, *filter(None, [self.code])])

    def _repr_html_(self) -> str:
        mark, color = MARKS.get(self.state, "·"), _COLORS.get(self.state, "#0072B2")
        cell = f" data-cell='{self.cell}'" if self.cell else ""
        code = (
            f"<pre style='margin: 0.5em 0 0 0; white-space: pre-wrap'>{html.escape(self.code)}</pre>"
            if self.code
            else ""
        )
        return (self.above._repr_html_() if self.above else "") + (
            f"<div role='status'{cell} style='border-left: 4px solid {color}; padding: 0.3em 0.8em'>"
            f"<b>{mark} {html.escape(self.state)}.</b> {html.escape(self.message)}{code}</div>"
        )


def read_feedback(text: str, page: str = "") -> Feedback | None:
    """Return the feedback of a check from what a notebook stored of it, without its code; None if it is none.

    Args:
        text: the output's plain text.
        page: its HTML, which has the mark of the cell.
    """
    found, cell = _STORED.match(text), _STORED_MARK.match(page)
    return Feedback(found[1], found[2], cell=cell[1] if cell else "") if found else None


def kind_of_mistake(message: str) -> str:
    """Return what to count a message as: a known mistake's as itself, others without what is the learner's own."""
    for beginning, kind in _SLIPS.items():
        if found := re.match(beginning, message):
            return found.expand(kind)
    return message


def cell_mark(source: str) -> str:
    """Return twelve hexadecimal digits that stand for a cell's text; spaces and ends of lines do not count."""
    return hashlib.sha256("".join(source.split()).encode(errors="replace")).hexdigest()[:12]


def running_cell() -> str:
    """Return the mark of the cell with a check that a notebook is running; "" elsewhere."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    cells = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or [""]
    return cell_mark(cells[-1]) if ".check(" in cells[-1] else ""
