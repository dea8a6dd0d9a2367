"""The forms that change the draft, and publish it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sipmesh.server.console.operations import ADD_POOL, ADD_SERVER, APPLY
from sipmesh.server.console.pages.fields import FORCE, POOL_FIELDS, SERVER_FIELDS, WHY, hidden
from sipmesh.server.console.pages.form import Form, page
from sipmesh.server.management.replies import PUBLISH, ROLLBACK


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
    return f"The draft is changed: {what}. Nothing is in force until you apply the draft on the next page."


CHANGE_FORMS: Final = (
    Form(
        "/apply",
        APPLY,
        "/versions",
        "Apply the draft",
        "Apply",
        (hidden("base"), hidden("digest"), WHY, FORCE),
        "This issues the certificates that are missing, publishes the draft, verifies it by real links, and goes back if the "
        "verification fails. It takes up to a minute.",
        page("/versions"),
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
        page("/versions"),
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
        page("/versions"),
        lambda done, form: f"Version {done.version} is published: it has the content of version {form['version']}.",
    ),
    Form(
        "/add/server",
        ADD_SERVER,
        "/status",
        "Add a server",
        "Add it to the draft",
        SERVER_FIELDS,
        "This changes the draft alone. The server appears when the draft is applied, and is started on its machine then.",
        page("/versions"),
        _draft_told,
        plans=True,
        onward="Read what the draft leads to, and apply it",
    ),
    Form(
        "/add/pool",
        ADD_POOL,
        "/status",
        "Add a pool",
        "Add it to the draft",
        POOL_FIELDS,
        "This changes the draft alone. The pool appears when the draft is applied, and its servers are started then.",
        page("/versions"),
        _draft_told,
        plans=True,
        onward="Read what the draft leads to, and apply it",
    ),
)
