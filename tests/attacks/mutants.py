"""Every impostor at its door of running servers, and what came of it: the same row is asked with and without a check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL

from sipmesh.demo.attacker import PROBE, Knock, knock, speak_plainly
from sipmesh.demo.cast import Cast, write_partner_ca
from sipmesh.demo.decoy import Decoy
from sipmesh.demo.forge import SERVER_AUTH, Forge, Forged
from sipmesh.demo.impostors import IMPOSTORS, AttackedListener, Impostor, front_end, other_edge, partner_edge
from sipmesh.demo.organisation import Organisation
from sipmesh.server.in_force.roles import PARTNER_SERVICE
from sipmesh.transport.hop import Hop
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, EDGES, EXAMPLE, FE1, PARTNER_EDGE, PARTNER_EDGES, Network, copied
from support.running import until

OTHER, SECOND = "other.test", "second.test"
GAMMA, DELTA, LOOSE, BOUND = "gamma.test", "delta.test", "loose.test", "bound.test"
REVOKED = 0xBAD
DAY = timedelta(days=1)
ACCEPTED = "accepted"
UNHEARD = "a link came up, and no SIP was spoken on it"  # its session knows no sender
STOPPED = "the link itself would not come up"  # over a handshake that has failed

DOORS = {
    AttackedListener.SERVER: (FE1, LinkKind.SERVER),
    AttackedListener.INSIDE: (EDGE, LinkKind.SERVER),
    AttackedListener.PARTNER: (EDGE, LinkKind.PARTNER),
}

Outcomes = dict[str, str]
"""What each impostor got, by its title: a verdict code."""


@dataclass(frozen=True)
class Further:
    """Authorities of partners that the demo does not have.

    Gamma's limits itself by URI constraints and has one below it that it may not have; Loose's lacks its key usage, and
    Bound's is both.
    """

    gamma: Forged
    gamma_sub: Forged
    loose: Forged
    bound: Forged


Attempt = Callable[["Stage"], "Forged | None"]


@dataclass(frozen=True)
class Row:
    """One impostor: *shows* makes its credentials, *wanted* is the code it must get; *twin*, the control, must be served."""

    title: str
    shows: Attempt
    wanted: str
    twin: Attempt
    door: tuple[str, LinkKind] = DOORS[AttackedListener.SERVER]
    plain: bool = False  # no TLS at all
    highest: int | None = None  # TLS version
    meant: str = ""  # whom our edge means to reach when it is led to this one


@dataclass
class Stage:
    """The servers at whose doors the impostors knock. Credentials are made once."""

    network: Network
    cast: Cast
    further: Further
    _papers: dict[tuple[Row, str], Forged | None] = field(default_factory=dict)

    async def run(self) -> Outcomes:
        """Let every impostor try, and tell what each got."""
        return {row.title: await self.attempt(row, "impostor") for row in ROWS}

    async def run_twins(self) -> Outcomes:
        """Let every control try."""
        return {row.title: await self.attempt(row, "twin") for row in ROWS}

    async def attempt(self, row: Row, who: str) -> str:
        """One try."""
        credentials = self._papers_of(row, who)
        if row.meant:
            assert credentials is not None
            return await self._led_astray(row.meant, credentials)
        server, kind = row.door
        listener = next(one for one in self.network.nodes[server].listening.listeners if one.kind is kind)
        before = listener.accepted
        self.network.nodes[server].gatekeeper.refusals.clear()
        came = await asyncio.to_thread(self._knock, row, who, credentials)
        await until(lambda: not listener.handshakes)
        if came.served:
            return ACCEPTED
        return self._code(server, came.local) or (UNHEARD if listener.accepted > before else STOPPED)

    def _papers_of(self, row: Row, who: str) -> Forged | None:
        key = (row, who)
        if key not in self._papers:
            self._papers[key] = (row.shows if who == "impostor" else row.twin)(self)
        return self._papers[key]

    def _knock(self, row: Row, who: str, credentials: Forged | None) -> Knock:
        server, kind = row.door
        address = self.network.address(server, kind)
        if who == "twin":
            return knock(address, credentials, name=server, domain=EXAMPLE)
        if row.plain:
            return speak_plainly(address, server)
        return knock(address, credentials, name=server, domain=EXAMPLE, highest=row.highest)

    def _code(self, server: str, remote: tuple[str, int]) -> str:
        refused = self.network.nodes[server].gatekeeper.refused()
        return next((str(verdict.code) for verdict in refused if verdict.remote == remote), "")

    async def _led_astray(self, meant: str, credentials: Forged) -> str:
        """DNS leads our edge to a server with *credentials*; only a request that arrives there counts as accepted."""
        node = self.network.nodes[EDGE]
        node.connector.forget_failures()
        node.gatekeeper.refusals.clear()  # another decoy may have had the same port
        with Decoy(credentials) as decoy:
            self.network.dns.records[f"_{PARTNER_SERVICE}._tcp.{meant}", "SRV"] = [
                f"1 1 {decoy.address[1]} decoy.test."
            ]
            self.network.dns.records["decoy.test", "A"] = [decoy.address[0]]
            link = node.pool.obtain(Hop(meant, LinkKind.PARTNER, service=PARTNER_SERVICE))
            link.send(PROBE.format(host=meant, local="127.0.0.1:1", port=1, domain=EXAMPLE).encode())
            await until(lambda: decoy.received or self._code(EDGE, decoy.address))
            link.close("the end of the try")
            return self._code(EDGE, decoy.address) or ACCEPTED


def staged(example: Organisation, partner: Organisation, folder: Path) -> tuple[Network, Cast, Further]:
    """Give the network of the demo, with the further partners, beside the organisations in *folder*; nothing runs."""
    example, partner = copied(example, folder / "e"), copied(partner, folder / "p")
    forge = Forge(datetime.now(UTC))
    other, others = write_partner_ca(forge, folder / OTHER, OTHER, usages=(SERVER_AUTH,))
    (folder / OTHER / "issuing.crl").write_bytes(forge.revocations(other, [REVOKED]))
    gamma, gammas = write_partner_ca(forge, folder / GAMMA, GAMMA, permitted=_limits(GAMMA))
    sub = forge.authority("Gamma sub CA", gamma)  # one more than the path length of the CA above allows
    (folder / GAMMA / "sub.crl").write_bytes(forge.revocations(sub))
    loose, looses = write_partner_ca(forge, folder / LOOSE, LOOSE, with_key_usage=False)
    bound, bounds = write_partner_ca(forge, folder / BOUND, BOUND, with_key_usage=False, permitted=_limits(BOUND))
    theirs = f"{PARTNER_EDGES}:{partner.ports[PARTNER_EDGE][LinkKind.PARTNER]}"
    partners: list[dict[str, object]] = [
        partner.as_partner(edge=theirs),
        {"domains": [OTHER, SECOND], "client_usage": "server-ok", **others},
        {"domains": [GAMMA, DELTA], **gammas, "crls": [*_files(gammas["crls"]), str(folder / GAMMA / "sub.crl")]},
        {"domains": [LOOSE], **looses},
        {"domains": [BOUND], **bounds},
    ]
    example.federate(EDGES, partners, blocked=("evil.test",))
    example.certify_devices()
    example.write()
    cast = Cast.of(example, partner, other)
    return Network((example,), starts=(FE1, EDGE)), cast, Further(gamma, sub, loose, bound)


def _limits(domain: str) -> tuple[x509.GeneralName, ...]:
    return x509.DNSName(domain), x509.UniformResourceIdentifier(domain)


def _files(files: object) -> list[str]:
    assert isinstance(files, list)
    return files


def _of_the_demo(one: Impostor) -> Row:
    return Row(
        one.title, lambda s: one.credentials(s.cast), one.wanted, lambda s: one.control(s.cast), DOORS[one.listener]
    )


def _at_partner(title: str, shows: Attempt, wanted: str, twin: Attempt) -> Row:
    return Row(title, shows, wanted, twin, DOORS[AttackedListener.PARTNER])


def _gamma(*more: str, **changes: object) -> Attempt:
    return lambda s: s.cast.forge.server(s.further.gamma, GAMMA, *more, **changes)


def _led(title: str, meant: str, shows: Attempt, wanted: str) -> Row:
    return Row(title, shows, wanted, lambda s: s.cast.forge.server(s.cast.other, meant), meant=meant)


THE_DEMOS = tuple(map(_of_the_demo, IMPOSTORS))

FE2 = THE_DEMOS[0].twin
FURTHER = (
    Row("plain TCP", lambda _: None, "not-tls", FE2, plain=True),
    Row("TLS 1.1", lambda s: front_end()(s.cast), "protocol-too-old", FE2, highest=SSL.TLS1_1_VERSION),
    _at_partner("revoked", lambda s: other_edge(serial=REVOKED)(s.cast), "revoked", lambda s: other_edge()(s.cast)),
    _at_partner(
        "issuer without key usage",
        lambda s: s.cast.forge.server(s.further.loose, LOOSE),
        "malformed-certificate",
        lambda s: other_edge()(s.cast),
    ),
    _at_partner(
        "constrained: issuer without key usage",
        lambda s: s.cast.forge.server(s.further.bound, BOUND),
        "malformed-certificate",
        _gamma(),
    ),
    _at_partner(
        "a partner that shows our own domain too",
        lambda s: s.cast.forge.server(s.cast.partner, PARTNER_EDGES, EXAMPLE),
        "ambiguous-identity",
        lambda s: partner_edge()(s.cast),
    ),
    _at_partner(
        "a partner that shows a blocked name too",
        lambda s: s.cast.forge.server(s.cast.partner, PARTNER_EDGES, "evil.test"),
        "partner-blocked",
        lambda s: s.cast.forge.server(s.cast.partner, PARTNER_EDGES, "nobody.test"),
    ),
    # Where URI constraints blind both engines, our own walk is the second voice
    _at_partner("constrained: expired", _gamma(begins=-3 * DAY, ends=-DAY), "expired", _gamma()),
    _at_partner("constrained: a server certificate with CA:TRUE", _gamma(ca=True), "not-a-leaf", _gamma()),
    _at_partner(
        "constrained: below the path length",
        lambda s: s.cast.forge.server(s.further.gamma_sub, GAMMA),
        "untrusted-issuer",
        _gamma(),
    ),
    _at_partner(
        "constrained: a domain outside", _gamma(uris=(f"sip:{DELTA}",)), "issuer-not-for-this-name", _gamma()
    ),
    # Links that we open
    _led("hijack: another name", OTHER, lambda s: s.cast.forge.server(s.cast.other, "mallory.test"), "name-mismatch"),
    _led("hijack: the same partner's other domain", OTHER, lambda s: s.cast.forge.server(s.cast.other, SECOND), "name-mismatch"),
    _led("man in the middle", OTHER, lambda s: s.cast.forge.server(s.cast.stranger, OTHER), "untrusted-issuer"),
)  # fmt: skip

AT_THE_CLIENT_PORT = Row("plain TCP", lambda _: None, "not-tls", lambda _: None, (FE1, LinkKind.CLIENT), plain=True)
ROWS = THE_DEMOS + FURTHER
WANTED: Mapping[str, str] = {row.title: str(row.wanted) for row in ROWS}
