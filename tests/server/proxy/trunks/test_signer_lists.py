"""The CRLs of signers: which of them are read, and what a path gets. See also tests/scenarios/test_signed_numbers.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sipmesh.demo.forge import Forged
from sipmesh.errors import RemoteError
from sipmesh.server.in_force.stir_rules import StirRule
from sipmesh.server.proxy.trunks.signer_lists import AGAIN_S, FRESH_S, MOST_POINTS, ListSource, SignerLists
from sipmesh.topology.document.parts.stir import StirMode
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from support.number_signer import NumberSigner

TRUNK, URL, FILE = "sbc.test", "http://crl.test/1.crl", "/x/partners/1.crl"
SIGNERS = NumberSigner()
NOW = datetime.now(UTC)


def rule(crls: tuple[str, ...] = (), hosts: frozenset[str] = frozenset()) -> StirRule:
    roots = (SIGNERS.root.certificate,)
    return StirRule(StirMode.REPORT, frozenset({"c.test"}), roots, crls=crls, crl_hosts=hosts)


def made(given: StirRule) -> tuple[SignerLists, list[float], dict[str, StirRule]]:
    """The CRLs under a rule, the present second, and the rules in force."""
    seconds, rules = [0.0], {TRUNK: given}
    current: Any = SimpleNamespace(value=SimpleNamespace(stir=rules))
    return SignerLists(current, lambda: seconds[0]), seconds, rules


def a_list(*revoked: Forged, **changes: Any) -> RevocationList:
    return RevocationList.load(SIGNERS.forge.revocations(SIGNERS.root, revoked, **changes))


def status(lists: SignerLists, given: StirRule, signer: Forged, at: datetime = NOW) -> int:
    """0 if the path may be used."""
    try:
        lists.check(TRUNK, given, signer.chain, at)
    except RemoteError as wrong:
        return wrong.status
    return 0


def test_nothing_is_checked_for_a_trunk_without_crls() -> None:
    lists, _, _ = made(rule())
    assert status(lists, rule(), SIGNERS.signer()) == 0
    assert [*lists.due()] == []


def test_listed_certificate_is_revoked_and_one_without_a_crl_in_force_is_not_known() -> None:
    given, bad, good = rule((FILE,)), SIGNERS.signer(), SIGNERS.signer()
    lists, _, _ = made(given)
    assert status(lists, given, good) == 436
    lists.arrived(TRUNK, ListSource(FILE), a_list(bad), NOW)
    assert (status(lists, given, good), status(lists, given, bad)) == (0, 437)
    later = NOW + timedelta(days=8)
    assert (status(lists, given, good, later), status(lists, given, bad, later)) == (436, 437)
    assert status(lists, given, NumberSigner().signer()) == 436


@pytest.mark.parametrize(("place", "again_s"), [(FILE, AGAIN_S), (URL, FRESH_S)])
def test_crl_is_read_at_once_and_again_when_it_is_due(place: str, again_s: float) -> None:
    lists, seconds, rules = made(rule((place,)))
    due = [(TRUNK, ListSource(place))]
    assert [*lists.due()] == due
    assert [*lists.due()] == []
    assert [lists.missed(*due[0], fault=fault) for fault in ("gone", "gone", "old", "")] == [True, False, True, False]
    seconds[0] = AGAIN_S
    assert [*lists.due()] == due
    lists.arrived(*due[0], a_list(), NOW)
    seconds[0] += again_s - 1
    assert [*lists.due()] == []
    seconds[0] += 1
    assert [*lists.due()] == due
    rules.clear()
    assert [*lists.due()] == []
    lists.arrived(*due[0], a_list(), NOW)  # it was on its way
    assert lists._of_trunks == {}


def test_points_of_certificates_are_read_at_allowed_hosts_and_the_oldest_of_too_many_is_forgotten() -> None:
    given = rule(hosts=frozenset({"crl.test"}))
    lists, _, rules = made(given)
    lists.expects(TRUNK, SIGNERS.signer(crl_points=("http://other.test/1.crl",)).chain)
    assert not lists.is_wanted.is_set()
    for number in range(MOST_POINTS + 1):
        lists.expects(TRUNK, SIGNERS.signer(crl_points=(f"http://crl.test/{number}.crl",)).chain)
    assert lists.is_wanted.is_set()
    due = [*lists.due()]
    assert [source.place for _, source in due] == [
        f"http://crl.test/{number}.crl" for number in range(1, MOST_POINTS + 1)
    ]
    assert lists.missed(*due[0], fault="gone")
    rules[TRUNK] = rule(hosts=frozenset({"new.test"}))
    assert [*lists.due()] == []
    assert lists._of_trunks[TRUNK].faults == {}


def test_older_crl_does_not_replace_a_newer_one() -> None:
    given, bad = rule((FILE,)), SIGNERS.signer()
    lists, _, _ = made(given)
    lists.arrived(TRUNK, ListSource(FILE), a_list(bad, number=2), NOW)
    with pytest.raises(UnusableListError, match="older"):
        lists.arrived(TRUNK, ListSource(FILE), a_list(number=1), NOW)
    assert status(lists, given, bad) == 437
