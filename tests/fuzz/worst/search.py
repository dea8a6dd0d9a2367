"""The search: single blocks first, then blocks side by side, then changes of the worst so far."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from fuzz.worst.cost import cpu_s
from fuzz.worst.shape import Block, Names, Piece, Rows, Shape, octets_of

MOST_BLOCKS: Final = 3
KEPT: Final = 6
"""The worst shapes so far, which are changed, and then grown to the limit."""

SMALLEST: Final = 2_000
"""Octets of the smallest input that is judged, except where the limit is near: below, what a message costs at all shows."""

AGAIN: Final = 12
"""Measurements of the worst shape and of its half: the least of so many is undisturbed, also beside other work."""

LOOKED_AT: Final = 8_192
"""Octets of the inputs of a search, where the limit is not below: many against many shows there, and a run takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader or judge of what a peer sends, and the grammar of what it reads.

    *most* is the limit of its octets. *wrap* makes an input of the octets of a shape, *prepare* what is done with it before the
    reader has it, and *run* gives it to the reader. The octets *between* follow the first block of a shape.
    """

    name: str
    most: int
    pieces: tuple[Piece, ...]
    run: Callable[[Any], object]
    wrap: Callable[[bytes], bytes] = bytes
    prepare: Callable[[bytes], Any] = bytes
    between: bytes = b""

    def cost(self, shape: Shape, size: int, repeats: int = 1) -> float:
        """Give the CPU time for each octet of an input of about *size* octets, in seconds."""
        data = self.data(shape, size)
        return cpu_s(self.run, lambda: self.prepare(data), repeats) / len(data)

    def data(self, shape: Shape, size: int) -> bytes:
        """Give an input of about *size* octets."""
        return self.wrap(octets_of(shape, size, self.between))


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst shape that was found, and the *size* at which it is worst; what is larger may be refused.

    *octet_s* is the CPU time for each octet, in seconds. *growth* is how much more it costs than half of the octets: 2 if the
    cost is linear.
    """

    shape: Shape
    size: int
    octet_s: float
    growth: float


def search(reader: Reader, tries: int, seed: int = 1, kept: int = KEPT) -> Worst:
    """Find the worst shape of *tries* shapes, after all single blocks and lists; *kept* of the worst are grown to the limit."""
    size = min(LOOKED_AT, reader.most)
    tried: dict[Shape, float] = {}
    for shape in (*_singles(reader), *_lists(reader)):
        tried[shape] = reader.cost(shape, size)
    chance = random.Random(seed)  # noqa: S311 - the same seed tries the same
    for _ in range(tries):
        shape = _changed(reader, _worst_of(tried), chance)
        if shape not in tried:
            tried[shape] = reader.cost(shape, size)
    worst = max((grown(reader, shape) for shape in _worst_of(tried)[:kept]), key=lambda found: found.octet_s)
    return measured_again(reader, worst)


def grown(reader: Reader, shape: Shape) -> Worst:
    """Judge a shape at the limit of its reader, and at half of it again and again: another limit may refuse what is larger."""
    sizes = [reader.most >> shift for shift in range(16) if shift < 2 or reader.most >> shift >= SMALLEST]
    costs = {size: reader.cost(shape, size, repeats=2) for size in sizes}
    worst = max(sizes[:-1], key=costs.__getitem__)
    return Worst(shape, worst, costs[worst], 2 * costs[worst] / costs[worst // 2])


def measured_again(reader: Reader, found: Worst) -> Worst:
    """Measure the worst shape again, and half of it.

    The worst of many measurements was disturbed by the machine, and its half was not disturbed: a linear cost seemed to
    grow by up to 2.5.
    """
    whole, half = (reader.cost(found.shape, size, AGAIN) for size in (found.size, found.size // 2))
    return Worst(found.shape, found.size, whole, 2 * whole / half)


def _worst_of(tried: dict[Shape, float]) -> list[Shape]:
    return sorted(tried, key=lambda shape: -tried[shape])[:KEPT]


def _singles(reader: Reader) -> Iterator[Shape]:
    for piece in reader.pieces:
        for block in blocks_of(piece):
            yield (block,)


def _lists(reader: Reader) -> Iterator[Shape]:
    """Many names in one row, and then many rows, for each two pieces: n names against m names."""
    for first, second in product(reader.pieces, repeat=2):
        if first.is_named and first.item and second.is_named:
            for rows in (Rows.EACH, Rows.MANY):
                yield Block(first, Names.EACH, Rows.ONE), Block(second, Names.SAME, rows)


def blocks_of(piece: Piece) -> Iterator[Block]:
    """Give each way to repeat a piece."""
    for names, rows in product(Names if piece.is_named else [Names.SAME], Rows):
        if piece.item or rows in {Rows.EACH, Rows.NESTED}:
            yield Block(piece, names, rows)


def _changed(reader: Reader, worst: list[Shape], chance: random.Random) -> Shape:
    """Change one of the worst shapes so far: put a block into it, take one out, or put one in place of another."""
    shape = list(chance.choice(worst))
    block = chance.choice(list(blocks_of(chance.choice(reader.pieces))))
    at = chance.randrange(len(shape) + 1)
    if at == len(shape) < MOST_BLOCKS or (chance.random() < 0.5 and len(shape) < MOST_BLOCKS):
        shape.insert(at, block)
    elif len(shape) > 1 and chance.random() < 0.2:
        del shape[min(at, len(shape) - 1)]
    else:
        shape[min(at, len(shape) - 1)] = block
    return tuple(shape)
