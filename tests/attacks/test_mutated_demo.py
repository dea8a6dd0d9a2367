"""The demo's impostors, by the very functions that the demo plays, without one check at a time: its lines turn red."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import pytest

from attacks.test_two_engines import LET_PASS, OBJECTIONS
from attacks.theatre import Theatre, quiet_score, staged
from sipmesh.demo.attacks import at_the_listeners, on_the_way
from sipmesh.demo.impostors import IMPOSTORS
from sipmesh.demo.network import EDGE, OTHER
from sipmesh.demo.people import People
from sipmesh.demo.score import Score
from sipmesh.topology.document import yaml_tree
from sipmesh.transport.reactor.event_loop import Loop
from sipmesh.trust.judgement.checks import CLIENT_CHECKS
from sipmesh.trust.judgement.judge import CHECKS

PATIENCE_S = 60.0

# What OpenSSL knows nothing of, or leaves to us
OURS_ALONE: dict[str, set[str]] = {
    "handshake": {
        "plain TCP to fe1.example.test server port",
        "plain TCP to edge1.example.test server port",
        "plain TCP to edge1.example.test partner port",
        "TLS 1.1",
        "no certificate",
    },
    "leaf": {"a server certificate with CA:TRUE"},
    "devices": {"a server's name, signed by our device CA"},
    "identity": {
        "name in the common name only",
        "wildcard",
        "subjectAltName sip:alice@example.test",
        "subjectAltName https://example.test",
    },
    "blocked": {"a blocked partner"},
    "topology": {
        "our CA, a name that is not in the topology",
        "names of two partners in one certificate",
        "an unknown partner",
    },
    "name": {"DNS hijack: certificate of another name"},
    "role": {"in the topology, wrong role for this link"},
    "usage": {"a certificate for serverAuth only"},
    "revocation": {
        "the partner's CRL is missing",
        "the partner's CRL is unreadable",
        "the partner's CRL is expired",
    },
}
BESIDE_OPENSSL = OURS_ALONE | {"issuer": {"partner B's name, signed by partner A's CA"}}
"""What each check's absence does to the lines of the demo while OpenSSL refuses too."""

WITHOUT_OPENSSL = OURS_ALONE | {
    "issuer": {
        "self-signed",
        "signed by an unknown CA",
        "our server's name, signed by a partner's CA",
        "partner B's name, signed by partner A's CA",
        "partner A's name, signed by our own CA",
        "man in the middle between two servers",
        "man in the middle between client and server",
    },
    "validity": {"expired", "not yet valid"},
    "key": {"RSA-1024 key"},
}
"""The same where only our own checks are left."""


@dataclass(frozen=True, slots=True)
class Play:
    """A network on which the acts can be played again and again; alice has logged in."""

    runner: asyncio.Runner
    network: Theatre
    people: People

    def wrong(self) -> set[str]:
        """The lines that are not as they must be."""
        for link in self.network.nodes[EDGE].pool.all():
            if link.meant == OTHER:
                link.close("the last play is over")
        score = quiet_score()
        self.runner.run(self._play(score))
        assert score.right
        return set(score.wrong)

    async def _play(self, score: Score) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await at_the_listeners(self.network, score)
            await on_the_way(self.network, self.people, score)


@pytest.fixture(name="play", scope="module")
def _play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    with asyncio.Runner(loop_factory=Loop) as runner:
        context = staged(tmp_path_factory.mktemp("play"), quiet_score())
        network, people = runner.run(context.__aenter__())
        try:
            yield Play(runner, network, people)
        finally:
            runner.run(context.__aexit__(None, None, None))


PARSE = lru_cache(yaml_tree.parse)
"""The documents of the demo stay the same while their CRLs change, and are read hundreds of times."""


@pytest.fixture(name="quick", autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process a verdict is there at once or never; and a link that hangs because a check is missing is soon given up."""
    monkeypatch.setattr("sipmesh.demo.attacks.LOOKS", 3)
    monkeypatch.setattr("sipmesh.demo.attacks.LATEST", 2)
    monkeypatch.setattr("sipmesh.demo.attacker.PATIENCE_S", 1.0)
    monkeypatch.setattr(yaml_tree, "parse", PARSE)


@pytest.fixture(name="blind")
def _blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL that objects to no certificate: the verify callback says yes, and records nothing."""
    monkeypatch.setattr("sipmesh.transport.tls.pyopenssl.PyOpenSslTls.verified", lambda *_: True)


def switch_off(patch: pytest.MonkeyPatch, check: str, table: str = "CHECKS") -> None:
    """Take one check out of a table of the judge's."""
    held = CHECKS if table == "CHECKS" else CLIENT_CHECKS
    patch.setattr(
        f"sipmesh.trust.judgement.judge.{table}", {name: kept for name, kept in held.items() if name != check}
    )


def checks(lines: Mapping[str, Collection[str]]) -> list[object]:
    """Give all checks; a check that guards no line of the demo alone is switched off in `make soak` only."""
    return [pytest.param(check, marks=() if check in lines else pytest.mark.soak) for check in CHECKS]


@pytest.mark.wide
def test_with_every_check_no_line_is_wrong(play: Play) -> None:
    assert play.wrong() == set()


@pytest.mark.wide
@pytest.mark.usefixtures("blind")
def test_with_every_check_no_line_is_wrong_though_openssl_objects_to_nothing(play: Play) -> None:
    """Each line also asks for the code: the judge alone finds every one."""
    assert play.wrong() == set()


@pytest.mark.wide
@pytest.mark.parametrize("check", checks(BESIDE_OPENSSL))
def test_without_a_check_the_lines_it_guards_turn_red(play: Play, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    switch_off(monkeypatch, check)
    assert play.wrong() == BESIDE_OPENSSL.get(check, set())


@pytest.mark.wide
@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("check", checks(WITHOUT_OPENSSL))
def test_without_openssl_the_lines_that_a_check_guards_turn_red(
    play: Play, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    switch_off(monkeypatch, check)
    assert play.wrong() == WITHOUT_OPENSSL.get(check, set())


@pytest.mark.wide
@pytest.mark.parametrize(
    ("check", "lines"), [("handshake", {"plain TCP to fe1.example.test client port"}), ("certificate", set())]
)
def test_without_a_check_of_the_client_port_its_line_turns_red(
    play: Play, monkeypatch: pytest.MonkeyPatch, check: str, lines: set[str]
) -> None:
    """The other of the two only says that no certificate is asked for there."""
    switch_off(monkeypatch, check, "CLIENT_CHECKS")
    assert play.wrong() == lines


def test_every_impostor_of_the_catalogue_turns_red_without_some_check() -> None:
    """None of them is there for show."""
    red = set[str]().union(*BESIDE_OPENSSL.values(), *WITHOUT_OPENSSL.values())
    assert {impostor.title for impostor in IMPOSTORS} <= red


def test_a_check_without_a_line_of_its_own_is_one_for_the_two_engines() -> None:
    """Or a check that refuses no peer, or that the demo does not ask for."""
    elsewhere = {row.check for row in OBJECTIONS + LET_PASS} | {"engine", "scope", "transparency", "dane"}
    assert {*CHECKS} - {*BESIDE_OPENSSL} - {*WITHOUT_OPENSSL} <= elsewhere
