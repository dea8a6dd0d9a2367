"""What one server keeps on disk of what management has signed: the topology in force, its users, the highest number seen.

What comes in is taken if it is signed by a signer that is believed *now*, of this organisation, and newer than anything that
this server has ever seen. What is in force outlives its signer: at a start the signature has to hold, and to lead to an anchor
that this server trusted when it took the document.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki import files
from sipmesh.topology.document import load_published
from sipmesh.topology.jose import MalformedDocumentError, open_signed
from sipmesh.topology.publication import KIND, Publication
from sipmesh.transport.pathcheck import path_errors
from sipmesh.trust.certificate import UNREADABLE, issued_by
from sipmesh.trust.role import Role
from sipmesh.trust.signer import judge_signer
from sipmesh.trust.words import tell_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.topology.document import Loaded
    from sipmesh.topology.jose import Signed

USERS = "sipmesh-users"
"""The typ of a signed document of users."""

JOIN_AGAIN = "have this server join again: sipmesh join"


class Holding:
    """The documents of the server *name*, below *folder*, the organisation's folder on this machine."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.state = state = folder / "state"
        self._topology = state / f"{name}.topology"
        self._anchors = state / f"{name}.anchors"
        self._highest = state / f"{name}.highest"
        self._users = state / f"{name}.users"
        self._known_to_exist = 0
        self.on_known: Callable[[int], None] | None = None  # hears of a number that is higher than all before

    def __repr__(self) -> str:
        return f"<Holding of {self.name} in {self.folder}>"

    @property
    def known_to_exist(self) -> int:
        """The highest number that anybody has told of, taken or not."""
        return self._known_to_exist

    @known_to_exist.setter
    def known_to_exist(self, number: int) -> None:
        self._known_to_exist = number
        if self.on_known is not None:
            self.on_known(number)

    @property
    def is_there(self) -> bool:
        """Whether this server has ever held a publication; then it loads nothing else."""
        return self._topology.exists() or self._highest.exists()

    # The topology

    def begin(self, jws: bytes, anchors: list[x509.Certificate]) -> None:
        """Hold a first publication, whose *anchors* the operator vouches for; raises `OperatorError` where it is not signed."""
        self.folder.joinpath("state").mkdir(mode=0o700, exist_ok=True)
        publication, _ = self._open(jws, anchors)
        self.keep(jws, load_published(publication, self.folder))

    def load(self) -> Loaded:
        """Read what is held, as it was taken; raises `OperatorError` where it was touched since."""
        return load_published(self.publication(), self.folder)

    def publication(self) -> Publication:
        """The same, before its files are read."""
        return self._open(self.document(), self._pinned())[0]

    def document(self) -> bytes:
        """The exact octets of the publication that is held."""
        try:
            return self._topology.read_bytes()
        except OSError as wrong:
            raise self._broken(self._topology, f"cannot be read ({wrong.strerror})") from None

    def _open(self, jws: bytes, anchors: list[x509.Certificate]) -> tuple[Publication, Signed]:
        try:
            signed = open_signed(jws, KIND)
            publication = Publication.decode(signed.payload)
        except MalformedDocumentError as wrong:
            raise self._broken(self._topology, f"is not what was signed ({wrong})") from None
        if not _leads_to(signed.chain, anchors):
            raise self._broken(self._topology, "is signed by nobody that this server has trusted")
        return publication, signed

    def _pinned(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self._anchors.read_bytes())
        except OSError as wrong:
            raise self._broken(self._anchors, f"cannot be read ({wrong.strerror})") from None
        except UNREADABLE:
            raise self._broken(self._anchors, "holds no certificate") from None

    def _broken(self, file: Path, reason: str) -> OperatorError:
        return OperatorError("nothing unsigned is loaded", (Problem(file, 0, "", reason, JOIN_AGAIN),))

    @property
    def highest(self) -> int:
        """The highest number that this server has ever taken."""
        with suppress(OSError, ValueError):
            return int(self._highest.read_text())
        return 0

    def newer(self, jws: bytes, in_force: Loaded, at: datetime) -> Loaded:
        """Look at a publication that came in at the instant *at*; raises `RemoteError` for one that is not to be taken."""
        signed = _signed(jws, KIND)
        try:
            publication = Publication.decode(signed.payload)
        except MalformedDocumentError as wrong:
            raise _refused(str(wrong)) from None
        mine = in_force.topology.organisation
        if publication.organisation != mine:
            raise _refused(f"a publication of {publication.organisation!r}, and this is {mine!r}")
        floor = max(self.highest, in_force.number)
        if publication.number <= floor:
            raise _refused(
                f"version {publication.number}, after version {floor}: nothing is rolled back by an older one"
            )
        believe(signed, in_force, at)
        self.known_to_exist = max(self.known_to_exist, publication.number)
        try:
            return load_published(publication, self.folder)
        except OperatorError as wrong:
            raise _refused(f"version {publication.number} cannot be used: {wrong}") from None

    def read(self, jws: bytes) -> Loaded:
        """Read a publication that `newer` has let in with the files that are here now; raises `OperatorError`."""
        return load_published(Publication.decode(open_signed(jws, KIND).payload), self.folder)

    def keep(self, jws: bytes, loaded: Loaded) -> None:
        """Hold a publication that `newer` has let in, from now on and after every start; *loaded* is what `read` gave.

        The number first: a crash in between leaves the old version, and no way back before it.
        """
        pem = b"".join(anchor.public_bytes(Encoding.PEM) for anchor in loaded.authority.anchors)
        files.commit(
            [
                files.prepare(self._highest, b"%d\n" % max(loaded.number, self.highest), files.SECRET),
                files.prepare(self._topology, jws, files.SECRET),
                files.prepare(self._anchors, pem, files.SECRET),
            ]
        )

    # The users

    def users(self) -> list[bytes]:
        """The payloads of the users' documents that are held, in the order in which they came; up to one that was touched."""
        found: list[bytes] = []
        with suppress(OSError, MalformedDocumentError, OperatorError):
            anchors = self._pinned()
            for line in self._users.read_bytes().splitlines():
                signed = open_signed(line, USERS)
                if not _leads_to(signed.chain, anchors):
                    break
                found.append(signed.payload)
        return found

    def newer_users(self, jws: bytes, in_force: Loaded, at: datetime) -> bytes:
        """Look at a users' document that came in and give its payload; raises `RemoteError` if it is not believed."""
        return signed_by_management(jws, USERS, in_force, at)

    def keep_users(self, parts: Sequence[bytes], *, anew: bool) -> None:
        """Hold a document in its *parts* from now on: in place of those before, or after them if it tells of changes only."""
        lines = b"".join(part + b"\n" for part in parts)
        if anew or not self._users.exists():
            files.write(self._users, lines, files.SECRET)
            return
        with self._users.open("ab") as opened:  # a line that a crash cuts off is not signed, and asked for again
            opened.write(lines)
            opened.flush()
            os.fsync(opened.fileno())


