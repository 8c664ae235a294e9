"""Plans of lectures: which sections of which notebooks, for how many minutes. A plan is a small file in TOML.

::

    title = "Where did the network look?"
    parts = [
        # notebook, section, minutes
        ["00", "1", 8],
        ["04", "opening", 6],
        ["04", "Explore", 5],
        ["text", "## To take home\\n\\nThree questions.", 3],
    ]
    without = ["8b03ccb6"]  # ids of cells to leave out, if any

A section is named by its number, by "opening" (all above the first), "quiz", or by the first words of its heading, of
the second level or the third; its core cells are taken, unless its heading itself is marked deeper.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .notebooks import find_notebooks, read_quiz
from .pages import HEADING, Page, pages_of, polls_of
from .tracks import CORE, cell_tracks

if sys.version_info >= (3, 11):
    import tomllib
else:  # JupyterLab brings it for these
    import tomli as tomllib

__all__ = ["Part", "Plan", "find_plans", "read_plan", "section_cells"]


@dataclass
class Part:
    """Pages that belong together in a lecture, and the minutes for them; None: as many as its pages take."""

    name: str
    pages: list[Page]
    minutes: float | None

    @property
    def page_minutes(self) -> list[float]:
        """The minutes of each page, stretched to ``minutes``."""
        each = [page.minutes for page in self.pages]
        stretch = 1 if self.minutes is None else self.minutes / max(sum(each), 1e-9)
        return [one * stretch for one in each]


@dataclass
class Plan:
    """A lecture of several notebooks."""

    name: str
    title: str
    parts: list[Part]


def find_plans(root: Path) -> list[str]:
    """Return the names of the plans that the course has."""
    return sorted(path.stem for path in (root / "data" / "plans").glob("*.toml"))


def read_plan(root: Path, name: str) -> Plan:
    """Return a plan by its name in data/plans, or by its path.

    Raises:
        ValueError: there is no such file, it is not as described above, or it names what no notebook has.
    """
    path = Path(name) if Path(name).suffix == ".toml" else root / "data" / "plans" / f"{name}.toml"
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        there = ", ".join(find_plans(root)) or "none"
        raise ValueError(
            f"There is no plan {name!r}. There are: {there}; or name a file that ends in .toml."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not TOML: {error}.") from None
    title, parts = written.get("title"), written.get("parts")
    if not isinstance(title, str) or not title.strip() or not isinstance(parts, list) or not parts:
        raise ValueError(f'{path.name} needs a line title = "..." and a list parts = [["04", "1", 10], ...].')
    without = written.get("without", [])
    unknown = set(written) - {"title", "parts", "without"}
    if unknown:
        raise ValueError(f"{path.name} says {sorted(unknown)[0]!r}; a plan knows title, parts, and without.")
    opening = Part("opening", [Page(title, starts=True, text=f"# {title}", cell="title")], 0)
    return Plan(path.stem, title, [opening, *(_part(root, path.name, part, without) for part in parts)])


def _part(root: Path, file: str, part: object, without: Sequence[str]) -> Part:
    if not isinstance(part, list) or len(part) != 3:
        raise ValueError(
            f'{file}: a part is [notebook, section, minutes], such as ["04", "1", 10]; one is {part!r}.'
        )
    name, section, minutes = part
    if not isinstance(minutes, (int, float)) or isinstance(minutes, bool) or minutes <= 0:
        raise ValueError(
            f"{file}: the minutes of {name!r}, {section!r} must be a number above 0, not {minutes!r}."
        )
    if not isinstance(name, str) or not isinstance(section, str):
        raise ValueError(
            f'{file}: notebook and section stand in quotes, such as "04" and "1"; one part is {part!r}.'
        )
    if name == "text":
        cell = nbformat.v4.new_markdown_cell(section, id="said")
        return Part("text", pages_of([cell]), minutes)
    (path, *others) = find_notebooks(root / "notebooks", [name])
    if others:
        raise ValueError(f"{file}: {name!r} fits several notebooks.")
    if section == "quiz":
        pages = polls_of(read_quiz(root, path.stem))
        if not pages:
            raise ValueError(f"{file}: {path.stem} has no quiz.")
        return Part(f"{path.stem[:2]} quiz", pages, minutes)
    cells = nbformat.read(path, as_version=4).cells
    try:
        chosen = [cell for cell in section_cells(cells, section) if cell.id not in without]
    except ValueError as error:
        raise ValueError(f"{file}: in {path.stem} {error}") from None
    pages = pages_of(chosen)
    if not pages:
        raise ValueError(f"{file}: section {section!r} of {path.stem} has no page to show.")
    pages[0].starts = True
    return Part(f"{path.stem[:2]}.{section}", pages, minutes)


def section_cells(cells: Sequence[NotebookNode], section: str) -> list[NotebookNode]:
    """Return the cells of a section as a plan names it.

    Raises:
        ValueError: no heading fits, or several do.
    """
    tracks = cell_tracks(list(cells))
    places = [
        (index, len(found[1]), found[2])
        for index, cell in enumerate(cells)
        if cell.cell_type == "markdown" and (found := HEADING.match(cell.source))
    ]
    if section == "opening":
        end = next((index for index, level, _ in places if level == 2), len(cells))
        return [cell for cell, track in zip(cells[:end], tracks[:end], strict=True) if track == CORE]
    fits = [
        (index, level)
        for index, level, words in places
        if re.match(rf"{section}\." if section.isdigit() else re.escape(section), words, re.I)
        or (not section.isdigit() and re.sub(r"^\d+\.\s*", "", words).lower().startswith(section.lower()))
    ]
    if len(fits) != 1:
        there = "; ".join(words for _, level, words in places if level > 1)
        raise ValueError(f"{len(fits) or 'no'} sections are called {section!r}. There are: {there}.")
    ((start, level),) = fits
    end = next((index for index, other, _ in places if index > start and other <= level), len(cells))
    return [
        cell
        for cell, track in zip(cells[start:end], tracks[start:end], strict=True)
        if track == CORE or tracks[start] != CORE
    ]
