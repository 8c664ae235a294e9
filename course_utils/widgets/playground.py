"""The explorer of notebook 14: any picture, network, class, method and layer, with warnings and downloads."""

from __future__ import annotations

import base64
import html
import re
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
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
    readable,
)
from course_utils.playground import (
    Explainer,
    Result,
    Stage,
    result_figure,
    result_words,
    to_csv,
    to_npz,
    to_png,
    typed_class,
)
from course_utils.show import figure_html

from .explorer import Explorer, Progress, Steps, choice, slider, typed

__all__ = ["PlaygroundExplorer", "playground_explorer", "uploaded_files"]

MOSAIC = "four photographs in one"
QUARTERS = ("cat", "coffee", "flower", "camera")
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
    left_out: list[str] = []
    paths = find_pictures([folder] if folder else [], left_out)
    return PlaygroundExplorer({name: classifier, **(networks or {})}, paths, left_out)


def uploaded_files(value: object) -> list[tuple[str, bytes]]:
    """Return (name, content) of the files in the value of a FileUpload, in the form of ipywidgets 7 or of 8.

    Version 7 has a dictionary {name: {"content": bytes, ...}}, version 8 a tuple of {"name": ..., "content": ...}.
    """
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


class PlaygroundExplorer(Explorer):
    """Made by :func:`playground_explorer`."""

    def __init__(
        self, networks: Mapping[str, Classifier], paths: list[Path], left_out: Sequence[str] = ()
    ) -> None:
        self._result: Result | None = None
        self._left_out = left_out  # sentences about files of a folder that are none of the pictures
        self._refused: list[str] = []  # what was wrong with other files of the last upload
        self._warned: list[str] = []  # of letters that cannot be drawn
        self._pictures: dict[str, Picture | Path | None] = {MOSAIC: None, **dict.fromkeys(list_photos())}
        for path in paths:
            self._pictures[_unused(readable(path.name), self._pictures)] = path
        self._picture_named = lru_cache(maxsize=16)(self._read)
        self._own = dict(networks)
        self._explainer = lru_cache(maxsize=4)(self._make_explainer)
        self._figure: Figure | None = None  # the last one, to draw over
        self._changing = False  # while controls are adjusted to one another
        start = self._adjusted_to = next(iter(self._own))
        classes = sorted(set(self._own[start].classes))
        known = {"first": "daisy", "second": "tripod", "third": ""}
        fields = {
            key: typed(f"{key} class", classes, value if value in classes else "")
            for key, value in known.items()
        }
        self.upload = ipywidgets.FileUpload(description="upload pictures", accept="image/*,.dcm,.dicom", multiple=True,
                                            layout={"width": "28em"})  # fmt: skip
        self._cautions, self._links = ipywidgets.HTML(), ipywidgets.HTML()
        self.button = ipywidgets.Button(description="prepare downloads", layout={"width": "28em"})
        super().__init__(
            self._draw,
            lambda picture, **others: self._photographs(picture),
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
            self.upload, *self.controls.values(), self._bar, self._picture, self._cautions, self.button, self._links,
        ]  # fmt: skip

    @property
    def result(self) -> Result | None:
        """What is shown, computed to the end; None where a sentence stands instead."""
        self.finish()
        return self._result

    def explain(self, **values: object) -> Result:
        """Return the result for values of the controls; those not named are as they are.

        Raises:
            ValueError: the sentence that is shown in place of the picture.
        """
        steps = self._explained(**{**self.values, **values})
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def _explained(self, **v: object) -> Generator[Stage, None, Result]:
        explainer = self._explainer(v["network"])
        layers = _layer_labels(explainer)
        layer = layers.get(v["layer"]) if METHODS[v["method"]].takes_layer else None
        texts = [v[field].strip() for field in CLASS_FIELDS]
        classes = [typed_class(text, explainer.classifier.classes) for text in texts if text]
        picture = self._picture_named(v["picture"])
        return (yield from explainer.steps(picture, classes, v["method"], layer, v["threshold"] / 100))

    def stills(self, settings: list[Mapping[str, object]], width: str = "100%", photos: object = ()) -> None:
        """Display a static picture for each of several settings, and what to be wary of below it."""
        parts = []
        for setting in settings:
            result = self.explain(**setting)
            shown = [photos, self._photographs(setting.get("picture", self.values["picture"]))]
            figure = figure_html(result_figure(result), result_words(result), width, photos=shown)
            parts += [figure, _as_list(result)]
        display(HTML("".join(parts)))

    def _draw(self, **values: object) -> Steps:
        steps, computed = self._explained(**values), False
        while True:
            try:
                stage = next(steps)
            except StopIteration as end:
                result = end.value
                break
            yield Progress(stage.text, stage.share)
            computed = True
            if (first := stage.result) is not None:
                yield self._pictured(first), result_words(first), first
                yield Progress(stage.text, stage.share)
        if computed:
            yield Progress("drawing", 1.0)  # a step of its own
        return self._pictured(result), result_words(result), result

    def _photographs(self, picture: str) -> list[str]:
        """Those of the course that a picture of the list is."""
        if picture == MOSAIC:
            return list(QUARTERS)
        return [picture] if self._pictures[picture] is None else []

    def _pictured(self, result: Result) -> Figure:
        """Draw a result over the figure that is shown, and note what cannot be drawn."""
        reuse, self._figure = self._figure, None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            figure = result_figure(result, reuse=reuse)
        self._warned = [str(warning.message) for warning in told]
        return figure

    def _redraw(self, change: object = None, refused: Sequence[str] = ()) -> None:
        if not self._changing:
            self._links.value = ""
            self._refused = list(refused)
            super()._redraw()

    def _answer(self) -> Iterator[None]:
        self._clear()
        yield from super()._answer()

    def _clear(self) -> None:
        """Forget what was shown: what belongs to it is not complete yet, or there is nothing."""
        self._result = None
        self._cautions.value = ""

    def _present_steps(self) -> Steps:
        network = self.controls["network"].value
        if network != self._adjusted_to:
            yield Progress(f"loading {network}")
            self._adjust(network)
        return (yield from super()._present_steps())

    def _show(self, figure: Figure, words: str, result: Result, done: bool = True) -> None:
        super()._show(figure, words, done)
        self._figure = figure
        if done:
            self._result = result
            sentences = [*self._left_out, *self._refused, *self._warned]
            self._cautions.value = _as_list(result, list(dict.fromkeys(sentences)))

    def _adjust(self, network: str) -> None:
        """Offer the network's own layers and classes."""
        explainer = self._explainer(network)
        labels, names = list(_layer_labels(explainer)), explainer.classifier.classes
        self._changing, self._adjusted_to = True, network
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
        files = uploaded_files(change["new"])
        if not files:
            return
        self._say(Progress("reading what was uploaded"))
        try:
            taken, refused = self._read_all(files)
        except BaseException:
            self._say(None)
            raise
        if not taken:
            self._behind.take().close()
            self._links.value = ""
            self._clear()
            self._refuse(" ".join(refused))
            return
        self._changing = True
        try:
            self.controls["picture"].options = list(self._pictures)
            self.controls["picture"].value = taken[0]
            for field in CLASS_FIELDS:  # those of another picture: begin with what is predicted for this one
                self.controls[field].value = ""
        finally:
            self._changing = False
        self._redraw(refused=refused)

    def _read_all(self, files: Sequence[tuple[str, bytes]]) -> tuple[list[str], list[str]]:
        """Join pictures to the list; return the names of these, and sentences about the others."""
        taken, refused = [], []
        for name, data in files:
            try:
                picture = read_picture(data, _unused(name, self._pictures))
            except PictureError as error:
                refused.append(str(error))
                continue
            self._pictures[picture.name] = picture
            taken.append(picture.name)
        return taken, refused

    def _offer(self, button: object = None) -> None:
        """Make links that hold the files themselves: a browser saves them, and nothing is written here."""
        self._behind.begin(self._make_links(self._behind.take()))

    def _make_links(self, rest: Iterator[None]) -> Iterator[None]:
        """Compute the rest of what is shown first."""
        yield from rest
        result = self._result
        if result is None:
            self._links.value = "<p>There is nothing to download: choose something that can be explained.</p>"
            return
        stem = re.sub(r"[^\w.-]+", "_", f"{Path(result.picture.name).stem}_{result.method}")
        files = [
            ("the figure (PNG)", f"{stem}.png", "image/png", lambda: to_png(result)),
            ("the numbers (CSV)", f"{stem}.csv", "text/csv", lambda: to_csv([result]).encode()),
            ("the maps (NPZ)", f"{stem}.npz", "application/octet-stream", lambda: to_npz(result)),
        ]
        links = []
        try:
            for n, (words, name, kind, make) in enumerate(files):
                self._say(Progress(f"making {words}", n / len(files)))
                yield
                source = f"data:{kind};base64,{base64.b64encode(make()).decode()}"
                links.append(
                    f'<a download="{html.escape(name)}" href="{source}" style="text-decoration: underline">{words}</a>'
                )
            self._links.value = f"<p>Save {', '.join(links)}.</p>"
        finally:
            self._say(None)

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
