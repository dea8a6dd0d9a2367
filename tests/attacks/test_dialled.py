"""The impostors at the other end of our own links: whom we dial is judged as strictly as who knocks.

Nothing of what waits for the link is written before its peer is judged, so that none of them gets a byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from attacks.cells import Came, Model, World, shared
from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forged
from sipmesh.demo.impostors import IMPOSTORS, AttackedListener, Credentials, front_end, named, partner_edge
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, FE1, FE2, PARTNER_EDGES

SERVER, PARTNERS = LinkKind.SERVER, LinkKind.PARTNER
WAYS = {
    AttackedListener.SERVER: (FE1, SERVER, FE2),
    AttackedListener.INSIDE: (EDGE, SERVER, FE1),
    AttackedListener.PARTNER: (EDGE, PARTNERS, PARTNER_EDGES),
}
"""Who dials whom where the impostors of each listener are met on the way: server, kind of link, and the name that is meant."""

DIALLED = {
    "self-signed": "untrusted-issuer",
    "signed by an unknown CA": "untrusted-issuer",
    "our CA, a name that is not in the topology": "name-mismatch",
    "in the topology, wrong role for this link": "name-mismatch",
    "expired": "expired",
    "not yet valid": "not-yet-valid",
    "name in the common name only": "no-sip-identity",
    "wildcard": "no-sip-identity",
    "subjectAltName sip:alice@example.test": "no-sip-identity",
    "subjectAltName https://example.test": "no-sip-identity",
    "a server certificate with CA:TRUE": "not-a-leaf",
    "our server's name, signed by a partner's CA": "issuer-not-for-this-name",
    "a server's name, signed by our device CA": "device-certificate",
    "partner B's name, signed by partner A's CA": "name-mismatch",
    "partner A's name, signed by our own CA": "issuer-not-for-this-name",
    "names of two partners in one certificate": "ambiguous-identity",
    "a blocked partner": "partner-blocked",
    "an unknown partner": "name-mismatch",
    "a certificate for serverAuth only": "accepted",  # here it serves
}
"""What each impostor of the catalogue is to a client that dials it."""

CANNOT_SERVE = {
    "no certificate",  # TLS 1.3 has no server without one
    "RSA-1024 key",  # the decoy's own OpenSSL does not load it
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The network that all of these share."""

    runner: asyncio.Runner
    world: World

    def dial(self, server: str, kind: LinkKind, meant: str, credentials: Credentials) -> Came:
        """Have *server* dial *meant*, and meet a server with *credentials*."""
        return self.runner.run(self.world.dial(server, kind, meant, self.made(credentials)))

    def made(self, credentials: Credentials) -> Forged:
        """The credentials themselves."""
        shown = credentials(self.world.cast)
        assert shown is not None
        return shown


@pytest.fixture(name="stage", scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("dialled")
    with shared(Model.build(folder / "model"), folder / "copy", FE1, EDGE) as (runner, world):
        yield Stage(runner, world)


def is_refused(came: Came, code: str) -> None:
    """Refused for this reason, which the log has; and not a byte was written."""
    assert came.verdict is not None
    assert (came.code, came.spoke) == (code, False)
    assert came.verdict.reason is not None
    assert all((came.verdict.reason.wanted, came.verdict.reason.saw, came.verdict.reason.rule, *came.verdict.remedies))


def test_every_impostor_of_the_catalogue_is_dialled_too() -> None:
    assert {impostor.title for impostor in IMPOSTORS} == DIALLED.keys() | CANNOT_SERVE


@pytest.mark.parametrize("title", DIALLED, ids=lambda title: title.replace(" ", "-"))
def test_impostor_who_is_dialled_gets_nothing_and_its_control_a_request(stage: Stage, title: str) -> None:
    impostor = next(one for one in IMPOSTORS if one.title == title)
    came = stage.dial(*WAYS[impostor.listener], impostor.credentials)
    if DIALLED[title] == "accepted":
        assert (came.code, came.spoke) == ("accepted", True)
    else:
        is_refused(came, DIALLED[title])
    rightful = {
        AttackedListener.SERVER: front_end(),
        AttackedListener.INSIDE: named(FE1),
        AttackedListener.PARTNER: partner_edge(),
    }[impostor.listener]
    assert stage.dial(*WAYS[impostor.listener], rightful).received == 1


@pytest.mark.parametrize("listener", list(AttackedListener))
def test_dialled_peer_must_be_allowed_to_serve(stage: Stage, listener: AttackedListener) -> None:
    """The other side of the handshake wants the other usage, and a partner's `client_usage` is not asked."""
    server, kind, meant = WAYS[listener]
    make = partner_edge if listener is AttackedListener.PARTNER else lambda **changes: named(meant, **changes)
    is_refused(stage.dial(server, kind, meant, make(usages=(CLIENT_AUTH,))), "wrong-usage")
    assert stage.dial(server, kind, meant, make(usages=(SERVER_AUTH,))).received == 1


def test_front_end_opens_no_link_to_a_partner(stage: Stage) -> None:
    """The way out leads through an edge; the control is the edge's own link, under the same credentials."""
    is_refused(stage.dial(FE1, PARTNERS, PARTNER_EDGES, partner_edge()), Code.ROLE_NOT_ALLOWED)
    assert stage.dial(EDGE, PARTNERS, PARTNER_EDGES, partner_edge()).received == 1
