"""A public CA issues the name of a partner to another owner: what Certificate Transparency, DANE and CAA show.

The certificate is valid in all else: the CA is the partner's, the name is right, and no CRL lists it. So did an attacker of
jabber.ru get certificates of a public CA in 2023.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.query
import pytest

from cli.topology.dns.dns_world import PLAIN, knot, unbound
from scenarios.test_dane import ZONE, name_of, told
from scenarios.test_revocation import Credentials, Scene, leaf_of, partner_entry
from scenarios.test_transparency import ONE, TWO
from sipmesh.demo.forge import Forge, Forged
from sipmesh.demo.ports import HOST
from sipmesh.topology.builder.tlsa import tlsa_of_chain
from sipmesh.topology.view import certificate_names
from sipmesh.trust.dane.tlsa import DaneStatus
from sipmesh.trust.evidence import LinkKind
from support.network import EDGE, PARTNER_EDGE, Network
from support.running import on_loop, until
from trust.ct import SigningLog, logged

pytestmark = pytest.mark.peer("unbound")

CA, ACCOUNT = "ca.example", "https://ca.example/acct/7"
CAA = f'{ZONE}. 60 CAA 0 issue "{CA}; accounturi={ACCOUNT}"'


def issued(federation: Network, folder: Path, name: str, *by: SigningLog) -> Credentials:
    """A certificate of the partner's CA for the partner's edge, with a new key; the logs *by* have it."""
    partner = federation.organisations[1]
    ca = partner.folder / "ca"
    root = Forged.read(ca / "root.pem", ca / "root.key")
    issuing = Forged.read(ca / "issuing.pem", ca / "issuing.key", root)
    names = certificate_names(partner.load().topology, PARTNER_EDGE)
    return logged(Forge(datetime.now(UTC)), issuing, *names, by=by).write(folder, name)


@asynccontextmanager
async def edge(
    federation: Network, folder: Path, right: Credentials, *, ct: str = "off", dane: str = "off"
) -> AsyncIterator[tuple[Scene, int]]:
    """Our edge with these checks, and the port of a resolver: the zone of the partner names its *right* certificate."""
    example = federation.organisations[0]
    lines = [f"{name_of(federation)}. 60 TLSA {tlsa_of_chain([leaf_of(right)])}", CAA]
    zones = {ZONE: lines, PLAIN: []}
    with ExitStack() as stack:
        port = stack.enter_context(unbound(folder, stack.enter_context(knot(folder, zones)), zones))
        document: Any = example.document
        document["dns"] = {"servers": [f"{HOST}:{port}"]}
        logs = [{"operator": log.operator, "key": base64.b64encode(log.spki).decode()} for log in (ONE, TWO)]
        document["federation"]["ct_logs"] = logs
        partner_entry(example).update(ct=ct, dane=dane)
        example.write()
        async with Scene(example, EDGE, LinkKind.PARTNER) as scene:
            if dane != "off":
                await until(lambda: told(scene) is DaneStatus.SECURE)
            yield scene, port


@pytest.mark.parametrize(
    ("checks", "of_secret", "of_logged"),
    [
        ({}, "", ""),
        ({"ct": "require"}, "not-logged", ""),
        ({"dane": "check"}, "dane-mismatch", "dane-mismatch"),
        ({"ct": "require", "dane": "check"}, "dane-mismatch", "dane-mismatch"),
    ],
    ids=["nothing", "ct", "dane", "both"],
)
@on_loop
async def test_certificate_for_another_owner_is_refused_as_far_as_its_logs_and_the_zone_say(
    federation: Network, tmp_path: Path, checks: dict[str, str], of_secret: str, of_logged: str
) -> None:
    """CT alone refuses what the CA hides; a certificate in logs is for the partner to see. DANE refuses both."""
    right = issued(federation, tmp_path, "right", ONE, TWO)
    secret, open_one = issued(federation, tmp_path, "secret"), issued(federation, tmp_path, "open", ONE, TWO)
    async with edge(federation, tmp_path, right, **checks) as (scene, _):
        await scene.link(right)
        for attack, code in ((secret, of_secret), (open_one, of_logged)):
            if code:
                await scene.refuses(attack, code)
            else:
                await scene.link(attack)


@on_loop
async def test_caa_binds_the_ca_to_the_account_and_no_peer_asks_for_it(federation: Network, tmp_path: Path) -> None:
    """A CA that follows RFC 8657 refuses another account. Only CT and DANE stop a CA that does not follow it."""
    right, attack = issued(federation, tmp_path, "right", ONE, TWO), issued(federation, tmp_path, "attack", ONE, TWO)
    async with edge(federation, tmp_path, right) as (scene, port):
        query = dns.message.make_query(ZONE, "CAA", want_dnssec=True)
        answer = dns.query.udp(query, HOST, port=port, timeout=10)
        assert answer.flags & dns.flags.AD
        [caa] = [item for found in answer.answer for item in found if found.rdtype == 257]
        assert [may_issue(caa, CA, account) for account in (ACCOUNT, "https://ca.example/acct/666")] == [True, False]
        assert not may_issue(caa, "other.example", ACCOUNT)
        await scene.link(attack)


def may_issue(record: Any, ca: str, account: str) -> bool:
    """Decide as a CA does (RFC 8659 4.2, RFC 8657 3)."""
    domain, *parameters = [part.strip() for part in record.value.decode().split(";")]
    named = dict(part.split("=", 1) for part in parameters)
    return bool(record.tag == b"issue") and domain == ca and named.get("accounturi", account) == account
