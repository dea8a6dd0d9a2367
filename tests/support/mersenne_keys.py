"""RSA keys of any size within a millisecond: their primes are known (Mersenne primes), so that none is searched for."""

from __future__ import annotations

import math

from cryptography.hazmat.primitives.asymmetric import rsa


def rsa_key(first: int, second: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Return the key with the primes 2^first - 1 and 2^second - 1, and the first fitting exponent from *exponent* on."""
    p, q = (1 << first) - 1, (1 << second) - 1
    phi = (p - 1) * (q - 1)
    while math.gcd(exponent, phi) != 1:
        exponent += 2
    d = pow(exponent, -1, phi)
    public = rsa.RSAPublicNumbers(exponent, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


LARGEST = rsa_key(3217, 4423)
"""7,640 bits: accepted."""

TOO_LARGE = rsa_key(4423, 11213)
"""15,636 bits."""

LONG_EXPONENT = rsa_key(521, 2281, (1 << 2700) + 1)
"""2,802 bits, with an exponent of 2,701 bits: one use of the public key takes 5 ms."""
