"""One form: what its page says will happen, the operation that it does, and what its page says afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sipmesh.server.console.operations import operation_of
from sipmesh.server.console.pages.fields import Field
from sipmesh.server.console.parameters import typed

Tell = Callable[[Any, Mapping[str, str]], str]


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


def page(path: str) -> Tell:
    """Have *path* shown after a form, for each result."""
    return lambda _done, _form: path
