"""Keys of files by their tokens: a part counts at its place alone, and the id gives neither token nor key."""

from __future__ import annotations

import pytest

from sipmesh.storage.file_cipher import ENTROPY, FileCipher, is_token, new_file


def test_what_is_sealed_is_opened_by_the_same_token_at_the_same_place() -> None:
    file = new_file(b"e" * ENTROPY)
    sealed = [file.sealed(text, number) for number, text in enumerate((b"first", b"second"))]
    again = FileCipher(file.token)
    assert (again.id, again.opened(sealed[0], 0), again.opened(sealed[1], 1)) == (file.id, b"first", b"second")
    assert again.opened(file.sealed(b"name")) == b"name"
    assert (again.opened(sealed[0], 1), again.opened(sealed[0]), again.opened(b"", 0)) == (None, None, None)
    assert b"first" not in sealed[0]
    assert file.token not in repr(file)


def test_another_token_opens_nothing_and_has_another_id() -> None:
    file, other = new_file(b"e" * ENTROPY), new_file(b"f" * ENTROPY)
    assert file.id != other.id
    assert other.opened(file.sealed(b"x", 0), 0) is None
    assert FileCipher(file.id).opened(file.sealed(b"x", 0), 0) is None


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "/", "a" * 42 + "\n", "\u00e4" * 43])
def test_other_texts_are_no_tokens(text: str) -> None:
    assert is_token(new_file(b"e" * ENTROPY).token)
    assert not is_token(text)
