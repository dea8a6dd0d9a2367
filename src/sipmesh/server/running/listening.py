"""The ports of one server: opened at its start; each reload gives them new TLS contexts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.topology.document.listeners import ANYWHERE
from sipmesh.transport.accept.listener import ForeignAddressError, Listener
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.server.log import Log
    from sipmesh.topology.document.listeners import ListenerSpec
    from sipmesh.transport.accept.listener import Spec
    from sipmesh.transport.tls.contexts import AcceptingContext

Open = Callable[["ListenerSpec", "AcceptingContext"], "Listener"]


class Listening:
    """The listeners of one server. *open_listener* opens a port, *context_of* makes the TLS context of a port.

    *faults* are the reasons why the server does not listen on its published addresses.
    """

    def __init__(self, open_listener: Open, context_of: Callable[[Spec], AcceptingContext], log: Log) -> None:
        self._open_listener, self._context_of, self._log = open_listener, context_of, log
        self.listeners: list[Listener] = []
        self.faults: tuple[str, ...] = ()

    def start(self, specs: Iterable[ListenerSpec], *, is_managed: bool) -> None:
        """Open every port; raises `OperatorError` if a port cannot be opened.

        *is_managed*: the next version comes from management. Then an address that this machine does not have is skipped. The
        server port is opened on every address instead, so that management can send the right version.
        """
        for spec in specs:
            try:
                self._open(spec)
            except ForeignAddressError as wrong:
                if not is_managed:
                    raise
                self._skip(spec, wrong)

    def adopt(self, spec: ListenerSpec) -> None:
        """Listen on one port that the supervisor of this server has opened."""
        self._open(spec)

    def _open(self, spec: ListenerSpec) -> None:
        listener = self._open_listener(spec, self._context_of(spec))
        self.listeners.append(listener)
        host, port = listener.address
        self._log.info("listening", kind=spec.key, host=host, port=port)

    def _skip(self, spec: ListenerSpec, wrong: ForeignAddressError) -> None:
        if spec.kind is LinkKind.SERVER:
            self._open(replace(spec, host="::" if ":" in spec.host else ANYWHERE))
        self.faults = (*self.faults, str(wrong))
        self._log.error(
            "cannot listen on a published address: waiting for a version with another address", why=str(wrong)
        )

    def change(self, specs: Iterable[ListenerSpec]) -> None:
        """Give every port its present context, and open those of *specs* that could not be opened before."""
        contexts = [self._context_of(listener.spec) for listener in self.listeners]
        for listener, context in zip(self.listeners, contexts, strict=True):
            listener.swap(context)
        if self.faults:
            self._open_missing(specs)

    def _open_missing(self, specs: Iterable[ListenerSpec]) -> None:
        """Open the ports that earlier versions could not open; the server port keeps its address."""
        have, faults = {listener.spec.key for listener in self.listeners}, []
        for spec in specs:
            if spec.key not in have:
                try:
                    self._open(spec)
                except OperatorError as wrong:
                    faults.append(str(wrong))
        self.faults = tuple(faults)

    def refuse(self) -> None:
        """Have who connects refused at once, although a process that hangs has the same sockets open."""
        for listener in self.listeners:
            listener.refuse()

    def close(self) -> None:
        """Stop accepting links, and open no port for a new topology."""
        self.faults = ()
        for listener in self.listeners:
            listener.close()
