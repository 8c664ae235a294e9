"""The explorer of the website: any of 1,000 classes on eight photographs, in a browser, with no kernel behind it.

What is computed here, once, is what Grad-CAM has to say: 8 x 1,000 raw maps of 7 x 7 cells. The page's script
(``explorer/explorer.js``) does the rest as the course does it: ReLU, enlarge, divide, threshold, box.
"""

from __future__ import annotations

import base64
import html
import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from PIL import Image

from course_utils.assets import AssetError
from course_utils.pictures import Photo, credited, load_photo, mosaic, shown_photos

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = ["write_explorer"]

PARTS = Path(__file__).resolve().parent / "explorer"
SIZE = 224  # side of what the network sees, and of heat-maps and boxes
SHOWN = 448  # side of the pictures in the page
CLASSES, CELLS = 1000, 7
# All of whose licenses are stated: a website offers what it shows for re-use.
PHOTOS = ("cat", "coffee", "flower", "camera", "rocket", "palace", "astronaut")
FOUR = ("cat", "coffee", "flower", "camera")  # the mosaic of notebooks 00 and 04
PLACES = ("Top left", "Top right", "Bottom left", "Bottom right")


@dataclass(frozen=True, eq=False)
class Shown:
    """One of the eight: what it is called, what the network sees and the page shows, and the words that go with it."""

    name: str
    seen: Tensor  # (1, 3, 224, 224) in [0, 1]
    image: Image.Image
    description: str
    photos: list[Photo]

    @property
    def caption(self) -> str:
        """What was done to the photograph, and who took it: licenses ask for both."""
        return credited(
            f"What the network sees: {'four photographs' if self.photos[1:] else 'the photograph'}, cut square.",
            self.photos,
        )


def write_explorer(folder: Path, address: str = "_static/explorer") -> str:
    """Write all that the explorer's page loads into a folder, and return the page's content as HTML.

    The folder gets ``explorer-data.js``, ``explorer.js``, ``explorer.css`` and eight pictures. The page loads them by
    relative addresses, as scripts and pictures alone, so that it also works when it is opened as a file.

    Args:
        folder: made if it is not there.
        address: of the folder, as seen from the page.

    Raises:
        AssetError: PyTorch is not installed, or a photograph or the network's weights are missing.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise AssetError(
            f"the explorer's maps are computed by the course's network, which needs PyTorch ({error}). Install what "
            "the notebooks need: `pip install -r requirements.txt`."
        ) from error
    eight = shown()
    folder.mkdir(parents=True, exist_ok=True)
    for one in eight:
        one.image.save(folder / f"{one.name}.jpg", quality=85, optimize=True)
    content = json.dumps(data(eight, address), ensure_ascii=False, separators=(",", ":"))
    (folder / "explorer-data.js").write_text(f"window.EXPLORER_DATA = {content};\n", encoding="utf-8")
    for name in ("explorer.js", "explorer.css"):
        (folder / name).write_bytes((PARTS / name).read_bytes())
    return _fragment(eight, address)


def shown() -> list[Shown]:
    """Return the eight pictures: four photographs in one, and seven alone."""
    alone = [
        Shown(name, photo.tensor(SIZE), photo.square(SHOWN).image, photo.description, [photo])
        for name, photo in ((name, load_photo(name)) for name in PHOTOS)
    ]
    small = mosaic(FOUR, SIZE)
    described = (
        f"{place}: {one.description}" for place, one in zip(PLACES, shown_photos(small), strict=True)
    )
    words = f"Four photographs in one. {' '.join(described)}"
    return [Shown("four", small.tensor(), mosaic(FOUR, SHOWN).image, words, list(small.photos)), *alone]


def data(eight: list[Shown], address: str) -> dict[str, object]:
    """Return what the page's script reads.

    ``numbers`` is, in base64 and little-endian: the raw maps L^c (8, 1000, 7, 7) in half precision; the logits
    (8, 1000) and the class-free maps (8, 7, 7) in single precision. (Eight bits a cell, with a scale a map, would
    halve the file, and move boxes by more than a pixel.) ``biases`` are the 1,000 b^c. ``inferno`` and ``signed`` are
    256 colors each, "#rrggbb"; in ``signed`` each comes with the color of a number on it.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    from course_utils.show import SIGNED_MAP

    maps, logits, free, biases, names = explained(eight)
    numbers = (maps.astype("<f2"), logits.astype("<f4"), free.astype("<f4"))
    return {
        "photos": [
            {
                "file": f"{address}/{one.name}.jpg",
                "description": one.description,
                "caption": one.caption,
            }
            for one in eight
        ],
        "names": names,
        "biases": [round(bias, 5) for bias in biases.tolist()],
        "inferno": [to_hex(color) for color in colormaps["inferno"](range(256))],
        "signed": [(to_hex(color), ink(color)) for color in colormaps[SIGNED_MAP](range(256))],
        "numbers": base64.b64encode(b"".join(part.tobytes() for part in numbers)).decode("ascii"),
    }


