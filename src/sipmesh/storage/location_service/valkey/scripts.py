"""The changes that the store makes as a whole: each is one Lua script, so that no other server sees half of it.

A shebang line has the store refuse a script before its first command if memory is full.
"""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("lua")


def _script(name: str, *functions: str) -> str:
    """Read a script, with the *functions* that it uses before it."""
    return "#!lua\n" + "".join([(_FOLDER / f"{part}.lua").read_text() for part in (*functions, name)])


JOIN: Final = _script("join", "incarnation", "retire")
WRITE: Final = _script("write", "incarnation")
END: Final = _script("end", "incarnation", "retire")
RENEW: Final = _script("renew", "incarnation")
SWEEP: Final = _script("sweep", "incarnation")
ALL: Final = (JOIN, WRITE, END, RENEW, SWEEP)


def digest_of(script: str) -> bytes:
    """Give the name of a script in the store (EVALSHA)."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest().encode()
