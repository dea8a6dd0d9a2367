#!/usr/bin/env python3
r"""Refuse methods and patterns with a Unicode meaning in code that handles text of SIP, SDP and certificates.

SIP's blanks are SP and HTAB, and its letters and digits are ASCII. ``"\u00a0310".strip()`` is ``"310"`` in Python, and
``"\u212a".lower()`` is ``"k"``: a reader that uses them sees boundaries and names that no other implementation sees.

Usage: lint_text.py [FILE ...]; without files, all of the packages that are listed below. Prints ``file:line: what``.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = Path(__file__).resolve().parent.parent / "src" / "sipmesh"
CHECKED: Final = (
    "sip",
    "routing",
    "transport",
    "client",
    "distribution",
    "server",
    "trust",
    "topology/document/names.py",
    "topology/view.py",
)

BLANKS: Final = frozenset({"strip", "lstrip", "rstrip", "split", "rsplit"})
"""These follow Unicode where they are called without an argument."""
UNICODE: Final = frozenset(
    {
        "capitalize",
        "casefold",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
        "isspace",
        "istitle",
        "isupper",
        "lower",
        "splitlines",
        "swapcase",
        "title",
        "upper",
    }
)
"""These follow Unicode with any arguments."""
PATTERN_FUNCTIONS: Final = frozenset(
    {"compile", "match", "fullmatch", "search", "split", "sub", "subn", "findall", "finditer"}
)
UNICODE_CLASSES: Final = ("\\s", "\\S", "\\d", "\\D", "\\w", "\\W", "\\b", "\\B")
IGNORES_CASE: Final = frozenset({"I", "IGNORECASE"})
ASCII_FLAGS: Final = frozenset({"A", "ASCII"})

ALLOWED: Final[dict[tuple[str, str, str], str]] = {
    ("sip/text.py", "is_token", "isalnum"): "beside isascii()",
    ("sip/text.py", "is_digits", "isdigit"): "beside isascii()",
    ("sip/text.py", "ascii_lower", "lower"): "after isascii()",
    ("sip/text.py", "ascii_upper", "upper"): "after isascii()",
    ("sip/text.py", "has_control", "isprintable"): "what is printable in Unicode holds no control character",
    ("sip/text.py", "all_printable", "isprintable"): "it is asked about characters that are not ASCII only",
    ("sip/fields.py", "_is_value", "isalnum"): "after isascii()",
    ("sip/rows.py", "_is_plain_call_id", "isalnum"): "after isascii()",
    ("sip/status.py", "_phrase", "title"): "the name of a status, from an enumeration",
    ("sip/uri.py", "_clean", "isalnum"): "beside isascii()",
    ("sip/uri.py", "_has_host_characters", "isalnum"): "beside isascii()",
    ("routing/early_refusal.py", "message_end", "lower"): "of octets: no Unicode",
    ("routing/early_refusal.py", "message_end", "isdigit"): "of octets: no Unicode",
    ("routing/early_refusal.py", "unavailable", "lower"): "of octets: no Unicode",
    ("routing/early_refusal.py", "_vias", "lower"): "of octets: no Unicode",
    ("routing/registrar/refresh_form.py", "fits", "isdigit"): "of octets: no Unicode",
    ("routing/registrar/refresh_form.py", "fits", "isalnum"): "of octets: no Unicode",
    ("client/judge.py", "judge_server", "lower"): "names that the user of the command has typed",
    ("trust/revocation/crl_decoding.py", "der_of", "split"): "of octets: no Unicode",
    ("server/service.py", "Service.role", "lower"): "the name of a server, from the command line",
    ("server/replication/topology_source.py", "source_of", "lower"): "the name of a server, from the command line",
    ("topology/document/names.py", "fqdn", "lower"): "refused afterwards where it was not ASCII",
    ("topology/document/names.py", "http_url", "isprintable"): "after isascii()",
    ("topology/view.py", "ServerView.__init__", "lower"): "the name of a server, from the command line",
    ("topology/view.py", "ServerView.partner_for", "lower"): "the host of a SIP URI that has been read, which is ASCII",
    (
        "topology/view.py",
        "ServerView.partner_named",
        "lower",
    ): "the host of a SIP URI that has been read, which is ASCII",
    ("topology/view.py", "ServerView.open_policy", "lower"): "a name of the topology, which is ASCII",
    ("transport/tls/pyopenssl.py", "_reason", "lower"): "text of OpenSSL",
    (
        "trust/x509/name_constraints.py",
        "_fold",
        "split",
    ): "RFC 5280 7.1 compares names of directories as RFC 4518 prepares them: by Unicode",
    ("trust/x509/name_constraints.py", "_fold", "casefold"): "the same",
    ("trust/judgement/judge.py", "_seen", "upper"): "hexadecimal digits of ours",
    ("trust/revocation/ocsp.py", "OcspAnswer.load", "lower"): "the name of a status, from an enumeration",
}
"""File, function and method: why it may be there."""


def faults(tree: ast.AST, file: str) -> Iterator[tuple[int, str]]:
    """Give line and fault of each call in *tree* that is not allowed; *file* is relative to the package."""
    for where, call in calls(tree):
        named = fault(call)
        if named is not None and (file, where, named) not in ALLOWED:
            yield (
                call.lineno,
                f"{named} follows Unicode (in {where or 'the module'}): use the helpers of sipmesh.sip.text",
            )


def calls(node: ast.AST, where: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Give each call below *node* with the name of the function that contains it."""
    for child in ast.iter_child_nodes(node):
        inner = where
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{where}.{child.name}" if where else child.name
        if isinstance(child, ast.Call):
            yield where, child
        yield from calls(child, inner)


def fault(call: ast.Call) -> str | None:
    """Give the name of what is wrong with a call, None where nothing is."""
    if not isinstance(call.func, ast.Attribute):
        return None
    name = call.func.attr
    if isinstance(call.func.value, ast.Name) and call.func.value.id == "re":
        return f"re.{name}" if name in PATTERN_FUNCTIONS and _is_unicode_pattern(call) else None
    if name in UNICODE or (name in BLANKS and _splits_at_any_blank(call)):
        return name
    return None


def _splits_at_any_blank(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg != "maxsplit")]
    return not given or (isinstance(given[0], ast.Constant) and given[0].value is None)


def _is_unicode_pattern(call: ast.Call) -> bool:
    """Tell whether a pattern of text has a class, or ignores case, as Unicode says and not as ASCII does."""
    parts = list(ast.walk(call.args[0])) if call.args else []
    pattern = "".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))
    flags = {part.attr for part in ast.walk(call) if isinstance(part, ast.Attribute)}
    follows = any(one in pattern for one in UNICODE_CLASSES) or bool(flags & IGNORES_CASE) or "(?i" in pattern
    return follows and not flags & ASCII_FLAGS and "(?a" not in pattern


def files() -> list[Path]:
    """List the files of all packages that are checked."""
    found = [SOURCE / name for name in CHECKED]
    return sorted(file for one in found for file in ([one] if one.is_file() else one.rglob("*.py")))


def main(named: list[str]) -> int:
    """Check the *named* files, or all; 1 where there is a fault."""
    count = 0
    for file in [Path(name).resolve() for name in named] or files():
        relative = file.relative_to(SOURCE).as_posix() if file.is_relative_to(SOURCE) else file.name
        for line, what in faults(ast.parse(file.read_text("utf-8")), relative):
            print(f"{file}:{line}: {what}")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
