"""One form: what its page says will happen, the operation that it does, and what its page says afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.operations import operation_of
from sipmesh.server.console.pages.fields import Field
from sipmesh.server.console.parameters import typed
from sipmesh.sip.text import LWS
from sipmesh.typed_json import UnreadableJsonError, read

Tell = Callable[[Any, Mapping[str, str]], str]


class UnfitFieldsError(SipmeshError):
    """Fields of a form cannot be used: *faults* says why, by the name of the field."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("Correct this field." if len(faults) == 1 else f"Correct these {len(faults)} fields.")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Form:
    """A form at *path* that does *operation*; *back* is the page to show next, and *tell* says what has happened.

    *says* tells what will happen, before it does. *title*, *button* and *says* may name fields. *closes_links*: only a page that
    has said so sends the form. *above* is the page that leads to the form. *plans*: the operation can say what it would change,
    which the page shows beside the form. *shows* is the template of the page afterwards, and *onward* the text of its link to
    the next page.
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
    onward: str = "Continue"
    shows: str = "done.html"

    @property
    def template(self) -> str:
        """The template of its page."""
        return "planned_form.html" if self.plans else "form.html"

    def must_fit(self, sent: Mapping[str, str]) -> None:
        """Raise `UnfitFieldsError` with every field that is empty and must not be, or that the operation cannot read.

        Not each browser refuses empty fields. The operation refuses parameters that are no fields.
        """
        typed_in = [one for one in self.fields if one.required and one.kind not in ("hidden", "select", "checkbox")]
        faults = {one.name: "fill this in" for one in typed_in if not sent.get(one.name, "").strip(LWS)}
        try:
            read(operation_of(self.operation).given, self.given(sent))
        except UnreadableJsonError as wrong:
            names = {one.name for one in self.fields}
            faults = {**{name: fault for name, fault in wrong.misfits.items() if name in names}, **faults}
        if faults:
            raise UnfitFieldsError(faults)

    def faults_of(self, wrong: OperatorError, sent: Mapping[str, str]) -> Mapping[str, str]:
        """Return what is wrong with the fields that *wrong* is about, by the name of the field.

        A problem of the draft is about the innermost key of its place for which the operator has typed a value: the draft had no
        problem before.
        """
        names = {one.name for one in self.fields}
        faults = {wrong.parameter: wrong.message} if wrong.parameter in names else {}
        for problem in wrong.problems:
            keys = [key for key in reversed(re.findall("[a-z_]+", problem.field)) if key in names and sent.get(key)]
            if keys:
                faults.setdefault(keys[0], f"{problem.reason}; {problem.remedy}")
        return faults

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
