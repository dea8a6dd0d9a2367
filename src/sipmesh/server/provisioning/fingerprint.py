"""The SHA-256 fingerprint of a certificate, as a person compares it: in hexadecimal, and in words.

The words are proquints (D. S. Wilkerson, "A Proposal for Proquints", arXiv:0901.4016): each has five letters for 16 bits, and can
be read aloud in any language. No two fingerprints have the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes

from sipmesh.sip.text import ascii_upper

if TYPE_CHECKING:
    from cryptography import x509

_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"


def hex_fingerprint(certificate: x509.Certificate) -> str:
    """Return the fingerprint as browsers and OpenSSL show it: pairs of hexadecimal digits with colons."""
    return ascii_upper(certificate.fingerprint(hashes.SHA256()).hex(":"))


def word_fingerprint(certificate: x509.Certificate) -> str:
    """Return the fingerprint in 16 words."""
    octets = certificate.fingerprint(hashes.SHA256())
    return " ".join(_word(int.from_bytes(octets[at : at + 2])) for at in range(0, len(octets), 2))


def _word(bits: int) -> str:
    """Return the word of 16 bits: a consonant has 4 of them, a vowel has 2."""
    return "".join(
        (_CONSONANTS, _VOWELS)[at % 2][bits >> shift & (0xF, 0x3)[at % 2]] for at, shift in enumerate((12, 10, 6, 4, 0))
    )
