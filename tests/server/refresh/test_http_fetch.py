"""HTTP fetches: results within the limits, and none beyond a limit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web

from sipmesh.demo.nameserver import NameServer
from sipmesh.server.refresh.http_fetch import UNKNOWN, FetchError, FetchLimits, HttpFetcher, Validators
from sipmesh.topology.reachable_addresses import ReachableAddresses
from sipmesh.transport.resolver import DnsResolver, NoResolver
from support.full_buffer import LEAST, send_until_full
from support.publisher import Page, Publisher, content, moved
from support.running import on_loop

LOOPBACK = ReachableAddresses((ip_network("127.0.0.0/8"),))
LARGEST = 1_000


@asynccontextmanager
async def fetching(page: Page, **limits: float) -> AsyncIterator[tuple[HttpFetcher, Publisher]]:
    """A publisher with one page, and a fetcher."""
    fetcher = HttpFetcher(NoResolver(), FetchLimits(**limits))  # type: ignore[arg-type]  # each test gives its own
    async with Publisher() as publisher:
        publisher.pages["/"] = page
        try:
            yield fetcher, publisher
        finally:
            await fetcher.close()


async def fault(fetcher: HttpFetcher, url: str) -> str:
    with pytest.raises(FetchError) as raised:
        await fetcher.get(url, LARGEST)
    return str(raised.value)


@pytest.mark.parametrize(("octets", "taken"), [(LARGEST, True), (LARGEST + 1, False)])
@pytest.mark.parametrize("announced", [True, False])
@on_loop
async def test_largest_body_is_accepted_and_one_octet_more_is_not(octets: int, *, taken: bool, announced: bool) -> None:
    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * octets)
        return response

    async with fetching(content(lambda: b"x" * octets) if announced else streamed) as (fetcher, publisher):
        if taken:
            assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"x" * octets
        else:
            assert await fault(fetcher, publisher.url("/")) == f"is larger than {LARGEST} octets"


@on_loop
async def test_endless_body_ends_at_the_limit() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with fetching(endless) as (fetcher, publisher):
        assert await fault(fetcher, publisher.url("/")) == f"is larger than {LARGEST} octets"


@on_loop
async def test_little_of_an_answer_waits_to_be_decrypted_in_one_go() -> None:
    """The loop of the fetcher stands still while the publisher sends."""
    fetcher = HttpFetcher(NoResolver())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)  # noqa: FBT003 - the method has no keyword
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LEAST)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        asked = asyncio.create_task(fault(fetcher, url))
        publisher, _ = await asyncio.get_running_loop().sock_accept(listening)
        with publisher:
            assert send_until_full(publisher) <= 65_536
        assert await asked == "has sent an answer that cannot be read"
    await fetcher.close()


@on_loop
async def test_slow_body_ends_at_the_time_limit() -> None:
    """The control has a second for the same."""
    drop = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await drop.wait()
        return response

    async with fetching(slow, whole_s=0.05) as (fetcher, publisher):
        assert await fault(fetcher, publisher.url("/")) == "takes too long to answer"
        drop.set()
    async with fetching(slow, whole_s=5.0) as (fetcher, publisher):
        assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"x"


@on_loop
async def test_redirection_to_another_place_of_the_same_publisher_is_followed() -> None:
    async with fetching(moved("there?a=b%20c")) as (fetcher, publisher):
        publisher.pages["/there"] = content(lambda: b"here")
        assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"here"
        assert publisher.asked == ["GET /", "GET /there"]


@pytest.mark.parametrize(("hops", "taken"), [(3, True), (4, False)])
@on_loop
async def test_three_redirections_are_followed_and_no_fourth(hops: int, *, taken: bool) -> None:
    async with fetching(moved("/1")) as (fetcher, publisher):
        publisher.pages |= {f"/{n}": moved(f"/{n + 1}") for n in range(1, hops)}
        publisher.pages[f"/{hops}"] = content(lambda: b"here")
        if taken:
            assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"here"
        else:
            assert await fault(fetcher, publisher.url("/")) == "redirects more than 3 times"


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("file:///etc/passwd", "redirects to the scheme file:, which is not allowed"),
        ("ftp://127.0.0.1/", "redirects to the scheme ftp:, which is not allowed"),
        ("gopher:x", "redirects to the scheme gopher:, which is not allowed"),
        ("https://127.0.0.1/", "redirects to https://127.0.0.1, which the topology does not name"),
        ("//127.0.0.2/", "redirects to http://127.0.0.2, which the topology does not name"),
        ("http://127.0.0.1:1/", "redirects to http://127.0.0.1, which the topology does not name"),
        ("", "redirects without a location"),
    ],
)
@on_loop
async def test_redirection_to_another_host_is_not_followed(location: str, why: str) -> None:
    async with fetching(moved(location)) as (fetcher, publisher):
        assert await fault(fetcher, publisher.url("/")) == why
        assert publisher.asked == ["GET /"]


@on_loop
async def test_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Publisher() as proxy, fetching(content(lambda: b"here")) as (fetcher, publisher):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url("/"))
        assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"here"
        assert proxy.asked == []


@on_loop
async def test_conditional_request_uses_the_publishers_validators() -> None:
    async def page(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304, headers={"ETag": '"1"'})
        return web.Response(body=b"one", headers={"ETag": '"1"', "Last-Modified": "Tue, 24 Nov 2026 12:00:00 GMT"})

    async with fetching(page) as (fetcher, publisher):
        first = await fetcher.get(publisher.url("/"), LARGEST, UNKNOWN)
        assert first.validators == Validators('"1"', "Tue, 24 Nov 2026 12:00:00 GMT")
        assert (await fetcher.get(publisher.url("/"), LARGEST, first.validators)).body is None


@on_loop
async def test_content_coding_is_refused() -> None:
    async def packed(_request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with fetching(packed) as (fetcher, publisher):
        assert await fault(fetcher, publisher.url("/")) == "answers in a content coding that was not requested"


@on_loop
async def test_error_has_the_http_status_or_the_system_error() -> None:
    async with fetching(content(lambda: b"")) as (fetcher, publisher):
        assert await fault(fetcher, publisher.url("/missing")) == "answers 404"
        await publisher.close()
        assert await fault(fetcher, publisher.url("/")) == "cannot be reached: Connection refused"


@on_loop
async def test_names_are_resolved_by_the_dns_servers_of_the_topology() -> None:
    dns = await NameServer({("crl.partner.test", "A"): ["127.0.0.1"]}).start()
    fetcher = HttpFetcher(DnsResolver(dns.setting), reachable=lambda: LOOPBACK)
    async with Publisher() as publisher:
        publisher.pages["/"] = content(lambda: b"here")
        url = f"http://crl.partner.test:{publisher.port}/"
        assert (await fetcher.get(url, LARGEST)).body == b"here"
        assert "cannot be reached" in await fault(fetcher, url.replace("crl", "other"))
    await fetcher.close()
    dns.close()


@pytest.mark.parametrize("reachable", [ReachableAddresses(hosts=frozenset({"crl.partner.test"})), LOOPBACK])
@on_loop
async def test_name_leads_to_this_machine_only_if_the_topology_names_the_network(reachable: ReachableAddresses) -> None:
    """A publisher could otherwise send this server to its own services; a URL with the address is the operator's will."""
    dns = await NameServer({("crl.partner.test", "A"): ["127.0.0.1"]}).start()
    fetcher = HttpFetcher(DnsResolver(dns.setting), reachable=lambda: reachable)
    async with Publisher() as publisher:
        publisher.pages["/"] = content(lambda: b"here")
        url = f"http://crl.partner.test:{publisher.port}/"
        if reachable is LOOPBACK:
            assert (await fetcher.get(url, LARGEST)).body == b"here"
        else:
            assert "DNS says that crl.partner.test is 127.0.0.1" in await fault(fetcher, url)
            assert publisher.asked == []
        assert (await fetcher.get(publisher.url("/"), LARGEST)).body == b"here"
    await fetcher.close()
    dns.close()


@on_loop
async def test_addresses_of_this_machine_are_left_out_beside_others() -> None:
    addresses = ["169.254.169.254", "127.0.0.1"]
    dns = await NameServer({("crl.partner.test", "A"): addresses, ("crl.partner.test", "AAAA"): ["::1"]}).start()
    named, others = (
        HttpFetcher(DnsResolver(dns.setting), reachable=lambda: LOOPBACK),
        HttpFetcher(DnsResolver(dns.setting)),
    )
    async with Publisher() as publisher:
        publisher.pages["/"] = content(lambda: b"here")
        url = f"http://crl.partner.test:{publisher.port}/"
        assert (await named.get(url, LARGEST)).body == b"here"
        told = await fault(others, url)
        assert all(address in told for address in (*addresses, "::1"))
        assert publisher.asked == ["GET /"]
    await named.close()
    await others.close()
    dns.close()


@on_loop
async def test_posted_body_arrives_with_its_media_type() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(body=request.content_type.encode() + b" " + await request.read())

    async with fetching(page) as (fetcher, publisher):
        answer = await fetcher.post(publisher.url("/"), b"question", "application/ocsp-request", LARGEST)
        assert answer == b"application/ocsp-request question"
