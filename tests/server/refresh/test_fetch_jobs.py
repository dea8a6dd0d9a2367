"""Fetch jobs: a CRL, or an OCSP response for one certificate; a bad result does not replace a stored one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from sipmesh.demo.forge import Forge
from sipmesh.errors import SipmeshError
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.fetch_jobs import About, CrlFetchJob, OcspFetchJob
from sipmesh.server.refresh.http_fetch import FetchError, HttpFetcher
from sipmesh.topology.document.named_files.crl_cache import read_content
from sipmesh.transport.resolver import NoResolver
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.ocsp import OcspAnswer
from support.publisher import Publisher, Responder, content
from support.running import on_loop

NOW = datetime.now(UTC)
NO_GRACE = timedelta(0)
FORGE = Forge(NOW)
CA, OTHER = FORGE.organisation("Example"), FORGE.organisation("Other")
LEAF = FORGE.server(CA, "fe1.example.test")
ABOUT = About(LEAF.certificate, CA.certificate)


@asynccontextmanager
async def publishing() -> AsyncIterator[tuple[HttpFetcher, Publisher]]:
    fetcher = HttpFetcher(NoResolver())
    async with Publisher() as publisher:
        try:
            yield fetcher, publisher
        finally:
            await fetcher.close()


class Lists:
    """One CRL that is fetched to a file, and the CRL in force."""

    def __init__(self, folder: Path, url: str, issuers: tuple[x509.Certificate, ...] = (CA.certificate,)) -> None:
        self.file, self.puts = folder / "list.crl", 0
        self.item: RevocationList | None = None
        self.elsewhere = False
        self.job = CrlFetchJob(
            url,
            "",
            NO_GRACE,
            Backoff(lambda: 0.5),
            self.file,
            lambda _: self.item,
            lambda _: issuers,
            lambda *_: self.elsewhere,
            self.put,
        )

    def put(self, file: Path) -> None:
        self.item, self.puts = read_content(file.read_bytes()), self.puts + 1


def now() -> datetime:
    return datetime.now(UTC)


@on_loop
async def test_crl_is_written_and_in_force_once(tmp_path: Path) -> None:
    async with publishing() as (fetcher, publisher):
        body = FORGE.revocations(CA, number=1)
        publisher.pages["/"] = content(lambda: body)
        lists = Lists(tmp_path, publisher.url("/"))
        assert lists.job.item is None
        for _ in range(2):
            await lists.job.fetch(fetcher, now)
        assert (lists.puts, lists.file.read_bytes()) == (1, body)
        assert lists.job.item is not None
        assert lists.job.item.number == "1"


@pytest.mark.parametrize(
    "wrong",
    [b"nothing", FORGE.revocations(OTHER, number=9), FORGE.revocations(CA, number=9, key=OTHER.key)],
    ids=["no list", "of another CA", "signed by another key"],
)
@on_loop
async def test_bad_crl_leaves_the_stored_one(tmp_path: Path, wrong: bytes) -> None:
    published = [FORGE.revocations(CA, number=1)]
    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = content(lambda: published[-1])
        lists = Lists(tmp_path, publisher.url("/"))
        await lists.job.fetch(fetcher, now)
        before = lists.file.read_bytes()
        published.append(wrong)
        with pytest.raises(SipmeshError):
            await lists.job.fetch(fetcher, now)
        assert (lists.file.read_bytes(), lists.puts) == (before, 1)
        published.append(FORGE.revocations(CA, number=10))
        await lists.job.fetch(fetcher, now)
        assert lists.puts == 2


@on_loop
async def test_source_without_a_newer_crl_fails_once_the_stored_one_has_expired(tmp_path: Path) -> None:
    async def unchanged(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers:
            return web.Response(status=304)
        return web.Response(body=FORGE.revocations(CA, number=1), headers={"ETag": '"one"'})

    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = unchanged
        lists = Lists(tmp_path, publisher.url("/"))
        await lists.job.fetch(fetcher, now)
        await lists.job.fetch(fetcher, now)
        assert lists.puts == 1
        with pytest.raises(FetchError, match="has no newer CRL than CRL 1"):
            await lists.job.fetch(fetcher, lambda: now() + timedelta(days=400))


@on_loop
async def test_unchanged_is_no_answer_for_a_crl_that_is_of_no_use(tmp_path: Path) -> None:
    """An attacker can send the CRL of another CA with the validators of the valid CRL."""
    asked = list[bool]()

    async def page(request: web.Request) -> web.StreamResponse:
        asked.append("If-None-Match" in request.headers)
        return web.Response(body=FORGE.revocations(CA, number=1), headers={"ETag": '"one"'})

    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = page
        lists = Lists(tmp_path, publisher.url("/"))
        await lists.job.fetch(fetcher, now)
        await lists.job.fetch(fetcher, now)
        lists.elsewhere = True
        await lists.job.fetch(fetcher, now)
        assert asked == [False, True, False]
    unknown = Lists(tmp_path, "http://crl.test/", issuers=())
    unknown.item = lists.item
    assert [lists.job.is_of_use, unknown.job.is_of_use] == [False, False]


class Answers:
    """An OCSP response that is fetched, and the response in force."""

    def __init__(self, *urls: str) -> None:
        self.item: OcspAnswer | None = None
        self.job = OcspFetchJob(urls, ABOUT, "", NO_GRACE, Backoff(lambda: 0.5), lambda: self.item, self.put)

    def put(self, answer: OcspAnswer, _body: bytes) -> None:
        self.item = answer


def responder(**changes: object) -> Responder:
    return Responder(CA, known=[LEAF.certificate], **changes)  # type: ignore[arg-type]  # each test passes its own


@on_loop
async def test_response_of_the_first_responder_that_answers_is_stored() -> None:
    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = responder().page
        answers = Answers(publisher.url("/gone"), publisher.url("/"))
        assert answers.job.item is None
        await answers.job.fetch(fetcher, now)
        held = answers.job.item
        assert held is not None
        assert held.begins <= now() < held.ends
        assert answers.job.name == f"{publisher.url('/gone')} for {LEAF.certificate.serial_number:x}"
        assert len(ABOUT.mark) == 32


@on_loop
async def test_responder_with_sha1_only_is_asked_with_sha1_first_the_next_time() -> None:
    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = responder(sha1_alone=True).page
        answers = Answers(publisher.url("/"))
        for asked in (2, 3):
            await answers.job.fetch(fetcher, now)
            assert len(publisher.asked) == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"signer": OTHER},
        {"about": FORGE.server(CA, "fe2.example.test").certificate},
        {"ends": timedelta(minutes=-1), "begins": timedelta(minutes=-2)},
    ],
    ids=["another signer", "another certificate", "ended"],
)
@on_loop
async def test_bad_response_is_not_stored_and_the_error_names_every_responder(changes: dict[str, object]) -> None:
    async with publishing() as (fetcher, publisher):
        publisher.pages["/"] = responder(**changes).page
        answers = Answers(publisher.url("/gone"), publisher.url("/"))
        with pytest.raises(FetchError) as failed:
            await answers.job.fetch(fetcher, now)
        assert answers.item is None
        assert all(url in str(failed.value) for url in answers.job.urls)
