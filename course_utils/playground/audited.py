"""Seven networks to try the audit on: of five it is known by what they decide. The study behind notebook 14.

``python -m course_utils measure 14`` writes ``data/measurements/14_explain_your_own.csv``: for each network the values
of :class:`course_utils.playground.Audit`, a line for each picture, measure and map; and for the networks of ImageNet,
what other ways to prepare the pictures cost (see :func:`preparation_study`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from course_utils import backgrounds, xray
from course_utils.evidence import Measurement
from course_utils.networks import Classifier, load_classifier, with_head
from course_utils.pictures import Picture, list_photos, load_photo

from .auditing import Audit, audit
from .engine import Explainer
from .interventions import Intervention
from .preparing import preparation_study

__all__ = ["AUDITED", "Case", "audited_case", "measure_audits"]

ORDINARY = ("efficientnet_lite0", "efficientnet_lite1")
HEADS = {"11 biased": "none", "11 repaired": "ground by coin"}
LAUNDERED = next(name for name in reversed(xray.REPAIRS) if name.startswith("penalty"))
READERS = {"12 biased": "none", "12 repaired": "marker at random", "12 laundered": LAUNDERED}
AUDITED = (*HEADS, *READERS, *ORDINARY)
"""The networks: two heads of notebook 11, three readers of notebook 12, two networks of ImageNet."""
SCENES, FILMS, SEED = 24, 30, 14
"""Of each kind of picture. Nobody chose anything by these films: notebook 12 has other seeds."""
BAR = "■■■■"
"""As much ink as "PORTABLE" has, within a tenth, and no text."""


@dataclass(frozen=True, eq=False)
class Case:
    """What an auditor needs: the network, labeled pictures, and what is feared.

    Attributes:
        explainer: of the network.
        pictures, labels: of the test.
        photos: the photograph that each picture was made from.
        intervention: the feared change and its control.
    """

    explainer: Explainer
    pictures: list[Picture]
    labels: list[str]
    photos: list[str]
    intervention: Intervention

    def audit(self) -> Audit:
        """Return the audit of all its pictures."""
        return audit(
            self.explainer, self.pictures, self.labels, intervention=self.intervention, photos=self.photos
        )


def audited_case(name: str, n: int | None = None) -> Case:
    """Return one of the networks with its pictures.

    Args:
        name: one of ``AUDITED``.
        n: the first so many pictures; default: all.

    Raises:
        ValueError: another name.
    """
    if name in HEADS:
        return _scenes(name, n or SCENES)
    if name in READERS:
        return _films(name, n or FILMS)
    if name in ORDINARY:
        return _photographs(name, n)
    raise ValueError(f"there is no network {name!r} to audit, only {', '.join(AUDITED)}.")


def _scenes(name: str, n: int) -> Case:
    """Objects on the ground where their class is usually seen; feared is the other ground, and harmless another piece
    of the same."""
    numbers = backgrounds.TESTED[:n]
    labels = backgrounds.labels_of(numbers).tolist()
    # The scene whose ground the control shows is not among those of the test.
    other = {number: number + len(backgrounds.TESTED) for number in numbers}
    usual, swapped, moved = [], [], []
    for number, label in zip(numbers, labels, strict=True):
        ground, wrong = backgrounds.GROUNDS[label], backgrounds.GROUNDS[1 - label]
        usual.append(backgrounds.scene(number, ground, "test"))
        swapped.append(backgrounds.scene(number, wrong, "test"))
        moved.append(backgrounds.scene(number, ground, "test", texture=other[number]))
    pictures, twins, control = (
        [
            _picture(f"{scene.photos[0]} {number}", scene.image)
            for number, scene in zip(numbers, scenes, strict=True)
        ]
        for scenes in (usual, swapped, moved)
    )
    head = backgrounds.biased_head(repair=HEADS[name])
    classifier = with_head(load_classifier(), head, backgrounds.CLASSES)
    return Case(
        Explainer(classifier, name),
        pictures,
        [backgrounds.CLASSES[label] for label in labels],
        [scene.photos[0] for scene in usual],
        Intervention("ground swapped", twins, control),
    )


def _films(name: str, n: int) -> Case:
    """Drawn radiographs, stamped as in training; feared is the stamp, and harmless as much ink in the other corner."""
    films = xray.radiographs(n, seed=SEED)
    images, labels, stamped = films.biased(seed=SEED)
    twins = films.stamped.clone()
    twins[stamped] = films.clean[stamped]
    net = xray.xray_reader(READERS[name])
    layer = next(name for name, part in net.named_modules() if part is net.target_layer)
    classifier = Classifier(net, net.classes, 0.0, 1.0, target_layer=layer, size=images.shape[-1]).eval()
    pictures, changed = (
        [_picture(f"film {number}", _gray(image)) for number, image in enumerate(some)]
        for some in (images, twins)
    )
    return Case(
        Explainer(classifier, name),
        pictures,
        [net.classes[label] for label in labels],
        [picture.name for picture in pictures],
        Intervention("text toggled", changed, lambda image: xray.stamp(image, BAR, "top right")),
    )


def _photographs(name: str, n: int | None) -> Case:
    """Photographs; feared is the watermark of notebook 11, and harmless a bar of as much ink."""
    names = list_photos(labeled=True)[:n]
    classifier = load_classifier(name)
    inks = [backgrounds.watermark(script, classifier.size) for script in ("shortcut", "bar")]
    marked, control = (lambda image, ink=ink: backgrounds.stamp(image, ink) for ink in inks)
    photos = [load_photo(name) for name in names]
    return Case(
        Explainer(classifier, name),
        [_picture(photo.name, photo.square().image) for photo in photos],
        [photo.labels[0] for photo in photos],
        names,
        Intervention("watermark put on", marked, control),
    )


def _picture(name: str, image: Image.Image) -> Picture:
    return Picture(name, image, image.size)


def _gray(image: Tensor) -> Image.Image:
    return Image.fromarray((image[0] * 255).round().byte().numpy())


def measure_audits(classifier: Classifier, progress: bool = True) -> Iterator[Measurement]:
    """Audit what goes with a classifier, and yield the values of each picture.

    With EfficientNet-Lite0 that is the heads on its features and the readers of radiographs, too.
    """
    first = classifier.name == ORDINARY[0]
    names = [name for name in AUDITED if name == classifier.name or (first and name not in ORDINARY)]
    for name in tqdm(names, desc="audits", disable=not progress, leave=False):
        case = audited_case(name)
        found = case.audit()
        for (measure, of), values in found.values.items():
            for picture, value in zip(case.pictures, values, strict=True):
                yield Measurement(name, picture.name, measure, of, value)
    yield from preparation_study(classifier)
