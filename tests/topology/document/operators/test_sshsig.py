"""Signatures of OpenSSH: ours and those of ssh-keygen are the same, and others do not count."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.topology.document.operators.sshsig import (
    LARGEST,
    MAGIC,
    TOKEN,
    PublicKey,
    Signature,
    UnusableKeyError,
    armoured,
    sign,
    unarmoured,
)

KEY, NAMESPACE = Ed25519PrivateKey.from_private_bytes(bytes(32)), "sipmesh-topology"
LINE = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def string(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets


def of_token(message: bytes, *, flags: int = 1, application: bytes = b"ssh:") -> bytes:
    """Sign as a FIDO token does (PROTOCOL.u2f of OpenSSH)."""
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    digest = hashlib.sha512(message).digest()
    signed = MAGIC + b"".join(map(string, (NAMESPACE.encode(), b"", b"sha512", digest)))
    rest = bytes([flags]) + (7).to_bytes(4, "big")
    signature = KEY.sign(hashlib.sha256(application).digest() + rest + hashlib.sha256(signed).digest())
    blob = string(TOKEN) + string(public) + string(application)
    inner = string(TOKEN) + string(signature) + rest
    parts = (blob, NAMESPACE.encode(), b"", b"sha512", inner)
    return MAGIC + (1).to_bytes(4, "big") + b"".join(map(string, parts))


def test_signature_counts_for_its_message_and_purpose_alone() -> None:
    signature = Signature.read(sign(b"message", NAMESPACE, KEY))
    assert signature.key == PublicKey.read(LINE)
    assert signature.is_of(b"message", NAMESPACE)
    assert not signature.is_of(b"another", NAMESPACE)
    assert not signature.is_of(b"message", "git")


def test_token_counts_if_its_owner_has_touched_it() -> None:
    assert Signature.read(of_token(b"message")).is_of(b"message", NAMESPACE)
    assert not Signature.read(of_token(b"message", flags=0)).is_of(b"message", NAMESPACE)
    assert not Signature.read(of_token(b"message")).is_of(b"another", NAMESPACE)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-rsa AAAA",
        "ssh-ed25519",
        "ssh-ed25519 ////",
        f"{LINE}\nssh-ed25519 AAAA",
        f"sk-ssh-ed25519@openssh.com {LINE.split()[1]}",
    ],
)
def test_line_that_is_no_ed25519_key_is_refused(line: str) -> None:
    with pytest.raises(UnusableKeyError):
        PublicKey.read(line)
    assert PublicKey.read(f"{LINE} ada@laptop\n") == PublicKey.read(LINE)


@pytest.mark.parametrize("cut", [1, 5, 40, 100])
def test_signature_that_is_cut_or_longer_is_refused(cut: int) -> None:
    blob = sign(b"message", NAMESPACE, KEY)
    for wrong in (blob[:-cut], blob + b"x" * cut, blob[cut:]):
        with pytest.raises(UnusableKeyError):
            Signature.read(wrong)


@given(st.binary(max_size=300), st.integers(0, 250))
def test_any_octets_are_refused_or_not_valid(octets: bytes, at: int) -> None:
    blob = bytearray(sign(b"message", NAMESPACE, KEY))
    blob[at : at + len(octets)] = octets
    if bytes(blob) == sign(b"message", NAMESPACE, KEY):
        return
    try:
        signature = Signature.read(bytes(blob))
    except UnusableKeyError:
        return
    assert not (signature.key.ed25519 == PublicKey.read(LINE).ed25519 and signature.is_of(b"message", NAMESPACE))


def test_text_around_a_signature_is_that_of_openssh() -> None:
    blob = sign(b"message", NAMESPACE, KEY)
    assert unarmoured(armoured(blob)) == blob
    for wrong in ("", "x" + armoured(blob), armoured(blob)[:-20], " " * LARGEST + armoured(blob)):
        with pytest.raises(UnusableKeyError):
            unarmoured(wrong)


@pytest.mark.peer("ssh-keygen")
def test_ssh_keygen_makes_and_accepts_the_same_signatures(tmp_path: Path) -> None:
    file, message = tmp_path / "key", b"a proposal\n"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", file], check=True)
    theirs = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", file], input=message, capture_output=True, check=True
    ).stdout.decode()
    public = PublicKey.read((tmp_path / "key.pub").read_text())
    signature = Signature.read(unarmoured(theirs))
    assert signature.key == public
    assert signature.is_of(message, NAMESPACE)
    key = load_ssh_private_key(file.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    (tmp_path / "ours.sig").write_text(armoured(sign(message, NAMESPACE, key)))
    checked = subprocess.run(
        ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", tmp_path / "ours.sig"],
        input=message, capture_output=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert public.fingerprint in checked.stdout.decode()
