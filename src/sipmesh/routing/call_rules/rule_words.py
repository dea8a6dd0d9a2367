"""Rules of calls in words, for a person who reads them."""

from __future__ import annotations

from collections.abc import Mapping


def in_words(members: Mapping[str, object]) -> Mapping[str, str]:
    """Give each rule of `CallRules.as_json` with its value in words, by its name in commands."""
    return {name.replace("_", "-"): _told(value) for name, value in members.items()}


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{rule} {_bare(caller)}" for caller, rule in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_bare, value))
    return "yes" if value is True else _bare(str(value))


def _bare(target: str) -> str:
    return target.removeprefix("sip:").removeprefix("tel:")
