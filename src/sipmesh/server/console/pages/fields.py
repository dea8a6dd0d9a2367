"""The fields of the forms: each has the name of a parameter of an operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.pki.crl.builder import Reason
from sipmesh.server.console.parameters import LONGEST_ADDRESS, LONGEST_NAME, LONGEST_PASSWORD
from sipmesh.topology.versions.publication import LONGEST_WHY

POOLS: Final = "pools"
"""The choices of a field that are the pools of front ends."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field called *name*; *kind* is a type of an ``input`` element, ``select`` or ``area``.

    A select has *choices*, or those of the topology that *of_network* names.
    """

    name: str
    label: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()
    of_network: str = ""
    required: bool = True
    longest: int = LONGEST_NAME
    hint: str = ""


def hidden(name: str) -> Field:
    """Return a field that a person does not see."""
    return Field(name, kind="hidden")


USER: Final = Field(
    "user",
    "User",
    longest=LONGEST_ADDRESS,
    hint="Such as alice@example.com; alice is enough if there is one SIP domain",
)
OF_USER: Final = hidden("user")
PASSWORD: Final = Field("password", "Password", kind="password", longest=LONGEST_PASSWORD)
POOL: Final = Field("pool", "Home pool", kind="select", of_network=POOLS, required=False)
ALIAS: Final = Field("alias", "Alias", longest=LONGEST_ADDRESS, hint="A number such as +4930123, or another SIP name")
REASON: Final = Field(
    "reason",
    "Reason",
    kind="select",
    choices=tuple(
        map(str, (Reason.KEY_COMPROMISE, Reason.SUPERSEDED, Reason.CESSATION_OF_OPERATION, Reason.UNSPECIFIED))
    ),
)
WHY: Final = Field("why", "Why", longest=LONGEST_WHY, hint="The history and the audit log have this text")
FORCE: Final = Field("force", "also if this breaks something", kind="checkbox", required=False)
