"""Evaluate localization on a folder in ImageNet's layout: one process or several, interrupted or not, the same rows.

**What is measured.** For each image the K most probable classes, a map of each, and at each threshold the box around
its largest component (:func:`~course_utils.localization.box_from_heatmap`), in the pixels of the file. From
these come ILSVRC's errors (see :mod:`~course_utils.localization.measures`).

**How this differs from the Grad-CAM paper.** The image is scaled until its shorter side fits the network, and the
square in its center is cut out, as ``Classifier.preprocess`` does: what lies beside the square cannot be found, and
a box can never reach past it. The papers' figures come from other protocols (images resized to the network's square,
or several crops of each), other weights, and for "Backprop" and c-MWP from other ways to a box; expect the order of
methods and the rough size of the errors, not the digits. Blacklisted images count as in the development kit if its
list is handed over.

**Several processes.** Under torchrun, process r of W takes the batches r, r + W, r + 2W, ... The batches are the same
for any W, so the rows are, too. After each round the rows travel to process 0, which alone writes; only rows do, so
the gloo backend serves GPUs as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch.distributed as dist
from torch import nn
from tqdm.auto import tqdm

from course_utils.localization import as_share, box_from_heatmap, iou
from course_utils.networks import Classifier

from .folders import DataError, IlsvrcFolder, read_ilsvrc
from .loading import Sample, class_numbers, loader, to_original
from .methods import METHODS
from .results import Results, ResultsFile, columns

__all__ = ["evaluate"]

OVERLAP = 0.5


def evaluate(
    clf: Classifier,
    folder: str | Path | IlsvrcFolder,
    *,
    method: str = "grad-cam",
    thresholds: Sequence[float] = (0.15,),
    layer: nn.Module | str | None = None,
    top: int = 5,
    limit: int | None = None,
    batch_size: int = 16,
    workers: int = 0,
    out: str | Path | None = None,
    blacklist: str | Path | None = None,
    name: str = "",
    split: str = "val",
    progress: bool = True,
) -> Results | None:
    """Return classification and localization errors of a classifier on a folder in ImageNet's layout.

    Args:
        clf: the classifier; its images are cut by ``Classifier.preprocess``.
        folder: see :mod:`course_utils.localization.evaluation.folders`.
        method: a key of ``METHODS``: "grad-cam", "cam", "gradient", ...
        thresholds: shares of the maximum.
        layer: for methods that explain with one; by default the classifier's last convolutional map.
        top: how many guesses each image has, K; at most the number of classes.
        limit: take only the first images, by name.
        batch_size: images at once. It changes no row but by rounding in the last bits.
        workers: processes that decode images ahead; 0: this one does.
        out: CSV file with a row for each image. If it is there, and of the same settings, only what is missing in it
            is computed.
        blacklist: file of image numbers, from 1, in the order of names: images that do not count in localization.
        name: what to call the model in results.
        split: "val", or another subfolder.
        progress: show a progress bar.

    Returns:
        The results; None in all processes but the first.

    Raises:
        DataError: the folder is not in the layout.
        ValueError: arguments that do not fit, or results of other settings in ``out``.
    """
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}. Known: {', '.join(METHODS)}.")
    for given, value in (("top", top), ("batch_size", batch_size), ("limit", 1 if limit is None else limit)):
        if value < 1:
            raise ValueError(f"{given} must be at least 1, not {value}.")
    if not thresholds:
        raise ValueError("at least one threshold is needed.")
    thresholds = sorted({as_share(threshold, "threshold") for threshold in thresholds})
    found = folder if isinstance(folder, IlsvrcFolder) else read_ilsvrc(folder, split)
    images = list(found.images[:limit])
    numbers = class_numbers(found, clf)
    if not numbers:
        raise DataError(f"the model knows none of the {len(found.synsets)} classes of {found.root}.")
    excluded = _blacklisted(blacklist, found)
    settings = {
        "model": name or type(clf.net).__name__,
        "weights": _fingerprint(clf),
        "data": str(found.root.resolve()),
        "split": split,
        "method": method,
        "layer": layer if isinstance(layer, str | None) else type(layer).__name__,
        "size": clf.size,
        "top": min(top, len(clf.classes)),
        "thresholds": thresholds,
        "blacklist": _digest(" ".join(sorted(excluded)).encode()) if excluded else None,
    }
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    file, done = _open(out, settings, rank, world)
    everyone = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    todo = [batch for batch in everyone if any(image.name not in done for image in batch)]
    device = next(clf.parameters()).device
    mine = loader(todo[rank::world], found, numbers, clf.size, workers, pin=device.type == "cuda")
    rows = _rows(clf, mine, method, layer, settings, excluded)
    with tqdm(total=len(images), disable=not progress or rank > 0, unit="image") as bar:
        bar.update(sum(len(batch) for batch in everyone) - sum(len(batch) for batch in todo))
        for _ in range(0, len(todo), world):
            own = next(rows, [])  # nothing, in the last round of some
            everyones = [own]
            if world > 1:
                everyones = [[] for _ in range(world)] if rank == 0 else None
                dist.gather_object(own, everyones, dst=0)
            if rank == 0:
                fresh = [row for rows_of_one in everyones for row in rows_of_one]
                file.add(fresh)
                bar.update(len(fresh))
    if rank > 0:
        return None
    strays = [path.name for path in found.unpaired()] if limit is None else []
    return Results(settings, file.finish([image.name for image in images]), strays)


def _open(
    out: str | Path | None, settings: dict, rank: int, world: int
) -> tuple[ResultsFile | None, set[str]]:
    """Let process 0 open the file, and tell all others what is done, or that it was refused."""
    message: list = [None]
    file = None
    if rank == 0:
        try:
            file = ResultsFile(None if out is None else Path(out), settings)
            message = [set(file.rows)]
        except (ValueError, OSError) as error:
            message = [str(error)]  # told to all, so that all of them end
    if world > 1:
        dist.broadcast_object_list(message, src=0)
    if isinstance(message[0], str):
        raise ValueError(message[0])
    return file, message[0]


def _rows(
    clf: Classifier,
    batches: Sequence,
    method: str,
    layer: nn.Module | str | None,
    settings: dict,
    excluded: set[str],
) -> Iterator[list[dict[str, str]]]:
    """Yield the rows of each batch. While the network works on a batch, a thread boxes the maps of the one before."""
    device = next(clf.parameters()).device
    waiting: Future | None = None
    with ThreadPoolExecutor(1) as boxing:
        for samples, pixels in batches:
            guesses = maps = None
            if pixels is not None:
                images = pixels.to(device, non_blocking=True)
                guesses, maps = METHODS[method](clf, images, layer, settings["top"])
                guesses, maps = guesses.cpu().numpy(), maps.float().cpu().numpy()
            job = boxing.submit(_boxed, samples, guesses, maps, settings, excluded)
            if waiting is not None:
                yield waiting.result()
            waiting = job
        if waiting is not None:
            yield waiting.result()


def _boxed(
    samples: list[Sample], guesses: np.ndarray, maps: np.ndarray, settings: dict, excluded: set[str]
) -> list[dict[str, str]]:
    rows, place = [], 0
    for sample in samples:
        label = "" if sample.truth is None else sample.truth.label
        row = {"image": sample.name, "label": label, "fault": sample.fault}
        if not sample.fault:
            row["blacklisted"] = str(int(sample.name in excluded))
            row |= _measured(sample, guesses[place], maps[place], settings)
            place += 1
        rows.append({**dict.fromkeys(columns(settings["thresholds"]), ""), **row})
    return rows


def _measured(sample: Sample, guesses: np.ndarray, maps: np.ndarray, settings: dict) -> dict[str, str]:
    right = next((k for k, guess in enumerate(guesses) if guess == sample.label), None)
    row = {"guesses": " ".join(map(str, guesses)), "rank": str(0 if right is None else right + 1)}
    for threshold in settings["thresholds"]:
        boxes = [box_from_heatmap(heatmap, threshold) for heatmap in maps]
        boxes = [box and to_original(box, *sample.size, settings["size"]) for box in boxes]
        best = None
        if right is not None and boxes[right] is not None:
            best = max(iou(boxes[right], instance) for instance in sample.truth.boxes)
        hit = right + 1 if best is not None and best >= OVERLAP else 0
        row[f"hit@{threshold:g}"] = str(hit)
        row[f"iou@{threshold:g}"] = "" if best is None else f"{best:.4f}"
        texts = ["none" if box is None else " ".join(f"{edge:.2f}" for edge in box) for box in boxes]
        row[f"boxes@{threshold:g}"] = ";".join(texts)
    return row


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]


def _fingerprint(clf: Classifier) -> str:
    """Tell weights from other weights: by some numbers of each tensor, or VGG-16 would take seconds."""
    some = [tensor.detach().flatten()[:256].double().cpu() for tensor in clf.state_dict().values()]
    return _digest(b"".join(tensor.numpy().tobytes() for tensor in some))


def _blacklisted(path: str | Path | None, folder: IlsvrcFolder) -> set[str]:
    if path is None:
        return set()
    try:
        numbers = [int(line) for line in Path(path).read_text().split()]
        return {folder.images[number - 1].name for number in numbers if _exists(number, len(folder.images))}
    except (OSError, ValueError) as error:
        raise ValueError(f"the blacklist {path} is no list of image numbers ({error}).") from error


def _exists(number: int, most: int) -> bool:
    if not 1 <= number <= most:
        raise ValueError(f"there is no image {number} among {most}")
    return True
