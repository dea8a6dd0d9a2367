"""An order of management to one server: end a call, or erase a user from its records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from sipmesh.server.replication.order import Order

CALLS: Final = "sipmesh-calls"
"""The type of the signed document."""

MOST_NAMES: Final = 64
"""Names of a user in one order: the address, and the aliases."""

_Name = Annotated[str, Field(min_length=1, max_length=256)]


class CallAct(StrEnum):
    """What a server has to do."""

    END = "end"
    ERASE = "erase"


@dataclass(frozen=True, slots=True)
class CallOrder(Order):
    """*server* has to *act* on *what*: the id of the record of a call, or the names of a user. *who* is the operator."""

    ABOUT: ClassVar[str] = "about calls"

    act: CallAct
    what: Annotated[list[_Name], Field(min_length=1, max_length=MOST_NAMES)]
    who: Annotated[str, Field(max_length=256)]
