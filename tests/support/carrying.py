"""A front end that carries links of users of another pool, played by a peer: an honest one, or a stolen one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, Response
from support.network import Network
from support.peer import Peer

_paths = itertools.count(1)


def path_of(server: str, user: str = "") -> str:
    """A Path of *server*, as it names one link: each has a token of its own."""
    return f"<sip:{user or f'link{next(_paths)}'}@{server}:5062;transport=tls;lr;ob>"


async def carrier(network: Network, at: str, server: str, user: str) -> Peer:
    """A link to *at* with the certificate of *server*, which is about to carry *user*."""
    return await network.peer(at, user, server)


def registration(peer: Peer, path: str, headers: Iterable[tuple[str, str]] = (), host: str = "") -> Request:
    """A REGISTER of the peer's user, with *path* and in it the address of its phone, *host*, if the server tells it."""
    domain = peer.user.partition("@")[2]
    seen = path.replace(">", f";received={host}>") if host else path
    return peer.request("REGISTER", f"sip:{domain}", [("path", seen), *headers], to=f"<sip:{peer.user}>")


def credentials(peer: Peer, challenged: Response, password: str | None = None) -> tuple[str, str]:
    """What the phone of the peer's user answers to a challenge."""
    name, _, domain = peer.user.partition("@")
    challenges = [parse_challenge(value) for value in challenged.values("www-authenticate")]
    secret = f"{name}-secret" if password is None else password
    return "authorization", answer(challenges, name, secret, "REGISTER", f"sip:{domain}", "cnonce", 1)


async def logged_in(peer: Peer, path: str) -> str:
    """Carry a login to its end; gives the Route entry with the token that the home pool has given."""
    challenged = await peer.ask(registration(peer, path))
    assert challenged.status == 401, challenged
    accepted = await peer.ask(registration(peer, path, [credentials(peer, challenged)]))
    assert accepted.status == 200, accepted
    return route_in(accepted)


def route_in(accepted: Response) -> str:
    """The Service-Route of an answer, as a Route entry."""
    (route,) = accepted.values("service-route")
    return f"<{NameAddr.parse(route).uri}>"
