"""What a server remembers of a token: the token itself is a secret."""

from __future__ import annotations

from hashlib import sha256


def digest_of(token: str) -> str:
    """Return the SHA-256 of what is signed of a token, in hexadecimal.

    Its signature can be written in other ways, which count too: with ``=``, and by ECDSA with the other of two numbers.
    So it does not tell a token from a copy.
    """
    signed = token.rpartition(".")[0] or token
    return sha256(signed.encode("utf-8", "surrogatepass")).hexdigest()


def session_hash(sid: str) -> str:
    """Return the hash by which a server knows a session at the provider (the claim ``sid``); "" for none."""
    return sha256(sid.encode("utf-8", "surrogatepass")).hexdigest()[:32] if sid else ""
