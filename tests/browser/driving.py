"""Explorers moved by hand: every control over its values, from the keyboard, and what came of it.

Explorers are found by the class that course_utils.widgets puts on them, controls by what they are in HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Error, Locator, Page

from course_utils.widgets import explorer

ANSWER = 60  # seconds to wait for an answer at most
MOST_OPTIONS = 5  # of a drop-down list that are tried: the unit tests sweep them all

# What can be moved, and all that the Tab key should reach.
CONTROLS = "[role=slider], select, input:not([type=file]), textarea, button"
TOGGLE = "button.jupyter-button"  # one of ToggleButtons, inside of them
STATE = """async explorer => {
    await Promise.all([...explorer.querySelectorAll('img')].map(i => i.decode().catch(() => {})));
    const image = explorer.querySelector('.widget-html img');
    const words = [...explorer.querySelectorAll('figcaption')].map(part => part.textContent).join(' ');
    const alert = explorer.querySelector('[role=alert]')?.textContent ?? '';
    const links = [...explorer.querySelectorAll('a[download]')].map(link => link.href).join(' ');
    return {
        links, picture: image?.getAttribute('src') ?? '', alt: image?.getAttribute('alt') ?? '', words, alert,
        shown: !image || (image.complete && image.naturalWidth > 0), any_image: Boolean(image),
    };
}"""


@dataclass
class Answer:
    """What one move did.

    The milliseconds from the key to the answer, a new picture or a bar, and until all was there; None if none came.
    """

    moved: bool
    milliseconds: float | None
    complete: float | None
    before: dict
    after: dict

    @property
    def changed(self) -> bool:
        return any(self.before[key] != self.after[key] for key in ("picture", "words", "alert", "links"))


@dataclass
class Control:
    """One control: its label, what it is, and how to read and move it."""

    label: str
    kind: str
    element: Locator
    line: Locator
    box: Locator | None = None
    times: list[float] = field(default_factory=list)
    complete: list[float] = field(default_factory=list)
    effects: int = 0

    @property
    def value(self) -> str:
        if self.kind == "slider":
            return self.element.get_attribute("aria-valuetext") or ""
        if self.kind == "check box":
            return str(self.element.is_checked())
        if self.kind == "upload":
            return self.element.inner_text()  # its button counts the files
        if self.kind == "button":
            return f"{self.box.locator('a[download]').count()} links"  # what it makes
        if self.kind == "buttons":
            return self.line.locator("button.mod-active").inner_text()
        return self.element.input_value()


class Explorer:
    """An explorer in a page with watch.js.

    ``no_picture`` is handed to its upload button, if it has one, which must refuse it, and then ``upload``.
    """

    def __init__(
        self, page: Page, box: Locator, upload: Path | None = None, no_picture: Path | None = None
    ) -> None:
        self.page, self.box, self.upload, self.no_picture = page, box, upload, no_picture
        self.faults: list[str] = []
        self.seen: dict[str, set[str]] = {"picture": set(), "words": set()}
        box.scroll_into_view_if_needed()
        self.controls = self._find_controls()

    def _find_controls(self) -> list[Control]:
        found = []
        kinds = {
            "slider": "[role=slider]",
            "list": "select",
            "text": "input[type=text]",
            "check box": "input[type=checkbox]",
        }
        lines = (
            ".widget-inline-hbox:not(.widget-html), .widget-toggle-buttons, .widget-upload, .widget-button"
        )
        for line in self.box.locator(lines).all():
            for kind, selector in kinds.items():
                if line.locator(selector).count() == 1:
                    found.append(Control(_label(line), kind, line.locator(selector), line))
            if "widget-toggle-buttons" in line.get_attribute("class").split():
                found.append(Control(_label(line), "buttons", line.locator(TOGGLE).first, line))
            kinds_by_class = {"widget-upload": "upload", "widget-button": "button"}
            for name, kind in kinds_by_class.items():
                if name in line.get_attribute("class").split():
                    found.append(Control(_label(line), kind, line, line, self.box))
                    break
        # A row of buttons, one of which is down, is one control.
        rows = [control.line.locator(TOGGLE).count() - 1 for control in found if control.kind == "buttons"]
        there = self.box.locator(CONTROLS).count() - sum(rows)
        if len(found) != there or not found:
            self.faults.append(
                f"{len(found)} of {there} controls are of a kind that the tests know how to move."
            )
        self.faults += [f"a {control.kind} has no label." for control in found if not control.label]
        return found

    def state(self) -> dict:
        return self.box.evaluate(STATE)

    def move(self, control: Control, how: Callable[[], None]) -> Answer:
        """Do something to a control, wait for the answer, and note what is wrong with it."""
        before, value = self.state(), control.value
        self.page.evaluate("courseWatch.begin()")
        how()
        try:
            self.page.wait_for_function("courseWatch.settled()", timeout=1000 * ANSWER, polling=20)
        except Error:
            self.faults.append(f"{control.label}: no answer within {ANSWER} s.")
        after = self.state()
        watch = self.page.evaluate(
            "(({pressed, answered, drawn}) => ({pressed, answered, drawn}))(courseWatch)"
        )
        drawn = watch["answered"] > 0
        times = [watch[what] - watch["pressed"] if drawn else None for what in ("answered", "drawn")]
        answer = Answer(control.value != value, *times, before, after)
        if answer.changed and drawn:
            control.times.append(answer.milliseconds)
            control.complete.append(answer.complete)
        control.effects += answer.changed
        for what, values in self.seen.items():
            values.add(after[what])
        self._judge(control, after)
        return answer

    def _judge(self, control: Control, state: dict) -> None:
        where = f"{control.label} = {control.value}"
        if state["alert"]:
            if state["any_image"]:
                self.faults.append(f"{where}: a refusal stands beside a picture.")
            return
        if not state["any_image"] or not state["shown"]:
            self.faults.append(f"{where}: there is no picture.")
        elif not state["alt"].strip() or state["alt"] != state["words"]:
            self.faults.append(f"{where}: the picture's alt text is not its caption.")

    def press(self, control: Control, *keys: str) -> Answer:
        """Press keys with the focus on a control; more than one make one move."""

        def how() -> None:
            control.element.focus()
            for key in keys:
                self.page.keyboard.press(key)

        return self.move(control, how)

    def type(self, control: Control, text: str) -> Answer:
        """Type a text in place of the present one, and Enter."""
        field = control.line.locator(".widget-readout") if control.kind == "slider" else control.element

        def how() -> None:
            field.focus()
            self.page.keyboard.press("Control+a")
            if text:
                self.page.keyboard.insert_text(text)
            else:
                self.page.keyboard.press("Backspace")
            self.page.keyboard.press("Enter")

        return self.move(control, how)

    def settings(self, control: Control) -> Iterator[Callable[[], Answer]]:
        """The moves by which a control goes over its values, last of all back to where it was."""
        start = control.value
        if control.kind == "slider":
            yield lambda: self.press(control, "End")
            yield lambda: self.press(control, "Home")
            yield lambda: self.to_the_middle(control)
            yield lambda: self.type(control, start)
        elif control.kind == "list":
            options = control.element.locator("option").evaluate_all("all => all.map(o => o.value)")
            for option in _spread(options, MOST_OPTIONS):
                yield lambda option=option: self.choose(control, option)
            yield lambda: self.choose(control, start)
        elif control.kind == "check box":
            yield lambda: self.press(control, "Space")
            yield lambda: self.press(control, "Space")
        elif control.kind == "text":
            options = control.line.locator("datalist option").evaluate_all("all => all.map(o => o.value)")
            others = [option for option in options if option != start]
            for option in _spread(others, 3) or [start + " 2"]:
                yield lambda option=option: self.type(control, option)
            if options:
                yield lambda: self.misspell(control, others[0] + "q")
            yield lambda: self.type(control, start)
        elif control.kind == "upload":
            if self.no_picture is not None:
                yield lambda: self.choose_no_picture(control)
            yield lambda: self.choose_file(control, self.upload)
        elif control.kind == "button":
            yield lambda: self.press(control, "Enter")
        elif control.kind == "buttons":
            for option in control.line.locator(TOGGLE).all_inner_texts():
                yield lambda option=option: self.push(control, option)
            yield lambda: self.push(control, start)

    def to_the_middle(self, control: Control) -> Answer:
        """One step up by an arrow key, then to the middle by typing the number beside the slider."""
        if not self.press(control, "ArrowRight").moved:
            self.faults.append(f"{control.label}: an arrow key does not move the slider.")
        low, high = (float(control.element.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
        middle = (low + high) / 2
        return self.type(control, f"{middle:g}" if "." in control.value else str(int(middle)))

    def choose(self, control: Control, option: str) -> Answer:
        """Choose from a list: Space opens it, arrows lead to the option, Enter takes it.

        While a list is closed, arrows and letters are JupyterLab's: they move on to the next cell.
        """
        options = control.element.locator("option").evaluate_all("all => all.map(o => o.value)")
        steps = options.index(option) - options.index(control.value)
        arrow = "ArrowDown" if steps > 0 else "ArrowUp"
        return self.press(control, "Space", *abs(steps) * [arrow], "Enter")

    def push(self, control: Control, option: str) -> Answer:
        """Push one of a row of buttons by the keyboard."""
        texts = control.line.locator(TOGGLE).all_inner_texts()
        button = control.line.locator(TOGGLE).nth(texts.index(option))

        def how() -> None:
            button.focus()
            self.page.keyboard.press("Enter")

        return self.move(control, how)

    def choose_file(self, control: Control, file: Path) -> Answer:
        """Press the button and choose a file."""

        def how() -> None:
            with self.page.expect_file_chooser() as chooser:
                control.element.press("Enter")
            chooser.value.set_files(file)

        return self.move(control, how)

    def choose_no_picture(self, control: Control) -> Answer:
        """Choose a file that is no picture: a sentence must say so."""
        answer = self.choose_file(control, self.no_picture)
        if len(answer.after["alert"].split()) < 4:
            self.faults.append(
                f"{control.label}: no sentence says that {self.no_picture.name} is no picture."
            )
        return answer

    def misspell(self, control: Control, text: str) -> Answer:
        """Type what does not exist: a sentence must say so."""
        answer = self.type(control, text)
        if len(answer.after["alert"].split()) < 4:
            self.faults.append(f"{control.label}: no sentence says that there is no {text!r}.")
        return answer

    def drive(self) -> None:
        """Move every control over its values; what is wrong is in ``faults``, the times in the controls."""
        first = self.state()
        values = {control.label: control.value for control in self.controls}
        for control in self.controls:
            self.sweep(control)
        for control in self.controls:
            if control.effects == 0 and not self._effect_elsewhere(control):
                self.faults.append(f"{control.label}: nothing changes, whatever its value and the others'.")
        for what, kinds in self.seen.items():
            # One more is the empty one, beside a refusal.
            if len(kinds - {""}) < 2:
                self.faults.append(f"no control changes the {what}.")
        seen = self.state()
        remembers = explorer.REMEMBERS in (self.box.get_attribute("class") or "").split()
        if not remembers and values == {control.label: control.value for control in self.controls}:
            for what in ("picture", "words", "alert"):
                if seen[what] != first[what]:
                    self.faults.append(f"with all controls back at the start the {what} is another.")
        self.faults = list(dict.fromkeys(self.faults))

    def sweep(self, control: Control) -> None:
        """Move a control over its values and back."""
        moved = [move().moved for move in self.settings(control)]
        if not any(moved):
            self.faults.append(f"{control.label}: its value cannot be moved from the keyboard.")

    def _effect_elsewhere(self, control: Control) -> bool:
        """Whether the control has an effect once another control has another value."""
        for other in self.controls:
            if other is control:
                continue
            for move in self.settings(other):
                move()
                self.sweep(control)
                if control.effects:
                    return True
        return False

    def reached_by_tab(self) -> list[str]:
        """The labels of the controls that the Tab key does not reach from the cell above them."""
        cell = self.box.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')][1]")
        cell.locator(".jp-InputPrompt").click()
        missing = {i: control.label for i, control in enumerate(self.controls)}
        for _ in range(3 * len(self.controls) + 10):
            self.page.keyboard.press("Tab")
            for i in list(missing):
                if self.controls[i].element.evaluate("e => e === document.activeElement"):
                    del missing[i]
            if not missing:
                break
        return list(missing.values())


def _label(line: Locator) -> str:
    words = line.locator(".widget-label, .widget-label-basic").all_inner_texts() or [line.inner_text()]
    return " ".join(" ".join(words).replace("\u200b", "").split())


def _spread(options: list[str], number: int) -> list[str]:
    """At most ``number`` of them, evenly spaced, the first and the last included."""
    if len(options) <= number:
        return options
    return [options[round(i * (len(options) - 1) / (number - 1))] for i in range(number)]


def find_explorers(page: Page) -> list[Locator]:
    """All explorers in a page."""
    return page.locator(f".{explorer.MARKER}").all()
