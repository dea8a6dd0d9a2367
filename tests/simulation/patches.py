"""The one place where the product gets virtual sockets, TLS, DNS, clocks, entropy and disks instead of those of the system.

Each replacement looks at the current process first. Code that runs in no virtual process gets what it always gets.
"""

from __future__ import annotations

import io
import os
import random
import select
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from functools import lru_cache, partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from simulation.disk import WRITING, Disk
from simulation.network import Network
from simulation.processes import CURRENT, Process
from simulation.tls import VirtualTls, ders
from simulation.virtual_sockets import VirtualEpoll, VirtualSocket
from sipmesh.errors import OperatorError
from sipmesh.server.management.pool.lease_renewal import LOOK_EVERY_S, LeaseRenewal
from sipmesh.topology.document.yaml_tree import parse as _parse
from sipmesh.transport.link.link import Link
from sipmesh.transport.tls.contexts import ClientPortContext, MutualContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from simulation.databases import Databases
    from sipmesh.errors import Problem
    from sipmesh.routing.proxy.locate import DnsQuestion, Srv
    from sipmesh.topology.document.yaml_tree import YamlEntry

SIGNED: Final[tuple[Any, ...]] = (
    x509.CertificateBuilder,
    x509.CertificateRevocationListBuilder,
    x509.CertificateSigningRequestBuilder,
)

EPOCH_S: Final = 1_893_456_000.0
"""When each run begins, by an exact wall clock: 2030-01-01T00:00:00Z."""


class TableResolver:
    """DNS from a table of records by name and type."""

    records: Mapping[tuple[str, str], Sequence[str | Srv]] = {}

    def __init__(self, *_: str) -> None:
        """Accept the name servers of the topology."""

    def change(self, *_: str) -> None:
        """Accept other name servers."""

    async def ask(self, question: DnsQuestion) -> Sequence[str | Srv]:
        """Return the records of the table."""
        return self.records.get((question.name, question.kind.value), ())


class NoControlSocket:
    """No control socket: the operator of a run calls the commands."""

    def __init__(self, path: object, commands: object, _log: object) -> None:
        self.path, self.commands = path, commands

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


class OwnedStates:
    """The states that the processes of the run own: for the kernel they are one process, which may have all locks."""

    def __init__(self) -> None:
        self._owners: dict[tuple[Path, str], Process] = {}

    @contextmanager
    def __call__(self, state: Path, name: str) -> Iterator[None]:
        """See `owned_state`: ownership ends with the block, or with the process."""
        process, owner = CURRENT.get(), self._owners.get((state, name))
        assert process is not None
        if owner is not None and owner is not process and owner.alive:
            raise OperatorError(f"{name} is starting, running or draining")
        self._owners[state, name] = process
        try:
            yield
        finally:
            if self._owners.get((state, name)) is process:
                del self._owners[state, name]


