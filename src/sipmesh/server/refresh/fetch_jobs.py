"""What is fetched: the CRL of one URL, or the OCSP response for one certificate from its authority's responders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.errors import SipmeshError
from sipmesh.pki import files
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.refresh.http_fetch import UNKNOWN, FetchError
from sipmesh.topology.document.named_files.crl_cache import prepare_file, read_content
from sipmesh.topology.document.named_files.crl_files import LARGEST_LIST
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.freshness import answer_ends, look_at_answer, look_at_list
from sipmesh.trust.revocation.ocsp import LARGEST as LARGEST_ANSWER
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from sipmesh.server.refresh.backoff import Backoff
    from sipmesh.server.refresh.http_fetch import HttpFetcher
    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.revocation.crl_point import CrlPoint
    from sipmesh.trust.revocation.ocsp import OcspAnswer

Clock = Callable[[], datetime]

REQUEST = "application/ocsp-request"  # RFC 6960 A.1


class FetchJob(Protocol):
    """Something that is fetched repeatedly. *owner* is the partner that it belongs to, empty for our own authority."""

    owner: str
    grace: timedelta
    pace: Backoff

    @property
    def name(self) -> str:
        """Its name in the log and the status: its URL, and what is requested there."""

    @property
    def item(self) -> DatedItem | None:
        """The fetched result that is in force, None if there is none; its end is its next update."""

    async def fetch(self, fetcher: HttpFetcher, clock: Clock) -> None:
        """Fetch, check and put the result in force; raises `SipmeshError` if the stored result stays in force."""


class CrlFetchJob:
    """The CRL at a URL, stored in *file*.

    *held_now* returns the CRL in force, or None. *issuers* returns who may have signed it. *is_elsewhere* tells whether another
    file of the same authority has a CRL too. *put* puts a new CRL in force. *most* returns the maximum octets. *point* is the
    distribution point that names the URL, if the topology does not: then a known CA must have signed what comes.
    """

    def __init__(
        self,
        url: str,
        owner: str,
        grace: timedelta,
        pace: Backoff,
        file: Path,
        held_now: Callable[[Path], RevocationList | None],
        issuers: Callable[[Path], Sequence[x509.Certificate]],
        is_elsewhere: Callable[[Path, RevocationList], bool],
        put: Callable[[Path], object],
        *,
        most: Callable[[Path], int] = lambda _: LARGEST_LIST,
        point: CrlPoint | None = None,
    ) -> None:
        self._most, self._point = most, point
        self.name, self.owner, self.grace, self.pace = url, owner, grace, pace
        self._file, self._held_now, self._issuers, self._put = file, held_now, issuers, put
        self._is_elsewhere = partial(is_elsewhere, file)
        self._validators = UNKNOWN

    @property
    def item(self) -> DatedItem | None:
        """See `FetchJob`."""
        found = self._held_now(self._file)
        return DatedItem.of_list(found) if found is not None else None

    @property
    def is_of_use(self) -> bool:
        """Whether a known CA has signed the CRL in force, and no other file has it.

        Otherwise "not modified" is no answer: an attacker may have sent another CRL with the validators of the right one.
        """
        stored = self._held_now(self._file)
        return stored is not None and stored.is_confirmed(self._issuers(self._file)) and not self._is_elsewhere(stored)

    async def fetch(self, fetcher: HttpFetcher, clock: Clock) -> None:
        """See `FetchJob`."""
        stored = self._held_now(self._file)
        known = self._validators if self.is_of_use else UNKNOWN
        fetched = await fetcher.get(self.name, self._most(self._file), known)
        if fetched.body is None:
            if stored is None or stored.next_update <= clock():
                ended = (
                    f"than CRL {stored.number}, which expired at {tell_time(stored.next_update)}"
                    if stored
                    else "for this CA"
                )
                raise FetchError(f"has no newer CRL {ended}")
            return
        stored, issuers = self._held_now(self._file), self._issuers(self._file)
        # A CRL with a million serial numbers takes seconds to read; links must not wait for that.
        if await off_loop(self._write, fetched.body, stored, issuers, clock()):
            self._put(self._file)
        self._validators = fetched.validators

    def _write(
        self, body: bytes, held: RevocationList | None, issuers: Sequence[x509.Certificate], at: datetime
    ) -> bool:
        """Check a fetched CRL and write it, in a thread; return False if the file has the same content, and is in force."""
        found = read_content(body)
        if self._point is not None:
            self._point.must_be_of(found)
            if not found.is_confirmed(issuers):
                raise UnusableListError("is not signed by the CA whose certificates name its URL")
        look_at_list(found, held, issuers, at=at, is_elsewhere=self._is_elsewhere)
        if held is not None and _is_same(self._file, body):
            return False
        files.write(self._file, body)
        prepare_file(self._file, len(body))  # so that the loop does not have to parse it
        return True


def _is_same(file: Path, body: bytes) -> bool:
    try:
        return read_file(file, len(body)) == body
    except UnusableFileError:
        return False


class About(NamedTuple):
    """The certificate that an OCSP responder is asked about, and its issuer."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def mark(self) -> str:
        """What tells it from every other."""
        return fingerprint(self.certificate)[:32]


class OcspFetchJob:
    """The OCSP response *about* one certificate, from the first of *urls* that returns a usable one.

    *held_now* returns the response in force, or None; *put* puts a new one in force. It has *largest* octets at most.
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
        largest: int = LARGEST_ANSWER,
    ) -> None:
        self._largest = largest
        self.urls, self.about, self.owner, self.grace, self.pace = tuple(urls), about, owner, grace, pace
        self._held_now, self._put = held_now, put
        self._hashes: tuple[hashes.HashAlgorithm, ...] = (hashes.SHA256(), hashes.SHA1())  # noqa: S303 - the certID

    @property
    def name(self) -> str:
        """Its name in the log and the status: the first responder, and the serial number."""
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
                    body = await fetcher.post(url, self._request(hashed), REQUEST, self._largest)
                    answer = look_at_answer(body, self.about, self._held_now(), at=clock())
                except SipmeshError as wrong:
                    faults.append(f"{url}: {wrong}")
                    continue
                self._prefer(hashed)
                self._put(answer, body)
                return
        raise FetchError("; ".join(dict.fromkeys(faults)))

    def _request(self, hashed: hashes.HashAlgorithm) -> bytes:
        """Return the request for a hash algorithm; a responder with prepared responses may know only SHA-1 (RFC 5019 2.1.1).

        There is no nonce, because such responders could not answer it; an old response is detected by its time (RFC 6960 4.4.1).
        """
        builder = ocsp.OCSPRequestBuilder().add_certificate(*self.about, hashed)
        return builder.build().public_bytes(Encoding.DER)

    def _prefer(self, hashed: hashes.HashAlgorithm) -> None:
        """Use the hash algorithm of the last successful request first."""
        others = [algorithm for algorithm in self._hashes if algorithm.name != hashed.name]
        self._hashes = (hashed, *others)
