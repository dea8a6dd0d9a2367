"""The names that the topology gives to an application: addresses and telephone numbers of ours that no user has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OwnNames:
    """The *addresses* of an application (``sip:user@domain``), and the whole numbers that begin with one of *numbers*.

    A number counts in each of the SIP *domains* of ours.
    """

    addresses: frozenset[str]
    numbers: tuple[str, ...]
    domains: frozenset[str]

    def has(self, aor: str, number: str) -> bool:
        """Tell whether the address of record *aor* is one of these names; *number* is the whole number in it, "" if none is."""
        return aor in self.addresses or (bool(number) and number.startswith(self.numbers))
