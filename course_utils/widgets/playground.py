"""The explorer of notebook 14: any picture, network, class, method and layer, with warnings and downloads."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import ipywidgets
import torch
import torchvision
from IPython.display import HTML, display
from matplotlib.figure import Figure

from course_utils.assets import AssetError
from course_utils.methods import METHODS
from course_utils.networks import Classifier, is_installed, list_classifiers, load_classifier
from course_utils.pictures import (
    Picture,
    PictureError,
    find_pictures,
    list_photos,
    load_photo,
    mosaic,
    read_picture,
)
from course_utils.playground import (
    Explainer,
    Result,
    result_figure,
    result_words,
    to_csv,
    to_npz,
    to_png,
    typed_class,
)
from course_utils.show import figure_html

from .explorer import Explorer, choice, slider, typed

__all__ = ["PlaygroundExplorer", "playground_explorer", "uploaded_files"]

MOSAIC = "four photographs in one"
QUARTERS = ("cat", "coffee", "motorcycle", "camera")
CLASS_FIELDS = ("first", "second", "third")


def playground_explorer(
    classifier: Classifier,
    name: str = list_classifiers()[0],
    networks: Mapping[str, Classifier] | None = None,
    folder: str | Path | None = None,
) -> PlaygroundExplorer:
    """Explore pictures of one's own, or the course's, with any network, class, method and layer.

    Uploaded pictures stay in memory. Nothing is written to disk, but for weights that a network of the list needs.

    Args:
        classifier: the network at the start.
        name: what to call it.
        networks: others to choose from, by name, such as your own; the course's list follows.
        folder: of pictures to choose from, beside the course's photographs and what is uploaded.

    Raises:
        PictureError: the folder is not there, or holds no picture.
    """
    return PlaygroundExplorer(
        {name: classifier, **(networks or {})}, find_pictures([folder] if folder else [])
    )


def uploaded_files(value: object) -> list[tuple[str, bytes]]:
    """Return (name, content) of the files in the value of a FileUpload, in the form of ipywidgets 7 or of 8.

    Version 7 has a dictionary {name: {"content": bytes, ...}}, version 8 a tuple of {"name": ..., "content": ...}.
    """
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


class PlaygroundExplorer(Explorer):
    """Made by :func:`playground_explorer`. ``result`` is what is shown, None where a sentence stands instead."""

    def __init__(self, networks: Mapping[str, Classifier], paths: list[Path]) -> None:
        self.result: Result | None = None
        self._pictures: dict[str, Picture | Path | None] = {MOSAIC: None, **dict.fromkeys(list_photos())}
        self._pictures |= {_unused(path.name, self._pictures): path for path in paths}
        self._picture_named = lru_cache(maxsize=16)(self._read)
        self._own = dict(networks)
        self._explainer = lru_cache(maxsize=4)(self._make_explainer)
        self._figure: Figure | None = None  # the last one, to draw over
        self._changing = False  # while controls are adjusted to one another
        start = next(iter(self._own))
        classes = sorted(set(self._own[start].classes))
        known = {"first": "moped", "second": "tripod", "third": ""}
        fields = {
            key: typed(f"{key} class", classes, value if value in classes else "")
            for key, value in known.items()
        }
        self.upload = ipywidgets.FileUpload(description="upload pictures", accept="image/*", multiple=True,
                                            layout={"width": "28em"})  # fmt: skip
        self._cautions, self._links = ipywidgets.HTML(), ipywidgets.HTML()
        self.button = ipywidgets.Button(description="prepare downloads", layout={"width": "28em"})
        super().__init__(
            self._draw,
            picture=choice("picture", list(self._pictures), MOSAIC),
            network=choice("network", [*self._own, *_on_offer(set(self._own))], start),
            **fields,
            method=choice("method", [(how.title, key) for key, how in METHODS.items()], "grad-cam"),
            layer=choice("layer", list(_layer_labels(self._explainer(start))), _LAST),
            threshold=slider("box at (% of maximum)", 5, 95, 15, 5),
        )
        self.upload.observe(self._take, names="value")
        self.button.on_click(self._offer)
        self.box.children = [
            self.upload, *self.controls.values(), self._picture, self._cautions, self.button, self._links,
        ]  # fmt: skip

    def explain(self, controls: bool = True, **values: object) -> Result:
        """Return the result for values of the controls; those not named are as they are.

        ``controls`` are the random covers of the check, see :meth:`Explainer.explain`.

        Raises:
            ValueError: the sentence that is shown in place of the picture.
        """
        v = {**self.values, **values}
        explainer = self._explainer(v["network"])
        layers = _layer_labels(explainer)
        layer = layers.get(v["layer"]) if METHODS[v["method"]].takes_layer else None
        texts = [v[field].strip() for field in CLASS_FIELDS]
        classes = [typed_class(text, explainer.classifier.classes) for text in texts if text]
        return explainer.explain(
            self._picture_named(v["picture"]),
            classes,
            v["method"],
            layer,
            v["threshold"] / 100,
            controls=controls,
        )

    def stills(self, settings: list[Mapping[str, object]], width: str = "100%", photos: object = ()) -> None:
        """Display a static picture for each of several settings, and what to be wary of below it."""
        parts = []
        for setting in settings:
            result = self.explain(**setting)
            shown = [photos, self._photographs(setting.get("picture", self.values["picture"]))]
            figure = figure_html(result_figure(result), result_words(result), width, photos=shown)
            parts += [figure, _as_list(result)]
        display(HTML("".join(parts)))

    def _draw(self, **values: object) -> tuple[Figure, str]:
        result = self.explain(**values)
        return result_figure(result), result_words(result)

    def _photographs(self, picture: str) -> list[str]:
        """Those of the course that a picture of the list is."""
        if picture == MOSAIC:
            return list(QUARTERS)
        return [picture] if self._pictures[picture] is None else []

    def _redraw(self, change: object = None) -> None:
        if self._changing:
            return
        self._links.value = ""
        try:
            if change is not None and change["owner"] is self.controls["network"]:
                self._adjust(self.controls["network"].value)
            # Maps at once; the random covers of a new picture, which are in the words only, take longer than these.
            first = self.explain(controls=False)
            self._cautions.value = ""  # they are not complete yet
            self._figure = result_figure(first, reuse=self._figure)
            photos = self._photographs(self.values["picture"])
            drawn = figure_html(self._figure, words := result_words(first), small=False, photos=photos)
            self._picture.value = drawn
            self.result = self.explain()
            self._cautions.value = _as_list(self.result)
            self._picture.value = drawn.replace(html.escape(words), html.escape(result_words(self.result)))
        except (ValueError, AssetError) as error:
            self._refuse(str(error))

    def _refuse(self, sentence: str) -> None:
        self.result = None
        self._cautions.value = ""
        self._picture.value = f'<p role="alert"><b>{html.escape(sentence)}</b></p>'

    def _adjust(self, network: str) -> None:
        """Offer the network's own layers and classes."""
        explainer = self._explainer(network)
        labels, names = list(_layer_labels(explainer)), explainer.classifier.classes
        self._changing = True
        try:
            layer = self.controls["layer"]
            kept = layer.value if layer.value in labels else _LAST
            if list(layer.options) != labels:
                layer.options = labels
            layer.value = kept
            for field in (self.controls[key] for key in CLASS_FIELDS):
                if list(field.options) != (ordered := sorted(set(names))):
                    field.options = ordered
                    field.value = field.value if field.value in names else ""
        finally:
            self._changing = False

    def _take(self, change: Mapping[str, object]) -> None:
        """Read what was uploaded; show the first that is a picture, or say what is wrong with all of them."""
        taken, refused = [], []
        for name, data in uploaded_files(change["new"]):
            try:
                picture = read_picture(data, _unused(name, self._pictures))
            except PictureError as error:
                refused.append(str(error))
                continue
            self._pictures[picture.name] = picture
            taken.append(picture.name)
        if taken:
            self._changing = True
            try:
                self.controls["picture"].options = list(self._pictures)
                self.controls["picture"].value = taken[0]
                for (
                    field
                ) in CLASS_FIELDS:  # those of another picture: begin with what is predicted for this one
                    self.controls[field].value = ""
            finally:
                self._changing = False
            self._redraw()
            if refused:
                self._cautions.value = _as_list(self.result, refused)
        elif refused:
            self._links.value = ""
            self._refuse(" ".join(refused))

    def _offer(self, button: object = None) -> None:
        """Make links that hold the files themselves: a browser saves them, and nothing is written here."""
        if self.result is None:
            self._links.value = "<p>There is nothing to download: choose something that can be explained.</p>"
            return
        stem = re.sub(r"[^\w.-]+", "_", f"{Path(self.result.picture.name).stem}_{self.result.method}")
        files = [
            ("the figure (PNG)", f"{stem}.png", "image/png", to_png(self.result)),
            ("the numbers (CSV)", f"{stem}.csv", "text/csv", to_csv([self.result]).encode()),
            ("the maps (NPZ)", f"{stem}.npz", "application/octet-stream", to_npz(self.result)),
        ]
        links = [
            f'<a download="{html.escape(name)}" href="data:{kind};base64,{base64.b64encode(data).decode()}" '
            f'style="text-decoration: underline">{words}</a>'
            for words, name, kind, data in files
        ]
        self._links.value = f"<p>Save {', '.join(links)}.</p>"

    def _read(self, name: str) -> Picture:
        known = self._pictures[name]
        if isinstance(known, Picture):
            return known
        if known is not None:
            return read_picture(known, name)
        image = mosaic(QUARTERS).image if name == MOSAIC else load_photo(name).square().image
        return Picture(name, image, image.size)

    def _make_explainer(self, network: str) -> Explainer:
        if network in self._own:
            return Explainer(self._own[network], network)
        name, weights = _on_offer(set(self._own))[network]
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                classifier = load_classifier(name, weights)
        except AssetError as error:  # no network, mostly
            raise ValueError(f"{network} is not to be had: {error}") from error
        return Explainer(classifier, network, random_weights=weights is None)


