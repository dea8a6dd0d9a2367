"""The best of several final responses, and the challenges that go back with it."""

from __future__ import annotations

import pytest

from routing.messages import response
from sipmesh.routing.proxy.best_response import MAX_CHALLENGE_OCTETS, MAX_CHALLENGES, BestResponse, rank

AUTHENTICATE, PROXY_AUTHENTICATE = "www-authenticate", "proxy-authenticate"


def merged(*branches: list[str]) -> list[str]:
    """Give the challenges that go back where each branch has made some."""
    first, *others = [response(401, *[(AUTHENTICATE, value) for value in challenges]) for challenges in branches]
    best = BestResponse(first)
    for other in others:
        best.consider(other)
    return best.merged().values(AUTHENTICATE)


def test_real_response_ranks_before_our_own_of_the_same_class() -> None:
    assert sorted([480, 503, 404, 401, 302, 603], key=rank) == [603, 302, 401, 404, 480, 503]
    assert rank(408) == rank(480)


def test_the_first_of_two_responses_of_one_rank_is_kept() -> None:
    best = BestResponse(response(404))
    best.consider(response(486))
    assert best.status == 404
    best.consider(response(401))
    assert best.status == 401


def test_response_of_a_server_that_was_only_asked_gives_way_to_a_worse_one() -> None:
    best = BestResponse(response(404), is_weak=True)
    best.consider(response(480))
    assert (best.status, best.is_weak) == (480, False)


@pytest.mark.parametrize(("number", "kept"), [(MAX_CHALLENGES, MAX_CHALLENGES), (MAX_CHALLENGES + 1, MAX_CHALLENGES)])
def test_eight_challenges_are_merged_and_not_one_more(number: int, kept: int) -> None:
    challenges = [f'Digest realm="{at}"' for at in range(number)]
    assert merged(*[[value] for value in challenges]) == challenges[:kept]
    assert merged(challenges) == challenges[:kept]


@pytest.mark.parametrize(("more", "kept"), [(0, 2), (1, 1)])
def test_challenges_are_merged_up_to_16_kib_in_all(more: int, kept: int) -> None:
    half = 'Digest realm="x"'.ljust(MAX_CHALLENGE_OCTETS // 2, "x")
    assert len(merged([half], [half + "x" * more])) == kept


def test_challenge_too_long_to_be_merged_gives_way_to_those_that_fit() -> None:
    huge = "Digest ".ljust(MAX_CHALLENGE_OCTETS + 1, "x")
    assert merged([huge], ['Digest realm="a"']) == ['Digest realm="a"']
    assert merged([huge], [huge]) == [huge]


def test_challenges_of_both_kinds_go_back_under_their_own_names() -> None:
    """RFC 3261 section 16.7 item 7."""
    best = BestResponse(response(407, (PROXY_AUTHENTICATE, 'Digest realm="a"')))
    best.consider(response(401, (AUTHENTICATE, 'Digest realm="c"')))
    assert best.merged().status == 401
    assert best.merged().values(PROXY_AUTHENTICATE) == ['Digest realm="a"']
    assert best.merged().values(AUTHENTICATE) == ['Digest realm="c"']


def test_merging_leaves_the_response_that_has_come_as_it_was() -> None:
    came = response(401, (AUTHENTICATE, 'Digest realm="a"'))
    best = BestResponse(came)
    best.consider(response(401, (AUTHENTICATE, 'Digest realm="b"')))
    assert best.merged().count(AUTHENTICATE) == 2
    assert came.count(AUTHENTICATE) == 1
