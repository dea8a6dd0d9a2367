"""What a version gives to operators of the console that they do not have now: only a security officer may publish it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.console import Console, ConsoleOperator


def new_access(old: Topology, new: Topology) -> Sequence[str]:
    """Return one sentence for each operator, and each way to log in, that *new* gives more than *old*."""
    if new.console is None or new.console == old.console:
        return ()
    return tuple(_given(old.console, new.console))


def _given(old: Console | None, new: Console) -> Iterator[str]:
    before = {operator.name: operator for operator in old.operators} if old is not None else {}
    for operator in new.operators:
        yield from _to(before.get(operator.name), operator)
    if new.client_certificates and not (old is not None and old.client_certificates):
        yield "operators may log in with certificates"
    if new.openid is not None and (old is None or new.openid != old.openid):
        yield f"operators may log in by {new.openid.issuer}, with other roles or in another way than now"


def _to(old: ConsoleOperator | None, new: ConsoleOperator) -> Iterator[str]:
    if old is None or not old.role.may(new.role):
        yield f"{new.name} gets the role {new.role}"
    if old is not None and new.token_sha256 is not None and new.token_sha256 != old.token_sha256:
        yield f"{new.name} gets another token"
