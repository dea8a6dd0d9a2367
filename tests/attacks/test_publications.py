"""What a network runs by, attacked over real links; each attack has a control, which succeeds.

The attacker holds the TLS credentials of management, or of a front end towards an edge: everything but the key that signs.
"""

from __future__ import annotations

import base64
import json
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.distribution.event import EVENT, ITEM, STATUS_EVENT
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.replication.revocation_push import REVOKED, revoked_payload
from sipmesh.server.replication.stored_users import USERS
from sipmesh.server.replication.topology_source import source_of
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.sip.message import Response
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from support.giver import Giver
from support.managed import MGMT, MGMT2, Credentials, Managed, links_between, servers_of
from support.network import BOT, EDGE, EXAMPLE, FE1, FE2, FE3, POOL, POOL2
from support.peer import HungUpError, Peer
from support.running import on_loop, until
from support.tiers import wide_after

NOW = datetime.now(UTC)
OTHERS = Forge(NOW).organisation("example.test")
"""Another CA, whose certificates bear the names that ours have."""


@dataclass
class Siege:
    """A member that runs alone, and the attacker who was taken for its management."""

    network: Managed
    server: str
    giver: Giver
    stack: AsyncExitStack

    @property
    def number(self) -> int:
        return self.network.number(self.server)

    async def refused(self, jws: bytes, status: int = 488) -> Response:
        """Give a version, and see that nothing of it is taken: not in force, and not on the disk."""
        before, held = self.number, self.network.holding(self.server).document()
        answer = await self.giver.topology(jws)
        assert answer.status == status, answer
        self.holds(before)
        assert self.network.holding(self.server).document() == held
        return answer

    def holds(self, number: int) -> None:
        """See that a version is in force, and the newest that the disk knows of."""
        assert self.number == self.network.holding(self.server).highest == number

    async def taken(self, jws: bytes, number: int) -> None:
        """Give the control, and see it in force and on the disk."""
        answer = await self.giver.topology(jws)
        assert answer.status == 200, answer
        await until(lambda: self.number == number)
        assert self.network.holding(self.server).document() == jws
        assert self.network.holding(self.server).highest == number


@asynccontextmanager
async def besieged(network: Managed, server: str = FE1, by: str = "") -> AsyncIterator[Siege]:
    """Run one server, and come to it in the place of those who may give it something."""
    async with network, AsyncExitStack() as stack:
        await network.start(server)
        giver = await Giver.meet(stack, network, server, by or (FE1 if server == EDGE else MGMT))
        yield Siege(network, server, giver, stack)


def parts(jws: bytes) -> tuple[bytes, bytes, bytes]:
    header, payload, signature = jws.split(b".")
    return header, payload, signature


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def forged(network: Managed, issuer: Forged, **changes: Any) -> Credentials:
    """A signer's certificate that our CA never issued."""
    wish = Wish(MGMT, dns=(MGMT,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90))
    return Forge(NOW).forge(wish, issuer, **changes).write(network.where / "forged", "signer")


def our_ca(network: Managed) -> Forged:
    """Our own issuing CA in the forge's hands, for what the CA itself refuses to issue."""
    folder = network.organisation.folder / "ca"
    root = Forged.read(folder / "root.pem", folder / "root.key")
    return Forged.read(folder / "issuing.pem", folder / "issuing.key", root)


# Documents, each wrong in one thing

Attack = Callable[[Managed], bytes]


def _payload_changed(network: Managed) -> bytes:
    header, payload, signature = parts(network.version(2))
    told = json.loads(decoded(payload))
    told["topology"] += "# one more server of mine\n"
    return b".".join((header, encoded(json.dumps(told).encode()), signature))


