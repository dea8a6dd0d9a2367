"""Each check of the judge is switched off in turn, over real TLS: the tables here have what turns red, row by row.

Most impostors meet two obstacles: OpenSSL refuses them in the handshake, and our own check refuses them after it. So
there are two tables. In the first OpenSSL stays as it is. In the second it refuses no peer, and what it found does not count:
only our own checks are left, and without one of them its impostor comes in.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from OpenSSL import SSL

from attacks.mutants import (
    ACCEPTED,
    AT_THE_CLIENT_PORT,
    ROWS,
    STOPPED,
    UNHEARD,
    WANTED,
    Further,
    Outcomes,
    Stage,
    staged,
)
from sipmesh.demo.cast import Cast
from sipmesh.demo.impostors import IMPOSTORS
from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.checks import CLIENT_CHECKS
from sipmesh.trust.judgement.judge import CHECKS
from support.network import EDGE, PARTNER_EDGES, Network
from support.peer import Peer
from support.running import on_loop

PLAIN_FAILURE = "handshake-failed"
"""The code of a refusal for which no check has a name: the impostor is still out, but the reason is not known."""

NO_NAME = {
    "name in the common name only": PLAIN_FAILURE,
    "wildcard": PLAIN_FAILURE,
    "subjectAltName sip:alice@example.test": PLAIN_FAILURE,
    "subjectAltName https://example.test": PLAIN_FAILURE,
}
NOBODY = {
    "our CA, a name that is not in the topology": PLAIN_FAILURE,
    "names of two partners in one certificate": PLAIN_FAILURE,
    "an unknown partner": PLAIN_FAILURE,
    "a partner that shows our own domain too": ACCEPTED,
}
CA_AS_LEAF = {
    "a server certificate with CA:TRUE": "malformed-certificate",
    "constrained: a server certificate with CA:TRUE": ACCEPTED,
}
OURS_ALONE: dict[str, Outcomes] = {
    "constraints": {"constrained: a domain outside": ACCEPTED},
    "devices": {"a server's name, signed by our device CA": ACCEPTED},
    "identity": NO_NAME,
    "blocked": {"a blocked partner": "partner-unknown", "a partner that shows a blocked name too": ACCEPTED},
    "topology": NOBODY,
    "name": {"hijack: another name": PLAIN_FAILURE, "hijack: the same partner's other domain": ACCEPTED},
    "scope": {},
    "role": {"in the topology, wrong role for this link": ACCEPTED},
    "usage": {"a certificate for serverAuth only": ACCEPTED},
    "transparency": {},
    "dane": {},
    "revocation": {"revoked": ACCEPTED},
}
"""What OpenSSL knows nothing of, or leaves to us: the same in both tables."""

BESIDE_OPENSSL: dict[str, Outcomes] = {
    "handshake": {"no certificate": STOPPED, "plain TCP": STOPPED, "TLS 1.1": STOPPED},
    "engine": {"constrained: issuer without key usage": PLAIN_FAILURE},
    "certificate": {},
    "issuer": {"partner B's name, signed by partner A's CA": PLAIN_FAILURE},
    "second-engine": {},
    "validity": {},
    "leaf": CA_AS_LEAF,
    "key": {},
    "issuing": {},
    **OURS_ALONE,
}
"""What each check's absence changes while OpenSSL refuses too."""

WITHOUT_OPENSSL: dict[str, Outcomes] = {
    "handshake": {"plain TCP": PLAIN_FAILURE, "TLS 1.1": PLAIN_FAILURE},
    "engine": {"constrained: issuer without key usage": ACCEPTED},
    "certificate": {"no certificate": UNHEARD},
    "issuer": {
        "self-signed": PLAIN_FAILURE,
        "signed by an unknown CA": PLAIN_FAILURE,
        "our server's name, signed by a partner's CA": PLAIN_FAILURE,
        "partner B's name, signed by partner A's CA": PLAIN_FAILURE,
        "partner A's name, signed by our own CA": PLAIN_FAILURE,
        "man in the middle": PLAIN_FAILURE,
    },
    "second-engine": {"issuer without key usage": ACCEPTED},
    "validity": {
        "expired": "malformed-certificate",
        "not yet valid": "malformed-certificate",
        "constrained: expired": ACCEPTED,
    },
    "leaf": CA_AS_LEAF,
    "key": {"RSA-1024 key": ACCEPTED},
    "issuing": {"constrained: below the path length": ACCEPTED},
    **OURS_ALONE,
}
"""What each check's absence changes where only our own checks are left."""

REASONS = {
    "scope": "it only tells which names do not count; that they do not is the work of the path and of `topology`",
    "dane": "no partner of the demo has `dane`: see scenarios/test_dane.py",
    "transparency": "no partner of the demo has `ct`: see scenarios/test_transparency.py",
    "certificate": "a peer without a certificate fails the handshake, and the finding of that refuses it",
    "second-engine": "OpenSSL, set to X509_STRICT, objects to the same chain",
    "validity": "OpenSSL looks at the dates too",
    "key": "OpenSSL at security level 2 refuses the same keys",
    "issuing": "OpenSSL looks at path lengths too",
}
"""Why a check may be missing from the first table without anything turning red."""

NEVER_ALONE = {
    "handshake": "a link does not come up over a failed handshake, whatever the verdict says",
    "certificate": "a session without a proved peer has no sender, and answers nothing",
    "issuer": "without a path there is nothing for the second engine, for constraints or lists to judge: they refuse",
    "identity": "who has no identity is nobody in the topology",
    "scope": REASONS["scope"],
    "transparency": REASONS["transparency"],
    "dane": REASONS["dane"],
}
"""Why no peer comes in without this check, even where only our own checks are left: something behind it refuses too."""


