"""What all explorers share: controls on top, a picture with its description below.

Only core ipywidgets are used, of version 7.7 (which Colab carries) or 8, so nothing has to be
installed in the browser. Every control has a label and works from the keyboard.

Every control is answered within 0.3 s, by the picture or, where that takes longer, by a bar that says what is being
computed, and that goes when all is there. A picture of other settings than those of the controls is never shown.
"""

from __future__ import annotations

import html
import inspect
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.figure import Figure

from course_utils.assets import AssetError
from course_utils.show import figure_html

from .behind import Behind, few_threads

__all__ = [
    "Explorer",
    "Progress",
    "Steps",
    "alert",
    "buttons",
    "check_box",
    "choice",
    "picture_places",
    "slider",
    "typed",
]

MARKER = "course-explorer"  # a CSS class on every explorer, by which tests in a browser find them
BUSY = "course-explorer-busy"  # on one that has not computed all that belongs to its picture
REMEMBERS = "course-explorer-remembers"  # add it to the box of one that keeps what was done, as a game keeps its score
PATIENCE = (
    0.15  # seconds: where the last picture took longer, as on a busy machine, a bar comes before the next
)
_STYLE = {"description_width": "11em"}
_LAYOUT = {"width": "28em"}
_HINT = "[Interactive explorer: run this cell to use it. The figure below shows some of its settings.]"


def slider(label: str, low: float, high: float, value: float, step: float = 1) -> ipywidgets.Widget:
    """Return a slider of whole numbers, or of decimals if ``step`` is one."""
    whole = all(float(number).is_integer() for number in (low, high, value, step))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(description=label, min=low, max=high, value=value, step=step, style=_STYLE, layout=_LAYOUT)


def choice(label: str, options: Sequence, value: object = None) -> ipywidgets.Widget:
    """Return a drop-down list. From the keyboard: Space opens it; a closed one leaves arrows to JupyterLab."""
    value = options[0] if value is None else value
    return ipywidgets.Dropdown(
        description=label, options=list(options), value=value, style=_STYLE, layout=_LAYOUT
    )


def buttons(label: str, options: Sequence, value: object = None) -> ipywidgets.Widget:
    """Return a row of buttons, one of which is down: for a choice among few, or among the words of a sentence."""
    value = options[0] if value is None else value
    return ipywidgets.ToggleButtons(
        description=label, options=list(options), value=value,
        style={**_STYLE, "button_width": "auto"}, layout={"width": "100%"},
    )  # fmt: skip


def typed(label: str, options: Sequence[str], value: str) -> ipywidgets.Widget:
    """Return a text field that completes from a long list; what is typed counts on Enter."""
    return ipywidgets.Combobox(
        description=label, options=list(options), value=value, continuous_update=False, style=_STYLE,
        layout=_LAYOUT,
    )  # fmt: skip


def check_box(label: str, value: bool = False) -> ipywidgets.Widget:
    """Return a box to tick."""
    return ipywidgets.Checkbox(description=label, value=value, style=_STYLE, layout=_LAYOUT)


@dataclass(frozen=True)
class Progress:
    """What is being computed, in words, and the share of it that is done, from 0 to 1."""

    text: str
    share: float = 0.0

    @property
    def html(self) -> str:
        """A bar with its words as its label."""
        bar = f'<progress max="1" value="{self.share:.2f}"></progress>'
        return f'<div role="status"><label>{html.escape(self.text)} ... {bar}</label></div>'


Shown = tuple[Figure, str]
Steps = Generator[Progress | Shown, None, Shown]
"""What a draw in steps returns: it yields bars and first pictures, and returns the last picture."""


def picture_places(width: float, height: float, lines: int = 1, **others: object) -> dict[str, object]:
    """Return places for :func:`~course_utils.show.panels`: pictures in a row under titles of at most so many lines.

    To let matplotlib find the places takes as long as all the rest of a drawing.

    Args:
        width, height: of the figure, in inches.
        lines: of the longest title.
        others: places that differ, by the names of :class:`matplotlib.gridspec.GridSpec`.
    """
    edge = 0.08
    top = 1 - (edge + 0.22 * lines) / height
    places = {"left": edge / width, "right": 1 - edge / width, "bottom": edge / height, "top": top}
    return {**places, "wspace": 0.06, **others}


def alert(sentence: str) -> str:
    """Return a sentence as it stands in place of a picture, as HTML."""
    return f'<p role="alert"><b>{html.escape(sentence)}</b></p>'


