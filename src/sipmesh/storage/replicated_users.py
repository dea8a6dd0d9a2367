"""The users as a server of a managed network knows them: from documents that management signed, without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.storage.user_document import UserDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.routing.authentication.verifier import Verifier


class ReplicatedUsers:
    """The users for the servers of one pool, with the methods of `Users`; before the first document no user is known.

    Only one thread at a time may change it. Any thread may read it: a change replaces all users in one step.
    """

    __slots__ = ("_document", "_organisation", "_parts", "_pool", "_until", "_withheld")

    def __init__(self, organisation: str, pool: str) -> None:
        self._organisation, self._pool = organisation, pool
        self._document: UserDocument | None = None
        self._parts: dict[int, UserDocument] = {}
        self._withheld: frozenset[str] = frozenset()
        self._until = 0

    def __repr__(self) -> str:
        known = len(self._document.verifiers) if self._document is not None else 0
        return f"<ReplicatedUsers of {self._pool} known={known} number={self.number}>"

    @property
    def number(self) -> int:
        """The version of the users that is in force, 0 before the first one; later changes are requested since this version."""
        return self._document.number if self._document is not None else 0

    @property
    def ready(self) -> bool:
        """Whether a document has arrived, now or before the last start."""
        return self._document is not None

    def take(self, document: bytes) -> frozenset[str]:
        """Apply a document as `apply` does, from its octets."""
        return self.apply(UserDocument.decode(document))

    def apply(self, document_part: UserDocument) -> frozenset[str]:
        """Apply a document with a valid signature; returns the users of this pool that it adds, changes or removes.

        A document in several parts comes into force with its last part; incomplete parts of another number are dropped. The
        number that is in force already changes nothing.

        Raises `OperatorError`, and changes nothing, in these cases: the document cannot be read; it is for another
        organisation or pool; it is older than what is in force; or its changes start from a later number.
        """
        self._check(document_part)
        if document_part.number == self.number:
            return frozenset()
        if any(_series(document_part) != _series(part) for part in self._parts.values()):
            self._parts.clear()
        self._parts[document_part.part] = document_part
        if len(self._parts) < document_part.parts:
            return frozenset()
        return self._put_in_force([self._parts[n] for n in sorted(self._parts)])

    def _check(self, document_part: UserDocument) -> None:
        if (document_part.organisation, document_part.pool) != (self._organisation, self._pool):
            raise OperatorError(
                f"rejected: users of {document_part.pool} of {document_part.organisation} were sent to {self._pool}"
            )
        if document_part.number < self.number:
            raise OperatorError(
                f"rejected: users of number {document_part.number} were sent after number {self.number}"
            )
        if document_part.since > self.number:  # changes since an earlier number contain those since ours
            raise OperatorError(
                f"rejected: changes since number {document_part.since} were sent, and number {self.number} is in force"
            )

    def _put_in_force(self, parts: list[UserDocument]) -> frozenset[str]:
        before: Mapping[str, Verifier] = self._document.verifiers if self._document is not None else {}
        verifiers = dict(before) if parts[0].since else {}
        homes = dict(self._document.homes) if parts[0].since and self._document is not None else {}
        for part in parts:
            for aor in (*part.gone, *part.homes):
                verifiers.pop(aor, None)
            for aor in (*part.gone, *part.verifiers):
                homes.pop(aor, None)
            verifiers |= part.verifiers
            homes |= part.homes
        last = parts[-1]
        self._document = UserDocument(last.organisation, last.pool, last.number, verifiers=verifiers, homes=homes)
        self._parts.clear()
        if last.number >= self._until:
            self._withheld = frozenset()
        return frozenset(aor for aor in before.keys() | verifiers.keys() if before.get(aor) != verifiers.get(aor))

    def withhold(self, doubtful: frozenset[str], until: int) -> None:
        """Refuse logins of *doubtful* users, who may have changed, until the users of number *until* or later are in force."""
        self._withheld, self._until = doubtful, until

    def is_withheld(self, aor: str) -> bool:
        """Return whether *aor* may not log in yet: what is known of this user may be out of date."""
        return aor in self._withheld

    def whole(self) -> bytes | None:
        """Return everything that is in force as one unsigned document, None before the first one; for inspection only."""
        return self._document.encode() if self._document is not None else None

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*; None for an unknown user, a user of another pool, and a withheld user."""
        if self._document is None or aor in self._withheld:
            return None
        return self._document.verifiers.get(aor)

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor*; None for an unknown user."""
        document = self._document
        if document is None:
            return None
        return self._pool if aor in document.verifiers else document.homes.get(aor)

    def refresh(self) -> frozenset[str]:
        """Return the empty set: `take` returns the changes of a document at once."""
        return frozenset()

    def close(self) -> None:
        """Do nothing: there is no database."""


def _series(part: UserDocument) -> tuple[int, int, int]:
    return part.number, part.since, part.parts
