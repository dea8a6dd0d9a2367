"""The identity of a device in a certificate: the SIP address of its user, and a name by which the user tells devices apart.

The device issuing CA and its certificates have a certificate policy of our own (RFC 5280 4.2.1.4). The CA cannot leave it out,
since the root signs the certificate of the CA. So each port knows a certificate for devices, with any names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.trust.x509.certificate import extension, is_authority
from sipmesh.trust.x509.sip_identity import alternative_names, uri_host

if TYPE_CHECKING:
    from collections.abc import Sequence

DEVICE_POLICY: Final = x509.ObjectIdentifier("1.2.840.113556.1.8000.2554.52328.18968.59089.18798.39831.9432189.297576")
"""A certificate for devices: a UUID below the arc of Microsoft for UUIDs. Not below 2.25: some parsers refuse long arcs."""
SCHEME: Final = "sipmesh-device"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_USER: Final = re.compile(r"sip:[^@\s:;?<>\"]{1,128}@[a-z0-9.-]+", re.ASCII)

NAME_REMEDY: Final = "use up to 32 of a-z, 0-9, dot, hyphen, underscore, such as desk"
"""What to do about another name of a device."""


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """The address of the user, such as ``sip:alice@example.com``, and the name of the *device*."""

    user: str
    device: str

    @property
    def domain(self) -> str:
        """The SIP domain of the user."""
        return self.user.rpartition("@")[2]

    @property
    def login(self) -> str:
        """The name with which the device enrols, such as ``alice@example.com/desk``."""
        return f"{self.user.removeprefix('sip:')}/{self.device}"


def is_device_name(name: str) -> bool:
    """Return whether a device can have this name."""
    return _NAME.fullmatch(name) is not None


def device_uris(identity: DeviceIdentity) -> tuple[str, str]:
    """Give the two URIs for the subject alternative name of a device."""
    return identity.user, f"{SCHEME}:{identity.device}"


def device_identity(certificate: x509.Certificate) -> DeviceIdentity | None:
    """Give the identity of a device; None if the certificate has other names, further names, or none (RFC 5280 4.2.1.6).

    The common name does not count. Raises ValueError if the names cannot be read.
    """
    names = alternative_names(certificate)
    uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
    if len(names) != 2 or len(uris) != 2:  # noqa: PLR2004 - a user and a device
        return None
    user, (scheme, _, device) = uris[0], uris[1].partition(":")
    fits = _USER.fullmatch(user) and uri_host(user) == user.rpartition("@")[2]
    return DeviceIdentity(user, device) if fits and scheme == SCHEME and is_device_name(device) else None


def is_for_devices(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate has the policy for devices: that of a device, or of the CA that issues for devices."""
    policies = extension(certificate, x509.CertificatePolicies) or ()
    return any(policy.policy_identifier == DEVICE_POLICY for policy in policies)


def issues_for_devices(path: Sequence[x509.Certificate]) -> bool:
    """Tell whether the first issuer in *path*, leaf first, is a CA that issues for devices."""
    return len(path) > 1 and is_authority(path[1]) and is_for_devices(path[1])