def _one_bit_changed(network: Managed) -> bytes:
    header, payload, signature = parts(network.version(2))
    flipped = bytearray(decoded(payload))
    flipped[len(flipped) // 2] ^= 1
    return b".".join((header, encoded(bytes(flipped)), signature))


def _header(**changes: Any) -> Attack:
    def attack(network: Managed) -> bytes:
        header, payload, signature = parts(network.version(2))
        told = {**json.loads(decoded(header)), **changes}
        return b".".join((encoded(json.dumps(told).encode()), payload, signature))

    return attack


def _chain_exchanged(network: Managed) -> bytes:
    """A valid signature, under the name of another valid signer."""
    network.organisation.ca.issue_signer(MGMT, NOW).write(*network.organisation.credentials("another.signer"))
    other = network.signed(network.payload(2), network.credentials("another.signer"))
    return b".".join((parts(other)[0], *parts(network.version(2))[1:]))


def _signature_changed(network: Managed) -> bytes:
    header, payload, signature = parts(network.version(2))
    flipped = bytearray(decoded(signature))
    flipped[7] ^= 1
    return b".".join((header, payload, encoded(bytes(flipped))))


def _signature_of_another(network: Managed) -> bytes:
    """The signature of version 3 under version 2."""
    header, payload, _ = parts(network.version(2))
    return b".".join((header, payload, parts(network.version(3))[2]))


def _unsigned(network: Managed) -> bytes:
    return network.payload(2)


def _by(credentials: Callable[[Managed], Credentials]) -> Attack:
    return lambda network: network.signed(network.payload(2), credentials(network))


def _stranger(network: Managed) -> Credentials:
    """A signer that our CA has issued, for a server that no topology knows as management."""
    network.organisation.ca.issue_signer(MGMT2, NOW).write(*network.organisation.credentials("stranger.signer"))
    return network.credentials("stranger.signer")


TAMPERED: dict[str, Attack] = {
    "payload": _payload_changed,
    "one bit of the payload": _one_bit_changed,
    "alg none": _header(alg="none"),
    "alg of another curve": _header(alg="ES384"),
    "kind": _header(typ=USERS),
    "one more header": _header(crit=["x"]),
    "chain": _chain_exchanged,
    "signature": _signature_changed,
    "signature of another": _signature_of_another,
    "no signature": _unsigned,
}
WRONG_SIGNER: dict[str, Attack] = {
    "management's own server certificate": _by(lambda network: network.credentials(MGMT)),
    "a front end's certificate": _by(lambda network: network.credentials(FE1)),
    "an application's certificate": _by(lambda network: network.credentials(BOT)),
    "another CA, same names": _by(lambda network: forged(network, OTHERS)),
    "no CA at all": _by(lambda network: forged(network, Forge(NOW).root("example.test root"))),
    "a server that is not management": _by(_stranger),
    "expired": _by(
        lambda network: forged(network, our_ca(network), begins=timedelta(days=-9), ends=timedelta(days=-1))
    ),
    "not yet valid": _by(
        lambda network: forged(network, our_ca(network), begins=timedelta(days=1), ends=timedelta(days=9))
    ),
    "usage of a server besides": _by(
        lambda network: forged(network, our_ca(network), usages=(DOCUMENT_SIGNING, *Wish().usages))
    ),
    "a SIP URI besides": _by(lambda network: forged(network, our_ca(network), uris=(f"sip:{MGMT}",))),
}
WRONG_VERSION: dict[str, Attack] = {
    "same number, other content": lambda network: network.version(1, why="another reason"),
    "another organisation": lambda network: network.version(2, organisation="other.test"),
    "a topology of another organisation": lambda network: network.version(
        2,
        organisation="other.test",
        topology=network.organisation.file.read_text().replace("example.test", "other.test"),
    ),
    "a topology that is none": lambda network: network.version(2, topology="sipmesh: 1\n"),
    "an anchor left out": lambda network: network.version(2, files={}),
    "another kind of document": lambda network: network.signed(network.payload(2), kind=USERS),
}
GROUPS = {"tampered": TAMPERED, "wrong signer": WRONG_SIGNER, "wrong version": WRONG_VERSION}


@pytest.mark.parametrize("server", wide_after(1, [FE1, EDGE]))
@pytest.mark.parametrize("attacks", GROUPS.values(), ids=GROUPS)
@on_loop
async def test_document_that_is_wrong_in_one_thing_is_not_taken(
    managed: Managed, attacks: dict[str, Attack], server: str
) -> None:
    """It comes on the very link and subscription of the valid document, before and after it."""
    async with besieged(managed, server) as siege:
        for what, attack in attacks.items():
            answer = await siege.giver.topology(attack(managed))
            assert (what, answer.status) == (what, 488)
            siege.holds(1)
        await siege.taken(managed.version(2), 2)
        await siege.refused(next(iter(attacks.values()))(managed))


@on_loop
async def test_what_was_refused_is_reported_to_management(managed: Managed) -> None:
    async with besieged(managed) as siege:
        await siege.refused(_by(lambda one: one.credentials(MGMT))(managed))
        status = await siege.giver.status()
        while not status.get("error"):
            status = await siege.giver.status()
        assert "rejected: signed by CN=mgmt.example.test" in status["error"]
        assert "documentSigning" in status["error"]
        assert status["number"] == 1


@on_loop
async def test_signer_that_is_revoked_signs_nothing_more(managed: Managed) -> None:
    """Before its revocation the same certificate signs; after it, another one of the same management server does."""
    ca = managed.organisation.ca
    async with besieged(managed) as siege:
        await siege.taken(managed.version(2), 2)
        signer = our_signer(managed)
        ca.revoke(signer, Reason.KEY_COMPROMISE, datetime.now(UTC))
        crl = (managed.organisation.folder / "ca" / "issuing.crl").read_bytes()
        assert (await siege.giver.give(Item(ItemKind.LIST, crl, "ca/issuing.crl"))).status == 200
        answer = await siege.refused(managed.version(3))
        assert answer.status == 488
        ca.issue_signer(MGMT, datetime.now(UTC)).write(*managed.credentials(f"{MGMT}.signer"))
        await siege.taken(managed.version(3), 3)


def our_signer(network: Managed) -> int:
    chain = network.credentials(f"{MGMT}.signer")[0].read_bytes()
    return x509.load_pem_x509_certificates(chain)[0].serial_number


@on_loop
async def test_version_in_force_outlives_its_signer(managed: Managed) -> None:
    """What was taken stays in force over a restart, though its signer is revoked; nothing new comes by that signer."""
    async with besieged(managed) as siege:
        await siege.taken(managed.version(2), 2)
        managed.organisation.ca.revoke(our_signer(managed), Reason.KEY_COMPROMISE, datetime.now(UTC))
        crl = (managed.organisation.folder / "ca" / "issuing.crl").read_bytes()
        await siege.giver.give(Item(ItemKind.LIST, crl, "ca/issuing.crl"))
        await managed.stop(FE1)
        await managed.start(FE1)
        assert siege.number == 2


@on_loop
async def test_former_management_server_signs_nothing_more(managed: Managed) -> None:
    """While the topology in force names it, its signature counts and its successor's does not; then it is the other way."""
    organisation, successor = managed.organisation, managed.credentials(f"{MGMT2}.signer")
    organisation.ca.issue((MGMT2,), Role.MANAGEMENT, NOW).write(*managed.credentials(MGMT2))
    organisation.ca.issue_signer(MGMT2, NOW).write(*successor)
    async with besieged(managed) as siege:
        await siege.refused(managed.signed(managed.payload(2), successor))
        await siege.taken(managed.version(2), 2)
        managed.edit(lambda document: servers_of(document, MGMT)[0].update(name=MGMT2))
        with pytest.raises(HungUpError):  # it is no longer in the topology, and so its link ends
            await siege.giver.topology(managed.version(3))
        assert siege.number == 3
        siege.giver = await Giver.meet(siege.stack, managed, FE1, MGMT2)
        await siege.refused(managed.version(4))
        await siege.taken(managed.signed(managed.payload(4), successor), 4)


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_older_version_replayed_is_not_taken(managed: Managed, server: str) -> None:
    """Not after a restart either: the highest number ever taken is on the disk."""
    old, new = managed.version(2), managed.version(7)
    async with besieged(managed, server) as siege:
        await siege.taken(old, 2)
        await siege.taken(new, 7)
        for replayed in (managed.published(1), old, managed.version(6), managed.version(7, why="another reason")):
            await siege.refused(replayed)
        assert (await siege.giver.topology(new)).status == 200  # the very same once more is nothing new
        await managed.stop(server)
        await managed.start(server)
        siege.giver = await Giver.meet(siege.stack, managed, server, siege.giver.name)
        await siege.refused(old)
        await siege.taken(managed.version(8), 8)


# Who gives


@pytest.mark.parametrize("who", [FE2, EDGE, BOT])
@on_loop
async def test_notify_counts_from_management_alone(managed: Managed, who: str) -> None:
    """A front end takes no documents from other peers with a link, even if management has signed them."""
    item = Item(ItemKind.TOPOLOGY, managed.version(2))
    async with besieged(managed) as siege:
        peer = await siege.stack.enter_async_context(
            await Peer.open(managed.organisation.address(FE1, LinkKind.SERVER), credentials=managed.credentials(who))
        )
        notify = siege.giver.notify(((ITEM, item.header),), item.body, item.kind.content_type)
        answer = await peer.ask(notify)
        assert answer.status in {403, 481}, answer
        assert siege.number == 1
        assert (await siege.giver.give(item)).status == 200
        assert siege.number == 2


@pytest.mark.parametrize("who", [MGMT, FE3, BOT])
@on_loop
async def test_edge_is_given_nothing_but_by_its_next_hop(managed: Managed, who: str) -> None:
    """Management itself, and a front end of another pool, bring an edge nothing; a front end of its next hop does."""
    item = Item(ItemKind.TOPOLOGY, managed.version(2))
    async with besieged(managed, EDGE) as siege:
        peer = await siege.stack.enter_async_context(
            await Peer.open(managed.organisation.address(EDGE, LinkKind.SERVER), credentials=managed.credentials(who))
        )
        notify = siege.giver.notify(((ITEM, item.header),), item.body, item.kind.content_type)
        with suppress(HungUpError):  # only front ends are accepted at all
            assert (await peer.ask(notify)).status in {403, 481}
        assert siege.number == 1
        assert (await siege.giver.give(item)).status == 200
        assert siege.number == 2


@on_loop
async def test_notify_outside_of_our_subscription_is_unknown(managed: Managed) -> None:
    """A wrong Call-ID, a wrong tag of either side, and another link of management itself: 481, and nothing is taken."""
    item = Item(ItemKind.TOPOLOGY, managed.version(2))
    async with besieged(managed) as siege:
        giver = siege.giver
        assert (await giver.tell()).status == 200  # the dialog stands, with both tags
        for wrong in ({"call_id": "another"}, {"tag": "another"}, {"to_tag": "another"}):
            assert (await giver.give(item, **wrong)).status == 481
        second = await Giver.meet(siege.stack, managed, FE1)
        notify = giver.notify(((ITEM, item.header),), item.body, item.kind.content_type)
        assert (await second.ask(notify)).status == 481
        assert siege.number == 1
        assert (await giver.give(item)).status == 200
        assert siege.number == 2


@on_loop
async def test_notify_out_of_order_and_body_of_another_digest_are_refused(managed: Managed) -> None:
    item = Item(ItemKind.TOPOLOGY, managed.version(2))
    async with besieged(managed) as siege:
        late = siege.giver.notify(((ITEM, item.header),), item.body, item.kind.content_type)
        assert (await siege.giver.tell()).status == 200
        assert (await siege.giver.ask(late)).status == 500
        other = Item(ItemKind.TOPOLOGY, managed.version(3))
        wrong = siege.giver.notify(((ITEM, item.header),), other.body, item.kind.content_type)
        assert (await siege.giver.ask(wrong)).status == 400
        assert siege.number == 1
        assert (await siege.giver.give(item)).status == 200
        assert siege.number == 2


@on_loop
async def test_document_of_100_mb_ends_only_its_link(managed: Managed) -> None:
    """It is refused by its length, before it is held; the server goes on, and takes the valid document on the next link."""
    async with besieged(managed) as siege:
        client = await siege.stack.enter_async_context(
            await Peer.open(managed.organisation.address(FE1, LinkKind.CLIENT), f"alice@{EXAMPLE}")
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        small = siege.giver.notify(((ITEM, "topology - 00"),), b"x", "application/jose").encode()
        head = small.replace(b"Content-Length: 1\r\n", b"Content-Length: 100000000\r\n").removesuffix(b"x")
        assert b"100000000" in head
        await siege.giver.peer.write(head)
        chunk, sent = b"x" * 1_000_000, 0
        with suppress(OSError):
            for _ in range(100):
                await siege.giver.peer.write(chunk)
                sent += len(chunk)
        await siege.giver.peer.hung_up()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 40_000, f"{grown} KiB more for {sent} octets"
        await client.silent()
        assert siege.number == 1
        siege.giver = await Giver.meet(siege.stack, managed, FE1)
        await siege.taken(managed.version(2), 2)


@on_loop
async def test_edge_believes_the_signature_and_not_the_relay(managed: Managed) -> None:
    """The same front end, the same subscription: what it made itself is refused, what management signed is taken."""
    async with besieged(managed, EDGE) as siege:
        await siege.refused(managed.signed(managed.payload(2), managed.credentials(FE1)))
        await siege.refused(managed.signed(managed.payload(2), forged(managed, OTHERS)))
        await siege.taken(managed.version(2), 2)


# Users


def users(
    network: Managed, number: int, since: int = 0, credentials: Credentials | None = None, **changes: Any
) -> Item:
    """Mallory's account in a document of users."""
    aor = f"sip:mallory@{EXAMPLE}"
    proof = Verifier(aor, 1, {Algorithm.SHA_256: ha1("mallory", EXAMPLE, "mallory-secret", Algorithm.SHA_256)})
    told: dict[str, Any] = {"organisation": EXAMPLE, "pool": POOL, "number": number, "since": since}
    roster = UserDocument(**{**told, **changes}, verifiers={aor: proof})
    return Item(ItemKind.USERS, network.signed(roster.encode(), credentials, USERS), "0", number)


@on_loop
async def test_users_that_are_not_for_us_are_not_taken(managed: Managed) -> None:
    """Of another pool or organisation, signed by a server, or too old: refused. The valid document permits the login."""
    async with besieged(managed) as siege:
        for wrong in (
            users(managed, 9, pool=POOL2),
            users(managed, 9, organisation="other.test"),
            users(managed, 9, credentials=managed.credentials(MGMT)),
            users(managed, 9, credentials=forged(managed, OTHERS)),
            users(managed, 9, since=5),
        ):
            assert (await siege.giver.give(wrong)).status == 488
            assert managed.nodes[FE1].user_updates.number == 0
        assert (await siege.giver.give(users(managed, 9))).status == 200
        assert managed.nodes[FE1].user_updates.number == 9
        assert (await siege.giver.give(users(managed, 8))).status == 488
        assert managed.nodes[FE1].user_updates.number == 9
        client = await siege.stack.enter_async_context(
            await Peer.open(managed.organisation.address(FE1, LinkKind.CLIENT), f"mallory@{EXAMPLE}")
        )
        assert (await client.register()).status == 200


# CRLs and what travels ahead of them

LIST = "ca/issuing.crl"


@on_loop
async def test_crl_that_is_worse_than_the_present_one_is_refused(managed: Managed) -> None:
    """Older, of another CA, not signed by the CA whose name it bears, ended, no list: the current CRL stays."""
    managed.join(FE1)
    ca, file = managed.organisation.ca, managed.organisation.folder / LIST
    old = file.read_bytes()
    ca.revoke(ca.issue_signer(MGMT, NOW).certificate.serial_number, Reason.SUPERSEDED, datetime.now(UTC))
    newer = file.read_bytes()
    ca.crls.publish(datetime.now(UTC) + timedelta(seconds=2))
    newest = file.read_bytes()
    ours, forge = our_ca(managed), Forge(datetime.now(UTC) + timedelta(minutes=10))
    late = timedelta(hours=-2)
    async with besieged(managed) as siege:
        held = managed.folder(FE1) / LIST
        assert (await siege.giver.give(Item(ItemKind.LIST, newer, LIST))).status == 200
        assert held.read_bytes() == newer
        for wrong in (
            forge.revocations(OTHERS, number=99),
            forge.revocations(ours, number=99, key=OTHERS.key),
            forge.revocations(ours, number=99, begins=late - timedelta(days=1), ends=late),
            b"no list at all",
        ):
            answer = await siege.giver.give(Item(ItemKind.LIST, wrong, LIST))
            assert answer.status == 488, wrong
            assert held.read_bytes() == newer
        assert (await siege.giver.give(Item(ItemKind.LIST, old, LIST))).status == 200  # told again, and left alone
        assert held.read_bytes() == newer
        assert (await siege.giver.give(Item(ItemKind.LIST, newest, LIST))).status == 200
        assert held.read_bytes() == newest
        await siege.taken(managed.version(2), 2)  # its judge has every list that it needs


def files_below(folder: Path) -> set[Path]:
    """Every file, but for those in which SQLite keeps what is not yet in its database: they come and go."""
    passing = ("-wal", "-shm", "-journal")
    return {file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(passing)}


@pytest.mark.parametrize(
    ("name", "status"),
    wide_after(
        3,
        [
            ("../outside.crl", 488),
            ("/outside.crl", 488),
            ("ca/other.crl", 200),
            ("ca/../../outside.crl", 488),
            ("topology.yaml", 200),
            ("ca/root.pem", 200),
        ],
    ),
)
@on_loop
async def test_crl_goes_only_to_files_that_the_topology_names(managed: Managed, name: str, status: int) -> None:
    """A list that comes ahead of the version which names it is kept in memory, and written nowhere until one does."""
    crl = (managed.organisation.folder / LIST).read_bytes()
    async with besieged(managed) as siege:
        await until(
            lambda: not managed.nodes[FE1].message_queue.waiting
        )  # a thread makes this database after the start
        before = files_below(managed.where)
        assert (await siege.giver.give(Item(ItemKind.LIST, crl, name))).status == status
        assert files_below(managed.where) == before
        assert (await siege.giver.give(Item(ItemKind.LIST, crl, LIST))).status == 200


@on_loop
async def test_revocations_ahead_of_their_crl_are_accepted_from_management_alone(managed: Managed) -> None:
    """Otherwise every peer with a link could have every other peer refused."""
    leaf = x509.load_pem_x509_certificates(managed.credentials(FE2)[0].read_bytes())[0]
    payload = revoked_payload(EXAMPLE, 1, {(leaf.issuer.public_bytes(), leaf.serial_number)})
    async with besieged(managed) as siege:
        await siege.stack.enter_async_context(
            await Peer.open(managed.organisation.address(FE1, LinkKind.SERVER), credentials=managed.credentials(FE2))
        )
        node = managed.nodes[FE1]
        await until(lambda: links_between(node, FE2))
        for wrong in (managed.credentials(MGMT), forged(managed, OTHERS)):
            item = Item(ItemKind.REVOKED, managed.signed(payload, wrong, REVOKED))
            assert (await siege.giver.give(item)).status == 488
            assert links_between(node, FE2)
        item = Item(ItemKind.REVOKED, managed.signed(payload, kind=REVOKED))
        assert (await siege.giver.give(item)).status == 200
        await until(lambda: not links_between(node, FE2))
        assert links_between(node, MGMT)


# The disk


def _edited(text: bytes) -> bytes:
    """One letter of it is another."""
    middle = len(text) // 2
    return text[:middle] + (b"A" if text[middle : middle + 1] != b"A" else b"B") + text[middle + 1 :]


@pytest.mark.parametrize("server", wide_after(1, [FE1, EDGE]))
@pytest.mark.parametrize(
    ("what", "edit"),
    [
        ("topology", _edited),
        ("topology", lambda _: b""),
        ("topology", lambda text: b".".join((parts(text)[0], encoded(b"{}"), parts(text)[2]))),
        ("topology", None),
        ("anchors", lambda _: OTHERS.issuer.pem_chain if OTHERS.issuer else b""),
        ("anchors", lambda _: b"nothing"),
        ("anchors", None),
    ],
    ids=["a letter", "emptied", "another payload", "topology gone", "anchors of another", "no anchors", "anchors gone"],
)
@on_loop
async def test_copy_on_disk_that_was_edited_is_not_loaded(
    managed: Managed, server: str, what: str, edit: Callable[[bytes], bytes] | None
) -> None:
    """The server does not start; it names the file and the command that helps. As it was, it starts."""
    async with managed:
        managed.join(server)
        file = managed.folder(server) / "state" / f"{server}.{what}"
        good = file.read_bytes()
        file.unlink()
        if edit is not None:
            file.write_bytes(edit(good))
        with pytest.raises(OperatorError) as refused:
            await managed.start(server)
        told = str(refused.value)
        assert "sipmesh join" in told
        assert file.name in told or what == "anchors"
        file.write_bytes(good)
        await managed.start(server)
        assert managed.number(server) == 1


@pytest.mark.parametrize("edit", [_edited, lambda _: b"no line of it is signed\n", lambda text: text[: len(text) // 2]])
@on_loop
async def test_users_on_disk_that_were_edited_log_in_no_user(managed: Managed, edit: Callable[[bytes], bytes]) -> None:
    """What is left of them is not used; management gives them again."""
    async with besieged(managed) as siege:
        assert (await siege.giver.give(users(managed, 9))).status == 200
        file = managed.folder(FE1) / "state" / f"{FE1}.users"
        good = file.read_bytes()
        await managed.stop(FE1)
        file.write_bytes(edit(good))
        await managed.start(FE1)
        assert managed.nodes[FE1].user_updates.number == 0
        giver = await Giver.meet(siege.stack, managed, FE1)
        assert giver.held.users == 0  # so that all of them are given
        assert (await giver.give(users(managed, 9))).status == 200
        await managed.stop(FE1)
        assert file.read_bytes().split(b".")[1] == good.split(b".")[1]
        await managed.start(FE1)
        assert managed.nodes[FE1].user_updates.number == 9


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_draft_beside_what_is_held_is_not_loaded(managed: Managed, server: str) -> None:
    """An unsigned document is never read by a server that holds a signed one, at a start or while it runs."""
    async with managed:
        managed.join(server)
        draft = managed.folder(server) / "topology.yaml"
        text = managed.organisation.file.read_text()
        draft.write_text(text.replace("organisation: example.test", "organisation: mallory.test"))
        await managed.start(server)
        assert managed.nodes[server].view.organisation == EXAMPLE
        draft.write_text("sipmesh: 1\n")
        assert (await managed.ask(server, "reload"))["taken"]
        assert managed.nodes[server].view.organisation == EXAMPLE


@on_loop
async def test_draft_that_names_management_is_loaded_by_no_server_before_it_is_published(managed: Managed) -> None:
    folder = managed.folder(FE1)
    folder.mkdir()
    (folder / "topology.yaml").write_text(managed.organisation.file.read_text())
    for made in ("servers", "ca"):
        (folder / made).symlink_to(managed.organisation.folder / made)
    with pytest.raises(OperatorError, match="an unsigned draft"):
        source_of(folder / "topology.yaml", FE1)
    (folder / "ca").unlink()
    (folder / "servers").unlink()
    async with managed:
        managed.join(FE1)
        await managed.start(FE1)
        assert managed.number(FE1) == 1


# Who may ask, and who may say


@on_loop
async def test_subscriptions_and_statuses_of_those_who_may_not_are_refused(managed: Managed) -> None:
    """A front end asks management, and an edge its front end, on the link that was opened for it; no other server is asked."""
    state = ReplicationState({}, datetime.now(UTC).isoformat()).encode()
    async with managed, AsyncExitStack() as stack:
        await managed.start(MGMT, FE1)
        address = managed.organisation.address
        strangers = {FE1: (EDGE, BOT), MGMT: ()}
        for server, many in strangers.items():
            for who in many:
                peer = await stack.enter_async_context(
                    await Peer.open(address(server, LinkKind.SERVER), credentials=managed.credentials(who))
                )
                asked = peer.request("SUBSCRIBE", f"sip:{server}", (("event", EVENT), ("expires", "60")), state)
                assert (await peer.ask(asked)).status in {403, 489}
                said = peer.request("PUBLISH", f"sip:{server}", (("event", STATUS_EVENT),), b'{"number": 99}')
                assert (await peer.ask(said)).status == 403
        assert FE1 not in managed.master._notifier.subscribers or managed.number(FE1) == 1
        client = await stack.enter_async_context(await Peer.open(address(FE1, LinkKind.CLIENT), f"alice@{EXAMPLE}"))
        asked = client.request("SUBSCRIBE", f"sip:{FE1}", (("event", EVENT), ("expires", "60")), state)
        assert (await client.ask(asked)).status not in {200, 202}
        await managed.acknowledged(1)


@pytest.mark.parametrize("who", wide_after(2, [FE2, EDGE, BOT, MGMT]))
@on_loop
async def test_management_has_no_link_but_those_that_it_has_opened(managed: Managed, who: str) -> None:
    """No server connects to management; a front end receives and sends on the link that management has opened to it."""
    async with managed, AsyncExitStack() as stack:
        await managed.start(MGMT)
        address = managed.organisation.address(MGMT, LinkKind.SERVER)
        peer = await stack.enter_async_context(await Peer.open(address, credentials=managed.credentials(who)))
        asked = peer.request("SUBSCRIBE", f"sip:{MGMT}", (("event", EVENT), ("expires", "60")), b"{}")
        with pytest.raises(HungUpError):
            await peer.ask(asked)
        assert managed.master.reports.reports == {}
        await managed.start(FE1)
        await managed.acknowledged(1)
