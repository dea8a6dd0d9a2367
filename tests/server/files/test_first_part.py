"""The first part of an upload, in pieces of any size; what is no multipart body is refused early."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.files.first_part import LARGEST_HEADER, FirstPart, boundary_of

HEAD = b'--bb\r\nContent-Disposition: form-data; name="File"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
CONTENTS = [b"", b"hello", b"\r\n", b"\r\n--b", b"a\r\n--bc", b"\r\n\r\n--b\r\n--", bytes(range(256)) * 20]


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
@pytest.mark.parametrize("content", CONTENTS)
def test_content_is_what_is_between_the_lines(content: bytes, step: int) -> None:
    body = HEAD + content + b"\r\n--bb\r\nX: y\r\n\r\nanother part\r\n--bb--\r\n"
    part = FirstPart(b"bb")
    read = b"".join(part.feed(body[at : at + step]) for at in range(0, len(body), step))
    assert (read, part.is_whole, part.name, part.content_type) == (content, True, "a.txt", "text/plain")
    assert part.feed(b"more") == b""
    assert "whole=True" in repr(part)


def test_body_that_ends_early_is_not_whole() -> None:
    part = FirstPart(b"bb")
    assert part.feed(HEAD + b"x" * 100)
    assert not part.is_whole


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"\r\n--bb\r\n",
        b"--bc\r\n",
        b"--bb--\r\n",
        b"--bb\r\n" + b"a" * LARGEST_HEADER,
        b"--bb\r\nX: " + b"a" * LARGEST_HEADER + b"\r\n\r\n",
    ],
)
def test_body_without_a_part_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError):
        FirstPart(b"bb").feed(body)


@pytest.mark.parametrize(
    "header", [b"X: y", b"Content-Disposition: form-data", b'Content-Disposition: form-data; filename="a', b":"]
)
def test_part_without_a_name_has_none(header: bytes) -> None:
    part = FirstPart(b"bb")
    part.feed(b"--bb\r\n" + header + b"\r\n\r\n")
    assert (part.name, part.content_type) == ("", "")


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [("multipart/form-data; boundary=abc", b"abc"), ('Multipart/Form-Data; boundary="a b"; x=y', b"a b")],
)
def test_boundary_is_read(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain; boundary=abc",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\u00e4",
        f"multipart/form-data; boundary={'a' * 71}",
    ],
)
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(RemoteError):
        boundary_of(content_type)
