"""What all explorers share: controls on top, a picture with its description below.

Only core ipywidgets are used, of version 7.7 (which Colab carries) or 8, so nothing has to be
installed in the browser. Every control has a label and works from the keyboard.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence

import ipywidgets
from IPython.display import HTML, display
from matplotlib.figure import Figure

from course_utils.assets import AssetError
from course_utils.show import figure_html

__all__ = ["Explorer", "buttons", "check_box", "choice", "slider", "typed"]

MARKER = "course-explorer"  # a CSS class on every explorer, by which tests in a browser find them
SLOW = (
    "course-explorer-slow"  # add it to the box of one that attacks or trains: it may take seconds to answer
)
REMEMBERS = "course-explorer-remembers"  # add it to the box of one that keeps what was done, as a game keeps its score
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


class Explorer:
    """Controls, and a picture that is drawn anew whenever one of them changes.

    >>> def draw(n): ... return figure, f"A row of {n} cells."
    >>> explorer = Explorer(draw, n=slider("cells n", 1, 9, 5))
    >>> explorer                    # as the last line of a cell: shows it
    >>> explorer.stills([{"n": 3}, {"n": 9}])   # a static figure of two of its settings

    Args:
        draw: takes the controls' values by name; returns a matplotlib figure and a sentence that says
            in words, with numbers, what it shows (caption and alternative text). A ValueError's
            sentence is shown in place of the picture (that is how a class that does not exist is told), and an
            AssetError's.
        photos: takes the controls' values by name; returns the photographs to be seen, which the caption credits.
        controls: ipywidgets by the names of draw's arguments, such as :func:`slider` returns.
    """

    def __init__(
        self,
        draw: Callable[..., tuple[Figure, str]],
        photos: Callable[..., Iterable] | None = None,
        **controls: ipywidgets.Widget,
    ) -> None:
        self.draw = draw
        self.photos = photos or (lambda **values: ())
        self.controls = controls
        self._picture = ipywidgets.HTML()
        self.box = ipywidgets.VBox([*controls.values(), self._picture])
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
        """The picture, or the sentence in its place, as HTML."""
        return self._picture.value

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

    def _redraw(self, change: object = None) -> None:
        try:
            figure, words = self.draw(**self.values)
            self._picture.value = figure_html(figure, words, small=False, photos=self.photos(**self.values))
        except (ValueError, AssetError) as error:
            self._picture.value = f'<p role="alert"><b>{html.escape(str(error))}</b></p>'

    def _ipython_display_(self, **kwargs: object) -> None:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display({"text/plain": _HINT, "application/vnd.jupyter.widget-view+json": view}, raw=True)
