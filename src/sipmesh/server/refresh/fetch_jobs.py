"""What is fetched: the list of one URL, or the answer about one certificate from the responders of its authority."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.errors import SipmeshError
from sipmesh.pki import files
from sipmesh.server.refresh.http_fetch import UNKNOWN, FetchError
from sipmesh.topology.document.crl_cache import prepare_file, read_content
from sipmesh.topology.document.crl_files import LARGEST_LIST
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.freshness import answer_ends, look_at_answer, look_at_list
from sipmesh.trust.revocation.ocsp import LARGEST as LARGEST_ANSWER
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from sipmesh.server.refresh.backoff import Backoff
    from sipmesh.server.refresh.http_fetch import HttpFetcher
    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.revocation.ocsp import OcspAnswer

Clock = Callable[[], datetime]

REQUEST = "application/ocsp-request"  # RFC 6960 A.1


class FetchJob(Protocol):
    """One thing that is fetched again and again. *owner* is the partner whose it is, empty for our own authority."""

    owner: str
    grace: timedelta
    pace: Backoff

    @property
    def name(self) -> str:
        """What it is called: its URL, and what is asked there."""

    @property
    def item(self) -> DatedItem | None:
        """What counts now of what it gave; its end is its next update."""

    async def fetch(self, fetcher: HttpFetcher, clock: Clock) -> None:
        """Fetch, look at what has come, and put it in force; raises `SipmeshError` where what is held stays."""


class CrlFetchJob:
    """The list at a URL, which lies in *file*; *held_now* reads what is in force of it, *issuers* who may have signed it."""

    def __init__(
        self,
        url: str,
        owner: str,
        grace: timedelta,
        pace: Backoff,
        file: Path,
        held_now: Callable[[Path], RevocationList | None],
        issuers: Callable[[Path], Sequence[x509.Certificate]],
        put: Callable[[Path], object],
        *,
        largest: int = LARGEST_LIST,
    ) -> None:
        self.largest = largest
        self.name, self.owner, self.grace, self.pace = url, owner, grace, pace
        self._file, self._held_now, self._issuers, self._put = file, held_now, issuers, put
        self._validators = UNKNOWN

    def __repr__(self) -> str:
        return f"<CrlFetchJob {self.name}, {self.pace.failures} failures>"

    @property
    def item(self) -> DatedItem | None:
        """See `FetchJob`."""
        found = self._held_now(self._file)
        return DatedItem.of_list(found) if found is not None else None

    async def fetch(self, fetcher: HttpFetcher, clock: Clock) -> None:
        """See `FetchJob`."""
        held = self._held_now(self._file)
        fetched = await fetcher.get(self.name, self.largest, self._validators if held is not None else UNKNOWN)
        if fetched.body is None:
            if held is None or held.next_update <= clock():
                ended = (
                    f"than list {held.number}, which expired at {tell_time(held.next_update)}"
                    if held
                    else "for this CA"
                )
                raise FetchError(f"has no newer list {ended}")
            return
        held, issuers = self._held_now(self._file), self._issuers(self._file)
        # A list of a million serials takes seconds to read, and links must not wait for that.
        if await asyncio.to_thread(self._write, fetched.body, held, issuers, clock()):
            self._put(self._file)
        self._validators = fetched.validators

    def _write(
        self, body: bytes, held: RevocationList | None, issuers: Sequence[x509.Certificate], at: datetime
    ) -> bool:
        """Look at what has come and write it, in a thread; False where the very same lies there and is in force."""
        look_at_list(read_content(body), held, issuers, at=at)
        if held is not None and _is_same(self._file, body):
            return False
        files.write(self._file, body)
        prepare_file(self._file, self.largest)  # so that the loop takes it without reading it
        return True


def _is_same(file: Path, body: bytes) -> bool:
    try:
        return file.read_bytes() == body
    except OSError:
        return False


class About(NamedTuple):
    """Whom an OCSP responder is asked about, and by whom that was issued."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def mark(self) -> str:
        """What tells it from every other."""
        return fingerprint(self.certificate)[:32]


class OcspFetchJob:
    """The answer *about* one certificate, from the first of *urls* that gives a usable one.

    *held_now* is what counts of earlier ones; *put* puts a new one in force.
    """

    def __init__(
        self,
        urls: Sequence[str],
        about: About,
        owner: str,
        grace: timedelta,
        pace: Backoff,
        held_now: Callable[[], OcspAnswer | None],
        put: Callable[[OcspAnswer, bytes], None],
    ) -> None:
        self.urls, self.about, self.owner, self.grace, self.pace = tuple(urls), about, owner, grace, pace
        self._held_now, self._put = held_now, put
        self._hashes: tuple[hashes.HashAlgorithm, ...] = (hashes.SHA256(), hashes.SHA1())  # noqa: S303 - the certID

    def __repr__(self) -> str:
        return f"<OcspFetchJob {self.name}, {self.pace.failures} failures>"

    @property
    def name(self) -> str:
        """What it is called: the first responder, and the serial."""
        return f"{self.urls[0]} for {self.about.certificate.serial_number:x}"

    @property
    def item(self) -> DatedItem | None:
        """See `FetchJob`."""
        answer = self._held_now()
        ends = answer_ends(answer, self.about) if answer is not None else None
        if answer is None or ends is None:
            return None
        begins = answer.response.produced_at_utc
        issuer = self.about.issuer.subject.rfc4514_string()
        return DatedItem(issuer, issuer, f"{self.about.certificate.serial_number:x}", begins.isoformat(), begins, ends)

    async def fetch(self, fetcher: HttpFetcher, clock: Clock) -> None:
        """See `FetchJob`."""
        faults: list[str] = []
        for url in self.urls:
            for hashed in self._hashes:
                try:
                    body = await fetcher.post(url, self._request(hashed), REQUEST, LARGEST_ANSWER)
                    answer = look_at_answer(body, self.about, self._held_now(), at=clock())
                except SipmeshError as wrong:
                    faults.append(f"{url}: {wrong}")
                    continue
                self._prefer(hashed)
                self._put(answer, body)
                return
        raise FetchError("; ".join(dict.fromkeys(faults)))

    def _request(self, hashed: hashes.HashAlgorithm) -> bytes:
        """Ask by SHA-256; a responder that makes its answers ahead may know SHA-1 alone (RFC 5019 2.1.1).

        There is no nonce, so that those may answer as well; what is old is told by its time (RFC 6960 4.4.1).
        """
        builder = ocsp.OCSPRequestBuilder().add_certificate(*self.about, hashed)
        return builder.build().public_bytes(Encoding.DER)

    def _prefer(self, hashed: hashes.HashAlgorithm) -> None:
        """Ask first in the way that had an answer."""
        others = [one for one in self._hashes if one.name != hashed.name]
        self._hashes = (hashed, *others)
