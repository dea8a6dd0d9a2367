"""Passwords in URLs, hidden from all who read them: an old version of the topology may contain one."""

from __future__ import annotations

import re

_PASSWORD_OF_USER = re.compile(r"(://[^:/@?#\s]*):\S*@")
_PASSWORD_PARAMETER = re.compile(r"([?&;](?:[a-z]*password|[a-z]*passwd|secret|token)=)[^&;#\s]*", re.IGNORECASE)


def masked(text: str) -> str:
    """Give a URL, or lines with URLs, with ``***`` for each password, wherever an operator may have written it."""
    return _PASSWORD_PARAMETER.sub(r"\1***", _PASSWORD_OF_USER.sub(r"\1:***@", text))


def has_password(url: str) -> bool:
    """Tell whether a URL contains a password, of its user or as a parameter."""
    return masked(url) != url
