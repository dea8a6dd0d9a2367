"""A key in a token signs certificates, CRLs and documents as each other key does. Its file has no secret."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sipmesh.errors import LocalError, OperatorError
from sipmesh.pki import files
from sipmesh.pki.csr import read_request, request_for
from sipmesh.pki.tokens.token_key import TokenKey

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.tokens.token_uri import TokenUri

pytestmark = pytest.mark.peer("softhsm")


@pytest.fixture(name="key")
def _key(uri: TokenUri) -> TokenKey:
    return TokenKey.generate(uri, "Example root 1", ec.SECP256R1())


def test_it_signs_what_the_library_asks_for(key: TokenKey, tmp_path: Path) -> None:
    assert read_request(request_for("fe1.example.test", key), tmp_path)[1] == key.public_key()
    digest = bytes(32)
    for signature, how in (
        (key.sign(b"text", ec.ECDSA(SHA256())), SHA256()),
        (key.sign(digest, ec.ECDSA(Prehashed(SHA256()))), None),
    ):
        signed, algorithm = (b"text", ec.ECDSA(how)) if how else (digest, ec.ECDSA(Prehashed(SHA256())))
        key.public_key().verify(signature, signed, algorithm)
    assert (key.key_size, key.curve.name) == (256, "secp256r1")


def test_its_file_is_read_without_the_token(key: TokenKey, tmp_path: Path) -> None:
    file = tmp_path / "root.key"
    files.write(file, files.key_pem(key), files.SECRET)
    read = files.read_key(file)
    assert isinstance(read, TokenKey)
    assert (read.uri, read.public_key()) == (key.uri, key.public_key())
    assert not files.is_encrypted(file.read_bytes())
    assert b"PRIVATE" not in file.read_bytes()
    assert repr(read) == f"<TokenKey token {key.uri.token}, key Example root 1>"


@pytest.mark.parametrize("content", [b"pkcs11:token=x", b"pkcs11:token=x?module-path=/m\nno key", b"pkcs11:\xff\n"])
def test_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    files.write(tmp_path / "root.key", content, files.SECRET)
    with pytest.raises(OperatorError):
        files.read_key(tmp_path / "root.key")


def test_it_does_not_leave_its_token(key: TokenKey) -> None:
    with pytest.raises(LocalError, match="does not leave its token"):
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(LocalError, match="does not leave its token"):
        key.private_numbers()
    with pytest.raises(LocalError, match="signs only"):
        key.exchange(ec.ECDH(), key.public_key())
    assert copy.copy(key) is copy.deepcopy(key) is key
