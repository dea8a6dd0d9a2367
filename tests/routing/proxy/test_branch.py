from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.errors import RemoteError
from sipmesh.routing.proxy.branch import Branches, loop_hash

OURS = "fe1.example.test:5061"


def branches() -> Branches:
    return Branches(7, frozenset({OURS, "fe1.example.test:5062"}))


def test_branches_are_new_each_time_and_bear_the_cookie() -> None:
    made = branches()
    minted = {made.mint("abc") for _ in range(1000)}
    assert len(minted) == 1000
    assert all(branch.startswith("z9hG4bK") for branch in minted)


def test_branches_of_two_starts_differ() -> None:
    assert Branches(7, frozenset()).mint("abc") != Branches(8, frozenset()).mint("abc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "<sip:alice@example.test>;tag=other"),
        ("to", "<sip:bob@example.test>;tag=other"),
        ("call-id", "other"),
        ("cseq", "2 INVITE"),
        ("route", "<sip:x.test;lr>"),
    ],
)
def test_request_that_differs_in_what_routes_it_is_no_loop(name: str, value: str) -> None:
    asked = request()
    asked.replace(name, value)
    assert loop_hash(asked) != loop_hash(request())
    assert loop_hash(request(uri="sip:other@example.test")) != loop_hash(request())


@pytest.mark.parametrize("folded", [False, True])
def test_same_request_that_comes_back_is_a_loop(folded: bool) -> None:  # noqa: FBT001 - a column
    asked, made = request(), branches()
    ours = f"SIP/2.0/TLS {OURS};branch={made.mint(loop_hash(asked))}"
    other = "SIP/2.0/TLS other.test:5061;branch=z9hG4bKx"
    if folded:
        asked.replace("via", f"{other}, {ours}, {asked.first('via')}")
    else:
        asked.prepend("via", ours)
        asked.prepend("via", other)
    assert made.looped(asked, loop_hash(asked))


def test_spiral_is_no_loop() -> None:
    asked, made = request(), branches()
    asked.prepend("via", f"SIP/2.0/TLS {OURS};branch={made.mint(loop_hash(asked))}")
    asked.set_uri("sip:bob@elsewhere.test")
    assert not made.looped(asked, loop_hash(asked))


def test_request_with_one_via_is_not_a_loop() -> None:
    assert not branches().looped(request(), loop_hash(request()))


def test_branch_of_another_server_is_not_a_loop() -> None:
    asked, made = request(), branches()
    asked.prepend("via", f"SIP/2.0/TLS evil.test:5061;branch={made.mint(loop_hash(asked))}")
    assert not made.looped(asked, loop_hash(asked))


def test_malformed_via_is_a_remote_error_where_it_may_be_ours() -> None:
    """The check of a request has read all others."""
    asked = request()
    asked.append("via", f"garbage x{loop_hash(asked)}")
    with pytest.raises(RemoteError):
        branches().looped(asked, loop_hash(asked))
    asked = request()
    asked.append("via", "garbage")
    assert not branches().looped(asked, loop_hash(asked))


def test_same_request_by_the_same_way_has_the_same_hash_with_any_additions_of_hops() -> None:
    later = request()
    later.prepend("via", "SIP/2.0/TLS other.test:5061;branch=z9hG4bKx")
    later.prepend("record-route", "<sip:other.test;lr>")
    later.replace("max-forwards", "12")
    assert loop_hash(later) == loop_hash(request())


def test_vias_of_ours_without_a_branch_or_with_another_port_are_no_loop() -> None:
    asked, made = request(), branches()
    asked.prepend("via", f"SIP/2.0/TLS {OURS}")
    asked.prepend("via", f"SIP/2.0/TLS fe1.example.test:5099;branch={made.mint(loop_hash(asked))}")
    assert not made.looped(asked, loop_hash(asked))


def test_branches_show_how_far_they_have_counted() -> None:
    made = branches()
    made.mint("abc")
