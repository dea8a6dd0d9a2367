"""The answers to challenges of a CA, by each of three ways; nothing is answered but what an order has just been given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import threading
    from types import TracebackType

    import josepy.jwk
    from acme import challenges


class Solver(Protocol):
    """Answers challenges while it is open. `publish` is called in the thread of an order, the rest on the loop."""

    kind: str

    async def __aenter__(self) -> Self:
        """Begin to answer; raises `AcmeError` if a port cannot be used."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer nothing any more."""

    def publish(self, name: str, challenge: challenges.KeyAuthorizationChallenge, key: josepy.jwk.JWK) -> None:
        """Answer a challenge for *name*, which the CA has given to the account with this *key*."""

    def settle(self, stopped: threading.Event) -> None:
        """Wait until the CA can see all answers, or until *stopped*."""

    def retract(self) -> None:
        """Take all answers back that stay after the order."""
