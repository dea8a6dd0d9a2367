"""What a password has to be: long enough, and not the name of its user."""

from __future__ import annotations

from typing import Final

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import user_of
from sipmesh.sip.text import ascii_lower

SHORTEST: Final = 8
"""Characters (NIST SP 800-63B section 5.1.1.2). With MD5, a stolen file of hashes gives away shorter passwords in hours."""


def must_be_a_password(password: str, aor: str) -> None:
    """Raise `OperatorError` unless *password* may be that of the user *aor*."""
    name, address = user_of(aor), aor.removeprefix("sip:")
    if len(password) < SHORTEST:
        raise OperatorError(f"the password of {address} has {len(password)} characters; at least {SHORTEST} are needed")
    if ascii_lower(password) in {ascii_lower(name), ascii_lower(address)}:
        raise OperatorError(f"the password of {address} is the name of the user; choose another password")
