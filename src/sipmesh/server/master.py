"""The management server: it holds the master of the topology, signs what is published, and gives it to everybody."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.distribution.event import is_ours
from sipmesh.distribution.items import Item, Kind, State
from sipmesh.distribution.notifier import Notifier
from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki.generations import Generations
from sipmesh.server.census import Census, now_utc
from sipmesh.server.certifying import Grantor, about, renew_own, show_own
from sipmesh.server.control import WHO, Command
from sipmesh.server.follow_up import CA, follow_up
from sipmesh.server.holding import USERS
from sipmesh.server.lists import LARGEST_GIVEN, ListShelf, must_be_portable
from sipmesh.server.member import hops_to
from sipmesh.server.revoked import REVOKED, revoked_payload
from sipmesh.server.rounds import Rounds
from sipmesh.server.signing import sign_as
from sipmesh.server.source import version_of
from sipmesh.sip.message import Request, Response, respond
from sipmesh.storage.audit import Act
from sipmesh.topology.dangers import dangers
from sipmesh.topology.difference import difference
from sipmesh.topology.document import load_published
from sipmesh.topology.homes import home_by_default
from sipmesh.topology.publication import KIND, Draft, Publication
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from sipmesh.distribution.event import Here
    from sipmesh.server.log import Log
    from sipmesh.storage.chronicle import Chronicle
    from sipmesh.storage.history import Slot, Version
    from sipmesh.topology.document import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link import Link
    from sipmesh.trust.policy import TrustedPeer
    from sipmesh.trust.verdict import Named

LONGEST_WAIT_S = 60.0

RENEW_EVERY_S = 600.0
"""How often management looks at its own certificates; it has a third of their life to renew them in."""

AGAIN_EVERY_S = 30.0
"""How often a version is given once more to those that have refused it: a disk that was full may have room by now."""


class Managed(Protocol):
    """What a master asks of the server that it is part of."""

    @property
    def view(self) -> ServerView:
        """The topology in force."""

    def take(self, loaded: Loaded) -> list[str]:
        """Put a version in force; raises `OperatorError` where that cannot be."""

    def standing(self) -> dict[str, Any]:
        """What this server says of itself."""


class Directory(Protocol):
    """The users, as a master gives them to the servers of their pools."""

    def refresh(self) -> frozenset[str]:
        """Take over what has changed; blocks for as long as the database does."""

    def documents(self, organisation: str, pool: str, otherwise: str, *, since: int = 0) -> Sequence[bytes]:
        """Give what has changed for a pool since it had that number, as payloads to be signed."""

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """The pools where users are at home, "" for those who were given none, and the domains of their addresses."""

    @property
    def number(self) -> int:
        """The version of the users, as of the last `refresh`."""


class Master:
    """The post of the management server. *folder* is the organisation's, with the draft ``topology.yaml`` in it."""

    def __init__(
        self,
        server: Managed,
        chronicle: Chronicle,
        users: Directory,
        here: Here,
        loop: asyncio.AbstractEventLoop,
        dial: Callable[[Hop], Link],
        log: Log,
    ) -> None:
        self._server, self._users, self._loop, self._log = server, users, loop, log
        self._chronicle, self._history, self._audit = chronicle, chronicle.history, chronicle.audit
        self._folder = server.view.loaded.folder
        self._file = self._folder / "topology.yaml"
        self._lists = ListShelf(self._folder)
        self._topology = self._head_item()
        self._of_pool: dict[tuple[str, int], list[Item]] = {}
        self._revoked: Item | None = None
        self._notifier = Notifier(here, self, self._heard)
        self._rounds = Rounds(loop, dial)
        self.census = Census()
        self._news = asyncio.Event()
        self._gave_again_at = self._renewed_at = loop.time()
        self._grantor = Grantor(self._folder / CA, self._sign, self._granted)
        self._not_granted: dict[str, str] = {}
        self._issuing = ""
        self._renew_own()  # before it listens: what ended while it was off must not keep it from coming back

    def __repr__(self) -> str:
        return f"<Master {self._server.view.name}, version {self._topology.number}>"

    def _head_item(self) -> Item:
        number = self._server.view.loaded.number
        return Item(Kind.TOPOLOGY, self._history.get(number).jws, number=number)

    def begin(self) -> None:
        """Reach every front end."""
        self._keep_rounds()

    def close(self) -> None:
        """Open no more links."""
        self._rounds.close()

    # Links and messages

    def link_up(self, link: Link) -> None:
        """A server can be reached: it will subscribe."""
        self._rounds.up(link)

    def link_down(self, link: Link, why: str) -> None:
        """Forget what was agreed on the link."""
        self._notifier.gone(link)
        self._rounds.gone(link, why)

    def requested(self, link: Link, peer: TrustedPeer, request: Request) -> bool:
        """Serve a request of our package: a subscription on a link that we opened, or a status."""
        if not is_ours(request):
            return False
        if request.method == "SUBSCRIBE" and peer.role is Role.FRONT_END:
            self._notifier.subscribed(link, peer, request, stays=self._rounds.has(link))
        elif request.method == "PUBLISH":
            link.send(self._notifier.published(link, peer, request).encode())
        else:
            link.send(respond(request, 403).encode())
        return True

    def responded(self, link: Link, response: Response) -> None:
        """Nothing waits for the answers to NOTIFY: a server says in its status what it has taken."""

    def report(self) -> None:
        """There is nobody to report to: management sees how it is itself."""

    def tick(self) -> None:
        """Tell of servers that stay behind, and give them the version once more now and then."""
        if self._loop.time() - self._renewed_at >= RENEW_EVERY_S:
            self._renewed_at = self._loop.time()
            self._renew_own()
        if self._loop.time() - self._gave_again_at >= AGAIN_EVERY_S:
            self._gave_again_at = self._loop.time()
            for name, report in self.census.reports.items():
                if report.number < self._topology.number:
                    self._notifier.again(name)
        for name, report in self.census.late(now_utc()):
            why = report.error or self._rounds.why_not(name) or "it has not said why"
            self._log.warning("server behind", peer=name, holds=report.number, newest=self._topology.number, why=why)

    # Giving

    def state(self, peer: TrustedPeer) -> State:
        """Tell what there is for *peer*."""
        held = {item.key: (item.number, item.digest) for item in self.items(peer)}
        return State(held, now_utc().isoformat(), self._topology.number, self._issuing)

    def items(self, peer: TrustedPeer) -> Iterable[Item]:
        """Give everything for *peer*: what revokes first."""
        if self._revoked is not None:
            yield self._revoked
        yield from self._lists.items(self._server.view.loaded)
        yield self._topology
        for name in (peer.name, *edges_behind(self._server.view, peer.pool or "")):
            if (granted := self._grantor.item(name)) is not None:
                yield granted

    def users(self, peer: TrustedPeer, since: int) -> Iterable[Item]:
        """Give what has changed of the users of the pool of *peer*; each change is signed once for all of its servers."""
        pool, number = peer.pool, self._users.number
        if pool is None or since == number:
            return ()
        if (pool, since) not in self._of_pool:
            topology = self._server.view.loaded.topology
            payloads = self._users.documents(topology.organisation, pool, home_by_default(topology), since=since)
            self._of_pool[pool, since] = [
                Item(Kind.USERS, self._sign(payload, USERS), str(part), number) for part, payload in enumerate(payloads)
            ]
        return self._of_pool[pool, since]

    def lists_taken(self, revoked: frozenset[Named]) -> None:
        """Lists of this machine have come into force: everybody gets them, and ahead of them whom they newly revoke."""
        if revoked:
            payload = revoked_payload(self._server.view.organisation, int(now_utc().timestamp() * 1000), revoked)
            try:
                self._revoked = Item(Kind.REVOKED, self._sign(payload, REVOKED))
            except OperatorError as wrong:
                self._log.warning("revocations travel with their list alone", why=str(wrong))
        self._notifier.changed()

    async def refresh(self) -> None:
        """Take over changes of users and give them to the servers of their pools."""
        changed = await asyncio.to_thread(self._users.refresh)
        if changed:
            self._of_pool.clear()
            self._notifier.changed()

    # Reports

    def _heard(self, peer: TrustedPeer, told: dict[str, Any]) -> None:
        at, newest = now_utc(), self._topology.number
        relayed = told.pop("relayed", None)
        self._grant(peer.name, told, at)
        self.census.heard(peer.name, told, at, newest)
        if isinstance(relayed, dict):
            behind = edges_behind(self._server.view, peer.pool or "")
            for name, other in relayed.items():
                if isinstance(other, dict) and name in behind:
                    self._grant(name, other, at)
                    self.census.heard(name, other, at, newest, by=peer.name)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _grant(self, server: str, told: dict[str, Any], at: datetime) -> None:
        """Give a server the certificate that it asks for."""
        request = told.pop("request", None)
        if not isinstance(request, str):
            return
        try:
            if self._grantor.asked(server, request, self._server.view.loaded, at):
                self._notifier.changed()
        except (OperatorError, RemoteError) as wrong:
            if self._not_granted.get(server) != str(wrong):  # it asks again with each report
                self._not_granted[server] = str(wrong)
                self._log.warning("certificate not renewed", peer=server, why=str(wrong))
                self._audit.append(server, Act.REFUSED, {"act": "issue", "refused": str(wrong)}, at=at)

    def _granted(self, server: str, certificate: x509.Certificate) -> None:
        self._log.info("certificate issued", peer=server, serial=f"{certificate.serial_number:x}")
        self._audit.append(server, Act.ISSUE, about(server, certificate), at=now_utc())

    def _renew_own(self) -> None:
        """Renew what we show and sign with; a new certificate comes into use as every file that changes does."""
        try:
            for made in renew_own(self._server.view, self._folder / CA, now_utc()):
                self._granted(self._server.view.name, made)
            if Generations.are_in(self._folder / CA):
                show_own(self._server.view, self._folder / CA)
                shown = Generations(self._folder / CA).current.shown
                self._issuing = b64encode(shown.public_bytes(Encoding.DER)).decode()
        except OperatorError as wrong:
            self._log.error("our own certificate is not renewed", why=str(wrong))

    def _members(self) -> list[tuple[str, str, Role]]:
        """Every server that is to follow, with its pool and role."""
        pools = self._server.view.pools.values()
        of_ours = (pool for pool in pools if pool.role in (Role.FRONT_END, Role.EDGE))
        return [(name, pool.name, pool.role) for pool in of_ours for name in pool.servers]

    def _keep_rounds(self) -> None:
        front_ends = (name for name, _, role in self._members() if role is Role.FRONT_END)
        self._rounds.take(hops_to(self._server.view, front_ends))
        self.census.keep(frozenset(name for name, _, _ in self._members()))

    # Publishing

    def plan(self) -> dict[str, Any]:
        """What publishing the draft would mean; raises `OperatorError` for a draft with problems."""
        draft = self._read_draft()
        return {
            "base": self._topology.number,
            "digest": draft.loaded.digest,
            "changes": list(difference(self._server.view.loaded, draft.loaded)),
            "dangers": list(self._dangers(draft.loaded)),
        }

    def publish(self, who: str, why: str, base: int, digest: str, *, force: bool) -> dict[str, Any]:
        """Sign the draft as the next version and put it in force; raises `OperatorError`, and then nothing has changed.

        *base* and *digest* are those of the plan that the operator has seen.
        """
        with self._audited(who, {"act": "publish", "why": why}):
            draft = self._read_draft(digest)
            return self._put_in_force(draft, Act.PUBLISH, who, why, base, force=force)

    def rollback(self, who: str, why: str, number: int, base: int, *, force: bool) -> dict[str, Any]:
        """Publish the content of an old version as a new one; raises `OperatorError`."""
        with self._audited(who, {"act": "rollback", "to": number}):
            old = self._version(number)
            draft = Draft(load_published(old, self._folder), old.topology, old.files)
            return self._put_in_force(draft, Act.ROLLBACK, who, why or f"back to version {number}", base, force=force)

    @contextmanager
    def _audited(self, who: str, about: dict[str, Any]) -> Iterator[None]:
        """A refused attempt is a line in the audit log as well."""
        try:
            yield
        except OperatorError as wrong:
            self._audit.append(who, Act.REFUSED, {**about, "refused": wrong.message}, at=now_utc())
            raise

    def _version(self, number: int) -> Publication:
        return version_of(self._chronicle, number)

    def _read_draft(self, digest: str = "") -> Draft:
        """Read the draft; *digest* is that of the one that was compared, if it was."""
        try:
            content = self._file.read_bytes()
        except OSError as wrong:
            problem = Problem(self._file, 0, "", f"cannot be read ({wrong.strerror})", "write the draft there")
            raise OperatorError("there is no draft to publish", (problem,)) from None
        draft = Draft.read(content, self._file)
        if digest and draft.loaded.digest != digest:
            raise OperatorError(f"{self._file} has changed since it was compared; look at it again, and publish then")
        return draft

    def _dangers(self, new: Loaded) -> Sequence[str]:
        """What *new* would break, by what servers have said of their links, and where users are at home."""
        in_force = self._server.view.loaded
        in_use = set(self._server.standing()["anchors"])
        for report in self.census.reports.values():
            in_use |= {str(one) for one in report.told.get("anchors") or ()}
        homes, domains = self._users.places()
        found = {home or home_by_default(in_force.topology) for home in homes}
        return dangers(in_force, new, in_use=in_use, domains=domains, homes=found)

    def _put_in_force(self, draft: Draft, act: Act, who: str, why: str, base: int, *, force: bool) -> dict[str, Any]:
        """Sign, store and apply a version, and give it to everybody: one transaction, then what follows from it."""
        must_be_portable(draft.loaded)
        found = list(self._dangers(draft.loaded))
        if found and not force:
            told = "; ".join(found)
            raise OperatorError(f"not published, since it would break something: {told}; --force does it all the same")
        changes = list(difference(self._server.view.loaded, draft.loaded))
        at = now_utc()

        def make(slot: Slot) -> bytes:
            made = draft.compiled(
                slot.number, who, why, at=at, forced=bool(found), previous=slot.previous, audit=slot.audit
            )
            signed = self._sign(made.encode(), KIND)
            if len(signed) > LARGEST_GIVEN:
                raise OperatorError(f"the publication has {len(signed)} octets, and servers take {LARGEST_GIVEN}")
            return signed

        version = self._history.publish(base, make, who, why, at=at, dangers=found, act=act)
        self._topology = Item(Kind.TOPOLOGY, self._history.get(version.number).jws, number=version.number)
        before = self._server.view.loaded
        closed = self._apply(version.number)
        follow_up(self._folder, self._audit, before, draft.loaded, who, at, self._log.error)
        self._log.info("published", version=version.number, by=who, why=why, changes=changes, forced=found)
        return {"version": version.number, "changes": changes, "forced": found, "closed": closed}

    def _apply(self, number: int) -> list[str]:
        """Live by a version that is in the history, and give it to everybody."""
        self._of_pool.clear()
        self.census.published(now_utc())
        try:
            closed = self._server.take(load_published(self._version(number), self._folder))
        except OperatorError as wrong:  # such as one without management: who holds it follows it all the same
            self._log.error("published, but not in force on this server", why=str(wrong))
            closed = []
        self._notifier.take(self._server.view.trusted.get)
        self._keep_rounds()
        self._notifier.changed()
        return closed

    def _sign(self, payload: bytes, kind: str) -> bytes:
        return sign_as(self._server.view, payload, kind, now_utc())

    # Another root

    def activate_root(self, who: str) -> dict[str, Any]:
        """Have the CA that is prepared issue from now on, once every server trusts its root; raises `OperatorError`."""
        generations = Generations(self._folder / CA)
        coming = generations.next
        if coming is None:
            raise OperatorError("no other root is prepared; first: sipmesh ca root prepare")
        if coming.root not in self._server.view.loaded.authority.anchors:
            raise OperatorError("the new root is in the draft only; first: sipmesh topology publish -m WHY")
        if missing := self._missing(self._topology.number):
            told = ", ".join(missing)
            raise OperatorError(f"these servers do not have version {self._topology.number} in force yet: {told}")
        generations.activate()
        self._root_changed(who, "activate", generations.number)
        return {"generation": generations.number, "root": coming.root.subject.rfc4514_string()}

    def switch_root(self, who: str) -> dict[str, Any]:
        """Have servers show the issuing CA under its own root; raises `OperatorError` while one issues from elsewhere."""
        generations = Generations(self._folder / CA)
        name = generations.current.issuing.subject.rfc4514_string()
        if late := self._not_under("issuer", name):
            raise OperatorError(f"these servers do not show a certificate of {name} yet: {', '.join(late)}")
        generations.switch()
        self._root_changed(who, "switch", generations.number)
        return {"generation": generations.number, "root": generations.current.root.subject.rfc4514_string()}

    def retire_root(self, who: str) -> dict[str, Any]:
        """Let go of the roots before the present one, once nobody stands on them and no version names them."""
        generations = Generations(self._folder / CA)
        name = generations.current.root.subject.rfc4514_string()
        if late := self._not_under("under", name):
            raise OperatorError(f"these servers do not stand on {name} yet: {', '.join(late)}")
        old = generations.old
        for number in old:
            if generations.open(number).root in self._server.view.loaded.authority.anchors:
                raise OperatorError(f"root {number} is still trusted; take it out of the draft, and publish that first")
        for number in old:
            generations.retire(number)
        self._root_changed(who, "retire", generations.number)
        return {"retired": old}

    def _not_under(self, what: str, name: str) -> list[str]:
        reports = self.census.reports
        shown = {server: (report.told.get("certificate") or {}).get(what) for server, report in reports.items()}
        shown[self._server.view.name] = self._server.standing()["certificate"][what]
        members = [server for server, _, _ in self._members()]
        return [server for server in (self._server.view.name, *members) if shown.get(server) != name]

    def _root_changed(self, who: str, step: str, generation: int) -> None:
        self._audit.append(who, Act.ROOT, {"step": step, "generation": generation}, at=now_utc())
        self._log.warning("change of the root", step=step, generation=generation, by=who)
        self._renew_own()
        self._notifier.changed()

    # What the operator asks

    def commands(self) -> Mapping[str, Command]:
        """The commands of the control socket that only management has."""
        return {
            "plan": self._asked_plan,
            "publish": self._asked_publish,
            "rollback": self._asked_rollback,
            "history": self._asked_history,
            "version": self._asked_version,
            "acknowledged": self._asked_acknowledged,
            "network": self._asked_network,
            "root": self._asked_root,
        }

    async def _asked_plan(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        return self.plan()

    async def _asked_publish(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        why, base, digest = str(asked["why"]), int(asked["base"]), str(asked["digest"])
        return self.publish(str(asked[WHO]), why, base, digest, force=bool(asked.get("force")))

    async def _asked_rollback(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        number, base = int(asked["version"]), int(asked["base"])
        return self.rollback(str(asked[WHO]), str(asked["why"]), number, base, force=bool(asked.get("force")))

    async def _asked_history(self, _asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [told_version(one) for one in self._history.list()]

    async def _asked_version(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        publication = self._version(int(asked["version"]))
        return {"topology": publication.topology, "files": sorted(publication.files), "why": publication.why}

    async def _asked_root(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        steps = {"activate": self.activate_root, "switch": self.switch_root, "retire": self.retire_root}
        return steps[str(asked["step"])](str(asked[WHO]))

    async def _asked_acknowledged(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until every server has said that it has a version in force, or the time is up."""
        number = int(asked["version"])
        until = self._loop.time() + min(float(asked.get("wait_s", LONGEST_WAIT_S)), LONGEST_WAIT_S)
        while missing := self._missing(number):
            left = until - self._loop.time()
            if left <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        return {"version": number, "missing": missing, "servers": len(self._members())}

    def _missing(self, number: int) -> list[str]:
        have = self.census.holding(number)
        return [name for name, _, _ in self._members() if name not in have]

    async def _asked_network(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        """Every server with what it holds, against the master's version."""
        at = now_utc()
        return {
            "version": self._topology.number,
            "at": at.isoformat(),
            "master": {"server": self._server.view.name, **self._server.standing()},
            "servers": [self._told_server(name, pool, role, at) for name, pool, role in self._members()],
        }

    def _told_server(self, name: str, pool: str, role: Role, at: datetime) -> dict[str, Any]:
        report = self.census.reports.get(name)
        told: dict[str, Any] = {"server": name, "pool": pool, "role": role, "why_not": self._rounds.why_not(name)}
        told["linked"] = name in self._notifier.subscribers
        if report is None:
            return {**told, "number": None}
        since = report.behind_since
        return {
            **told,
            **report.told,
            "number": report.number,
            "error": report.error,
            "by": report.by,
            "heard_s": round((at - report.heard_at).total_seconds(), 1),
            "behind_s": round((at - since).total_seconds(), 1) if since is not None else 0,
            "clock_s": report.clock_s,
        }


def edges_behind(view: ServerView, pool: str) -> frozenset[str]:
    """The edges that hand requests to a front-end pool, and are told by it what management has signed."""
    pools = (one for one in view.pools.values() if one.role is Role.EDGE and one.next_hop == pool)
    return frozenset(name for one in pools for name in one.servers)


def told_version(one: Version) -> dict[str, Any]:
    """A version as the history tells it."""
    return {
        "version": one.number,
        "at": one.at.isoformat(),
        "by": one.by,
        "why": one.why,
        "forced": one.forced,
        "digest": one.digest,
    }
