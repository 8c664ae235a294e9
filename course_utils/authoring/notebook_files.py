"""Notebooks as files: what a stored notebook looks like, and the limits that it keeps.

`authoring` writes notebooks in this form, and the tests ask whether they have it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

MAX_NOTEBOOK = 700_000  # bytes of the stored file
MAX_IMAGE = 110_000  # bytes of one decoded picture
HEADER_SECONDS = re.compile(r"(about )(\d+)( seconds to run)")

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/=\s]+)")
PROGRESS_BAR = re.compile(r"\d+%\||\bit/s\b|\bs/it\b|\?it/s")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook and give each cell without a unique id one made from the notebook's name and the cell's text.

    The ids are set before nbformat sees the cells, because nbformat would draw random ones.
    """
    raw = json.loads(path.read_text(encoding="utf-8"))
    if raw.get("nbformat") != 4:
        raise ValueError(f"{path.name} has notebook format {raw.get('nbformat')}; save it as format 4 first.")
    seen: set[str] = set()
    for cell in raw["cells"]:
        copy = 0
        while not cell.get("id") or cell["id"] in seen:
            content = f"{path.stem}\n{copy}\n{''.join(cell['source'])}"
            cell["id"] = hashlib.sha256(content.encode()).hexdigest()[:8]
            copy += 1
        seen.add(cell["id"])
    raw["nbformat_minor"] = max(5, raw.get("nbformat_minor", 0))
    return nbformat.reads(json.dumps(raw), as_version=4)


def _outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            yield index, output


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join printed text that the kernel happened to send in several pieces."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def normalize(notebook: NotebookNode) -> list[str]:
    """Take out of an executed notebook what would differ next time or on another machine.

    Removed are widget state and views (the text of such an output stays), progress bars and all else on stderr,
    timings, versions in the metadata. Returns remarks for the author: the warnings removed, memory addresses printed.
    """
    remarks = []
    for index, output in _outputs(notebook):
        if output.get("name") == "stderr":
            lines = [
                line for line in re.split(r"[\r\n]+", output.text) if line and not PROGRESS_BAR.search(line)
            ]
            remarks += [f"cell {index} warns: {line}" for line in lines]
        elif ADDRESS.search(output.get("text", "") + output.get("data", {}).get("text/plain", "")):
            remarks.append(f"cell {index} prints a memory address, which changes with every run.")
    count = 0
    for cell in notebook.cells:
        for key in ("execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        for output in cell.outputs:
            if output.get("data", {}).pop(WIDGET_VIEW, None) and PROGRESS_BAR.search(
                output.data.get("text/plain", "")
            ):
                output.data.clear()
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
        kept = [o for o in cell.outputs if o.get("name") != "stderr" and o.get("data") != {}]
        cell.outputs = _joined_streams(kept)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata.language_info = {"name": "python"}
    return remarks


def image_sizes(notebook: NotebookNode) -> list[tuple[int, int]]:
    """All pictures among the outputs, also those inside HTML, as (index of the cell, bytes when decoded)."""
    sizes = []
    for index, output in _outputs(notebook):
        data = output.get("data", {})
        encoded = [data[kind] for kind in ("image/png", "image/jpeg") if kind in data]
        encoded += DATA_URI.findall(data.get("text/html", ""))
        sizes += [(index, len(base64.b64decode(picture))) for picture in encoded]
    return sizes


def write_seconds(notebook: NotebookNode, seconds: int) -> bool:
    """Put ``seconds`` in the header's "about NN seconds to run"; False if the first text cell has no such words."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, changes = HEADER_SECONDS.subn(rf"\g<1>{seconds}\g<3>", cell.source)
            return changes > 0
    return False


def store_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write in one step, so that an interruption leaves the old file whole."""
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)
