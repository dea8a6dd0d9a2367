"""The whole matrix again, without one check at a time: what would become of its cells.

The evidence is that of the real links. It is judged again, since what a link knows of its peer does not change with the
checks: first as it came, then as if OpenSSL had refused no peer, so that only our own checks are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import pytest

from attacks.cells import Model, shared
from attacks.test_matrix import MATRIX, Cell, Place
from sipmesh.server.proxy.gatekeeper import Gatekeeper
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import PeerEvidence
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.judgement.judge import CHECKS, _judge_in_full, judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.verdict import Verdict
from support.network import EDGE, FE1

NAMELESS = "handshake-failed"
"""The code of a refusal for which no check has a name: who knocks is still out, but the reason is not known."""

Reds = set[tuple[str, str]]
"""What cells must get, and what they get."""

MISNAMED: Reds = {("name-mismatch", "issuer-not-for-this-name"), ("name-mismatch", NAMELESS)}
LET_IN: Reds = {("role-not-allowed", "accepted")}
BESIDE_OPENSSL: dict[str, Reds] = {
    "issuer": {
        ("issuer-not-for-this-name", "role-not-allowed"),
        ("issuer-not-for-this-name", "wrong-usage"),
        ("issuer-not-for-this-name", NAMELESS),
    },
    "topology": {
        ("not-in-topology", NAMELESS),
        ("partner-unknown", "wrong-usage"),
        ("partner-unknown", NAMELESS),
    },
    "name": MISNAMED,
    "role": LET_IN,
}
"""What each check's absence does to the matrix while OpenSSL refuses too; the matrix has sound certificates only."""

WITHOUT_OPENSSL: dict[str, Reds] = {
    "issuer": BESIDE_OPENSSL["issuer"]
    | {
        ("untrusted-issuer", "role-not-allowed"),
        ("untrusted-issuer", "name-mismatch"),
        ("untrusted-issuer", "not-in-topology"),
        ("untrusted-issuer", "partner-unknown"),
        ("untrusted-issuer", NAMELESS),
    },
    "topology": BESIDE_OPENSSL["topology"] | {("not-in-topology", "wrong-usage")},
    "name": MISNAMED,
    "role": LET_IN,
}
"""The same where only our own checks are left."""

INTRUDERS = {"beside": 7, "without": 25}
"""Cells that come in without the role check: all that say `role-not-allowed`, less those of anchors unknown to OpenSSL there."""


@dataclass(frozen=True)
class Case:
    """One cell as it came before the judge."""

    cell: Cell
    wanted: Code
    evidence: PeerEvidence
    policy: LinkPolicy
    at: datetime

    @cached_property
    def evaluation(self) -> Evaluation:
        """The facts that checks ask for, such as the path: each is computed once, whichever checks ask."""
        return Evaluation(self.evidence, self.policy, self.at)

    @cached_property
    def without_openssl(self) -> Case:
        """The same, had OpenSSL objected to nothing."""
        return replace(self, evidence=replace(self.evidence, engine_errors=(), failure=None))

    def came(self) -> Code:
        """What the judge says of it now."""
        return _judge_in_full(self.evaluation, self.evidence, None).code


@pytest.fixture(name="cases", scope="module")
def _cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Every cell, tried once over real TLS; the second front-end port is as the first."""
    folder = tmp_path_factory.mktemp("mutated")
    with pytest.MonkeyPatch.context() as patch:
        heard = list_in(patch)
        with shared(Model.build(folder / "model"), folder / "copy", FE1, EDGE) as (runner, world):
            place = Place(runner, world)
            return [tried(place, cell, wanted, heard) for cell, wanted in MATRIX if cell.door != "far"]


def list_in(patch: pytest.MonkeyPatch) -> list[tuple[PeerEvidence, LinkPolicy, Verdict]]:
    """Write down all that the gatekeepers hear."""
    heard: list[tuple[PeerEvidence, LinkPolicy, Verdict]] = []
    judges = Gatekeeper.judge

    def listening(self: Gatekeeper, evidence: PeerEvidence, meant: str = "") -> Verdict:
        verdict = judges(self, evidence, meant)
        heard.append((evidence, self.policy(evidence.direction, evidence.kind, meant), verdict))
        return verdict

    patch.setattr(Gatekeeper, "judge", listening)
    return heard


def tried(place: Place, cell: Cell, wanted: Code, heard: list[tuple[PeerEvidence, LinkPolicy, Verdict]]) -> Case:
    """Try one cell; exactly one link is judged."""
    heard.clear()
    place.attempt(cell)
    ((evidence, policy, verdict),) = heard
    return Case(cell, wanted, evidence, policy, verdict.at)


def red(cases: list[Case]) -> Reds:
    """What is not as it must be."""
    return {(str(case.wanted), str(came)) for case in cases if (came := case.came()) is not case.wanted}


def switch_off(patch: pytest.MonkeyPatch, check: str) -> None:
    """Take one check out of the judge's table."""
    patch.setattr(
        "sipmesh.trust.judgement.judge.CHECKS", {name: held for name, held in CHECKS.items() if name != check}
    )


@pytest.mark.wide
def test_with_every_check_the_matrix_is_the_same_with_openssl_and_without(cases: list[Case]) -> None:
    """The judge alone gives every code: it needs no refusal of OpenSSL's."""
    assert red(cases) == set()
    assert red([case.without_openssl for case in cases]) == set()
    assert {judge(case.evidence, case.policy, at=case.at).code is case.wanted for case in cases} == {True}


@pytest.mark.wide
@pytest.mark.parametrize("check", CHECKS)
def test_without_a_check_the_cells_it_guards_turn_red(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    switch_off(monkeypatch, check)
    assert red(cases) == BESIDE_OPENSSL.get(check, set())


@pytest.mark.wide
@pytest.mark.parametrize("check", CHECKS)
def test_without_openssl_the_cells_that_a_check_guards_turn_red(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    switch_off(monkeypatch, check)
    assert red([case.without_openssl for case in cases]) == WITHOUT_OPENSSL.get(check, set())


@pytest.mark.wide
def test_role_check_alone_refuses_a_valid_certificate_at_the_wrong_port(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(monkeypatch, "role")
    came = {"beside": cases, "without": [case.without_openssl for case in cases]}
    intruders = {
        side: sum(case.came() is Code.ACCEPTED is not case.wanted for case in held) for side, held in came.items()
    }
    assert intruders == INTRUDERS
