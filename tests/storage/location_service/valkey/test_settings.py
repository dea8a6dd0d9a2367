"""Secrets come from files that only their owner can read, or from the environment; none of them is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from sipmesh.errors import OperatorError
from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.storage.location_service.valkey.settings import PASSWORD_VARIABLE, ValkeySettings
from sipmesh.topology.document.storage.valkey_url import valkey_url

SECRET = "store-secret"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def settings(url: str = "valkey://127.0.0.1", **keys: object) -> ValkeySettings:
    return ValkeySettings(valkey_url(url), "Example", "pool1.example.test", frozenset(), bytes(32), **keys)  # type: ignore[arg-type]


def secret_file(folder: Path, mode: int = 0o600) -> Path:
    file = folder / "password"
    file.write_text(f"{SECRET}\n")
    file.chmod(mode)
    return file


def test_password_is_in_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    assert settings(password_file=secret_file(tmp_path)).login() == ("default", SECRET)
    with pytest.raises(OperatorError) as refused:
        settings(password_file=secret_file(tmp_path, 0o640)).login()
    assert SECRET not in str(refused.value)


def test_password_is_in_the_environment_without_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "another")
    assert settings(user="fe").login() == ("fe", "another")
    assert settings(user="fe", password_file=secret_file(tmp_path)).login() == ("fe", SECRET)


def test_user_without_a_password_is_refused_and_neither_is_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    assert settings().login() is None
    with pytest.raises(OperatorError, match=f"name `password_file`, or set {PASSWORD_VARIABLE}"):
        settings(user="fe").login()


def test_settings_show_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, SECRET)
    assert SECRET not in repr(settings(user="fe", password_file=secret_file(tmp_path)))


def test_plain_url_has_no_tls_and_each_file_of_the_other_must_be_usable(tmp_path: Path) -> None:
    assert settings().tls() is None
    with pytest.raises(OperatorError, match=r"a TLS file for valkeys://store.example.test cannot be used") as refused:
        settings("valkeys://store.example.test", anchors=(tmp_path / "none.pem",)).tls()
    [problem] = refused.value.problems
    assert (problem.file, problem.reason) == (tmp_path / "none.pem", "cannot be used: No such file or directory")
    (tmp_path / "no-pem").write_text("x")
    with pytest.raises(OperatorError, match="write the right PEM file"):
        settings("valkeys://store.example.test", anchors=(tmp_path / "no-pem",)).tls()


def test_encrypted_key_is_refused_and_the_terminal_is_not_asked(tmp_path: Path) -> None:
    key = files.new_key()
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    (tmp_path / "key.pem").write_bytes(locked)
    EnterpriseCa.create(tmp_path / "ca", "Example", NOON, crl_base="http://crl.test")
    url, chain = "valkeys://store.example.test", tmp_path / "ca" / "root.pem"
    with pytest.raises(OperatorError, match="the key is encrypted"):
        settings(url, certificate=chain, key=tmp_path / "key.pem").tls()
