"""The bound for what an octet may cost, and the table of what was found."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from fuzz.worst.cost import unit_s
from fuzz.worst.search import Reader, Worst, search
from fuzz.worst.shape import shown

MOST_UNITS: Final = 100.0
"""What an octet may cost, in turns of an empty loop over octets: 0.7 microseconds where such a turn takes 7 nanoseconds."""

MOST_GROWTH: Final = 2.3
"""What twice the octets may cost: the cost is linear, but for noise. Measured again on a quiet machine, it is 1.4 to 2.2."""

CHEAP_UNITS: Final = 50.0
"""Below, growth is not judged: caches of the processor make a step there, and the bound holds."""

WIDTH: Final = 160


def fault_of(found: Worst, unit: float) -> str:
    """Say what is wrong with the worst shape of a reader; "" if nothing is. *unit* is the cost of a turn, in seconds."""
    units = found.octet_s / unit
    if units > MOST_UNITS:
        return f"{units:.0f} units for an octet, above {MOST_UNITS:.0f}"
    if found.growth > MOST_GROWTH and units > CHEAP_UNITS:
        return f"twice the octets cost {found.growth:.1f} times as much"
    return ""


def report(readers: Iterable[Reader], tries: int, seed: int) -> bool:
    """Print the worst shape of each reader, and whether it is within the bound; tell whether all are."""
    print(
        "| reader | ns an octet | units | growth | ms | octets | seconds | worst shape |\n|---|---|---|---|---|---|---|---|"
    )
    good = True
    for reader in readers:
        unit, began = unit_s(), time.monotonic()
        found = search(reader, tries, seed)
        fault = fault_of(found, unit)
        good = good and not fault
        print(_line(reader, found, unit, time.monotonic() - began) + (f" **{fault}** |" if fault else ""), flush=True)
    return good


def _line(reader: Reader, found: Worst, unit: float, took_s: float) -> str:
    cells = (
        reader.name,
        f"{found.octet_s * 1e9:.0f}",
        f"{found.octet_s / unit:.0f}",
        f"{found.growth:.2f}",
        f"{found.octet_s * found.size * 1e3:.1f}",
        f"{found.size}",
        f"{took_s:.0f}",
        shown(found.shape).replace("|", "/")[:WIDTH],
    )
    return f"| {' | '.join(cells)} |"