def held_in(folder: Path) -> list[str]:
    """The servers that hold a publication in *folder*, by name."""
    return sorted(file.stem for file in (folder / "state").glob("*.topology"))


def believe(signed: Signed, in_force: Loaded, at: datetime) -> None:
    """Raise `RemoteError` unless the signer is one of the topology *in force*, valid and not revoked at the instant *at*."""
    authority = in_force.authority
    errors = path_errors(signed.chain, authority.anchors, at)
    belief = judge_signer(signed.presented, authority, signers_of(in_force), at=at, engine_errors=errors)
    if not belief.believed:
        who = tell_subject(signed.chain[0])
        raise _refused(f"signed by {who}, who is not believed: {belief.code}: {'; '.join(belief.reasons)}")


def signers_of(loaded: Loaded) -> frozenset[str]:
    """Whose signature counts: the servers of role management."""
    pools = (pool for pool in loaded.topology.pools if pool.role is Role.MANAGEMENT)
    return frozenset(server.name for pool in pools for server in pool.servers)


def signed_by_management(jws: bytes, kind: str, in_force: Loaded, at: datetime) -> bytes:
    """Give the payload of a document of another *kind*; raises `RemoteError` if it is not believed."""
    signed = _signed(jws, kind)
    believe(signed, in_force, at)
    return signed.payload


def _signed(jws: bytes, kind: str) -> Signed:
    try:
        return open_signed(jws, kind)
    except MalformedDocumentError as wrong:
        raise _refused(str(wrong)) from None


def _refused(why: str) -> RemoteError:
    return RemoteError(f"not taken: {why}", rule="rule R5", status=488)


def _leads_to(chain: tuple[x509.Certificate, ...], anchors: list[x509.Certificate]) -> bool:
    """Whether each certificate has signed the one before, and an anchor the last; at which time does not matter here."""
    issuers = [*chain[1:], None]
    for certificate, issuer in zip(chain, issuers, strict=True):
        candidates = anchors if issuer is None else [issuer]
        if not any(certificate == candidate or issued_by(certificate, candidate) for candidate in candidates):
            return False
    return True
