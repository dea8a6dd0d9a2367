"""Which of our users a front end of another pool may speak for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import EDGES, OURS, POOL, SECOND, asserting, request, server
from sipmesh.routing.identity.home_rule import HomeRule, unknown
from sipmesh.routing.identity.sender import ServerSender
from sipmesh.routing.numbers.application_table import ApplicationRoute, ApplicationTable
from sipmesh.routing.outcome import Answer
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.own_names import OwnNames
from sipmesh.trust.role import Role

ALICE, BOB, NEW = "sip:alice@example.test", "sip:bob@example.test", "sip:new@example.test"
HOMES = {ALICE: POOL, BOB: SECOND}
ALIASES = {"sip:ally@example.test": ALICE}


def home_of(aor: str) -> str:
    return HOMES.get(aor, "")


def sender(pool: str | None = SECOND, role: Role = Role.FRONT_END) -> ServerSender:
    peer = server("fe9.example.test", role, pool, OURS)
    return ServerSender(LinkKind.SERVER, peer, lambda name: ALIASES.get(name, ""))


RULE = HomeRule(POOL, OURS, home_of)
NUMBER = "sip:+49301@example.test"


def test_name_that_is_asserted_is_looked_up_once() -> None:
    """The same user in From and in P-Asserted-Identity is one name; another one in From is looked up too."""
    looked_up: list[str] = []

    def noted(aor: str) -> str:
        looked_up.append(aor)
        return home_of(aor)

    rule = HomeRule(POOL, OURS, noted)
    assert rule.refused(request("MESSAGE", ALICE, *asserting(BOB), sender=BOB), sender()) is None
    assert looked_up == [BOB]
    assert rule.refused(request("MESSAGE", BOB, *asserting(BOB), sender=ALICE), sender()) is not None
    assert looked_up == [BOB, BOB, ALICE]


def test_number_of_a_user_counts_before_a_user_of_that_name() -> None:
    """Phones show the number alone, and it is the alias of a user of our pool."""
    rule = HomeRule(POOL, OURS, lambda aor: SECOND if aor == NUMBER else home_of(aor))
    by = ServerSender(LinkKind.SERVER, sender().peer, lambda name: ALICE if "+49301@" in name else "")
    assert rule.refused(request("MESSAGE", BOB, sender=NUMBER), by) is not None


@pytest.mark.parametrize("name", [ALICE, "sip:ally@example.test"])
def test_user_of_another_home_pool_is_refused_in_each_place(name: str) -> None:
    for asked in (request("MESSAGE", BOB, sender=name), request("MESSAGE", BOB, *asserting(name), sender=BOB)):
        answer = RULE.refused(asked, sender())
        assert isinstance(answer, Answer)
        assert (answer.status, answer.code) == (403, Code.ASSERTION_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        (BOB, sender()),
        (NEW, sender()),
        ("sip:alice@partner.test", sender()),
        (ALICE, sender(POOL)),
        (ALICE, sender(EDGES, Role.EDGE)),
    ],
)
def test_other_names_and_other_senders_pass(name: str, by: ServerSender) -> None:
    """A user of its own pool, an unknown one, one of a partner; a server of our pool, and one of another role."""
    assert RULE.refused(request("MESSAGE", BOB, *asserting(name), sender=name), by) is None


def test_name_with_which_the_dialog_began_passes() -> None:
    asked = request("UPDATE", BOB, sender=ALICE)
    assert RULE.refused(asked, sender(), is_named=True) is None
    assert RULE.refused(request("UPDATE", BOB, *asserting(ALICE), sender=ALICE), sender(), is_named=True) is not None


def test_domain_that_an_application_behind_the_pool_speaks_for_passes() -> None:
    lent = HomeRule(POOL, OURS, home_of, {SECOND: OURS})
    assert lent.refused(request("MESSAGE", BOB, sender=ALICE), sender()) is None
    assert lent.refused(request("MESSAGE", BOB, sender=ALICE), sender("pool3.example.test")) is not None


def test_user_whose_home_pool_has_that_backup_pool_passes_and_no_other() -> None:
    backed = HomeRule(POOL, OURS, home_of, backups={home_of(ALICE): SECOND})
    other = HomeRule(POOL, OURS, home_of, backups={SECOND: home_of(ALICE)})
    asked = request("MESSAGE", BOB, sender=ALICE)
    assert backed.refused(asked, sender()) is None
    assert backed.refused(asked, sender("pool3.example.test")) is not None
    assert other.refused(asked, sender()) is not None


def test_nothing_is_refused_while_no_user_is_known() -> None:
    assert HomeRule(POOL, OURS, unknown).refused(request("MESSAGE", BOB, sender=ALICE), sender()) is None


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER"])
def test_home_pool_of_a_delegate_asserts_the_other_user_at_the_begin_of_a_call_only(method: str) -> None:
    rule = HomeRule(POOL, OURS, home_of, is_delegate=lambda user, boss: (user, boss) == (BOB, ALICE))
    asked = request(method, ALICE, *asserting(ALICE), sender=BOB)
    assert (rule.refused(asked, sender()) is None) == (method == "INVITE")
    asked.replace("to", f"<{ALICE}>;tag=in-a-call")
    assert rule.refused(asked, sender()) is not None


@pytest.mark.parametrize(
    ("name", "pool"),
    [
        ("sip:+49301234@bot.example.test", ""),
        ("sip:+49305678@bot.example.test", "menu"),
        ("sip:49305678@bot.example.test", ""),
    ],
)
def test_number_of_another_application_is_not_asserted(name: str, pool: str) -> None:
    """Also not at the certified name, of which each other user part is its own."""
    numbers = {"bot.example.test": ("+49301",), "menu": ("+49305",)}
    table = ApplicationTable(ApplicationRoute(one, POOL, frozenset(), of, public=False) for one, of in numbers.items())
    names = OwnNames(frozenset(), ("+49301",), OURS)
    peer = replace(
        sender("bot.example.test", Role.APPLICATION).peer, own=names, asserts=frozenset({"bot.example.test"})
    )
    refused = HomeRule(POOL, OURS, home_of, applications=table).refused(
        request("MESSAGE", BOB, sender=name), ServerSender(LinkKind.SERVER, peer)
    )
    assert (f"a number of {pool}" in refused.why if refused is not None else not pool) is True
