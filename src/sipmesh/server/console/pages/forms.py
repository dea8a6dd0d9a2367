"""The forms: each has a page that says what will happen, does one operation of the table, and says what has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sipmesh.errors import SipmeshError
from sipmesh.server.console.access.guard import OPERATOR, is_of_another_site
from sipmesh.server.console.operations import (
    ADD_POOL,
    ADD_SERVER,
    ALIAS_ADD,
    ALIAS_REMOVE,
    APPLY,
    DEVICE_REVOKE,
    ENROL,
    INVITATION_REVOKE,
    ISSUE,
    PARTNER_ADD,
    PARTNER_UNBLOCK,
    REVOKE,
    SIGN_CRLS,
    USER_ADD,
    USER_DISABLE,
    USER_ENABLE,
    USER_INVITE,
    USER_MOVE,
    USER_PASSWORD,
    USER_REMOVE,
    must_have,
    operation_of,
)
from sipmesh.server.console.pages.fields import (
    ALIAS,
    FORCE,
    INVITATION_FIELDS,
    OF_USER,
    PARTNER_FIELDS,
    PASSWORD,
    POOL,
    POOL_FIELDS,
    REASON,
    SERVER_FIELDS,
    SITES,
    USER,
    WHY,
    Field,
    hidden,
)
from sipmesh.server.console.parameters import typed
from sipmesh.server.management.replies import BLOCK, END_NETWORK_CALL, ERASE_CALLS, PUBLISH, ROLLBACK
from sipmesh.server.provisioning.letter import qr_svg
from sipmesh.topology.home_pools import front_end_pools

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.pages.frame import Frame

Tell = Callable[[Any, Mapping[str, str]], str]

OF_THE_USER: Final = "/users/{user}"


@dataclass(frozen=True, slots=True)
class Form:
    """A form at *path* that does *operation*; *back* is the page to show next, and *tell* says what has happened.

    *says* tells what will happen, before it does. *title*, *button* and *says* may name fields. *closes_links*: only a page that
    has said so sends the form. *above* is the page that leads to the form. *plans*: the operation can say what it would change,
    which the page shows beside the form. *shows* is the template of the page afterwards.
    """

    path: str
    operation: str
    above: str
    title: str
    button: str
    fields: tuple[Field, ...]
    says: str
    back: Tell
    tell: Tell
    closes_links: bool = False
    plans: bool = False
    shows: str = "done.html"

    @property
    def template(self) -> str:
        """The template of its page."""
        return "planned_form.html" if self.plans else "form.html"

    def given(self, sent: Mapping[str, str]) -> Mapping[str, object]:
        """Return the parameters of the operation that were *sent*; a box says whether to force it."""
        given = operation_of(self.operation).given
        found: dict[str, object] = dict(typed(given, {name: sent[name] for name in given.model_fields if name in sent}))
        if "force" in given.model_fields:
            found["force"] = sent.get("force") == "yes"
        for one in self.fields:
            if one.name in sent and not one.required and not sent[one.name]:
                found.pop(one.name, None)  # the operation has a default
            elif one.name in sent and one.reads is not str:
                found[one.name] = one.reads(sent[one.name])
        return found


class FormPage:
    """The page of one *form* of *frame*."""

    def __init__(self, frame: Frame, form: Form) -> None:
        self._frame, self._form = frame, form

    @property
    def template(self) -> str:
        """The template of the page."""
        return self._form.template

    async def act(self, request: web.Request, sent: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
        """Do what the form asks for, or only say what it would change: return the template of the next page with its values."""
        if self._form.closes_links and sent.get("sure") != "yes":
            raise SipmeshError("confirm this on the page of the form: it closes live links")
        self._must_be_complete(sent)
        given = self._form.given(sent)
        if self._form.plans and sent.get("do") != "change":
            plan = await self._frame.read(request, self._form.operation, **given, dry_run=True)
            return self.template, {**self.shown(sent), "plan": plan, "why": "", "problems": ()}
        done = await self._frame.read(request, self._form.operation, **given)
        told = {"back": self._form.back(done, sent), "told": self._form.tell(done, sent)}
        return self._form.shows, {**told, "done": done, "qr": qr_svg}

    def must_be_for(self, operator: Operator) -> None:
        """Raise `NotAllowedError` if *operator* may not send it."""
        must_have(operator, operation_of(self._form.operation).role)

    def _must_be_complete(self, sent: Mapping[str, str]) -> None:
        """Raise `SipmeshError` if a field is empty that a person has to fill in: not each browser refuses that."""
        typed = [one for one in self._form.fields if one.required and one.kind not in ("hidden", "select", "checkbox")]
        if missing := [one.label for one in typed if not sent.get(one.name)]:
            raise SipmeshError(f"fill in {', '.join(missing)}")

    async def show(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page, with what the query has for its fields; raises `NotAllowedError` if the role is too low.

        A link of another site fills in nothing: a form with the values of an attacker would be one click away.
        """
        self.must_be_for(request[OPERATOR])
        sent = {} if self._form.plans or is_of_another_site(request) else request.query
        return self.template, {**self.shown(sent), "why": "", "problems": ()}

    def shown(self, sent: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the page shows, with what was *sent*; never a password."""
        form = self._form
        values = {one.name: "" if one.kind == "password" else sent.get(one.name, "") for one in form.fields}
        choices = {one.name: self._choices(one) for one in form.fields if one.of_network}
        above = form.above.format_map({name: quote(value, safe="") for name, value in values.items()})
        return {
            "form": form,
            "values": values,
            "choices": choices,
            "says": form.says.format_map(values),
            "back": above,
            "plan": None,
        }

    def _choices(self, one: Field) -> Sequence[str]:
        topology = self._frame.view().loaded.topology
        return ("", *topology.sites) if one.of_network == SITES else front_end_pools(topology)


def _erased_told(done: Any, _form: Mapping[str, str]) -> str:
    missing = f" NOT yet from the files of {', '.join(done.missing)}: no link to them." if done.missing else ""
    return f"{done.user} is erased from {done.records} records.{missing}"


def _page(path: str) -> Tell:
    return lambda _done, _form: path


def _user_page(done: Any, _form: Mapping[str, str]) -> str:
    return f"/users/{quote(done.user, safe='')}"


def _user_told(done: Any, _form: Mapping[str, str]) -> str:
    closed = f" Live links closed on this machine: {done.closed}." if done.closed else ""
    late = (
        f" NOT yet in force at {', '.join(done.missing)}: the state from before counts there." if done.missing else ""
    )
    return f"{done.user} is {done.what}.{closed}{late}"


def _apply_told(done: Any, _form: Mapping[str, str]) -> str:
    """Say what was published, and what the verification has found: `done` is an `ApplyReport`."""
    if done.faults:
        told = f"Version {done.version} is published, and its verification has FAILED: {'; '.join(done.faults)}."
    else:
        told = f"Version {done.version} is published, and its verification has passed."
    back = f"Version {done.rolled_back} has the content from before." if done.rolled_back else ""
    return " ".join(filter(None, (told, back, done.warning)))


def _draft_told(done: Any, _form: Mapping[str, str]) -> str:
    count = len(done.changes)
    if not done.written:
        return "The draft has this already: nothing was changed."
    what = f"it has {count} change{'s' * (count != 1)} to version {done.base}"
    return f"The draft is changed: {what}. Read what it leads to, and apply it."


def _partner_told(done: Any, _form: Mapping[str, str]) -> str:
    if done.version:
        return f"{done.what} in version {done.version}."
    return f"{done.what} in the draft, which is not published: it has other changes too."


def _block_told(done: Any, form: Mapping[str, str]) -> str:
    told = f"{form['name']} is blocked in version {done.version}."
    if done.draft_fault:
        told += f" The draft does not block it: to publish the draft would undo the block. {done.draft_fault}"
    return told


def _unblock_told(done: Any, form: Mapping[str, str]) -> str:
    if not done.version:
        return f"{form['name']} is not blocked in the draft. Publish it: it has other changes too."
    return f"{form['name']} is no longer blocked in version {done.version}."


FORMS: Final = (
    Form(
        "/apply",
        APPLY,
        "/versions",
        "Apply the draft",
        "Apply",
        (hidden("base"), hidden("digest"), WHY, FORCE),
        "This issues the certificates that are missing, publishes the draft, verifies it by real links, and goes back if the "
        "verification fails. It takes up to a minute.",
        _page("/versions"),
        _apply_told,
    ),
    Form(
        "/publish",
        PUBLISH.name,
        "/versions",
        "Publish the draft",
        "Publish",
        (hidden("base"), hidden("digest"), WHY, FORCE),
        "The draft is in force at every server within seconds. Nothing is verified: Apply does that too.",
        _page("/versions"),
        lambda done, _: f"Version {done.version} is published.",
    ),
    Form(
        "/rollback",
        ROLLBACK.name,
        "/versions",
        "Go back to version {version}",
        "Roll back to {version}",
        (hidden("version"), hidden("base"), replace(WHY, required=False), FORCE),
        "A new version with the content of version {version} is published, and is in force at every server within seconds. "
        "Links that it forbids are closed.",
        _page("/versions"),
        lambda done, form: f"Version {done.version} is published: it has the content of version {form['version']}.",
    ),
    Form(
        "/block",
        BLOCK.name,
        "/partners",
        "Block a partner",
        "Block {name}",
        (Field("name", "Domain or edge", hint="A name that is no partner can be blocked too"),),
        "A version with this block is published now. Every server closes its links with this name, which ends calls over "
        "them, and refuses new links until you unblock it.",
        _page("/partners"),
        _block_told,
        closes_links=True,
    ),
    Form(
        "/unblock",
        PARTNER_UNBLOCK,
        "/partners",
        "Unblock {name}",
        "Unblock {name}",
        (hidden("name"),),
        "A version without this block is published now, if the draft has no other change.",
        _page("/partners"),
        _unblock_told,
    ),
    Form(
        "/revoke",
        REVOKE,
        "/certificates",
        "Revoke a certificate",
        "Revoke",
        (
            Field("serial", "Serial number (hexadecimal)", longest=79),
            REASON,
        ),
        "Every server refuses this certificate as soon as it has the new CRL, and closes the links that rest on it. A "
        "revocation is permanent: the server needs a new certificate.",
        _page("/certificates"),
        lambda done, _: f"The certificate {done.serial} of {done.server} is revoked ({done.reason}).",
        closes_links=True,
    ),
    Form(
        "/issue",
        ISSUE,
        "/certificates",
        "Issue a certificate for {server}",
        "Issue a certificate",
        (hidden("server"),),
        "{server} gets a new certificate, and the servers of this machine use theirs at once. Live links stay up.",
        _page("/certificates"),
        lambda done, _: f"{done.server} has a certificate with the serial {done.serial}. {' '.join(done.faults)}",
    ),
    Form(
        "/enrol",
        ENROL,
        "/certificates",
        "Make a one-time token for EST or ACME",
        "Make a token",
        (
            Field("server", "Server", required=False),
            Field("user", "Or a user", required=False),
            Field("device", "with the name of a device", required=False),
        ),
        "With this token the server or device gets its first certificate, once, within a day. The token is shown once.",
        _page("/certificates"),
        lambda done, _: (
            f"{done.server} may enrol until {done.ends:%Y-%m-%d %H:%M}Z. EST: user {done.server}, password "
            f"{done.password}. ACME: key id {done.key_id}, MAC key {done.mac_key}"
        ),
    ),
    Form(
        "/sign-crls",
        SIGN_CRLS,
        "/certificates",
        "Sign new CRLs",
        "Sign new CRLs",
        (),
        "Each CA signs a new CRL with the same revocations, and all servers receive it.",
        _page("/certificates"),
        lambda done, _: f"New CRLs are signed: {', '.join(done.files)}.",
    ),
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
        _page("/users"),
        _user_told,
        closes_links=True,
    ),
    Form(
        "/calls/end",
        END_NETWORK_CALL.name,
        "/calls",
        "End the call {id}",
        "End the call",
        (hidden("id"),),
        "Both phones get a BYE, and the call is over at once. The record of the call and the audit log say who has ended it.",
        _page("/calls?kind=up"),
        lambda done, _form: f"The call from {done.caller} to {done.callee} has ended.",
    ),
    Form(
        "/calls/erase",
        ERASE_CALLS.name,
        "/calls",
        "Erase a user from the records of calls",
        "Erase",
        (USER,),
        "The name of the user, with all aliases, is erased from each record at management, and from the files of the servers. "
        "The records stay, for the other party. This cannot be undone.",
        _page("/calls"),
        _erased_told,
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
    Form(
        "/add/server",
        ADD_SERVER,
        "/status",
        "Add a server",
        "Add it to the draft",
        SERVER_FIELDS,
        "This changes the draft alone. The server appears when the draft is applied, and is started on its machine then.",
        _page("/versions"),
        _draft_told,
        plans=True,
    ),
    Form(
        "/add/pool",
        ADD_POOL,
        "/status",
        "Add a pool",
        "Add it to the draft",
        POOL_FIELDS,
        "This changes the draft alone. The pool appears when the draft is applied, and its servers are started then.",
        _page("/versions"),
        _draft_told,
        plans=True,
    ),
    Form(
        "/add/partner",
        PARTNER_ADD,
        "/partners",
        "Add a partner",
        "Add the partner",
        PARTNER_FIELDS,
        "The partner is published at once, if the draft has no other change: calls from it are accepted from then on.",
        _page("/partners"),
        _partner_told,
        plans=True,
    ),
)
