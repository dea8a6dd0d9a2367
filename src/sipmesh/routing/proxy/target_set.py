"""Make the targets of a request from the bindings of a user (RFC 3261 section 16.5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.outcome import Answer, Forward
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget
from sipmesh.sip.message import Request
from sipmesh.sip.text import ascii_lower
from sipmesh.trust.code import Code


def fork(
    request: Request, stored: Sequence[Binding], identity: str | None, here: str, mates: Collection[str]
) -> Forward | Answer:
    """Make one target for each device: a flow of this server, or of another server of the pool.

    A sips request goes to sips contacts only: a proxy must not change it into a sip request (RFC 5630 section 5.3). If there
    are only sip contacts, the caller gets 480 with Warning 380. *here* is this server, *mates* are the others of the pool.
    """
    sips = is_sips(request.uri)
    usable = [row for row in stored if not sips or is_sips(row.contact)]
    reachable = [row for row in usable if row.host == here or row.host in mates]
    if reachable:
        return Forward(tuple(target_of(flows, here, sips=sips) for flows in devices(reachable)), identity)
    if stored and not usable:
        warning = (("Warning", f'380 {here} "SIPS Not Allowed"'),)
        return Answer(
            480, headers=warning, code=Code.NO_ROUTE, why="a sips request, and only sip contacts are registered"
        )
    return not_registered(here)


def not_registered(here: str) -> Answer:
    """Answer that the user has no phone; *here* is this server."""
    return Answer(480, headers=(("Warning", f'399 {here} "not registered"'),), why="the user is not registered")


def is_sips(uri: str) -> bool:
    """Tell whether the scheme of a URI is ``sips``."""
    return not uri.startswith("sip:") and ascii_lower(uri[:5]) == "sips:"


def devices(rows: Sequence[Binding]) -> list[list[Binding]]:
    """Group the rows by device, in the order given.

    RFC 5626 section 7: "The proxy MUST NOT populate the target set with more than one contact with the same AOR and
    instance-id at a time". The other rows of a device are tried if the first fails.
    """
    if len(rows) == 1:
        return [list(rows)]
    found: dict[str, list[Binding]] = {}
    for row in rows:
        device = row.contact if row.instance is None else ascii_lower(row.instance)
        flows = found.get(device)
        if flows is None:
            found[device] = [row]
        else:
            flows.append(row)
    return list(found.values())


def target_of(flows: Sequence[Binding], here: str, *, sips: bool) -> FlowTarget | RemoteFlowTarget:
    """Make one target from the flows of one device. The others are spares of the first."""
    if len(flows) == 1:
        return flow_of(flows[0], here, sips=sips)
    first, *others = (flow_of(row, here, sips=sips) for row in flows)
    return replace(first, spares=tuple(others)) if others else first


def flow_of(row: Binding, here: str, *, sips: bool) -> FlowTarget | RemoteFlowTarget:
    """Make a target from one row."""
    uri = row.contact if sips else as_sip(row.contact)
    if row.host == here:
        return FlowTarget(row.flow, owner_hash(row.aor), uri, row.q)
    return RemoteFlowTarget(row, uri)


def as_sip(contact: str) -> str:
    """Give the Contact for a sip request.

    A sips Contact is also valid as a sip Contact (RFC 5630 section 5.1.1). A proxy does not change a sip request into a sips
    request.
    """
    return f"sip:{contact[5:]}" if is_sips(contact) else contact
