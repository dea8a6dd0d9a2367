"""Words for a field that has changed, and for names that were added, removed or put into another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sipmesh.trust.formatting import tell, tell_list

Words = Callable[[str, Any, Any], str]


def list_fields(whose: str, old: BaseModel, new: BaseModel, words: Mapping[str, Words | None]) -> Iterator[str]:
    """List the fields that differ. None in *words* means that another function lists the field."""
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and (say := words.get(name, from_to(name.replace("_", " ")))) is not None:
            yield say(whose, before, after)


def from_to(what: str, nothing: str = "nothing") -> Words:
    """Describe a change of the field *what* by both values; *nothing* stands for a value that is not given."""

    def say(whose: str, old: object, new: object) -> str:
        subject = f"{whose}'s {what}" if whose else what
        return f"{subject} changes from {spell(old, nothing)} to {spell(new, nothing)}"

    return say


def spell(given: object, nothing: str) -> str:
    """Write a value of the document as text; *nothing* stands for a value that is not given."""
    if given is None or given == ():
        return nothing
    if isinstance(given, BaseModel):
        return ", ".join(f"{name} {spell(value, nothing)}" for name, value in given if value is not None) or nothing
    if isinstance(given, tuple):
        return ", ".join(spell(item, nothing) for item in given)
    return tell(str(given))


def list_names(
    old: Sequence[str], new: Sequence[str], comes: Callable[[str], str], goes: Callable[[str], str], what: str
) -> Iterator[str]:
    """List names that are added, that are removed, and that have another order."""
    yield from (goes(name) for name in old if name not in new)
    yield from (comes(name) for name in new if name not in old)
    yield from order_changes(old, new, what)


def order_changes(old: Sequence[str], new: Sequence[str], what: str) -> Iterator[str]:
    """List the new order of *what*, if names that are in both have another order."""
    before, after = [name for name in old if name in new], [name for name in new if name in old]
    if before != after:
        yield f"the order of {what} changes to {tell_list(after)}"
