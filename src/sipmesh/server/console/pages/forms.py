"""The forms of the pages: each does one operation of the table, and says what has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sipmesh.errors import SipmeshError
from sipmesh.server.console.operations import (
    ALIAS_ADD,
    ALIAS_REMOVE,
    APPLY,
    ISSUE,
    PARTNER_UNBLOCK,
    REVOKE,
    SIGN_CRLS,
    USER_ADD,
    USER_DISABLE,
    USER_ENABLE,
    USER_MOVE,
    USER_PASSWORD,
    USER_REMOVE,
    operation_of,
)
from sipmesh.server.console.parameters import typed
from sipmesh.server.management.replies import BLOCK, PUBLISH, ROLLBACK

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.console.pages.frame import Act, Frame

Tell = Callable[[Any, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Form:
    """A form at *path* that does *operation*; *back* is the page to show next, and *tell* says what has happened.

    *closes_links*: the operator has to tick a box first.
    """

    path: str
    operation: str
    back: Tell
    tell: Tell
    closes_links: bool = False

    def act(self, frame: Frame) -> Act:
        """Return what the form does."""

        async def act(request: web.Request, form: Mapping[str, str]) -> tuple[str, str]:
            if self.closes_links and form.get("sure") != "yes":
                raise SipmeshError("tick the box `sure`: this closes live links")
            done = await frame.read(request, self.operation, **self._given(form))
            return self.back(done, form), self.tell(done, form)

        return act

    def _given(self, form: Mapping[str, str]) -> Mapping[str, object]:
        """Return the parameters of the operation that the form has; a box says whether to force it."""
        given = operation_of(self.operation).given
        found: dict[str, object] = dict(typed(given, {name: form[name] for name in given.model_fields if name in form}))
        if "force" in given.model_fields:
            found["force"] = form.get("force") == "yes"
        return found


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
    Form("/apply", APPLY, _page("/versions"), _apply_told),
    Form(
        "/publish",
        PUBLISH.name,
        _page("/versions"),
        lambda done, _: f"Version {done.version} is published.",
    ),
    Form(
        "/rollback",
        ROLLBACK.name,
        _page("/versions"),
        lambda done, form: f"Version {done.version} is published: it has the content of version {form['version']}.",
    ),
    Form(
        "/block",
        BLOCK.name,
        _page("/partners"),
        _block_told,
        closes_links=True,
    ),
    Form("/unblock", PARTNER_UNBLOCK, _page("/partners"), _unblock_told),
    Form(
        "/revoke",
        REVOKE,
        _page("/certificates"),
        lambda done, _: f"The certificate {done.serial} of {done.server} is revoked ({done.reason}).",
        closes_links=True,
    ),
    Form(
        "/issue",
        ISSUE,
        _page("/certificates"),
        lambda done, _: f"{done.server} has a certificate with the serial {done.serial}. {' '.join(done.faults)}",
    ),
    Form(
        "/sign-crls",
        SIGN_CRLS,
        _page("/certificates"),
        lambda done, _: f"New CRLs are signed: {', '.join(done.files)}.",
    ),
    Form("/user/add", USER_ADD, _user_page, _user_told),
    Form("/user/password", USER_PASSWORD, _user_page, _user_told, closes_links=True),
    Form("/user/move", USER_MOVE, _user_page, _user_told, closes_links=True),
    Form("/user/disable", USER_DISABLE, _user_page, _user_told, closes_links=True),
    Form("/user/enable", USER_ENABLE, _user_page, _user_told),
    Form("/user/remove", USER_REMOVE, _page("/users"), _user_told, closes_links=True),
    Form("/user/alias/add", ALIAS_ADD, _user_page, _user_told),
    Form("/user/alias/remove", ALIAS_REMOVE, _user_page, _user_told),
)
