"""The forms about partners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sipmesh.server.console.operations import PARTNER_ADD, PARTNER_UNBLOCK
from sipmesh.server.console.pages.fields import PARTNER_FIELDS, Field, hidden
from sipmesh.server.console.pages.form import Form, page
from sipmesh.server.management.replies import BLOCK


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


PARTNER_FORMS: Final = (
    Form(
        "/block",
        BLOCK.name,
        "/partners",
        "Block a partner",
        "Block {name}",
        (Field("name", "Domain or edge", hint="A name that is no partner can be blocked too"),),
        "A version with this block is published now. Every server closes its links with this name, which ends calls over "
        "them, and refuses new links until you unblock it.",
        page("/partners"),
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
        page("/partners"),
        _unblock_told,
    ),
    Form(
        "/add/partner",
        PARTNER_ADD,
        "/partners",
        "Add a partner",
        "Add the partner",
        PARTNER_FIELDS,
        "The partner is published at once, if the draft has no other change: calls from it are accepted from then on.",
        page("/partners"),
        _partner_told,
        plans=True,
    ),
)
