"""Explain pictures of one's own: the engine behind the explorer of notebook 14 and ``python -m course_utils explain``.

:class:`Explainer` reads off one network, by the methods of :mod:`course_utils.methods`;
:mod:`course_utils.pictures` reads the files. :func:`audit` asks of labeled pictures whether a network decides by the
right thing, with an :class:`Intervention` that the auditor names; ``audited`` has seven networks to try it on.
"""

from .audited import AUDITED, Case, audited_case, measure_audits
from .auditing import MARGIN, Audit, AuditRow, audit
from .engine import Explainer, Stage, typed_class
from .folders import labeled_pictures, twins
from .interventions import Change, Intervention, flips
from .output import as_document, result_figure, result_words, to_csv, to_npz, to_png
from .preparing import PREPARATIONS, prepared_logits
from .results import Caution, Check, ClassResult, Result

__all__ = [
    "AUDITED",
    "MARGIN",
    "PREPARATIONS",
    "Audit",
    "AuditRow",
    "Case",
    "Caution",
    "Change",
    "Check",
    "ClassResult",
    "Explainer",
    "Intervention",
    "Result",
    "Stage",
    "as_document",
    "audit",
    "audited_case",
    "flips",
    "labeled_pictures",
    "measure_audits",
    "prepared_logits",
    "result_figure",
    "result_words",
    "to_csv",
    "to_npz",
    "to_png",
    "twins",
    "typed_class",
]
