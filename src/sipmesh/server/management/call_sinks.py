"""Where management sends records: syslog (RFC 5424), an HTTPS URL, OpenTelemetry. Each gets each record at least once."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sipmesh.errors import OperatorError
from sipmesh.server.management.call_spans import spans_request
from sipmesh.storage.call_records.journal import line_of

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_record import CallRecord
    from sipmesh.topology.document.load import Loaded

LOCAL: Final = "local"
LOCAL_SYSLOG: Final = Path("/dev/log")
SYSLOG_TLS_PORT: Final = 6514
TIMEOUT_S: Final = 10.0
PRIORITY: Final = 13 * 8 + 6
"""Facility 13, log audit, and severity 6, informational (RFC 5424 section 6.2.1)."""

_GOOD: Final = range(200, 300)


class CallSink:
    """One receiver; its methods block. *name* is that in the database, which remembers what it has had."""

    name: str

    def send(self, records: Sequence[CallRecord]) -> None:
        """Send *records*; raises `OperatorError` unless all of them have arrived."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""


class SyslogSink(CallSink):
    """A syslog server at *address* over TLS (RFC 5425), whose certificate has its name; or the syslog of this machine.

    *server* is the host name in each line. Syslog has no acknowledgement: what has gone into a connection that ends may be lost.
    """

    def __init__(self, address: str, server: str, context: ssl.SSLContext, local: Path = LOCAL_SYSLOG) -> None:
        self.name, self._address, self._server, self._context = f"syslog {address}", address, server, context
        self._local = local
        self._open: socket.socket | None = None

    def send(self, records: Sequence[CallRecord]) -> None:
        """See `CallSink`."""
        try:
            if self._open is None:
                self._open = self._connected()
            for record in records:
                line = syslog_line(record, self._server)
                self._open.sendall(line if self._address == LOCAL else b"%d %s" % (len(line), line))
        except (OSError, ValueError) as wrong:
            self.close()
            raise OperatorError(f"the syslog server {self._address} cannot be used: {wrong}") from wrong

    def _connected(self) -> socket.socket:
        if self._address == LOCAL:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            opened.settimeout(TIMEOUT_S)
            opened.connect(str(self._local))
            return opened
        parts = urlsplit(f"//{self._address}")
        host = parts.hostname or ""
        plain = socket.create_connection((host, parts.port or SYSLOG_TLS_PORT), TIMEOUT_S)
        return self._context.wrap_socket(plain, server_hostname=host)

    def close(self) -> None:
        """See `CallSink`."""
        if self._open is not None:
            with suppress(OSError):
                self._open.close()
            self._open = None


class HttpsSink(CallSink):
    """An HTTPS *url* that gets JSON by POST, as *body_of* writes it. A response of 200 to 299 says that it has arrived."""

    def __init__(
        self, kind: str, url: str, body_of: Callable[[Sequence[CallRecord]], bytes], context: ssl.SSLContext
    ) -> None:
        self.name, self._url, self._body_of, self._context = f"{kind} {url}", url, body_of, context

    def send(self, records: Sequence[CallRecord]) -> None:
        """See `CallSink`."""
        parts = urlsplit(self._url)
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=self._context)
        try:
            connection.request(
                "POST", target, self._body_of(records), {"Content-Type": "application/json", "User-Agent": "sipmesh"}
            )
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as wrong:
            raise OperatorError(f"{self._url} cannot be used: {wrong}") from wrong
        finally:
            connection.close()
        if status not in _GOOD:
            raise OperatorError(f"{self._url} answers {status}, and not 200 to 299")


def hook_body(records: Sequence[CallRecord]) -> bytes:
    """Write *records* for the hook: ``{"records": [...]}``."""
    return b'{"records":[' + b",".join(line_of(record).rstrip(b"\n") for record in records) + b"]}"


def syslog_line(record: CallRecord, server: str) -> bytes:
    """Write a record as a syslog message, whose text is the record as JSON (RFC 5424 section 6)."""
    at = (record.end or record.start).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"<{PRIORITY}>1 {at} {server} sipmesh - call - ".encode() + line_of(record).rstrip(b"\n")


def sinks_of(loaded: Loaded, server: str) -> list[CallSink]:
    """Give the receivers that the topology names; raises `OperatorError` if an anchor cannot be read."""
    wanted = loaded.topology.call_records
    if wanted is None or (wanted.syslog is None and wanted.hook is None and wanted.otlp is None):
        return []
    context = _context([loaded.folder / file for file in wanted.anchors])
    found: list[CallSink] = []
    if wanted.syslog is not None:
        found.append(SyslogSink(wanted.syslog, server, context))
    if wanted.hook is not None:
        found.append(HttpsSink("hook", wanted.hook, hook_body, context))
    if wanted.otlp is not None:
        found.append(HttpsSink("otlp", f"{wanted.otlp.rstrip('/')}/v1/traces", spans_request, context))
    return found


def _context(anchors: Sequence[Path]) -> ssl.SSLContext:
    """Make a context that trusts *anchors* alone; without any, the authorities of this machine."""
    context = ssl.create_default_context() if not anchors else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in anchors:
        try:
            context.load_verify_locations(cafile=str(file))
        except OSError as wrong:
            remedy = "name PEM files with root certificates in `call_records.anchors`"
            raise OperatorError(f"{file} cannot be read as trust anchors: {wrong}; {remedy}") from wrong
    return context
