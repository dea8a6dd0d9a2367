"""The keys of one pool in the store. Each begins with organisation and pool, so that an ACL user may have one pool only."""

from __future__ import annotations

from urllib.parse import quote


class Keys:
    """All keys of *pool*. The part in braces keeps them on one node if the store is a cluster."""

    __slots__ = ("dead", "identity", "leases", "prefix", "servers")

    def __init__(self, organisation: str, pool: str) -> None:
        self.prefix = f"sipmesh:{{{quote(organisation, safe='')}/{pool}}}:".encode()
        self.servers = self.prefix + b"servers"
        self.leases = self.prefix + b"leases"
        self.identity = self.prefix + b"identity"
        self.dead = self.prefix + b"dead"

    def __repr__(self) -> str:
        return f"<Keys {self.prefix!r}>"

    def bindings(self, aor: str) -> bytes:
        """Give the key of the rows of an address of record."""
        return self.prefix + b"aor:" + plain(aor).encode()

    def aor(self, key: bytes) -> str | None:
        """Give the address of record whose rows *key* has; None for another key."""
        prefix = self.prefix + b"aor:"
        return key[len(prefix) :].decode("utf-8", "replace") if key.startswith(prefix) else None

    def rows_of(self, server: str) -> bytes:
        """Give the key of the addresses of record that *server* has rows of."""
        return self.prefix + b"rows:" + server.encode()


def plain(text: str) -> str:
    """Make text of a message fit for UTF-8, which has no lone surrogates; bytes that were no UTF-8 show as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
