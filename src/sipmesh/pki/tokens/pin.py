"""The PIN of a token. It is the first line of a file that only its owner can read, and is read for each use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.pki.keys.passphrase import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipmesh.pki.tokens.token_uri import TokenUri

VARIABLE: Final = "SIPMESH_PKCS11_PIN_FILE"
CREDENTIAL: Final = "sipmesh-pkcs11-pin"
HOW: Final = (
    f"name its file in the URI (pin-source=file:/…) or in {VARIABLE}, "
    f"or add LoadCredential={CREDENTIAL}:FILE to the systemd unit"
)


def source(uri: TokenUri, environment: Mapping[str, str] | None = None) -> Path:
    """Return the file with the PIN: that of the URI, of the variable, or of systemd. Raises `OperatorError` without one."""
    variables = os.environ if environment is None else environment
    if named := uri.pin_source or variables.get(VARIABLE, ""):
        return Path(named.removeprefix("file:"))
    credential = Path(variables.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / CREDENTIAL
    if credential.exists():
        return credential
    raise OperatorError(f"there is no PIN for the {uri.shown}; {HOW}")


def read_pin(uri: TokenUri) -> str:
    """Return the PIN; raises `OperatorError` if the file is missing, or if other users can read it."""
    file = source(uri)
    return read(file, "PIN", HOW).decode("utf-8", "replace")
