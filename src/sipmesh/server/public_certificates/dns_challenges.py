"""Answers dns-01 (RFC 8555 8.4) by dynamic updates (RFC 2136), which a TSIG key signs (RFC 8945)."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import dns.exception
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from sipmesh.server.process.network_error import told_network_error
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.storage.keyfile import read_password
from sipmesh.topology.document.names import split_port

if TYPE_CHECKING:
    import threading
    from pathlib import Path
    from types import TracebackType

    import josepy.jwk
    from acme import challenges

    from sipmesh.topology.document.parts.acme import DnsUpdates

TTL_S: Final = 30
ANSWER_S: Final = 10.0
DNS: Final = 53
ALGORITHMS: Final = frozenset({"hmac-sha256", "hmac-sha384", "hmac-sha512"})


class DnsChallenges:
    """Writes TXT records into the zone of *updates*, and removes those that it wrote; *folder* is that of the organisation."""

    kind = "dns-01"

    def __init__(self, updates: DnsUpdates, folder: Path) -> None:
        self._updates = updates
        self._key = _read_key(folder / updates.key_file, folder)
        host, port = split_port(updates.server)
        self._host, self._port = host, port or DNS
        self._written: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        """Do nothing: nothing listens."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: `retract` removes the records."""

    def publish(self, name: str, challenge: challenges.KeyAuthorizationChallenge, key: josepy.jwk.JWK) -> None:
        """Write the record for *name*. Records of other servers for the same name stay."""
        record = f"_acme-challenge.{name}.", challenge.validation(key)
        update = self._update()
        update.add(dns.name.from_text(record[0]), TTL_S, "TXT", record[1])
        self._send(update)
        self._written.append(record)

    def settle(self, stopped: threading.Event) -> None:
        """Wait until all servers of the zone have the records."""
        stopped.wait(self._updates.wait_s)

    def retract(self) -> None:
        """Remove the records of this order, and no others. A record that stays proves nothing afterwards."""
        written, self._written = self._written, []
        for owner, text in written:
            update = self._update()
            update.delete(dns.name.from_text(owner), "TXT", text)
            with suppress(AcmeError):
                self._send(update)

    def _update(self) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(self._updates.zone, keyring=self._key)

    def _send(self, update: dns.update.UpdateMessage) -> None:
        """Send *update*; its answer must be signed with the same key."""
        where = f"the DNS server {self._updates.server}"
        try:
            answer = dns.query.tcp(update, self._host, ANSWER_S, self._port)
        except dns.tsig.PeerError as refused:
            raise AcmeError(f"{where} refuses the TSIG key ({refused})", self._remedy) from None
        except (dns.exception.DNSException, OSError, EOFError) as wrong:
            raise AcmeError(f"{where} takes no update: it {told_network_error(wrong)}", self._remedy) from None
        if not answer.had_tsig or answer.rcode() != dns.rcode.NOERROR:
            code = dns.rcode.to_text(answer.rcode()) if answer.had_tsig else "an answer that is not signed"
            raise AcmeError(f"{where} answers {code} to an update of {self._updates.zone}", self._remedy)

    @property
    def _remedy(self) -> str:
        key = self._updates.key_file
        return f"allow the key in {key} to update TXT records of {self._updates.zone} on {self._updates.server}"


def _read_key(file: Path, folder: Path) -> dns.tsig.Key:
    """Read ``ALGORITHM:NAME:SECRET``, as `knsupdate -y` takes it and `keymgr -t` writes it."""
    algorithm, _, rest = read_password(file, folder).partition(":")
    name, _, secret = rest.rpartition(":")
    with suppress(ValueError, dns.exception.DNSException):
        if algorithm in ALGORITHMS and name and b64decode(secret, validate=True):
            return dns.tsig.Key(name, secret, algorithm)
    remedy = f"write {'|'.join(sorted(ALGORITHMS))}:NAME:SECRET into {file}, as `keymgr -t NAME` prints it"
    raise AcmeError(f"{file} has no TSIG key", remedy)
