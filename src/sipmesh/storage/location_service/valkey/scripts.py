"""The changes that the store makes as a whole: each is one Lua script, so that no other server sees half of it.

A shebang line has the store refuse a script before its first command if memory is full. Scripts that only read or remove run
in a full store too.
"""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import Final

from sipmesh.storage.location_service.valkey.rows.stored_row import LONGEST_VALUE

_FOLDER: Final = Path(__file__).with_name("lua")


def _script(name: str, *functions: str, needs_memory: bool = True) -> str:
    """Read a script, with the *functions* that it uses before it."""
    shebang = "#!lua\n" if needs_memory else "#!lua flags=allow-oom\n"
    parts = [(_FOLDER / f"{part}.lua").read_text() for part in ("sure", *functions, name)]
    return f"{shebang}local longest_value = {LONGEST_VALUE}\n{''.join(parts)}"


JOIN: Final = _script("join", "incarnation", "retire")
WRITE: Final = _script("write", "incarnation", "stored")
END: Final = _script("end", "incarnation", "retire")
RENEW: Final = _script("renew")
SWEEP: Final = _script("sweep", "incarnation", "stored", needs_memory=False)
READ: Final = _script("read", needs_memory=False)
PURGE: Final = _script("purge", needs_memory=False)
SERVERS: Final = _script("servers", "incarnation", needs_memory=False)
ALL: Final = (JOIN, WRITE, END, RENEW, SWEEP, READ, PURGE, SERVERS)


def digest_of(script: str) -> bytes:
    """Give the name of a script in the store (EVALSHA)."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest().encode()
