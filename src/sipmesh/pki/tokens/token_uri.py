"""PKCS #11 URIs (RFC 7512): which token, which key in it, the module that reaches the token, and the file of the PIN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from sipmesh.errors import OperatorError

SCHEME: Final = "pkcs11:"
LONGEST: Final = 1_024
_FORM: Final = "write pkcs11:token=NAME?module-path=/usr/lib/…/MODULE.so&pin-source=file:/…/PIN"
_PATH: Final = {"token": "token", "serial": "serial", "object": "object", "id": "id"}
_QUERY: Final = {"module-path": "module_path", "pin-source": "pin_source"}
_SAFE: Final = "-._~:[]@!$'()*+,=/"
"""RFC 7512 2.3: what needs no quoting in a query; in the path, a slash does."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A token, and with *object* or *id* (in hex) a key in it. *pin_source* is a file: no URI has the PIN itself."""

    token: str
    module_path: str
    serial: str = ""
    object: str = ""
    id: str = ""
    pin_source: str = ""

    @classmethod
    def parse(cls, text: str) -> TokenUri:
        """Read a URI; raises `OperatorError` for another scheme, an unknown or repeated attribute, and a PIN."""
        path, _, query = text.strip().removeprefix(SCHEME).partition("?")
        if not text.strip().startswith(SCHEME) or len(text) > LONGEST:
            raise OperatorError(f"this is no PKCS #11 URI; {_FORM}")
        found = {**_attributes(path, ";", _PATH), **_attributes(query, "&", _QUERY)}
        if not found.get("token") or not found.get("module_path"):
            raise OperatorError(f"the PKCS #11 URI names no token, or no module; {_FORM}")
        if not Path(found["module_path"]).is_absolute():
            raise OperatorError(f"the module of the PKCS #11 URI is not an absolute path; {_FORM}")
        return cls(**found)

    def __str__(self) -> str:
        path = [f"{name}={_in_path(value, field)}" for name, field, value in self._given(_PATH)]
        query = [f"{name}={quote(value, _SAFE)}" for name, _, value in self._given(_QUERY)]
        return f"{SCHEME}{';'.join(path)}?{'&'.join(query)}"

    def _given(self, names: dict[str, str]) -> list[tuple[str, str, str]]:
        return [(name, field, getattr(self, field)) for name, field in names.items() if getattr(self, field)]

    @property
    def shown(self) -> str:
        """The token and the key in it, for an operator."""
        return f"token {self.token}" + (f", key {self.object}" if self.object else "")


def _in_path(value: str, field: str) -> str:
    if field == "id":
        return "".join(f"%{octet:02x}" for octet in bytes.fromhex(value))
    return quote(value, _SAFE.replace("/", ""))


def _attributes(text: str, separator: str, known: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise OperatorError(
                "the PKCS #11 URI has the PIN; write it to a file (mode 0600), and name that: pin-source=file:/…"
            )
        if name in {"type", "manufacturer", "model"}:  # they select nothing that token and key do not
            continue
        if name not in known or known[name] in found:
            raise OperatorError(f"the PKCS #11 URI has {name[:40]!r}, which is unknown or there twice; {_FORM}")
        octets = unquote_to_bytes(value)
        try:
            found[known[name]] = octets.hex() if name == "id" else octets.decode()
        except UnicodeDecodeError:
            raise OperatorError(f"the PKCS #11 URI has {name!r} that is not UTF-8; {_FORM}") from None
    return found
