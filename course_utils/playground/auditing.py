"""An audit: does a classifier decide by the right thing? Questions that can be answered with no, each beside a control.

The answers come from pictures whose class is known. A row of the table has the mean over the pictures of what was
asked, the same of a control, the difference of the two (paired, with an interval by photograph), and a verdict by a
rule that stands here, before anything is measured:

- flips: "fails" where the change that the auditor fears flips at least ``MARGIN`` more of the first answers than its
  control does, by an interval above 0; "passes" where the interval's upper end stays below ``MARGIN``;
- every other question with a control: "passes" where the interval of the difference lies above 0, "fails" where it
  lies at 0 or below;
- the map against the class-free sum sum_k A^k: "fails" where their rank correlation is ``SAME`` or more, by all of its
  interval, "passes" where all of it lies below. (Adebayo et al. 2018 shuffle the last layer instead; behind a pooled
  layer the map is another mixture of the A^k then, whatever the network learned, and no map of that kind can fail.)
- between the two the row is "open": more pictures are needed.

Of several controls the one that comes closest counts. Maps are compared on 7 x 7 squares, by their signs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from course_utils.evidence import Interval, centre_blob, interval, rank_correlation
from course_utils.explain import batched_logits, cover, grad_cam, occlusion, top_share_mask
from course_utils.methods import METHODS
from course_utils.pictures import Picture

from .engine import DRAWS, SQUARES, Explainer
from .interventions import Intervention, flips
from .marks import GRID, marked_squares, moved_copies, signed_maps
from .results import Result

__all__ = ["MARGIN", "Audit", "AuditRow", "audit"]

MARGIN = 0.25
"""Share of first answers: what the feared change may flip beyond its control before a network fails."""
SAME = 0.9
"""A rank correlation above: the same map, for any purpose."""
RIGHT, FLIPS, FILLED, ALIKE, OCCLUSION, FALL, BEATS = (
    "right", "flips", "not empty", "like class-free sum", "occlusion", "fall", "ten places"
)  # fmt: skip
QUESTIONS = {
    RIGHT: "right class first",
    FLIPS: "first answer flips",
    FILLED: "map not empty",
    ALIKE: "rank correlation with the class-free sum",
    OCCLUSION: "rank correlation with occlusion",
    FALL: "fall of the logit, five squares covered",
    BEATS: "falls further than at each of ten places elsewhere",
}
"""What is measured: in few letters, since a table has thousands of lines, and as a row's question."""
MAP, ELSEWHERE, FREE, BLOB, CLASS, PICTURE = (
    "the map", "elsewhere", "class-free sum", "centre blob", "another class", "another picture"
)  # fmt: skip

Values = dict[tuple[str, str], tuple[float, ...]]


