"""One encrypted file: written data is read again, and a changed file does not open."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import OperatorError
from sipmesh.storage.backup.vault import CHUNK, TAG, Opened, Sealing, VaultError

PASSPHRASE = "correct horse battery"
ENTROPY = bytes(range(23))
HEADER = 16 + 3 + 16 + 7


def sealed(content: bytes, passphrase: str = PASSPHRASE, entropy: bytes = ENTROPY) -> bytes:
    stream = io.BytesIO()
    sealing = Sealing(stream, passphrase, entropy, log_n=4)  # a cheap key derivation: its cost is not tested here
    for begin in range(0, len(content), 300_000):
        sealing.write(content[begin : begin + 300_000])
    sealing.finish()
    return stream.getvalue()


def opened(vault: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return io.BufferedReader(Opened(io.BytesIO(vault), passphrase)).read()


THREE = bytes(range(256)) * (CHUNK // 128) + b"and a little more"
VAULT = sealed(THREE)
BORDERS = [HEADER, HEADER + CHUNK + TAG, HEADER + 2 * (CHUNK + TAG)]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5])
def test_written_data_is_read(size: int) -> None:
    content = b"x" * size
    vault = sealed(content)
    assert opened(vault) == content
    assert content not in vault or not content


@given(content=st.binary(max_size=2000), passphrase=st.text(min_size=12, max_size=40))
def test_any_content_with_any_passphrase_is_read_again(content: bytes, passphrase: str) -> None:
    assert opened(sealed(content, passphrase), passphrase) == content


def test_wrong_passphrase_does_not_open() -> None:
    with pytest.raises(VaultError, match="passphrase is wrong, or the file was changed"):
        opened(VAULT, PASSPHRASE + ".")
    assert opened(VAULT) == THREE


@pytest.mark.parametrize("short", ["", "elevenchars"])
def test_a_short_passphrase_is_refused_before_anything_is_written(short: str) -> None:
    stream = io.BytesIO()
    with pytest.raises(OperatorError, match="12 characters"):
        Sealing(stream, short, ENTROPY)
    assert stream.getvalue() == b""


@pytest.mark.parametrize(
    "end", [0, 1, HEADER - 1, *BORDERS, BORDERS[1] - 1, BORDERS[1] + 1, BORDERS[2] + TAG, len(VAULT) - 1]
)
def test_truncated_file_does_not_open(end: int) -> None:
    """Also at every border between two chunks, where all remaining chunks are complete."""
    with pytest.raises(VaultError):
        opened(VAULT[:end])


def test_appended_data_does_not_open() -> None:
    for more in (b"x", VAULT[BORDERS[2] :], VAULT[BORDERS[0] : BORDERS[1]]):
        with pytest.raises(VaultError):
            opened(VAULT + more)


@pytest.mark.parametrize("region", ["magic", "cost", "salt", "prefix", "first", "second", "last", "tag"])
def test_flipped_bit_does_not_open(region: str) -> None:
    place = {
        "magic": 3,
        "cost": 16,
        "salt": 20,
        "prefix": 36,
        "first": BORDERS[0] + 5,
        "second": BORDERS[1] + CHUNK // 2,
        "last": BORDERS[2] + 3,
        "tag": len(VAULT) - 1,
    }[region]
    for bit in range(8):
        flipped = bytearray(VAULT)
        flipped[place] ^= 1 << bit
        with pytest.raises(VaultError):
            opened(bytes(flipped))


def test_swapped_or_foreign_chunks_do_not_open() -> None:
    first, second, last = VAULT[BORDERS[0] : BORDERS[1]], VAULT[BORDERS[1] : BORDERS[2]], VAULT[BORDERS[2] :]
    other = sealed(THREE, entropy=bytes(23))
    for made in (
        second + first + last,
        first + last,
        first + first + last,
        first + other[BORDERS[1] : BORDERS[2]] + last,
    ):
        with pytest.raises(VaultError):
            opened(VAULT[:HEADER] + made)
    assert opened(VAULT[:HEADER] + first + second + last) == THREE


def test_unfinished_vault_does_not_open() -> None:
    stream = io.BytesIO()
    Sealing(stream, PASSPHRASE, ENTROPY, log_n=4).write(THREE)
    with pytest.raises(VaultError):
        opened(stream.getvalue())


@pytest.mark.parametrize(("log_n", "r", "p"), [(19, 8, 1), (0, 8, 1), (17, 9, 1), (17, 0, 1), (17, 8, 5), (17, 8, 0)])
def test_header_with_too_large_parameters_is_refused_before_any_work(log_n: int, r: int, p: int) -> None:
    with pytest.raises(VaultError, match="exceeds the limits"):
        opened(VAULT[:16] + bytes((log_n, r, p)) + VAULT[19:])


@pytest.mark.wide
def test_default_key_derivation_is_expensive() -> None:
    stream = io.BytesIO()
    Sealing(stream, PASSPHRASE, ENTROPY).finish()
    assert stream.getvalue()[16:19] == bytes((17, 8, 1))
    assert opened(stream.getvalue()) == b""
