"""A token: away and back, with a wrong PIN, without the key, and with a module that is not to be trusted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from sipmesh.errors import OperatorError
from sipmesh.pki.tokens import token as token_module
from sipmesh.pki.tokens.token import Token
from sipmesh.pki.tokens.token_uri import TokenUri
from support.soft_hsm import MODULE, PIN, SoftToken, token_folder

pytestmark = pytest.mark.peer("softhsm")

DIGEST = sha256(b"what is signed").digest()


@pytest.fixture(name="key")
def _key(uri: TokenUri) -> tuple[TokenUri, ec.EllipticCurvePublicKey]:
    named = replace(uri, object="root 1", id="00ff")
    return named, Token(named).generate(ec.SECP256R1())


@contextmanager
def away() -> Iterator[None]:
    """Take the tokens away."""
    folder = token_folder()
    (folder / "tokens").rename(folder / "away")
    (folder / "tokens").mkdir()
    try:
        yield
    finally:
        (folder / "tokens").rmdir()
        (folder / "away").rename(folder / "tokens")


def why(uri: TokenUri) -> str:
    with pytest.raises(OperatorError) as refused:
        Token(uri).sign(DIGEST)
    assert PIN not in str(refused.value)
    return refused.value.problems[0].reason


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_key_that_is_made_there_signs(uri: TokenUri, curve: ec.EllipticCurve) -> None:
    named = replace(uri, object="key", id="01")
    public = Token(named).generate(curve)
    public.verify(Token(named).sign(DIGEST), DIGEST, ec.ECDSA(Prehashed(SHA256())))


def test_key_cannot_be_read_from_the_token(key: tuple[TokenUri, ec.EllipticCurvePublicKey], soft: SoftToken) -> None:
    """Not even with the PIN."""
    import pkcs11

    del key
    with pkcs11.lib(str(MODULE)).get_token(token_label=soft.label).open(user_pin=PIN) as session:
        found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY)
        assert (found[pkcs11.Attribute.EXTRACTABLE], found[pkcs11.Attribute.SENSITIVE]) == (False, True)
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            found[pkcs11.Attribute.VALUE]


def test_token_that_is_away_is_named_and_used_again_when_it_is_back(
    key: tuple[TokenUri, ec.EllipticCurvePublicKey],
) -> None:
    uri, public = key
    with away():
        assert why(uri).startswith("cannot be used (No token matching")
    public.verify(Token(uri).sign(DIGEST), DIGEST, ec.ECDSA(Prehashed(SHA256())))


def test_wrong_pin_is_tried_once_and_the_right_one_after_that(
    key: tuple[TokenUri, ec.EllipticCurvePublicKey], soft: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, public = key
    opened = logins(monkeypatch)
    soft.pin_file.write_text("999999")
    assert [why(uri) for _ in range(5)] == ["refuses the PIN"] * 5
    assert opened == ["999999"]
    soft.pin_file.write_text(PIN)
    public.verify(Token(uri).sign(DIGEST), DIGEST, ec.ECDSA(Prehashed(SHA256())))
    assert opened == ["999999", PIN]


def logins(monkeypatch: pytest.MonkeyPatch, flags: int | None = None) -> list[str]:
    """Note each PIN that the token gets; *flags* are what it then says of itself."""
    module, opened = token_module._module, list[str]()

    class Noted:
        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self.serial, self.flags = inner.serial, inner.flags if flags is None else type(inner.flags)(flags)

        def open(self, **given: Any) -> Any:
            opened.append(given["user_pin"])
            return self._inner.open(**given)

    class Module:
        def __init__(self, inner: Any) -> None:
            self.reinitialize, self._inner = inner.reinitialize, inner

        def get_token(self, **given: Any) -> Noted:
            return Noted(self._inner.get_token(**given))

    monkeypatch.setattr(token_module, "_module", lambda api, uri: Module(module(api, uri)))
    return opened


def test_last_try_before_the_token_locks_itself_is_not_taken(
    key: tuple[TokenUri, ec.EllipticCurvePublicKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with the right PIN: this process does not know that it is right."""
    import pkcs11

    opened = logins(monkeypatch, int(pkcs11.TokenFlag.USER_PIN_FINAL_TRY))
    assert why(key[0]) == "has its PIN locked, or one try left"
    assert opened == []


def test_key_that_is_not_there_is_named(key: tuple[TokenUri, ec.EllipticCurvePublicKey]) -> None:
    assert why(replace(key[0], object="root 2")) == "has no such key"
    assert why(replace(key[0], id="aa")) == "has no such key"
    assert why(replace(key[0], serial="none")).startswith("cannot be used (No token matching")


def test_threads_take_turns(key: tuple[TokenUri, ec.EllipticCurvePublicKey]) -> None:
    """PKCS #11 has one log-in for a process."""
    uri, public = key
    with ThreadPoolExecutor(8) as threads:
        for signature in threads.map(lambda _: Token(uri).sign(DIGEST), range(24)):
            public.verify(signature, DIGEST, ec.ECDSA(Prehashed(SHA256())))


def test_module_that_others_can_write_is_not_loaded(
    key: tuple[TokenUri, ec.EllipticCurvePublicKey], tmp_path: Path
) -> None:
    """It would run with our rights."""
    uri = key[0]
    other = tmp_path / "module.so"
    other.write_bytes(MODULE.read_bytes())
    other.chmod(0o666)
    refusal = "is no file that only root or the user of sipmesh can change"
    assert why(replace(uri, module_path=str(other))) == f"{refusal}: others can change {other}"
    assert why(replace(uri, module_path=str(tmp_path))) == refusal
    assert why(replace(uri, module_path="/nonexistent.so")).startswith("cannot be read")
    (tmp_path / "text.so").write_text("not a module")
    assert why(replace(uri, module_path=str(tmp_path / "text.so"))).startswith("is no PKCS #11 module")
    assert Token(uri).sign(DIGEST)


def test_module_in_a_folder_that_others_can_write_is_not_loaded(
    key: tuple[TokenUri, ec.EllipticCurvePublicKey], tmp_path: Path
) -> None:
    """Who can write the folder puts another module in its place."""
    uri, folder = key[0], tmp_path / "lib"
    inner = folder / "softhsm"
    inner.mkdir(parents=True)
    (inner / "module.so").symlink_to(MODULE)
    named = replace(uri, module_path=str(inner / "module.so"))
    folder.chmod(0o777)
    assert why(named).endswith(f"others can change {folder}")
    folder.chmod(0o755)
    assert "already initialized" in why(named)  # it is loaded: a process can have this module once
    assert Token(uri).sign(DIGEST)


def test_other_programs_read_the_token(key: tuple[TokenUri, ec.EllipticCurvePublicKey], soft: SoftToken) -> None:
    told = subprocess.run(("softhsm2-util", "--show-slots"), capture_output=True, text=True, check=True, timeout=60)
    assert soft.label in told.stdout
    assert key[1].curve.name == "secp256r1"
