"""The ticket of a front end: it names the login, and there is none where the key of the server cannot sign."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.events.login_proof import LoginProof
from sipmesh.server.contacts.account_ticket import KIND, LIFETIME_S, AccountTicket, write_ticket
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.view import view
from sipmesh.typed_json import read_document
from support.network import FE1, build_example

ALICE, LARGEST = "sip:alice@example.test", 16 << 10


def test_ticket_names_the_login_and_no_key_that_cannot_sign_makes_one(tmp_path: Path) -> None:
    served = view(build_example(tmp_path).load(), FE1)
    login = LoginProof(7, "", 1_700_000_000.5, "ab12", "link1")
    text = write_ticket(served, Verifier(ALICE, 3, {}, 5), login, 1_000.9)
    ticket = read_document(AccountTicket, open_signed(text.encode(), KIND, LARGEST).payload)
    assert ticket == AccountTicket(FE1, ALICE, 5, 7, "", 1_700_000_000.5, "ab12", "link1", 1_000 + LIFETIME_S)
    key = rsa.generate_private_key(65_537, 2_048)
    form, no_encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    served.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_encryption))
    assert write_ticket(served, Verifier(ALICE, 3, {}), login, 0) == ""
