"""The certificate files of one server for others than our servers: partners, clients, and the CA of its public certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.parts.acme import Acme
    from sipmesh.topology.document.parts.server import ClientPort


@dataclass(frozen=True, slots=True)
class PartnerFiles:
    """A certificate chain for one partner, with its key; *names* are the domains and the edge of the partner.

    *host* is the name by which a trunk knows us; "" for that of the pool.
    """

    partner: str
    names: frozenset[str]
    certificate: Path
    key: Path
    host: str = ""


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """A certificate chain for clients with its key: the *port* that presents it, None for both, and the *names* that get it.

    Without *names*, each name that it holds gets it.
    """

    certificate: Path
    key: Path
    port: ClientPort | None = None
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AcmeOrder:
    """The certificate that a server orders by ACME: its files and *names*, and *host*, where challenges are answered."""

    acme: Acme
    certificate: Path
    key: Path
    names: tuple[str, ...]
    host: str
