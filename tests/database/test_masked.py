"""Passwords in URLs are hidden wherever a URL is shown."""

from __future__ import annotations

import pytest

from sipmesh.database.masked import has_password, masked


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u:hunter2@db/x",
        "postgresql+psycopg://u:hun/ter2@db/x",
        "postgresql+psycopg://:hunter2@db/x",
        "postgresql+psycopg://u:a@hunter2@db/x",
        "postgresql+psycopg://db/x?password=hunter2",
        "postgresql+psycopg://db/x?sslmode=off&PassWord=hunter2&x=1",
        "postgresql+psycopg://db/x?sslpassword=hunter2",
        "valkeys://default:hunter2@v.test",
        'storage: {users: "postgresql+psycopg://u:hunter2@db/x"}\nother: "a@b"\n',
    ],
)
def test_password_is_hidden(url: str) -> None:
    assert "hunter2" not in masked(url)
    assert "ter2" not in masked(url)
    assert has_password(url)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://u@db:5432/x?sslmode=verify-full",
        "valkeys://v.test:6379\n  name: a@b.test\n",
        "http://crl.test:80/x.crl",
        "sqlite:///users.db",
    ],
)
def test_text_without_a_password_stays(text: str) -> None:
    assert masked(text) == text
    assert not has_password(text)
