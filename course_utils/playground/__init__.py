"""Explain pictures of one's own: the engine behind the explorer of notebook 14 and ``python -m course_utils explain``.

:class:`Explainer` reads off one network, by the methods of :mod:`course_utils.methods`;
:mod:`course_utils.pictures` reads the files.
"""

from .auditing import MARGIN, Audit, AuditRow, audit
from .engine import Explainer, Stage, typed_class
from .output import as_document, result_figure, result_words, to_csv, to_npz, to_png
from .results import Caution, Check, ClassResult, Result

__all__ = [
    "MARGIN",
    "Audit",
    "AuditRow",
    "Caution",
    "Check",
    "ClassResult",
    "Explainer",
    "Result",
    "Stage",
    "as_document",
    "audit",
    "result_figure",
    "result_words",
    "to_csv",
    "to_npz",
    "to_png",
    "typed_class",
]
