"""The kinds of software and phones for which there is a file with the account."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ClientKind(StrEnum):
    """What takes an invitation."""

    LINPHONE = "linphone"
    BARESIP = "baresip"
    PJSIP = "pjsip"
    WEB = "web"
    JSON = "json"
    YEALINK = "yealink"
    SNOM = "snom"
    POLYCOM = "polycom"
    CISCO = "cisco"


DESK_PHONES: Final = frozenset({ClientKind.YEALINK, ClientKind.SNOM, ClientKind.POLYCOM, ClientKind.CISCO})
"""Phones that fetch a file by their MAC address."""

CHOICES: Final = {
    ClientKind.LINPHONE: "Linphone",
    ClientKind.WEB: "The web phone, in this browser",
    ClientKind.BARESIP: "baresip",
    ClientKind.PJSIP: "A phone with PJSIP",
    ClientKind.JSON: "Another phone (JSON)",
}
"""What a person may choose, in words."""
