"""The data with which a server checks a user's password: hashes, never the password itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sipmesh.sip.digest import Algorithm


def user_of(aor: str) -> str:
    """Give the digest user name of an address of record: the part before the ``@``."""
    return aor.removeprefix("sip:").partition("@")[0]


DEVICE_MARK: Final = "+"
"""In the digest user name of a device, between the user and the name of the device: ``alice+desk``."""


def user_of_device(aor: str, device: str) -> str:
    """Give the digest user name by which the *device* of a user logs in."""
    return f"{user_of(aor)}{DEVICE_MARK}{device}"


@dataclass(frozen=True, slots=True)
class DevicePassword:
    """The H(A1) of a password that one device has, of each algorithm; *generation* is that of this password (`Verifier`)."""

    generation: int
    ha1: Mapping[Algorithm, str] = field(repr=False)


MICROSECONDS: Final = 1_000_000
NO_DEVICES: Final[Mapping[str, DevicePassword]] = {}
NO_LOGOUTS: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Verifier:
    """One user. *ha1* maps each algorithm to the H(A1) of the password (RFC 7616 section 3.4.2), strongest first.

    *generation* increases with every change of the password. A link that proved an earlier password is no longer
    authenticated. *created* is when the account was added, in microseconds since 1970; 0 if that is not known. A new account of
    the same name has a later one. *devices* are the passwords of single devices, by the name of the device. No two passwords of
    a user have the same generation. The hashes of a disabled user are those of no known password; an access token must look at
    *is_disabled*, and at *logouts*: when the user has logged out at the OpenID provider, in epoch seconds, by the hash of the
    session, "" for all sessions. *classes* are those of numbers that groups give the user.
    """

    aor: str
    generation: int
    ha1: Mapping[Algorithm, str] = field(repr=False)
    created: int = 0
    devices: Mapping[str, DevicePassword] = field(default_factory=lambda: NO_DEVICES)
    is_disabled: bool = False
    logouts: Mapping[str, int] = field(default_factory=lambda: NO_LOGOUTS)
    classes: tuple[str, ...] = ()

    def counts(self, generation: int | None) -> bool:
        """Tell whether a login with the password of this generation is valid still."""
        return generation == self.generation or any(one.generation == generation for one in self.devices.values())

    def has_ended(self, issued_at: float, session: str) -> bool:
        """Tell whether a logout has ended the access token that was *issued_at*; *session* is the hash of its ``sid``, or "".

        A token that names no session may be of each one. A token from before the account was added is of an earlier user of the
        name.
        """
        if issued_at < self.created // MICROSECONDS:
            return True
        if not session:
            return bool(self.logouts) and issued_at <= max(self.logouts.values())
        return session in self.logouts or issued_at <= self.logouts.get("", -1)

    def device(self, name: str) -> DevicePassword | None:
        """Give the password of the device that logs in with this digest user name; None if there is no such device."""
        user, _, device = name.rpartition(DEVICE_MARK)
        return self.devices.get(device) if user == user_of(self.aor) else None
