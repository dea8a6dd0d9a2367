"""Where a request really came from, noted in its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from sipmesh.sip.fields import Via, ViaForm
from sipmesh.sip.message import Request


class Mark:
    """How a Via of that *form* is marked: what stands before and after its branch then.

    That is the same for every request of one link, as long as the client writes its Via in the same way: so the link keeps it.
    """

    __slots__ = ("after", "before", "form")

    def __init__(self, form: ViaForm, host: str, port: int) -> None:
        self.form = form
        marked = str(Via.parse(f"{form.before};branch={form.after}").received(host, port))
        self.before, _, self.after = marked.partition(";branch=")


def mark_received(request: Request, host: str, port: int, last: Mark | None = None) -> Mark | None:
    """Add ``received`` where the top Via names another host than *host*, and fill in an ``rport`` that was asked for.

    The response goes back on the link in any case; the client learns from it how the world sees it. *last* is what the
    request before on the same link gave.
    """
    via = request.top_via
    if via.host == host and not via.asks_for_port:
        return last
    if via.form is None:
        request.replace_item("via", str(via.received(host, port)))
        return last
    mark = last if last is not None and last.form is via.form else Mark(via.form, host, port)
    request.replace_item("via", f"{mark.before};branch={via.branch}{mark.after}")
    return mark
