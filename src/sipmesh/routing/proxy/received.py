"""Write the source address of a request into its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from sipmesh.sip.fields import VIA_START, Via, ViaForm, params_text
from sipmesh.sip.message import Request
from sipmesh.sip.rows import VIA


class Mark:
    """The text before and after the branch in a Via of that *form*, once it is marked with ``received`` and ``rport``.

    It is the same for all requests of a link whose client writes its Via in the same way. So it is cached on the link.
    """

    __slots__ = ("after", "before", "form")

    def __init__(self, form: ViaForm, host: str, port: int) -> None:
        self.form = form
        others, place = form.others, form.before.count(";")
        added = {"received", "rport"} if others.asks_for_port else {"received"}
        first = tuple([pair for pair in others.params[:place] if pair[0] not in added])
        last = tuple([pair for pair in others.params[place:] if pair[0] not in added])
        self.before = f"{VIA_START}{others.transport} {others.sent_by}{params_text(first)}"
        rport = f";rport={port}" if others.asks_for_port else ""
        self.after = f"{params_text(last)};received={host}{rport}"


def mark_received(request: Request, host: str, port: int, last: Mark | None = None) -> Mark | None:
    """Add ``received`` if the top Via has another host than *host*, and fill in ``rport`` if the client asked for it.

    A ``received`` that the client has written is replaced: other servers take it for what we have seen.
    The response always goes back on the same link. The client learns its public address from it. *last* is the result for
    the previous request on this link.
    """
    via = request.top_via
    if via.host == host and not via.asks_for_port and not _claims_address(via):
        return last
    if via.form is None:
        request.replace_item("via", str(via.received(host, port)))
        return last
    mark = last if last is not None and last.form is via.form else Mark(via.form, host, port)
    request.replace_via(f"{mark.before};branch={via.branch}{mark.after}")
    return mark


def _claims_address(via: Via) -> bool:
    """Tell whether its sender has written ``received`` into a Via."""
    return (via if via.form is None else via.form.others).has("received")


def via_as_sent(request: Request, mark: Mark | None) -> str:
    """Give the value of the top Via as the client has sent it. *mark* is what `mark_received` has given for *request*."""
    value, branch = request.row(VIA).value, request.top_via.branch
    if mark is not None and value == f"{mark.before};branch={branch}{mark.after}":
        return f"{mark.form.before};branch={branch}{mark.form.after}"
    return value