_LAST = "the last map"


def _layer_labels(explainer: Explainer) -> dict[str, str | None]:
    """What to call each layer in the list, from the last map to the first, and its dotted name."""
    *earlier, _ = explainer.layers.items()
    return {_LAST: None} | {f"{h} x {w} cells": name for name, (h, w) in reversed(earlier)}


def _on_offer(own: set[str]) -> dict[str, tuple[str, str | None]]:
    """Networks of the course by their labels: (name, weights)."""
    default, *others = list_classifiers()
    offered = {default: (default, "imagenet"), f"{default}, random weights": (default, None)}
    for name in others:
        if is_installed(name):
            offered[name] = (name, "imagenet")
            continue
        size = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta.get("_file_size")
        offered[f"{name} (downloaded once{f', {size:.0f} MB' if size else ''})"] = (name, "imagenet")
    return {label: network for label, network in offered.items() if label not in own}


def _unused(name: str, taken: Mapping[str, object]) -> str:
    count = 2
    unused = name
    while unused in taken:
        unused, count = f"{name} ({count})", count + 1
    return unused


def _as_list(result: Result, refused: list[str] | None = None) -> str:
    """What was done to the picture, and what to be wary of."""
    sentences = [*(refused or []), *result.picture.notes, *(caution.text for caution in result.all_cautions)]
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    title = "<b>To be wary of:</b>" if items else "No warning applies, which does not make the map true."
    return f'<div role="status" style="line-height: 1.4">{title}<ul style="margin: 0">{items}</ul></div>'
