"""Answers the REGISTER that a phone repeats from its octets, while nothing has changed by which it would be decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.proxy.received import via_as_sent
from sipmesh.routing.registrar.refresh_form import RefreshForm, form_of
from sipmesh.server.proxy.flow import Flow
from sipmesh.transport.link.repeated_message import RepeatedMessage

if TYPE_CHECKING:
    from sipmesh.routing.identity.sender import Sender
    from sipmesh.routing.registrar.refresh import KnownRefresh
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.serving.state import ServingState
    from sipmesh.sip.message import Request
    from sipmesh.transport.link.link import Link


class RefreshGate:
    """What this server looks at before it serves a REGISTER, the same for all links."""

    def __init__(self, current: Current, state: ServingState) -> None:
        self.current, self.registrations, self._state = current, state.registrations, state

    def is_open(self, flow: Flow) -> bool:
        """Tell whether a REGISTER of *flow* would be served now, with any content.

        Up to a loss of 1.0, overload control refuses none. A link with transactions is left to the usual way, which
        recognises a retransmission.
        """
        state = self._state
        if state.is_draining or state.admission.overload.loss > 1.0 or flow.account.full or flow.served:
            return False
        return not state.is_full

    def learn(self, flow: Flow, request: Request) -> None:
        """Remember the form of *request*, a REGISTER that was served, if it has just repeated the refresh of *flow*.

        A phone whose REGISTER has no constant form is looked at ever more rarely: after 1, 2, 4, 8 times that it was read.
        """
        refresh = flow.refresh
        if refresh is None or not refresh.renewals or refresh.renewals & (refresh.renewals - 1):
            return
        if not refresh.was_renewed_by(request):
            return
        form = form_of(request, via_as_sent(request, flow.mark), refresh.copied(request), refresh.rows)
        if form is not None and flow.sender is not None:
            flow.link.repeated = RepeatedRefresh(self, refresh, form, flow.sender)


class RepeatedRefresh(RepeatedMessage):
    """The REGISTER of one link that is known by its octets.

    It counts while *refresh* is the last REGISTER of the link, *sender* has the rights that it had, and the same is in force.
    """

    __slots__ = ("_form", "_gate", "_in_force", "_refresh", "_sender")

    def __init__(self, gate: RefreshGate, refresh: KnownRefresh, form: RefreshForm, sender: Sender) -> None:
        self._gate, self._refresh, self._form, self._sender = gate, refresh, form, sender
        self._in_force = gate.current.value

    def serves(self, link: Link, octets: bytes) -> bool:
        """See :class:`RepeatedMessage`."""
        flow, gate = link.flow, self._gate
        if not isinstance(flow, Flow) or flow.refresh is not self._refresh or flow.sender is not self._sender:
            return False
        if self._in_force is not gate.current.value or not gate.is_open(flow):
            return False
        found = self._form.read(octets)
        if found is None:
            return False
        branch, number = found
        if not gate.registrations.renews(self._refresh, self._form.call_id, int(number)):
            return False
        link.send(self._form.answer(branch, number, gate.registrations.fresh(self._refresh)))
        return True