@dataclass(frozen=True)
class AuditRow:
    """One question.

    Attributes:
        question: in words.
        measured: mean over the photographs, with its interval; None where nothing could be measured.
        control: what stands beside it, in words.
        beside: the control's mean, with its interval; None if there is no control.
        lead: measured - beside, paired by picture.
        verdict: "passes", "fails" or "open".
    """

    question: str
    measured: Interval | None
    control: str
    beside: Interval | None
    lead: Interval | None
    verdict: str


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit measured.

    Attributes:
        model, method: what was audited.
        values: by (measure, map or change): a number for each picture, NaN where there is none.
        photos: which photograph each picture comes from.
        rows: the table, see :class:`AuditRow`.
        results: what was found on each picture, for its right class.
        feared: the intervention's name, "" if there was none.
    """

    model: str
    method: str
    values: Values
    photos: tuple[str, ...]
    rows: tuple[AuditRow, ...]
    results: tuple[Result, ...]
    feared: str = ""

    def words(self) -> list[str]:
        """Return the table as lines of equal columns."""
        table = [("question", "measured", "beside it", "", "verdict")]
        table += [
            (row.question, _text(row.measured), _text(row.beside), row.control, row.verdict)
            for row in self.rows
        ]
        widths = [max(len(row[column]) for row in table) for column in range(5)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]

    def card(self) -> str:
        """Return a model card as Markdown: what was measured, and places for what only a person can write."""
        failed = [row.question for row in self.rows if row.verdict == "fails"]
        undecided = [row.question for row in self.rows if row.verdict == "open"]
        table = [
            f"| {row.question} | {_text(row.measured)} | {row.control} {_text(row.beside)} | {row.verdict} |"
            for row in self.rows
        ]
        lines = [
            f"# {self.model}: an audit of {len(self.results)} pictures of {len(set(self.photos))} photographs",
            "",
            "**What it is for, and who is harmed by a mistake:** …",
            "",
            f"**The shortcut that was feared, tested without a map:** {self.feared or 'none was tested'}",
            "",
            "**Pictures, and how they differ from those of the training:** …",
            "",
            f"**Measured** (maps: {METHODS[self.method].title}; means with 95% intervals by photograph)",
            "",
            "| question | measured | beside it | verdict |",
            "|---|---|---|---|",
            *table,
            "",
            f"**Fails:** {', '.join(failed) or 'nothing'}. **Open:** {', '.join(undecided) or 'nothing'}.",
            "",
            "**Not tested, and what would change my mind:** …",
            "",
            "**Verdict:** use it / use it with these limits / do not use it, because …",
        ]
        return "\n".join(lines)


def audit(
    explainer: Explainer,
    pictures: Sequence[Picture],
    labels: Sequence[str | int],
    method: str = "grad-cam",
    intervention: Intervention | None = None,
    photos: Sequence[str] | None = None,
) -> Audit:
    """Ask the questions of notebook 14's audit that can be measured.

    >>> found = audit(Explainer(clf), pictures, labels, intervention=Intervention("text", put_on, bar_put_on))
    >>> print(*found.words(), sep="\\n")

    Args:
        explainer: of the network.
        pictures: at least two; some twenty for intervals that say something.
        labels: the right class of each.
        method: one that makes maps, not gradient images.
        intervention: what the auditor fears; without one, no row can show that a network decides by a shortcut.
        photos: the photograph that each picture was made from, where several come from one.

    Raises:
        ValueError: fewer than two pictures or photographs, another number of labels, an unknown class or method, a
            method that makes gradient images, or an intervention that cannot be (also TypeError).
    """
    if method in METHODS and METHODS[method].pixels:
        raise ValueError(f"an audit compares maps, and {METHODS[method].title} makes gradient images.")
    if len(pictures) != len(labels) or len(pictures) < 2:
        raise ValueError(
            f"an audit needs two pictures or more and a label for each, got {len(pictures)} and {len(labels)}."
        )
    photos = tuple(photos or map(str, range(len(pictures))))
    if len(photos) != len(pictures) or len(set(photos)) < 2:
        raise ValueError(
            f"{len(pictures)} pictures need the name of a photograph each, two different ones at least; got {photos}."
        )
    values: Values = {}
    if intervention is not None:  # first, for it may be refused
        changes = {intervention.name: intervention.change}
        if intervention.control is not None:
            changes[_control(intervention)] = intervention.control
        values = {
            (FLIPS, name): flips(explainer.classifier, pictures, change, name)
            for name, change in changes.items()
        }
    results = [
        explainer.explain(picture, label, method) for picture, label in zip(pictures, labels, strict=True)
    ]
    indices = [result.classes[0].index for result in results]
    each: dict[tuple[str, str], list[float]] = {}
    for number, result in enumerate(results):
        others = [j % len(results) for j in range(number + 1, number + len(results))]
        other = next((j for j in others if indices[j] != indices[number]), others[0])
        for key, value in _measured(explainer, result, results[other]).items():
            each.setdefault(key, []).append(value)
    values |= {key: tuple(numbers) for key, numbers in each.items()}
    commonest = max(indices.count(index) for index in indices) / len(indices)
    values[RIGHT, "always the commonest label"] = (commonest,) * len(results)
    rows = _rows(values, photos, intervention)
    name = "" if intervention is None else intervention.name
    return Audit(explainer.name, method, values, photos, rows, tuple(results), name)


def _measured(explainer: Explainer, result: Result, other: Result) -> dict[tuple[str, str], float]:
    """What is measured on one picture, beside that of the maps that do not know its class."""
    how, found, clf = METHODS[result.method], result.classes[0], explainer.classifier
    image = clf.preprocess(result.picture.image)
    rival = other.classes[0].index
    if rival == found.index:  # all pictures show one class: the most probable of the others
        rival = next(index for index in explainer.most_probable(result.picture, 2) if index != found.index)
    raw = torch.from_numpy(found.raw)
    around = signed_maps(how, clf, image, [rival])[0].detach().float().cpu()
    free = grad_cam(clf, image, found.index).activations.sum(1)[0].detach().float().cpu()
    away = torch.from_numpy(other.classes[0].raw)
    squares = {
        name: marked_squares(how, one[None])[0]
        for name, one in ((MAP, raw), (CLASS, around), (PICTURE, away))
    }
    squares |= {FREE: how.sign * marked_squares(how, free[None])[0], BLOB: centre_blob(GRID, GRID)}
    measured = {
        (RIGHT, "the network"): float(found.rank == 1),
        (FILLED, MAP): float(not found.empty),
    }
    fallen = how.sign * occlusion(clf, image, [found.index], GRID)[0, 0].float().cpu()
    measured |= {(OCCLUSION, name): rank_correlation(one, fallen) for name, one in squares.items()}
    measured[ALIKE, MAP] = rank_correlation(squares[MAP], squares[FREE])
    blind = {name: top_share_mask(one, SQUARES / GRID**2) for name, one in squares.items() if name != MAP}
    copies = moved_copies(blind[PICTURE], DRAWS, found.index)
    covered = cover(image, torch.cat([torch.stack(list(blind.values())), copies]))
    falls = how.sign * (found.logit - batched_logits(clf, covered)[:, found.index].float().cpu())
    measured |= {(FALL, name): fall for name, fall in zip(blind, falls.tolist(), strict=False)}
    moved = falls[len(blind) :]
    measured[BEATS, PICTURE] = float(measured[FALL, PICTURE] > moved.max())
    check = found.check
    nothing = check is None
    own = math.nan if nothing else how.sign * (check.before - check.after)
    there = math.nan if nothing else how.sign * (check.before - sum(check.random) / len(check.random))
    measured |= {
        (FALL, MAP): own,
        (FALL, ELSEWHERE): there,
        (BEATS, MAP): float(not nothing and check.confirmed),
    }
    return measured


def _rows(values: Values, photos: Sequence[str], intervention: Intervention | None) -> tuple[AuditRow, ...]:
    def mean(numbers: Sequence[float]) -> Interval | None:
        known = [(v, p) for v, p in zip(numbers, photos, strict=True) if not math.isnan(v)]
        return interval(*zip(*known, strict=True)) if len({p for _, p in known}) > 1 else None

    def lead_over(measure: str, own: str, control: str) -> Interval | None:
        pairs = zip(values[measure, own], values[measure, control], strict=True)
        return mean([a - b for a, b in pairs])

    def row(measure: str, own: str, controls: Sequence[str]) -> AuditRow:
        leads = {name: lead_over(measure, own, name) for name in controls}
        nearest = min(controls, key=lambda name: math.inf if leads[name] is None else leads[name].mean)
        lead = leads[nearest]
        verdict = "open" if lead is None else _verdict(lead.low > 0, lead.high <= 0)
        found, beside = mean(values[measure, own]), mean(values[measure, nearest])
        return AuditRow(QUESTIONS[measure], found, nearest, beside, lead, verdict)

    def flip_row(name: str, control: str) -> AuditRow:
        own = values[FLIPS, name]
        beside = mean(values[FLIPS, control]) if (FLIPS, control) in values else None
        lead = mean(own) if beside is None else lead_over(FLIPS, name, control)
        fails = lead is not None and lead.low > 0 and lead.mean >= MARGIN
        verdict = "open" if lead is None else _verdict(lead.high < MARGIN, fails)
        same = sum(map(math.isnan, own))
        left_out = f" ({same} of {len(own)} pictures have nothing to change)" if same else ""
        control = "no control" if beside is None else "its control"
        return AuditRow(f"{QUESTIONS[FLIPS]}: {name}{left_out}", mean(own), control, beside, lead, verdict)

    rows = [row(RIGHT, "the network", ["always the commonest label"])]
    if intervention is not None:
        rows.append(flip_row(intervention.name, _control(intervention)))
    filled, alike = mean(values[FILLED, MAP]), mean(values[ALIKE, MAP])
    rows.append(
        AuditRow(QUESTIONS[FILLED], filled, "", None, None, _verdict(filled.mean == 1, filled.high < 0.5))
    )
    verdict = "open" if alike is None else _verdict(alike.high < SAME, alike.low >= SAME)
    rows.append(AuditRow(QUESTIONS[ALIKE], alike, f"the same map: above {SAME}", None, None, verdict))
    rows.append(row(OCCLUSION, MAP, [FREE, BLOB, CLASS, PICTURE]))
    rows.append(row(FALL, MAP, [ELSEWHERE, FREE, BLOB, CLASS, PICTURE]))
    rows.append(row(BEATS, MAP, [PICTURE]))
    return tuple(rows)


def _control(intervention: Intervention) -> str:
    return f"control of {intervention.name}"


def _verdict(passes: bool, fails: bool) -> str:
    return "passes" if passes else "fails" if fails else "open"


def _text(found: Interval | None) -> str:
    return "" if found is None else f"{found:.2f}"
