"""How large is a layer's output, and which pixels does one of its cells see? Notebook 01.

``sizes`` is arithmetic on whole numbers; ``tracing`` runs a network and lists its layers as a table.
"""

from typing import TYPE_CHECKING

from .sizes import ReceptiveField, conv_size, pool_size, transposed_conv_size

if TYPE_CHECKING:
    from .tracing import ShapeTrace, trace_shapes

__all__ = [
    "ReceptiveField",
    "ShapeTrace",
    "conv_size",
    "pool_size",
    "trace_shapes",
    "transposed_conv_size",
]


def __getattr__(name: str) -> object:
    """Find what runs networks when it is asked for: the arithmetic loads no PyTorch."""
    if name not in ("ShapeTrace", "trace_shapes"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import tracing

    return getattr(tracing, name)
