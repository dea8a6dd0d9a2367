"""The forms about users: accounts, devices, aliases, groups and rules of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from sipmesh.server.console.operations import (
    ALIAS_ADD,
    ALIAS_REMOVE,
    DEVICE_PASSWORD,
    DEVICE_REVOKE,
    GROUP_ADD,
    GROUP_CHANGE,
    GROUP_REMOVE,
    INVITATION_REVOKE,
    PRESENCE_CHANGE,
    RULES_CHANGE,
    RULES_CLEAR,
    USER_ADD,
    USER_DISABLE,
    USER_ENABLE,
    USER_INVITE,
    USER_MOVE,
    USER_PASSWORD,
    USER_REMOVE,
    USERS_INVITE,
)
from sipmesh.server.console.pages.fields import (
    ALIAS,
    GROUP,
    GROUP_FIELDS,
    INVITATION_FIELDS,
    LEAVE,
    OF_USER,
    PASSWORD,
    POOL,
    PRESENCE_FIELDS,
    RULE_FIELDS,
    USER,
    Field,
    hidden,
)
from sipmesh.server.console.pages.form import Form, page

OF_THE_USER: Final = "/users/{user}"


def _user_page(done: Any, _form: Mapping[str, str]) -> str:
    return f"/users/{quote(done.user, safe='')}"


def _user_told(done: Any, _form: Mapping[str, str]) -> str:
    closed = f" Live links closed on this machine: {done.closed}." if done.closed else ""
    late = (
        f" NOT yet in force at {', '.join(done.missing)}: the state from before counts there." if done.missing else ""
    )
    return f"{done.user} is {done.what}.{closed}{late}"


USER_FORMS: Final = (
    Form(
        "/user/add",
        USER_ADD,
        "/users",
        "Add a user",
        "Add the user",
        (USER, PASSWORD, POOL),
        "The user can log in as soon as the front ends have the account, which takes seconds.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/invite",
        USER_INVITE,
        OF_THE_USER,
        "Invite a device of {user}",
        "Make the invitation",
        (OF_USER, *INVITATION_FIELDS),
        "A link is made, which sets up one device of {user}, once. No other device is logged out. The link is shown on the next "
        "page only.",
        _user_page,
        lambda done, _: f"{done.user} may set up one device, with the invitation {done.invitation}.",
        shows="letter.html",
    ),
    Form(
        "/user/invite-all",
        USERS_INVITE,
        "/users",
        "Invite many devices",
        "Make the invitations",
        (
            Field(
                "table", "Table (CSV)", kind="area", hint="The first line names the columns, such as user,device,phone"
            ),
            Field("hours", "Hours for which they are valid", required=False, longest=3, hint="Without it, 72"),
        ),
        "A link is made for each row, which sets up one device, once. If a row is refused, no link is made. The links are "
        "shown on the next page only.",
        page("/users"),
        lambda done, _: f"{done.count} devices may be set up.",
        shows="letters.html",
    ),
    Form(
        "/user/invitation/revoke",
        INVITATION_REVOKE,
        "/users",
        "Revoke the invitation {id}",
        "Revoke the invitation {id}",
        (hidden("id"),),
        "The link of this invitation is worth nothing any more.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/device/password",
        DEVICE_PASSWORD,
        OF_THE_USER,
        "Password for a new device of {user}",
        "Make the password",
        (OF_USER, Field("device", "Name of the device", longest=32, hint="Such as desk; a-z, 0-9 and -")),
        "The device gets a password of its own, for a person to type. No other device is logged out. The password is shown on "
        "the next page only.",
        _user_page,
        lambda done, _: f"{done.device} of {done.user} may log in.",
        shows="device_password.html",
    ),
    Form(
        "/user/device/revoke",
        DEVICE_REVOKE,
        OF_THE_USER,
        "Revoke the device {device}",
        "Revoke the device {device}",
        (OF_USER, hidden("device")),
        "The links of {device} are closed, which ends calls over them, and it cannot log in again. The other devices of {user} "
        "stay.",
        _user_page,
        _user_told,
        closes_links=True,
    ),
    Form(
        "/user/password",
        USER_PASSWORD,
        OF_THE_USER,
        "New password of {user}",
        "Change the password",
        (OF_USER, replace(PASSWORD, label="New password")),
        "The links of all devices of {user} are closed: each device needs the new password. Calls over these links end.",
        _user_page,
        _user_told,
        closes_links=True,
    ),
    Form(
        "/user/move",
        USER_MOVE,
        OF_THE_USER,
        "Move {user} to another home pool",
        "Move the user",
        (OF_USER, POOL),
        "The links of all devices of {user} are closed, and the devices register at the new home pool.",
        _user_page,
        _user_told,
        closes_links=True,
    ),
    Form(
        "/user/disable",
        USER_DISABLE,
        OF_THE_USER,
        "Disable {user}",
        "Disable {user}",
        (OF_USER,),
        "{user} can no longer log in, and the links of all devices are closed, which ends calls over them. "
        "Enable takes this back.",
        _user_page,
        _user_told,
        closes_links=True,
    ),
    Form(
        "/user/enable",
        USER_ENABLE,
        OF_THE_USER,
        "Enable {user}",
        "Enable {user}",
        (OF_USER,),
        "{user} can log in again, with the password from before.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/remove",
        USER_REMOVE,
        OF_THE_USER,
        "Remove {user}",
        "Remove {user}",
        (OF_USER,),
        "The account of {user}, with its aliases, is removed, and the links of all devices are closed. This cannot be undone.",
        page("/users"),
        _user_told,
        closes_links=True,
    ),
    Form(
        "/user/alias/add",
        ALIAS_ADD,
        OF_THE_USER,
        "New alias of {user}",
        "Add the alias",
        (OF_USER, ALIAS),
        "Calls to the alias ring at the devices of {user}.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/rules/change",
        RULES_CHANGE,
        OF_THE_USER,
        "Rules of calls of {user}",
        "Change the rules",
        (OF_USER, *RULE_FIELDS),
        "Calls follow the rules within a second. A call is forwarded with the rights of {user}.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/rules/clear",
        RULES_CLEAR,
        OF_THE_USER,
        "Remove all rules of calls of {user}",
        "Remove all rules",
        (OF_USER,),
        "Calls ring at all phones of {user}, for as long as the caller waits.",
        _user_page,
        _user_told,
    ),
    Form(
        "/user/presence",
        PRESENCE_CHANGE,
        OF_THE_USER,
        "Who sees the presence of {user}",
        "Change the rule",
        (OF_USER, *PRESENCE_FIELDS),
        "The nearest rule counts: for an address, for its domain, for all. Live subscriptions follow within a second.",
        _user_page,
        _user_told,
    ),
    Form(
        "/group/add",
        GROUP_ADD,
        "/users",
        "Add a group",
        "Add the group",
        (GROUP, POOL, *GROUP_FIELDS),
        "Calls to the group ring at its members. No device logs in as a group.",
        _user_page,
        _user_told,
    ),
    Form(
        "/group/change",
        GROUP_CHANGE,
        OF_THE_USER,
        "Change the group {user}",
        "Change the group",
        (OF_USER, *GROUP_FIELDS, LEAVE),
        "Calls ring at the members within a second. What is left empty stays.",
        _user_page,
        _user_told,
    ),
    Form(
        "/group/remove",
        GROUP_REMOVE,
        OF_THE_USER,
        "Remove the group {user}",
        "Remove {user}",
        (OF_USER,),
        "Calls to {user} and to its numbers reach no user any more. Its members stay. This cannot be undone.",
        page("/users"),
        _user_told,
    ),
    Form(
        "/user/alias/remove",
        ALIAS_REMOVE,
        OF_THE_USER,
        "Remove the alias {alias}",
        "Remove the alias {alias}",
        (OF_USER, hidden("alias")),
        "Calls to {alias} no longer reach {user}.",
        _user_page,
        _user_told,
    ),
)
