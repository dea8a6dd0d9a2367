"""Make a one-time token with which one server of the topology enrols by EST or ACME."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki import files
from sipmesh.pki.lock import ca_lock
from sipmesh.sip import base64url
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken
from sipmesh.typed_json import UnreadableJsonError, read_document

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentTokens

FILE: Final = "enrolment.json"
SECRET_OCTETS: Final = 32
ID_OCTETS: Final = 12
MOST_HOURS: Final = 168
HOURS: Final = 24
OPTION: Final = "-"
"""certbot, lego and estclient take a word that begins so for an option: base64url has it in one of 64 secrets."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token, shown once: *password* for EST, *key_id* and *mac_key* for ACME (external account binding, RFC 8555 7.3.4).

    The first of the two protocols that succeeds uses it.
    """

    server: str
    password: str
    key_id: str
    mac_key: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class MacSecret:
    """The secret from which the keys of external account bindings and of a pool are made: a file of the CA, in no database."""

    secret: str

    @classmethod
    def read(cls, folder: Path) -> MacSecret:
        """Read it in the CA's *folder*; raises `OperatorError` if it is missing or damaged."""
        file = folder / FILE
        try:
            return read_document(cls, file.read_bytes())
        except (OSError, UnreadableJsonError) as wrong:
            remedy = "remove the file, and make the token again: sipmesh ca enrol NAME"
            problem = Problem(file, 0, "", f"cannot be read ({wrong})", remedy)
            raise OperatorError("no account can be bound", (problem,)) from None

    @classmethod
    def read_or_made(cls, folder: Path) -> MacSecret:
        """Read it in the CA's *folder*, and make it first if there is none; raises `OperatorError`."""
        with ca_lock(folder):
            if not (folder / FILE).exists():
                made = {"secret": secrets.token_hex(SECRET_OCTETS)}
                files.write(folder / FILE, (json.dumps(made) + "\n").encode(), files.SECRET)
            return cls.read(folder)

    @property
    def forwarding_key(self) -> bytes:
        """The key with which a management server proves itself to the leader (`server.invitations.leading_server`)."""
        return hmac.digest(self.secret.encode(), b"invitations", "sha256")

    def mac_key(self, key_id: str) -> bytes:
        """Return the MAC key of the token *key_id*."""
        return hmac.digest(self.secret.encode(), f"eab {key_id}".encode(), "sha256")


def new_token(
    name: str, ca: Path, tokens: EnrolmentTokens, who: str, at: datetime, lifetime: timedelta, note: Note
) -> NewToken:
    """Make a token for *name*, valid for *lifetime*, store its hash and note it; raises `OperatorError`.

    *name* is that of a server of the topology, or the login of a device. *ca* is the folder of the CA, and *who* makes the token.
    """
    mac_secret, expires = MacSecret.read_or_made(ca), at + lifetime
    password, (key_id, mac) = new_password(), new_account_key(mac_secret)
    digest = sha256(password.encode()).hexdigest()
    tokens.add(EnrolmentToken(key_id, name, digest, who, expires.timestamp()), at.timestamp())
    note(AuditAct.ENROL, server=name, token=key_id, until=f"{expires:%Y-%m-%dT%H:%MZ}")  # before the caller gets it
    return NewToken(name, password, key_id, mac, expires)


def new_account_key(secret: MacSecret) -> tuple[str, str]:
    """Return a new id of a token and its MAC key in base64url; the key begins with no "-"."""
    while True:
        key_id = secrets.token_hex(ID_OCTETS)
        if not (key := base64url.encode(secret.mac_key(key_id))).startswith(OPTION):
            return key_id, key


def new_password() -> str:
    """Return a new password that begins with no "-"."""
    while (password := base64url.encode(secrets.token_bytes(SECRET_OCTETS))).startswith(OPTION):
        pass
    return password