class Explorer:
    """Controls, and a picture that is drawn anew whenever one of them changes.

    >>> def draw(n): ... return figure, f"A row of {n} cells."
    >>> explorer = Explorer(draw, n=slider("cells n", 1, 9, 5))
    >>> explorer                    # as the last line of a cell: shows it
    >>> explorer.stills([{"n": 3}, {"n": 9}])   # a static figure of two of its settings

    What takes long is drawn in steps. Between two of them a control can be moved, which drops the rest:

    >>> def draw(n):
    ...     for k in range(n): yield Progress(f"part {k + 1} of {n}", k / n); compute(k)
    ...     yield first_figure, "... How it compares: being computed."
    ...     return figure, "... It compares well."

    Args:
        draw: takes the controls' values by name; returns a matplotlib figure and a sentence that says
            in words, with numbers, what it shows (caption and alternative text). A ValueError's
            sentence is shown in place of the picture (that is how a class that does not exist is told), and an
            AssetError's. A generator (:data:`Steps`) may yield :class:`Progress` and first pictures before.
        photos: takes the controls' values by name; returns the photographs to be seen, which the caption credits.
        controls: ipywidgets by the names of draw's arguments, such as :func:`slider` returns.
    """

    def __init__(
        self,
        draw: Callable[..., Shown | Steps],
        photos: Callable[..., Iterable] | None = None,
        **controls: ipywidgets.Widget,
    ) -> None:
        self._draw_or_steps = draw
        self.photos = photos or (lambda **values: ())
        self.controls = controls
        self._picture = ipywidgets.HTML()
        self._bar = ipywidgets.HTML(layout={"display": "none", "min_height": "2em"})
        self._shape: tuple[float, float] | None = None  # of the last picture, in pixels
        self._took = 0.0  # seconds, the last picture
        self._behind = Behind()
        self.box = ipywidgets.VBox([*controls.values(), self._bar, self._picture])
        self.box.add_class(MARKER)
        for control in controls.values():
            control.observe(self._redraw, names="value")
        self._redraw()

    @property
    def values(self) -> dict[str, object]:
        """The present values of the controls."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def html(self) -> str:
        """The picture, or what stands in its place, as HTML: as it is now, see :meth:`finish`."""
        return self._picture.value

    @property
    def pending(self) -> bool:
        """Whether something that belongs to the picture is still to be computed."""
        return self._behind.pending

    def finish(self) -> None:
        """Compute now what is still to be computed behind the first picture."""
        self._behind.finish()

    def draw(self, **values: object) -> Shown:
        """Return the figure of a setting and its words; what would be shown before them is left out."""
        steps = self._steps(**values)
        with few_threads():
            while True:
                try:
                    shown = next(steps)
                except StopIteration as end:
                    return end.value[:2]
                if not isinstance(shown, Progress):
                    plt.close(shown[0])

    def set(self, **values: object) -> None:
        """Move controls, as a hand would."""
        for name, value in values.items():
            if name not in self.controls:
                raise ValueError(f"there is no control {name!r}; there are {', '.join(self.controls)}.")
            self.controls[name].value = value

    def stills(
        self, settings: Sequence[Mapping[str, object]], width: str = "100%", photos: object = ()
    ) -> None:
        """Display a static picture for each of several settings (values not named stay as they are).

        Args:
            settings: values of the controls, by name.
            width: of a picture at most, in CSS.
            photos: photographs to be credited that the explorer does not know by itself, those in the image that it
                was given: as ``course_utils.show.show`` takes them.
        """
        chosen = [{**self.values, **setting} for setting in settings]
        parts = [
            figure_html(*self.draw(**values), width, dpi=72, photos=[photos, self.photos(**values)])
            for values in chosen
        ]
        display(HTML("".join(parts)))

    def _steps(self, **values: object) -> Steps:
        drawn = self._draw_or_steps(**values)
        return (yield from drawn) if inspect.isgenerator(drawn) else drawn

    def _present_steps(self) -> Steps:
        """The steps of the controls' present values."""
        return self._steps(**self.values)

    def _redraw(self, change: object = None) -> None:
        self._behind.begin(self._answer())

    def _answer(self) -> Iterator[None]:
        """Show what the steps of the present setting yield, one after the other."""
        steps, stale = self._present_steps(), True
        try:
            if self._took > PATIENCE:
                self._picture.value, stale = self._blank(), False
                self._say(Progress("drawing"))
                yield
            while True:
                began = time.perf_counter()
                try:
                    shown = next(steps)
                except StopIteration as end:
                    self._show(*end.value)
                    self._took = time.perf_counter() - began
                    break
                if isinstance(shown, Progress):
                    if stale:
                        self._picture.value = self._blank()
                    self._say(shown)
                else:
                    self._show(*shown, done=False)
                    self._say(Progress("computing the rest"))
                stale = False
                yield
            self._say(None)
        except (ValueError, AssetError) as error:
            self._refuse(str(error))
        except (Exception, KeyboardInterrupt) as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            self._refuse(f"This could not be computed ({what}). Move a control to go on.")
            raise  # for whoever looks into the kernel's log
        finally:
            steps.close()

    def _show(self, figure: Figure, words: str, done: bool = True) -> None:
        """Show a picture, and say whether it is complete."""
        for ax in figure.axes:
            title = ax.title  # at a fixed place, since letting matplotlib find it takes long
            ax.set_title(
                title.get_text(), fontproperties=title.get_fontproperties(), color=title.get_color(), y=1.0
            )
        self._shape = tuple(figure.get_size_inches() * figure.dpi)
        self._picture.value = figure_html(figure, words, small=False, photos=self.photos(**self.values))

    def _blank(self) -> str:
        """As much room as the last picture had, so that the page does not jump."""
        if self._shape is None:
            return ""
        width, height = self._shape
        return f'<div style="max-width: {width:.0f}px; aspect-ratio: {width:.0f} / {height:.0f}"></div>'

    def _say(self, progress: Progress | None) -> None:
        """Show a bar, or that nothing is being computed any more; its room stays, so that the page does not jump."""
        if progress is None and BUSY not in self.box._dom_classes:
            return
        self._bar.value = progress.html if progress else ""
        if progress is None:
            self.box.remove_class(BUSY)
        else:
            self._bar.layout.display = None
            self.box.add_class(BUSY)

    def _refuse(self, sentence: str) -> None:
        """Show a sentence in place of the picture."""
        self._picture.value = alert(sentence)
        self._say(None)

    def _ipython_display_(self, **kwargs: object) -> None:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display({"text/plain": _HINT, "application/vnd.jupyter.widget-view+json": view}, raw=True)