def ink(color: tuple[float, ...]) -> str:
    """Return black or white: what is better read on a color, by its relative luminance."""
    red, green, blue = (part**2.2 for part in color[:3])
    return "#000" if 0.21 * red + 0.72 * green + 0.07 * blue > 0.18 else "#fff"


def explained(eight: list[Shown]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return raw Grad-CAM maps (8, 1000, 7, 7), logits (8, 1000), class-free maps (8, 7, 7), 1,000 biases and names.

    The network ends in a mean and one linear layer, so the maps of all classes are one matrix product, without any
    gradient: L^c = (1/Z) sum_k w_k^c A^k. What such a map lacks of the logit is the class's bias: y^c = sum_ij L^c_ij +
    b^c, for any picture (notebook 03).
    """
    import torch

    from course_utils.evidence import blind_maps
    from course_utils.explain import cam
    from course_utils.networks import load_classifier

    classifier = load_classifier()
    images = torch.cat([one.seen for one in eight]).to(classifier.mean.device)
    with torch.no_grad():
        logits = classifier(images)
    maps = cam(classifier, images, range(CLASSES)) / CELLS**2
    free = blind_maps(classifier, images, logits.argmax(1))["class-free sum"]
    biases = (logits - maps.sum((2, 3))).mean(0)
    return *(part.cpu().numpy() for part in (maps, logits, free, biases)), classifier.classes


def _fragment(eight: list[Shown], address: str) -> str:
    """The page's content: the template, with eight buttons and their sources."""
    buttons, sources = [], {}
    for number, one in enumerate(eight):
        checked = "" if number else " checked"
        buttons.append(
            f'<label><input type="radio" name="ex-photo" value="{number}"{checked}>'
            f'<img src="{address}/{one.name}.jpg" alt="" width="64" height="64"><span>{one.name}</span></label>'
        )
        for photo in one.photos:
            words = html.escape(f"{photo.name}: {photo.credit}. {photo.license}.")
            link = f' <a href="{html.escape(photo.url)}">Source of {photo.name}</a>' if photo.url else ""
            sources[photo.name] = f"<li>{words}{link}</li>"
    columns = "".join(_header("col", "column", i) for i in range(1, CELLS + 1))
    rows = "\n".join(f"<tr>{_header('row', 'row', i)}{'<td></td>' * CELLS}</tr>" for i in range(1, CELLS + 1))
    template = Template((PARTS / "explorer.html").read_text(encoding="utf-8"))
    return template.substitute(
        address=address,
        buttons="\n".join(buttons),
        columns=columns,
        rows=rows,
        sources="\n".join(sources.values()),
    )


def _header(scope: str, word: str, number: int) -> str:
    """A row's or a column's head in the table: its number is seen, its kind only heard."""
    return f'<th scope="{scope}"><span class="ex-heard">{word} </span>{number}</th>'
