"""The users as a server of a managed network knows them: out of documents that management signed, and never from a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.storage.user_document import UserDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.routing.authentication.verifier import Verifier


class ReplicatedUsers:
    """What the servers of one pool ask of users, as `Users` offers it; before the first document nobody is known.

    Feeding it is for one thread at a time. Asking is for any: what is known is exchanged in one step.
    """

    __slots__ = ("_coming", "_held", "_organisation", "_pool")

    def __init__(self, organisation: str, pool: str) -> None:
        self._organisation, self._pool = organisation, pool
        self._held: UserDocument | None = None
        self._coming: dict[int, UserDocument] = {}

    def __repr__(self) -> str:
        known = len(self._held.verifiers) if self._held is not None else 0
        return f"<ReplicatedUsers of {self._pool} known={known} number={self.number}>"

    @property
    def number(self) -> int:
        """The version of the users that is in force, 0 before the first: since when to ask for what has changed."""
        return self._held.number if self._held is not None else 0

    @property
    def ready(self) -> bool:
        """Whether a document has come, now or before the last start."""
        return self._held is not None

    def take(self, document: bytes) -> frozenset[str]:
        """Take over a document whose signature holds; returns the users of this pool added, changed or gone by it.

        Of several parts the last to come puts all in force; those of another number that were not complete are let go.
        The same number again changes nothing.

        Raises `OperatorError`, and changes nothing, for one that cannot be read, is not of this organisation and pool, is
        older than what is in force, or tells what has changed since another version than that.
        """
        came = UserDocument.decode(document)
        self._look_at(came)
        if came.number == self.number:
            return frozenset()
        if any(_series(came) != _series(one) for one in self._coming.values()):
            self._coming.clear()
        self._coming[came.part] = came
        if len(self._coming) < came.parts:
            return frozenset()
        return self._put_in_force([self._coming[n] for n in sorted(self._coming)])

    def _look_at(self, came: UserDocument) -> None:
        if (came.organisation, came.pool) != (self._organisation, self._pool):
            raise OperatorError(f"rejected: users of {came.pool} of {came.organisation} were sent to {self._pool}")
        if came.number < self.number:
            raise OperatorError(f"rejected: users of number {came.number} were sent after number {self.number}")
        if came.since and self.number not in {came.since, came.number}:
            raise OperatorError(
                f"rejected: changes since number {came.since} were sent, and number {self.number} is in force"
            )

    def _put_in_force(self, parts: list[UserDocument]) -> frozenset[str]:
        before: Mapping[str, Verifier] = self._held.verifiers if self._held is not None else {}
        verifiers = dict(before) if parts[0].since else {}
        homes = dict(self._held.homes) if parts[0].since and self._held is not None else {}
        for part in parts:
            for aor in (*part.gone, *part.homes):
                verifiers.pop(aor, None)
            for aor in (*part.gone, *part.verifiers):
                homes.pop(aor, None)
            verifiers |= part.verifiers
            homes |= part.homes
        came = parts[-1]
        self._held = UserDocument(came.organisation, came.pool, came.number, verifiers=verifiers, homes=homes)
        self._coming.clear()
        return frozenset(aor for aor in before.keys() | verifiers.keys() if before.get(aor) != verifiers.get(aor))

    def whole(self) -> bytes | None:
        """All that is in force as one document, None before the first: for a look at it, since it bears no signature."""
        return self._held.encode() if self._held is not None else None

    def verifier(self, aor: str) -> Verifier | None:
        """Give what proves *aor*; None for an unknown user, and for one who is at home in another pool."""
        return self._held.verifiers.get(aor) if self._held is not None else None

    def home(self, aor: str) -> str | None:
        """Give the name of the pool where *aor* is at home; None for an unknown user."""
        held = self._held
        if held is None:
            return None
        return self._pool if aor in held.verifiers else held.homes.get(aor)

    def refresh(self) -> frozenset[str]:
        """Find that nothing has changed: whoever brings a document is told at once what it changes."""
        return frozenset()

    def close(self) -> None:
        """Let go of nothing."""


def _series(part: UserDocument) -> tuple[int, int, int]:
    return part.number, part.since, part.parts
