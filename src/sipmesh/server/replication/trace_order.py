"""An order of management to one server: trace for some seconds, and send what you see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import Field

from sipmesh.server.replication.order import Order
from sipmesh.server.tracing.trace_filter import LONGEST

TRACE: Final = "sipmesh-trace"
"""The type of the signed document."""

AGAIN_EVERY_S: Final = 3.0
"""Seconds after which management repeats the order, as long as an operator reads the trace."""

LASTS_S: Final = 10.0
"""Seconds for which a server carries out an order: it outlives two that are lost."""


@dataclass(frozen=True, slots=True)
class TraceOrder(Order):
    """*server* has to trace *what* under the name *trace*, with the *bodies* of messages or without."""

    ABOUT: ClassVar[str] = "to trace"

    trace: Annotated[str, Field(max_length=LONGEST)]
    what: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    bodies: bool = False
