"""A public CA that cheats, or that an attacker controls, changes nothing: the certificate in use stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from cryptography import x509

from sipmesh.demo.forge import CLIENT_AUTH, Wish
from sipmesh.demo.organisation import Organisation
from support.network import FE1
from support.pebble import pebble
from support.public_ca import Cheat, Site, Tamper, cheating, reached
from support.running import on_loop
from support.service import serving_here
from support.tiers import wide_after, wide_unless

pytestmark = pytest.mark.peer("pebble")
DAY: Final = timedelta(days=1)


def wishes(**changes: Any) -> Any:
    """A right certificate but for *changes*."""
    return lambda right: replace(right, **changes)


def other_name(right: Wish) -> Wish:
    return replace(right, dns=("evil.test",))


def one_name_more(right: Wish) -> Wish:
    return replace(right, dns=(*right.dns, "evil.test"))


ISSUED: Final[dict[str, tuple[Callable[[Cheat], Tamper], str]]] = {
    "another name": (lambda ca: ca.issues(other_name), "name-mismatch"),
    "one name more": (lambda ca: ca.issues(one_name_more), "name-mismatch"),
    "a SIP URI of ours": (lambda ca: ca.issues(wishes(uris=(f"sip:{FE1}",))), "name-mismatch"),
    "another key": (lambda ca: ca.issues(wishes(), own_key=True), "a certificate for another key"),
    "expired": (lambda ca: ca.issues(wishes(begins=-2 * DAY, ends=-DAY)), "expired"),
    "not valid yet": (lambda ca: ca.issues(wishes(begins=DAY, ends=2 * DAY)), "certificate is not yet valid"),
    "no intermediate": (lambda ca: ca.issues(wishes(), with_issuer=False), "unable to get local issuer certificate"),
    "no server": (lambda ca: ca.issues(wishes(usages=(CLIENT_AUTH,))), "wrong-usage"),
    "right": (lambda ca: ca.issues(wishes()), ""),
    "a CA": (lambda ca: ca.issues(wishes(ca=True, cert_sign=True)), "a handshake with the new certificate fails"),
}

QUICK: Final = {"another name", "another key", "expired", "right"}
"""These are in `make test`: a wrong name, a wrong key, a wrong time, and the control."""


@pytest.mark.parametrize("kind", wide_unless(QUICK.__contains__, ISSUED))
@on_loop
async def test_wrong_certificate_of_the_ca_is_not_used(example: Organisation, tmp_path: Path, kind: str) -> None:
    """The intermediate of the CA has signed each, and phones trust its root. The control is the right one."""
    site = Site(example)
    async with pebble(tmp_path / "ca") as real, cheating(real) as ca:
        made, why = ISSUED[kind]
        ca.tampers["/certZ/"] = made(ca)
        await site.orders_from(real, directory=ca.directory)
        async with serving_here(example, site.told) as node:
            if not why:
                await site.issued()
            else:
                assert why in await site.failed()
                assert not site.file.exists()
                assert node.certificates.for_clients.identities == ()


def answering(response: Any) -> Any:
    """Answer with another response."""

    def make(_ca: Cheat) -> Tamper:
        async def tamper(_request: web.Request, _body: bytes, _signed: dict[str, Any]) -> web.StreamResponse | bytes:
            made: web.StreamResponse | bytes = response()
            return made

        return tamper

    return make


def replacing(old: bytes, new: bytes) -> Any:
    """Change the text of an answer."""

    def make(_ca: Cheat) -> Tamper:
        async def tamper(_request: web.Request, body: bytes, _signed: dict[str, Any]) -> bytes:
            assert old in body
            return body.replace(old, new)

        return tamper

    return make


ANSWERS: Final = {
    "directory elsewhere": ("/dir", replacing(b"/order-plz", b"@127.0.0.2/order-plz"), "which is not at https://"),
    "metadata of the cloud": ("/dir", answering(lambda: web.json_response(elsewhere())), "169.254.169.254"),
    "redirect": (
        "/dir",
        answering(lambda: web.Response(status=302, headers={"Location": "https://127.0.0.2/"})),
        "redirects",
    ),
    "redirect of an order": (
        "/order-plz",
        answering(lambda: web.Response(status=307, headers={"Location": "https://127.0.0.2/"})),
        "redirects",
    ),
    "huge": ("/dir", answering(lambda: web.Response(body=b" " * (300 << 10))), "more than 262144 octets"),
    "compressed": (
        "/dir",
        answering(lambda: web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})),
        "used",
    ),
    "no JSON": ("/dir", answering(lambda: b"<html>"), "cannot be used"),
    "an array": ("/dir", answering(lambda: b"[]"), "cannot be used"),
    "deep JSON": ("/order-plz", answering(lambda: b"[" * 100_000), "cannot be used"),
    "another name to prove": ("/authZ/", replacing(FE1.encode(), b"evil.test"), "which was not ordered"),
    "no challenge": ("/authZ/", replacing(b"http-01", b"other-01"), "it offers no http-01"),
    "no chain": ("/certZ/", answering(lambda: b"-----BEGIN RUBBISH-----"), "cannot be read"),
}


def elsewhere() -> dict[str, str]:
    """A directory of a service that only this machine reaches."""
    names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
    return dict.fromkeys(names, "https://169.254.169.254/latest")


@pytest.mark.parametrize("kind", wide_after(5, ANSWERS))
@on_loop
async def test_wrong_answer_of_the_ca_leads_nowhere(example: Organisation, tmp_path: Path, kind: str) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca") as real, cheating(real) as ca:
        path, tamper, why = ANSWERS[kind]
        ca.tampers[path] = tamper(ca)
        await site.orders_from(real, directory=ca.directory)
        async with serving_here(example, site.told):
            assert why in await site.failed()
        assert not site.file.exists()
        assert not reached(real.http_port)


@on_loop
async def test_request_holds_the_names_of_the_topology_and_no_key_leaves(example: Organisation, tmp_path: Path) -> None:
    site = Site(example)
    async with pebble(tmp_path / "ca") as real, cheating(real) as ca:
        await site.orders_from(real, directory=ca.directory)
        async with serving_here(example, site.told):
            leaf = await site.issued()
        [request] = ca.requests
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [FE1]
        assert request.public_key() == leaf.public_key()