class _ForAll(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class VirtualDatetime(datetime, metaclass=_ForAll):
    """`datetime` with the wall clock of the current process."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the time of `time.time`."""
        return datetime.fromtimestamp(time.time(), tz)


def wall_clock(now: float) -> float:
    """Return the time of the current process's clock, in seconds since 1970, at loop time *now*."""
    process = CURRENT.get()
    if process is None:
        return EPOCH_S + now
    machine = process.machine
    return EPOCH_S + now + machine.offset_s + machine.drift * now


@contextmanager
def virtual_machine(
    network: Network, disk: Disk, databases: Databases, entropy: random.Random, active: Callable[[], bool]
) -> Iterator[None]:
    """Give the product virtual sockets, clocks, entropy, disks and databases; *active* is false for code outside of the run."""
    Link._numbers = 0
    with ExitStack() as stack:
        for target, name, replacement in [
            *_sockets(network),
            *_clocks(lambda: network.loop.now, active),
            *_entropy(entropy, active),
            *_keys(entropy),
            *_files(disk),
            *databases.replacements(),
            *_services(network),
        ]:
            stack.enter_context(patch.object(target, name, replacement))
        yield


@contextmanager
def machine_at_rest(entropy: random.Random, databases: Databases) -> Iterator[None]:
    """Draw all random bytes, keys and signatures of certificates from *entropy*; the clock is stopped at `EPOCH_S`.

    So the documents of a run have the same length in each process, and the same seed gives the same run.
    """
    with ExitStack() as stack:
        for target, name, replacement in [
            *_clocks(lambda: 0.0, lambda: True),
            *_entropy(entropy, lambda: True),
            *_keys(entropy),
            *databases.replacements(),
        ]:
            stack.enter_context(patch.object(target, name, replacement))
        yield


Replacement = tuple[Any, str, Any]


def _sockets(network: Network) -> Iterator[Replacement]:
    import sipmesh.transport.accept.listener
    import sipmesh.transport.connector
    import sipmesh.transport.reactor.queue_age
    import sipmesh.transport.reactor.reactor

    sockets = SimpleNamespace(**{**vars(socket), "socket": network.socket})
    yield sipmesh.transport.connector, "socket", sockets
    yield sipmesh.transport.accept.listener, "socket", sockets
    epolls = SimpleNamespace(**{**vars(select), "epoll": lambda: VirtualEpoll(network)})
    yield sipmesh.transport.reactor.reactor, "select", epolls
    eventfds = SimpleNamespace(**{**vars(os), "eventfd": network.eventfd, "close": network.close_eventfd})
    yield sipmesh.transport.reactor.queue_age, "os", eventfds
    yield sipmesh.transport.accept.listener, "unread", network.unread
    yield sipmesh.transport.accept.listener, "lowest_free", network.lowest_free
    accepted_by, opened_by, client_accepted_by = (
        MutualContext.accepted,
        MutualContext.opened,
        ClientPortContext.accepted,
    )

    def accepted(self: MutualContext, sock: Any) -> Any:
        if not isinstance(sock, VirtualSocket):
            return accepted_by(self, sock)
        return VirtualTls(sock, opening=False, chain=ders(self.identity.chain), wants=True)

    def opened(self: MutualContext, sock: Any, name: str, protocol: str = "") -> Any:
        if not isinstance(sock, VirtualSocket):
            return opened_by(self, sock, name, protocol)
        said = {"name": name, "protocol": protocol}
        return VirtualTls(sock, opening=True, chain=ders(self.identity.chain), wants=True, **said)

    def client_accepted(self: ClientPortContext, sock: Any) -> Any:
        if not isinstance(sock, VirtualSocket):
            return client_accepted_by(self, sock)
        return VirtualTls(sock, opening=False, chain=ders(self.identity.chain), wants=False)

    yield MutualContext, "accepted", accepted
    yield MutualContext, "opened", opened
    yield ClientPortContext, "accepted", client_accepted


def _clocks(now: Callable[[], float], active: Callable[[], bool]) -> Iterator[Replacement]:
    real_time, real_ns, real_monotonic = time.time, time.time_ns, time.monotonic

    def virtual_time() -> float:
        return wall_clock(now()) if active() else real_time()

    def virtual_ns() -> int:
        return int(wall_clock(now()) * 1_000_000) * 1000 if active() else real_ns()

    yield time, "monotonic", lambda: now() if active() else real_monotonic()
    yield time, "time", virtual_time
    yield time, "time_ns", virtual_ns
    for name, module in list(sys.modules.items()):
        if name.startswith("sipmesh") and vars(module).get("datetime") is datetime:
            yield module, "datetime", VirtualDatetime


def _entropy(entropy: random.Random, active: Callable[[], bool]) -> Iterator[Replacement]:
    real_urandom = os.urandom

    def urandom(size: int) -> bytes:
        return entropy.randbytes(size) if active() else real_urandom(size)

    yield os, "urandom", urandom
    yield random, "_urandom", urandom
    yield random, "random", entropy.random


def _keys(entropy: random.Random) -> Iterator[Replacement]:
    def generate(curve: ec.EllipticCurve, _backend: Any = None) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(1 + entropy.getrandbits(8 * (curve.key_size // 8) - 1), curve)

    yield ec, "generate_private_key", generate
    for builder in SIGNED:
        yield builder, "sign", partialmethod(builder.sign, ecdsa_deterministic=True)


def _files(disk: Disk) -> Iterator[Replacement]:
    real_open, real_io_open, real_unlink, real_link = os.open, io.open, os.unlink, os.link

    def virtual_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        follow = disk.opening(path) if flags & WRITING else None
        descriptor = real_open(path, flags, mode, dir_fd=dir_fd)
        if follow is not None:
            follow()
        return descriptor

    def virtual_io_open(file: Any, mode: str = "r", *args: Any, **keys: Any) -> Any:
        follow = disk.opening(file) if set(mode) & set("wax+") else None
        opened = real_io_open(file, mode, *args, **keys)
        if follow is not None:
            follow()
        return opened

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        disk.removing(path)
        real_unlink(path, dir_fd=dir_fd)

    def link(source: Any, target: Any, **keys: Any) -> None:
        disk.linking(target)
        real_link(source, target, **keys)

    yield os, "open", virtual_open
    yield io, "open", virtual_io_open
    yield os, "fsync", disk.synced
    yield os, "unlink", unlink
    yield os, "link", link
    for name in ("replace", "rename"):
        yield os, name, _moving(disk, getattr(os, name))


def _moving(disk: Disk, really: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def move(source: Any, target: Any) -> None:
        disk.moving(source, target)
        really(source, target)

    return move


def _services(network: Network) -> Iterator[Replacement]:
    import sipmesh.server.process.off_loop
    import sipmesh.server.refresh.inotify
    import sipmesh.server.running.link_parts
    import sipmesh.server.running.peer_parts
    import sipmesh.server.service
    import sipmesh.topology.document.yaml_tree

    yield sipmesh.server.running.link_parts, "DnsResolver", TableResolver
    yield sipmesh.server.service, "ControlSocket", NoControlSocket
    yield sipmesh.server.refresh.inotify, "INotify", _no_inotify
    yield LeaseRenewal, "start", _renewing(network)
    yield sipmesh.server.service, "owned_state", OwnedStates()
    yield sipmesh.server.running.peer_parts, "trim_heap", lambda: None
    yield sipmesh.server.process.off_loop, "_gently", lambda work: work()
    yield sipmesh.topology.document.yaml_tree, "parse", _parse_once


def _renewing(network: Network) -> Callable[[LeaseRenewal], None]:
    """Let the thread that renews a lease do its work on the loop."""

    def look(renewal: LeaseRenewal) -> None:
        if not renewal._over.is_set():
            renewal.look()
            network.loop.call_later(LOOK_EVERY_S, look, renewal)

    return look


@lru_cache(maxsize=256)
def _parsed(content: bytes, file: Path) -> tuple[YamlEntry, tuple[Problem, ...]]:
    root, problems = _parse(content, file)
    return root, tuple(problems)


def _parse_once(content: bytes, file: Path) -> tuple[YamlEntry, list[Problem]]:
    """Parse a document once for all servers and runs: this is the larger part of what a start costs."""
    root, problems = _parsed(content, file)
    return root, list(problems)


def _no_inotify(**_: object) -> object:
    raise OSError("there is no inotify in a simulation")
