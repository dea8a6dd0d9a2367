"""The text of sipmesh for an exception of a library: an operator must not have to know which library has read a file."""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import Any, Final

_OF_A_LIBRARY: Final = re.compile(
    r"asn\.?1|ParseError|error parsing|Could not deserialize|Unable to load|codec can't|valid \w+ parameters|OpenSSH"
    r"|<[A-Z_a-z]\w*[ (]"
)
"""Marks of the texts of cryptography, OpenSSL and codecs, which come as a plain ValueError."""

_MISFITS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "is not text",
    "int_type": "is no whole number",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "int_parsing_size": "is no number that can be used",
    "float_type": "is no number",
    "float_parsing": "is no number",
    "finite_number": "is no number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "list_type": "is not a list",
    "tuple_type": "is not a list",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "dataclass_type": "is not an object",
    "enum": "is not one of its values",
    "literal_error": "is not one of its values",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_long": "is too long: at most {max_length} items",
    "string_too_short": "is too short: at least {min_length} characters",
    "too_short": "has too few items: at least {min_length}",
    "greater_than_equal": "is too small: write {ge} or more",
    "greater_than": "is too small: write more than {gt}",
    "less_than_equal": "is too large: write {le} or less",
    "less_than": "is too large: write less than {lt}",
    "json_invalid": "is not JSON",
    "timezone_aware": "is a time without a time zone",
    "datetime_parsing": "is no time",
    "datetime_from_date_parsing": "is no time",
}
"""What is wrong with a value, by the type of an error of pydantic."""

DAMAGED: Final = "it is damaged, or of another kind"


def misfit_of(error: Any) -> str:
    """Return what is wrong with a value, of one of `ValidationError.errors`; an error of ours has its own words."""
    if error["type"] in {"value_error", "assertion_error"}:
        return str(error["msg"]).partition(", ")[2]
    context = error.get("ctx", {})
    if {"reason", "remedy"} <= context.keys():
        return f"{context['reason']}; {context['remedy']}"
    return _MISFITS.get(error["type"], "does not fit").format(**context)


def reason_of(wrong: Exception) -> str:
    """Return why something cannot be read. The texts of our own exceptions are kept, and so are those of the system."""
    if isinstance(wrong, UnicodeDecodeError):
        return "it is not UTF-8 text"
    if isinstance(wrong, JSONDecodeError):
        return f"line {wrong.lineno}, column {wrong.colno} is not JSON"
    if isinstance(wrong, OSError):
        return wrong.strerror or "the system gives no reason"
    is_foreign = not type(wrong).__module__.startswith(("sipmesh", "builtins"))
    text = " ".join(str(wrong).split())
    return DAMAGED if is_foreign or not text or _OF_A_LIBRARY.search(text) else text