@pytest.fixture(name="scenery", scope="module")
def _scenery(
    example_model: Organisation, partner_model: Organisation, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Network, Cast, Further]:
    """The network of the demo and credentials for all peers, made once; each test starts its servers again."""
    return staged(example_model, partner_model, tmp_path_factory.mktemp("mutants"))


@pytest.fixture(name="stage")
def _stage(scenery: tuple[Network, Cast, Further]) -> Stage:
    """The doors; its network is started by ``async with``."""
    return Stage(*scenery)


@pytest.fixture(name="lenient")
def _lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL that refuses no peer: it records errors, and does not require a certificate."""
    monkeypatch.setattr("sipmesh.transport.tls.pyopenssl.is_left_to_us", lambda _error: True)
    monkeypatch.setattr("OpenSSL.SSL.VERIFY_FAIL_IF_NO_PEER_CERT", SSL.VERIFY_PEER)


def switch_off(monkeypatch: pytest.MonkeyPatch, *checks: str) -> None:
    """Take checks out of the judge's table."""
    assert set(checks) <= set(CHECKS)
    kept = {name: check for name, check in CHECKS.items() if name not in checks}
    monkeypatch.setattr("sipmesh.trust.judgement.judge.CHECKS", kept)


def red(outcomes: Outcomes) -> Outcomes:
    """What is not as it must be."""
    return {title: came for title, came in outcomes.items() if came != WANTED[title]}


@pytest.mark.wide
@on_loop
async def test_with_every_check_each_impostor_gets_its_code_and_each_control_an_answer(stage: Stage) -> None:
    async with stage.network:
        assert red(await stage.run()) == {}
        assert await stage.run_twins() == {row.title: ACCEPTED for row in ROWS}


@pytest.mark.wide
@pytest.mark.parametrize("check", CHECKS)
@on_loop
async def test_without_a_check_the_impostors_it_names_turn_red(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    switch_off(monkeypatch, check)
    async with stage.network:
        assert red(await stage.run()) == BESIDE_OPENSSL[check]


@pytest.mark.wide
@pytest.mark.usefixtures("lenient")
@on_loop
async def test_where_openssl_refuses_no_peer_the_judge_does_with_the_same_codes(stage: Stage) -> None:
    async with stage.network:
        assert red(await stage.run()) == {}
        assert await stage.run_twins() == {row.title: ACCEPTED for row in ROWS}


@pytest.mark.wide
@pytest.mark.usefixtures("lenient")
@on_loop
async def test_what_openssl_found_is_needed_for_one_chain_only(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5280 6.1.4 (n) lets an issuer lack its key usage. OpenSSL does not; the second engine is blind to this chain."""
    switch_off(monkeypatch, "engine")
    async with stage.network:
        assert red(await stage.run()) == WITHOUT_OPENSSL["engine"]


@pytest.mark.wide
@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("check", [check for check in CHECKS if check != "engine"])
@on_loop
async def test_without_openssl_each_check_alone_stops_its_impostors(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    switch_off(monkeypatch, "engine", check)
    async with stage.network:
        assert red(await stage.run()) == WITHOUT_OPENSSL["engine"] | WITHOUT_OPENSSL[check]


@pytest.mark.wide
@pytest.mark.parametrize(("off", "told"), [((), {"scope"}), (("scope",), set())])
@on_loop
async def test_scope_is_missed_where_a_verdict_is_explained(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, off: tuple[str, ...], told: set[str]
) -> None:
    """The only check that refuses no peer: without it the explanation no longer says which names never counted."""
    switch_off(monkeypatch, *off)
    credentials = stage.cast.forge.server(stage.cast.partner, PARTNER_EDGES, "nobody.test").write(tmp_path, "partner")
    where = stage.network.address(EDGE, LinkKind.PARTNER)
    async with stage.network as network, await Peer.open(where, "erin@partner.test", credentials) as peer:
        await peer.silent()
        (verdict,) = [link.verdict for link in network.nodes[EDGE].pool.all()]
        assert verdict is not None
        assert {found.check for found in verdict.findings if "ignored: nobody.test" in found.saw} == told


@pytest.mark.parametrize(("off", "came"), [((), "not-tls"), (("handshake",), STOPPED)])
@on_loop
async def test_client_port_has_one_check_of_its_own(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, off: tuple[str, ...], came: str
) -> None:
    """What it says of certificates is there to be read: none is asked for."""
    kept = {name: check for name, check in CLIENT_CHECKS.items() if name not in off}
    monkeypatch.setattr("sipmesh.trust.judgement.judge.CLIENT_CHECKS", kept)
    async with stage.network:
        assert await stage.attempt(AT_THE_CLIENT_PORT, "impostor") == came
        assert await stage.attempt(AT_THE_CLIENT_PORT, "twin") == ACCEPTED


def test_every_check_has_its_line_in_both_tables_and_every_gap_its_reason() -> None:
    assert set(BESIDE_OPENSSL) == set(WITHOUT_OPENSSL) == set(CHECKS)
    assert {check for check, came in BESIDE_OPENSSL.items() if not came} == set(REASONS)
    assert {check for check, came in WITHOUT_OPENSSL.items() if ACCEPTED not in came.values()} == set(NEVER_ALONE)


def test_every_impostor_of_the_demo_turns_red_without_some_check() -> None:
    """None of them is there for show."""
    assert titles(BESIDE_OPENSSL.values()) | titles(WITHOUT_OPENSSL.values()) >= {one.title for one in IMPOSTORS}


def titles(lines: Collection[Outcomes]) -> set[str]:
    return {title for line in lines for title in line}
