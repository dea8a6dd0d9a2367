"""Management, played by a test: it gives signed documents to an agent. No network."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sipmesh.distribution.event import EVENT, ITEM, SubscriptionDialog
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.server.here import here
from sipmesh.server.replication.stored_users import USERS
from sipmesh.sip.message import Request, Response
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.trust.evidence import Direction
from support.control_plane import Plane
from support.managed import MGMT, Managed
from support.network import FE1, POOL
from support.wires import Wire

LIST, OTHER_LIST = "ca/issuing.crl", "ca/other.crl"


class Giver:
    """Management, played by the test: it accepts the subscription of a server, and sends what the test wants."""

    def __init__(self, plane: Plane, server: str = FE1, giver: str = MGMT) -> None:
        self.plane, self.server = plane, server
        self.here = replace(here(plane.hosts[MGMT].view), name=giver)
        self.wire = Wire(plane.hosts[server].view.trusted[giver], Direction.ACCEPTED)
        plane.agents[server].link_up(self.wire.link)
        self.asked = [message for message in self.wire.taken() if isinstance(message, Request)]
        begun = self.asked[0] if self.asked else self.here.first("SUBSCRIBE", server, [])
        self.dialog = SubscriptionDialog(begun.call_id, "m", begun.from_.tag or "", server)

    def ask(self, request: Request) -> Response:
        """Send a request and return its response."""
        self.plane.deliver(request, self.server, self.wire)
        [answer] = [one for one in self.wire.taken() if isinstance(one, Response)]
        return answer

    def notify(self, headers: list[tuple[str, str]], body: bytes) -> int:
        """Send a NOTIFY of the subscription, and return the status of its response."""
        fixed = [("event", EVENT), ("subscription-state", "active"), *headers]
        return self.ask(self.here.next("NOTIFY", self.dialog, fixed, body)).status

    def give(self, item: Item) -> int:
        """Send a document."""
        return self.notify([(ITEM, item.header)], item.body)

    def topology(self, jws: bytes) -> int:
        """Send a version."""
        return self.give(Item(ItemKind.TOPOLOGY, jws))

    def tell(self, *items: Item, highest: int = 0) -> int:
        """Announce what management has."""
        held = {item.key: (item.number, item.digest) for item in items}
        return self.notify([], ReplicationState(held, datetime.now(UTC).isoformat(), highest).encode())


def error(plane: Plane, server: str = FE1) -> str:
    """Return the error in a server's report."""
    plane.agents[server].reporter.report()
    return str(plane.agents[server].reporter._errors)


def another_list(managed: Managed) -> bytes:
    """Return the next CRL of our issuing CA; the file does not change."""
    file = managed.organisation.folder / LIST
    before = file.read_bytes()
    EnterpriseCa.open(managed.organisation.folder / "ca").crls.publish(datetime.now(UTC))
    made = file.read_bytes()
    file.write_bytes(before)
    return made


def name_another_list(managed: Managed) -> None:
    """Let the draft name one more CRL, which is on the management host."""
    ours = managed.organisation.folder
    shutil.copy(ours / LIST, ours / OTHER_LIST)

    def change(document: dict[str, Any]) -> None:
        document["authority"]["crls"].append(OTHER_LIST)

    managed.edit(change)


def users(managed: Managed, part: int, parts: int, number: int = 3) -> Item:
    document = UserDocument(managed.organisation.domain, POOL, number, part=part, parts=parts)
    return Item(ItemKind.USERS, managed.signed(document.encode(), kind=USERS), str(part), number)
