"""The process that opens encrypted files: what it costs is bounded, and it says why a file does not open."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.importing import encrypted_file
from sipmesh.pki.importing.encrypted_file import has_old_encryption, is_pkcs12, open_key, open_pkcs12
from support.other_ca import openssl

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "secret of corp"
ENDS_SOON = "from sipmesh.pki.importing import encrypted_file as e; e.CPU_SECONDS = 1; e.main()"


@pytest.fixture(name="file")
def _file(corp: Path, tmp_path: Path) -> Path:
    """The CA for servers with its key."""
    given = ("-in", corp / "servers.pem", "-inkey", corp / "servers.key", "-out", tmp_path / "ca.p12")
    openssl("pkcs12", "-export", *given, "-passout", f"pass:{SECRET}")
    return tmp_path / "ca.p12"


def why(file: Path, content: bytes) -> str:
    with pytest.raises(OperatorError) as refused:
        open_pkcs12(content, SECRET, file)
    return refused.value.problems[0].reason


@pytest.mark.parametrize(
    ("password", "fault", "certificates"), [(SECRET, "", 1), ("wrong", "password", 0), ("gehéim", "password", 0)]
)
def test_process_tells_what_a_file_has(
    file: Path, monkeypatch: pytest.MonkeyPatch, password: str, fault: str, certificates: int
) -> None:
    """Here in this process: its limits are not set."""
    given = json.dumps({"form": "pkcs12", "password": password}).encode() + b"\n" + file.read_bytes()
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    monkeypatch.setattr(sys, "stdout", written)
    limits: dict[int, Any] = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    encrypted_file.main()
    told = json.loads(written.getvalue())
    assert (told["fault"], len(told["certificates"]), bool(told["key"])) == (fault, certificates, not fault)
    assert limits == {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (encrypted_file.CPU_SECONDS,) * 2,
        resource.RLIMIT_AS: (encrypted_file.MEMORY,) * 2,
    }


def test_pkcs12_is_recognised(file: Path, corp: Path) -> None:
    assert is_pkcs12(file.read_bytes())
    assert not is_pkcs12((corp / "root.pem").read_bytes())
    assert not has_old_encryption(file.read_bytes())
    assert len(open_pkcs12(file.read_bytes(), SECRET, file).certificates) == 1


def test_key_is_opened_with_its_password(corp: Path, tmp_path: Path) -> None:
    openssl("pkcs8", "-topk8", "-in", corp / "servers.key", "-out", tmp_path / "k", "-passout", f"pass:{SECRET}")
    pem = (tmp_path / "k").read_bytes()
    assert "PRIVATE KEY" in open_key(pem, SECRET, tmp_path / "k").key
    with pytest.raises(OperatorError, match="does not open with this password"):
        open_key(pem, "wrong", tmp_path / "k")


def test_password_is_no_argument_of_the_process(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each user of the machine can read the arguments of a process."""
    run = subprocess.run
    seen: list[str] = []

    def noted(command: tuple[str, ...], **given: Any) -> subprocess.CompletedProcess[bytes]:
        seen.extend(command)
        return run(command, **given)

    monkeypatch.setattr(subprocess, "run", noted)
    open_pkcs12(file.read_bytes(), SECRET, file)
    assert SECRET not in " ".join(seen)


def bomb(iterations: int) -> bytes:
    """Return a PKCS #12 file of hardly any octets, whose MAC takes so many iterations (RFC 7292 4)."""

    def der(tag: int, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return (
            bytes((tag, 0x81, len(content))) + content if len(content) > 127 else bytes((tag, len(content))) + content
        )

    data = der(0x06, bytes.fromhex("2a864886f70d010701"))
    safe = der(0x30, data, der(0xA0, der(0x04, der(0x30))))
    digest = der(0x30, der(0x30, der(0x06, bytes.fromhex("608648016503040201")), der(0x05)), der(0x04, bytes(32)))
    mac = der(0x30, digest, der(0x04, bytes(8)), der(0x02, iterations.to_bytes(4, "big")))
    return der(0x30, der(0x02, b"\x03"), safe, mac)


def test_iteration_count_of_an_attack_ends_the_reader_and_not_sipmesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 130 octets would keep the CPU busy for half an hour."""
    monkeypatch.setattr(encrypted_file, "_MAIN", ENDS_SOON)
    assert "its iteration count is that of an attack" in why(tmp_path, bomb(2**31 - 1))
    assert why(tmp_path, bomb(2048)) == "is damaged"  # it is read to its end
