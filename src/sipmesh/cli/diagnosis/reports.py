"""What `sipmesh explain` and `sipmesh links --refused` print with --json: the names of the fields are the keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.cli.control_client import FromServer
    from sipmesh.cli.diagnosis.probe import Stage
    from sipmesh.server.admin.replies import ClientRefusalReply, LoginFailureReply
    from sipmesh.server.proxy.refused_message import RefusedMessage
    from sipmesh.topology.expiry.validity import RenewalFault
    from sipmesh.trust.judgement.verdict_report import VerdictReport


@dataclass(frozen=True, slots=True)
class AddressReport:
    """What ``sipmesh explain HOST:PORT --json`` prints: *what* says what was probed, and as which client."""

    what: str
    address: str
    good: bool
    stages: list[Stage]
    verdict: VerdictReport | None


@dataclass(frozen=True, slots=True)
class FileReport:
    """What ``sipmesh explain FILE --json`` prints: the verdict of *server* on the certificate in *file*.

    *surprise* says that the topology has another role for the owner; otherwise it is empty.
    """

    file: Path
    server: str
    surprise: str
    verdict: VerdictReport


@dataclass(frozen=True, slots=True)
class PublicCertificateReport:
    """What ``sipmesh explain servers/NAME.acme.pem --json`` prints: *ends* is None if *server* has no certificate yet.

    *renewal* says why the last order has failed; None if it went well.
    """

    server: str
    file: Path
    ends: datetime | None
    renewal: RenewalFault | None


@dataclass(frozen=True, slots=True)
class Refusals:
    """What `sipmesh links --refused --json` prints: the latest refusals of every server, newest first for each.

    *clients* are the failed links of clients, one for each network and reason.
    """

    links: list[FromServer[VerdictReport]]
    messages: list[FromServer[RefusedMessage]]
    logins: list[FromServer[LoginFailureReply]]
    clients: list[FromServer[ClientRefusalReply]]
