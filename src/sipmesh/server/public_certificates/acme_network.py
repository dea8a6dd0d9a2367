"""HTTPS to the directory of a public CA: one origin, addresses that were checked, bounded answers, no redirection.

The CA is a stranger that names the URLs of an order. So each URL must have the origin of the directory in the topology, and the
connection goes to an address that was resolved and checked before (`ReachableAddresses`).
"""

from __future__ import annotations

import io
import threading
import time
from http.client import HTTPResponse as Answer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from acme.client import ClientNetwork
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from sipmesh.server.public_certificates.acme_error import AcmeError

if TYPE_CHECKING:
    import socket
    import ssl

    import josepy.jwa
    import josepy.jwk
    from acme import messages

MOST_OCTETS: Final = 256 << 10
"""Octets of one answer with its headers: a chain has some thousand."""

MOST_OF_ORDER: Final = 2 << 20
"""Octets of all answers to one order: the library keeps what each authorization says."""

ANSWER_S: Final = 30.0
"""Seconds for one answer with its headers."""

HTTPS: Final = 443
AGENT: Final = "sipmesh"


class Origin:
    """The *host* and *port* of a directory, and the *address* to which each connection goes; *context* checks the host."""

    def __init__(self, directory: str, address: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(directory)
        self.host, self.port = parts.hostname or "", parts.port or HTTPS
        self.address, self.context = address, context

    def must_have(self, url: str) -> None:
        """Raise `AcmeError` if *url* has another origin."""
        try:
            parts = urlsplit(url)
            is_ours = (parts.scheme, parts.hostname, parts.port or HTTPS) == ("https", self.host, self.port)
        except ValueError:
            is_ours = False
        if not is_ours:
            raise AcmeError(f"it names {url[:200]!r}, which is not at https://{self.host}:{self.port}")


class _BoundedReader(io.RawIOBase):
    """Reads one answer from *raw*: what comes before its headers (1xx), the headers and the body, within the limits."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw, self._octets, self._ends = raw, 0, time.monotonic() + ANSWER_S

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Read what has come; raises `AcmeError` if it is too much or too slow."""
        count = self._raw.readinto(buffer)
        self._octets += count or 0
        if self._octets > MOST_OCTETS:
            raise AcmeError(f"it sends more than {MOST_OCTETS} octets")
        if time.monotonic() > self._ends:
            raise AcmeError(f"it takes more than {ANSWER_S:g} s for one answer")
        return count

    def close(self) -> None:
        """Close *raw* too."""
        self._raw.close()
        super().close()


class _BoundedAnswer(Answer):
    """An answer that is read within its limits."""

    def __init__(self, sock: socket.socket, *args: Any, **given: Any) -> None:
        super().__init__(sock, *args, **given)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach()))


class _BoundedConnection(HTTPSConnection):
    response_class = _BoundedAnswer


class _PinnedAdapter(HTTPAdapter):
    """Sends each request to the one address of *origin*; *stopped* ends the work."""

    def __init__(self, origin: Origin, stopped: threading.Event) -> None:
        super().__init__(max_retries=0)
        self._origin, self._stopped, self._octets = origin, stopped, 0
        self._connections = HTTPSConnectionPool(
            origin.address,
            origin.port,
            maxsize=1,
            ssl_context=origin.context,
            server_hostname=origin.host,
            assert_hostname=origin.host,
        )
        self._connections.ConnectionCls = _BoundedConnection

    def get_connection_with_tls_context(self, *_args: Any, **_given: Any) -> HTTPSConnectionPool:
        """Return the connections to the address, whose certificate must hold the host of the origin."""
        return self._connections

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._connections.close()

    def add_headers(self, request: PreparedRequest, **_given: Any) -> None:
        """Name the host of the URL, not the address."""
        request.headers["Host"] = urlsplit(request.url or "").netloc
        request.headers["Accept-Encoding"] = "identity"

    def send(self, request: PreparedRequest, *args: Any, **given: Any) -> Response:
        """Send one request, and refuse an answer that leads elsewhere."""
        if self._stopped.is_set():
            raise AcmeError("the server stops")
        self._origin.must_have(request.url or "")
        answer = super().send(request, *args, **given)
        if answer.is_redirect:
            raise AcmeError(f"it redirects to {answer.headers.get('Location', '')[:200]!r}")
        return answer

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """Read the whole answer; beyond the limits of one order, the connection is closed."""
        try:
            content = self._counted(resp.read(decode_content=False))
        except BaseException:
            resp.close()
            raise
        whole = HTTPResponse(
            io.BytesIO(content), resp.headers, resp.status, preload_content=False, decode_content=False
        )
        return super().build_response(req, whole)

    def _counted(self, content: bytes) -> bytes:
        """Count *content* among all answers; raises `AcmeError` if they are too much."""
        self._octets += len(content)
        if self._octets > MOST_OF_ORDER:
            raise AcmeError(f"it sends more than {MOST_OF_ORDER} octets for one order")
        return content


class AcmeNetwork(ClientNetwork):
    """The network of one ACME client with the *key* of its *account*. `stop` ends its work with the next request."""

    def __init__(
        self,
        origin: Origin,
        key: josepy.jwk.JWK,
        alg: josepy.jwa.JWASignature,
        account: messages.RegistrationResource | None,
    ) -> None:
        super().__init__(key, account, alg, user_agent=AGENT, timeout=int(ANSWER_S))
        self.stopped = threading.Event()
        self.session.trust_env = False  # no proxy, no .netrc
        for prefix in ("https://", "http://"):
            self.session.mount(prefix, _PinnedAdapter(origin, self.stopped))

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def stop(self) -> None:
        """End the work: the next request fails."""
        self.stopped.set()
