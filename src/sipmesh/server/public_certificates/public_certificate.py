"""Keeps the certificate of one server from a public CA: orders the first one, and renews it in time.

A new chain replaces the old one only after all checks. If any of them fails, the old certificate stays in use, and the order is
repeated. Failures are reported with the certificate, so that `sipmesh status`, the metrics and `sipmesh explain` show them.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from sipmesh.errors import OperatorError
from sipmesh.pki.files import certificates_pem, key_pem, make_readable_folder, new_key
from sipmesh.pki.key_pair import differ, finish_pair, must_be_a_pair, write_pair
from sipmesh.server.process.https_server_check import https_context
from sipmesh.server.public_certificates.acme_client import ASK_AGAIN, AcmeClient
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.acme_network import Origin
from sipmesh.server.public_certificates.issued_chain import accepted_chain
from sipmesh.server.public_certificates.renewal_time import due_at, is_for
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.http_fetch import CheckedNames
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.document.parts.acme import AcmeChallenge
from sipmesh.topology.expiry.validity import RenewalFault
from sipmesh.topology.third_party.system_roots import system_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from cryptography import x509

    from sipmesh.server.log import Log
    from sipmesh.server.public_certificates.challenges import Solver
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.server_files import AcmeOrder

T = TypeVar("T")

ORDER_S: Final = 900.0
"""Seconds for one order, with the wait for secondary DNS servers."""

LONGEST_PAUSE: Final = timedelta(hours=24)
SHORTEST_PAUSE: Final = timedelta(minutes=1)


class PublicCertificate:
    """The certificate of *node* by ACME; *look* reads files that were written."""

    def __init__(self, node: RunningServer, look: Callable[[Collection[Path]], object], log: Log) -> None:
        self._node, self._look, self._log = node, look, log
        self._backoff = Backoff(random.random)
        self._order: AcmeOrder | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Order what the topology in force says; another CA, name or challenge counts at once."""
        order = self._node.view.acme_order
        if order == self._order:
            return
        self._order, self._backoff = order, Backoff(random.random)
        if self._task is not None:
            self._task.cancel()
        self._task = self._node.loop.create_task(self._keep(order)) if order is not None else None

    async def close(self) -> None:
        """Stop; an order under way ends without a certificate."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self, order: AcmeOrder) -> None:
        while True:
            pause = await self._step(order)
            await asyncio.sleep(max(pause, SHORTEST_PAUSE).total_seconds())

    async def _step(self, order: AcmeOrder) -> timedelta:
        """Renew the certificate if it is due; returns the pause until the next look."""
        at = self._node.gatekeeper.clock()
        try:
            due, again = await self._due(order)
            if due <= at:
                await self._renew(order)
                due, again = at + LONGEST_PAUSE, ASK_AGAIN  # so a CA that always says "now" is not asked at once
            self._backoff.succeeded(at, at)
            self._node.certificates.renewed(order.certificate, None)
            return min(due - at, again, LONGEST_PAUSE)
        except AcmeError as wrong:
            return self._failed(order, str(wrong), wrong.remedy or _remedy(order))
        except OperatorError as wrong:
            place = wrong.problems[0] if wrong.problems else None
            why = f"{place.file}: {place.reason}" if place is not None else wrong.message
            return self._failed(order, why, place.remedy if place is not None else "")
        except Exception as wrong:  # noqa: BLE001 - a bug of ours must not end the renewals
            self._log.error("fault", what="order at the public CA", exc_info=wrong)
            return self._failed(order, f"a fault of sipmesh ({type(wrong).__name__})", "read the log of this server")

    def _found(self, order: AcmeOrder) -> x509.Certificate | None:
        """Return the leaf on disk; None if it is missing, has other names than those that are wanted, or lacks its key."""
        finish_pair(order.certificate, order.key)
        if differ(order.certificate, order.key) is not False:
            return None
        leaf = read_certificates(order.certificate)[0]
        return leaf if is_for(leaf, order.names) else None

    async def _renew(self, order: AcmeOrder) -> None:
        anchors = _anchors(order, self._node.view.loaded.folder)
        client, key = await self._client(order, anchors), new_key()
        async with self._solver(order) as solver:
            pem, account = await _in_thread(partial(client.order, order.names, key, solver), client.stop)
        at = self._node.gatekeeper.clock()
        chain = accepted_chain(pem, key, order, anchors, at, self._node.view.name)
        must_be_a_pair(order.certificate, order.key)
        make_readable_folder(order.certificate.parent)
        write_pair(order.certificate, certificates_pem(chain), order.key, key_pem(key))
        self._look([order.certificate, order.key])
        self._log.info("certificate of a public CA", file=str(order.certificate), names=order.names, account=account)

    async def _due(self, order: AcmeOrder) -> tuple[datetime, timedelta]:
        """Return when the certificate is due, and when to ask the CA again. A CA that does not answer changes nothing."""
        leaf = self._found(order)
        if leaf is None:
            return datetime.min.replace(tzinfo=UTC), ASK_AGAIN
        named, again = None, ASK_AGAIN
        with suppress(AcmeError, OperatorError):
            client = await self._client(order, _anchors(order, self._node.view.loaded.folder))
            named, again = await _in_thread(partial(client.renewal_time, certificates_pem([leaf])), client.stop)
        return due_at(leaf, named), again

    def _failed(self, order: AcmeOrder, why: str, remedy: str) -> timedelta:
        at = self._node.gatekeeper.clock()
        pause = self._backoff.failed(at, why)
        fault = RenewalFault(why, remedy, self._backoff.failing_since or at)
        self._node.certificates.renewed(order.certificate, fault)
        self._log.error("no certificate of the public CA", directory=order.acme.directory, why=why, remedy=remedy)
        return pause

    async def _client(self, order: AcmeOrder, anchors: Sequence[x509.Certificate]) -> AcmeClient:
        origin = Origin(order.acme.directory, await self._address(order.acme.directory), https_context(anchors))
        file = self._node.state / f"{self._node.view.name}.acme-account.json"
        return AcmeClient(order.acme, origin, file, self._node.view.loaded.folder)

    async def _address(self, directory: str) -> str:
        """Return the address of the directory: that in its URL, or one of DNS that its name may lead to."""
        host = urlsplit(directory).hostname or ""
        with suppress(ValueError):
            return str(ip_address(host))
        try:
            found = await CheckedNames(self._node.resolver, lambda: self._node.view.reachable).resolve(host)
        except OSError as wrong:
            raise AcmeError(f"the CA is not asked: {wrong.strerror}", "check `acme.directory` and DNS") from None
        return found[0]["host"]

    def _solver(self, order: AcmeOrder) -> Solver:
        """Return what answers the challenges; its modules are imported only where they are used."""
        acme, folder = order.acme, self._node.view.loaded.folder
        if acme.dns is not None:
            from sipmesh.server.public_certificates.dns_challenges import DnsChallenges

            return DnsChallenges(acme.dns, folder)
        if acme.challenge is AcmeChallenge.TLS_ALPN_01:
            from sipmesh.server.public_certificates.alpn_challenges import AlpnChallenges

            return AlpnChallenges(order.host, acme.challenge_port)
        from sipmesh.server.public_certificates.http_challenges import HttpChallenges

        return HttpChallenges(order.host, acme.challenge_port, self._log)


def _anchors(order: AcmeOrder, folder: Path) -> Sequence[x509.Certificate]:
    """Return the roots of the CA: those that the topology names, or those of this machine."""
    found: list[x509.Certificate] = []
    for name in order.acme.anchors:
        try:
            found += read_certificates(folder / name)
        except UnusableFileError as wrong:
            raise AcmeError(f"{folder / name} {wrong}", "put the root of the CA there, on this server") from None
    return found or list(system_roots().values())


def _remedy(order: AcmeOrder) -> str:
    """Say what a CA needs to find the proof."""
    acme, names = order.acme, ", ".join(order.names)
    if acme.dns is not None:
        return f"check that the CA sees the records of {acme.dns.zone}: dig TXT _acme-challenge.{order.names[0]}"
    port = 80 if acme.challenge is AcmeChallenge.HTTP_01 else 443
    return f"{names}: port {port} must lead from the Internet to {order.host} port {acme.challenge_port}"


async def _in_thread(work: Callable[[], T], stop: Callable[[], None]) -> T:
    """Run *work* in a thread of its own, which no exit waits for; after `ORDER_S`, or if this ends, *stop* is called."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(_settle, done, work())
        except Exception as wrong:  # noqa: BLE001 - raised again on the loop
            settle = partial(_fail, done, wrong)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="sipmesh-acme", daemon=True).start()
    try:
        async with asyncio.timeout(ORDER_S):
            return await done
    except TimeoutError:
        raise AcmeError(f"the CA has not issued within {ORDER_S:g} s") from None
    finally:
        stop()


def _settle(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], wrong: Exception) -> None:
    if not done.done():
        done.set_exception(wrong)
