"""The forms of the portal: each does one operation on the account of the user who sends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sipmesh.server.console.operations import (
    DEVICE_PASSWORD,
    DEVICE_REVOKE,
    INVITATION_REVOKE,
    PRESENCE_CHANGE,
    RULES_CHANGE,
    RULES_CLEAR,
    USER_INVITE,
)
from sipmesh.server.console.pages.fields import INVITATION_FIELDS, PRESENCE_FIELDS, RULE_FIELDS, Field, hidden
from sipmesh.server.console.pages.form import Form, page
from sipmesh.storage.users.invitation import PORTAL_LINK
from sipmesh.topology.document.parts.oauth import PORTAL

_OWN_FIELDS: Final = frozenset({"device", "client", "mac", "certificate"})


def _told(done: Any, _form: Mapping[str, str]) -> str:
    closed = f" Links closed: {done.closed}." if done.closed else ""
    late = " Some servers do not know it yet: they follow as soon as they are reached." if done.missing else ""
    return f"Your account is {done.what}.{closed}{late}"


def _of_device(field: Field) -> Field:
    """Return a field of the form of operators for a user, who sets up devices and makes no links to the portal."""
    choices = tuple(one for one in field.choices if one != PORTAL_LINK)
    return replace(field, choices=choices, hint="" if field.name == "client" else field.hint)


_NEW_DEVICE: Final = Field("device", "Name of the device", longest=32, hint="Such as desk; a-z, 0-9 and -")

PORTAL_FORMS: Final = (
    Form(
        f"{PORTAL}/device/link",
        USER_INVITE,
        PORTAL,
        "Set up a new device",
        "Make the link",
        tuple(map(_of_device, (one for one in INVITATION_FIELDS if one.name in _OWN_FIELDS))),
        "A link is made, which sets up one device, once, within an hour. It is shown on the next page only.",
        page(PORTAL),
        lambda done, _: f"The link {done.invitation} sets up one device.",
        shows="letter.html",
    ),
    Form(
        f"{PORTAL}/link/end",
        INVITATION_REVOKE,
        PORTAL,
        "Withdraw the link {id}",
        "Withdraw the link",
        (hidden("id"),),
        "The link is worth nothing any more.",
        page(PORTAL),
        _told,
    ),
    Form(
        f"{PORTAL}/device/password",
        DEVICE_PASSWORD,
        PORTAL,
        "Password for one device",
        "Make the password",
        (_NEW_DEVICE,),
        "One device gets a password of its own, which you type into it. It is shown on the next page only. End the device here "
        "when you give it away.",
        page(PORTAL),
        lambda done, _: f"The device {done.device} may log in.",
        shows="device_password.html",
    ),
    Form(
        f"{PORTAL}/device/end",
        DEVICE_REVOKE,
        PORTAL,
        "End the device {device}",
        "End the device {device}",
        (hidden("device"),),
        "The links of {device} are closed, which ends calls over them, and it cannot log in again. Your other devices stay.",
        page(PORTAL),
        _told,
        closes_links=True,
    ),
    Form(
        f"{PORTAL}/rules",
        RULES_CHANGE,
        PORTAL,
        "Rules of your calls",
        "Change the rules",
        RULE_FIELDS,
        "Calls follow the rules within a second. What is left empty stays as it is. A call is forwarded with your rights.",
        page(PORTAL),
        _told,
    ),
    Form(
        f"{PORTAL}/rules/clear",
        RULES_CLEAR,
        PORTAL,
        "Remove all rules of your calls",
        "Remove all rules",
        (),
        "Calls ring at all your phones, for as long as the caller waits.",
        page(PORTAL),
        _told,
    ),
    Form(
        f"{PORTAL}/presence",
        PRESENCE_CHANGE,
        PORTAL,
        "Who sees your presence",
        "Change the rule",
        PRESENCE_FIELDS,
        "The nearest rule counts: for an address, for its domain, for all. Who watches you now follows within a second.",
        page(PORTAL),
        _told,
    ),
)
