"""No stranger recognises the names of users by what the servers of several pools and an edge answer, or by the work for it."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from sipmesh.cli.versions import built
from sipmesh.demo.organisation import Organisation
from sipmesh.routing.authentication.digest import Challenge
from sipmesh.server.proxy.flow import Flow
from sipmesh.sip.digest import Algorithm, answer, parse_challenge
from support.counting import counted
from support.managed import MGMT, Managed
from support.network import EDGE, EXAMPLE, FE1, FE3, POOL, POOL2, Network
from support.peer import Peer
from support.running import on_loop, until, within

SETS = ((Algorithm.SHA_256, Algorithm.MD5), (Algorithm.MD5,), (Algorithm.SHA_256,))
KINDS = tuple(product((POOL, POOL2), SETS))
USERS = [f"user{number}" for number in range(len(KINDS))]
NOBODIES = [f"none{number}" for number in range(12)]


def add_users_of_each_kind(example: Organisation) -> None:
    for name, (pool, algorithms) in zip(USERS, KINDS, strict=True):
        example.add_users(name, pool=pool, algorithms=algorithms)


async def offered(peer: Peer, method: str) -> str:
    """The status of the challenge to the user of *peer*, and the algorithms, in their order."""
    is_register = method == "REGISTER"
    uri = "sip:example.test" if is_register else "sip:bob@example.test"
    said = await peer.ask(peer.request(method, uri, to=f"<sip:{peer.user}>" if is_register else None))
    values = said.values("www-authenticate" if is_register else "proxy-authenticate")
    return " ".join(str(parse_challenge(value).algorithm) for value in values) if values else str(said.status)


def assert_alike(seen: dict[str, list[str]]) -> None:
    """Each name gets one answer wherever it asks, and unknown names get those of users."""
    assert all(len(set(answers)) == 1 for answers in seen.values()), seen
    users, nobodies = [{seen[name][0] for name in names} for names in (USERS, NOBODIES)]
    assert len(users) == len(SETS)
    assert nobodies <= users
    assert len(nobodies) > 1, "one answer for all hides nothing here: users have three"


@on_loop
async def test_stranger_recognises_no_name_by_the_answers_of_two_pools_and_an_edge(remote: Network) -> None:
    """The real user is challenged with its own algorithms everywhere, and gets in."""
    add_users_of_each_kind(remote.of(FE1))
    async with remote:
        seen: dict[str, list[str]] = {}
        for name in (*USERS, *NOBODIES):
            for server, method in ((EDGE, "REGISTER"), *product((FE1, FE3), ("REGISTER", "INVITE", "MESSAGE"))):
                seen.setdefault(name, []).append(await offered(await remote.peer(server, name), method))
        assert_alike(seen)
        for name in (USERS[0], USERS[-1]):
            assert (await (await remote.peer(EDGE, name)).register()).status == 200


@within(60)
async def test_stranger_recognises_no_name_where_each_pool_knows_its_own_users_only(managed: Managed) -> None:
    """The front ends have no database: management gives each pool its users, and all of them the same key."""
    add_users_of_each_kind(managed.organisation)
    async with managed:
        await managed.start(MGMT, FE1, FE3)
        await managed.acknowledged(1)
        for server in (FE1, FE3):
            await until(lambda server=server: managed.nodes[server].homes.of(f"sip:{USERS[-1]}@{EXAMPLE}"))  # type: ignore[misc]
        assert managed.nodes[FE3].users.verifier(f"sip:{USERS[0]}@{EXAMPLE}") is None
        seen: dict[str, list[str]] = {}
        for name in (*USERS, *NOBODIES):
            for server, method in product((FE1, FE3), ("REGISTER", "INVITE")):
                seen.setdefault(name, []).append(await offered(await managed.phone(server, name), method))
        assert_alike(seen)


@pytest.mark.skipif(built() == "compiled", reason="calls of compiled code are not seen, by design")
@pytest.mark.parametrize("password", ["", "wrong"])
@on_loop
async def test_stranger_recognises_no_name_by_the_work_for_its_challenge(two_pools: Network, password: str) -> None:
    """For a user of this pool, of another pool and of none: as many calls to find the home pool and to make the challenge."""
    async with two_pools:
        stranger = await two_pools.peer(FE1)
        assert (await stranger.ask(stranger.request("OPTIONS", "sip:example.test"))).status
        [flow] = [one for one in two_pools.nodes[FE1].flow_table.sessions() if one.link.remote == stranger.address]
        work = {name: work_for(two_pools, flow, stranger, name, password) for name in ("alice", "bob", *NOBODIES)}
        assert max(work.values()) <= 1.06 * min(work.values()), work


def work_for(network: Network, flow: Flow, stranger: Peer, name: str, password: str) -> int:
    """The calls for the second request of the same kind; the first one fills caches."""
    node, aor, uri = network.nodes[FE1], f"sip:{name}@{EXAMPLE}", "sip:bob@example.test"
    calls: Counter[str] = Counter()
    for _ in range(2):
        request = stranger.request("INVITE", uri)
        if password:
            challenged = node.logins.check(flow, request, aor)
            assert isinstance(challenged, Challenge)
            made = [parse_challenge(value) for _, value in challenged.headers]
            row = ("proxy-authorization", answer(made, name, password, "INVITE", uri, "c", 1))
            request = stranger.request("INVITE", uri, [row])
        calls.clear()
        with counted(calls):
            node.access.home_of(flow, aor)
            result = node.logins.check(flow, request, aor)
        assert isinstance(result, Challenge)
        assert bool(result.flaw) is bool(password)
    return calls["call"] + calls["c_call"]
