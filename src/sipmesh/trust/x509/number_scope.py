"""The numbers for which a certificate may sign: the extension TNAuthList (RFC 8226 section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.trust.x509.der import Element, elements

if TYPE_CHECKING:
    from collections.abc import Sequence

TN_AUTH_LIST: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.26")
SPC, RANGE, ONE = 0xA0, 0xA1, 0xA2
IA5, INTEGER = 0x16, 0x02


def may_sign_for(certificate: x509.Certificate, number: str) -> bool:
    """Tell whether the scope of *certificate* has *number*, digits without ``+``.

    A service provider code stands for all numbers: no certificate says which numbers a provider has. A certificate without the
    extension, or with a malformed one, signs for no number.
    """
    try:
        found = certificate.extensions.get_extension_for_oid(TN_AUTH_LIST).value
        value = found.value if isinstance(found, x509.UnrecognizedExtension) else b""
        [entries] = elements(value)
        return any(_has(entry, number) for entry in entries.sequence())
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _has(entry: Element, number: str) -> bool:
    if entry.tag == SPC:
        return bool(_text(entry.inside()))
    if entry.tag == ONE:
        return _text(entry.inside()) == number
    if entry.tag != RANGE:
        return False
    [numbers] = entry.inside()
    start, count = numbers.sequence()
    first, size = _text([start]), int.from_bytes(count.content, "big", signed=True) if count.tag == INTEGER else 0
    return len(number) == len(first) and 0 <= int(number) - int(first) < size


def _text(given: Sequence[Element]) -> str:
    [one] = given
    if one.tag != IA5:
        raise ValueError("a number that is no IA5String")
    return one.content.decode("ascii")
