"""How large is a layer's output, and which pixels does one of its cells see? Notebook 01.

``sizes`` is arithmetic on whole numbers; ``tracing`` runs a network and lists its layers as a table.
"""

from .sizes import ReceptiveField, conv_size, pool_size, trace_shapes, transposed_conv_size
from .table import ShapeTrace

__all__ = [
    "ReceptiveField",
    "ShapeTrace",
    "conv_size",
    "pool_size",
    "trace_shapes",
    "transposed_conv_size",
]
