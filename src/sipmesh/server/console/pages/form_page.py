"""The page of a form: it says what will happen, does one operation of the table, and says what has happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.console.access.guard import OPERATOR, is_of_another_site
from sipmesh.server.console.operations import must_have, operation_of
from sipmesh.server.console.pages.fields import POOLS, SITES
from sipmesh.server.console.pages.form import UnfitFieldsError
from sipmesh.server.console.planned import PlanChangedError
from sipmesh.server.provisioning.letter import qr_svg
from sipmesh.topology.home_pools import carrying_pools, front_end_pools

if TYPE_CHECKING:
    from aiohttp import web

    from sipmesh.server.console.access.operator import Operator
    from sipmesh.server.console.pages.fields import Field
    from sipmesh.server.console.pages.form import Form
    from sipmesh.server.console.pages.frame import Frame

CHANGED: Final = (
    "Nothing is changed: the values, the draft or the version in force have changed since the plan was shown. "
    "This is the new plan."
)


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
        self._form.must_fit(sent)
        given = self._form.given(sent)
        if self._form.plans and sent.get("do") != "change":
            return await self._planned(request, sent, given)
        if self._form.plans and not sent.get("planned"):
            return await self._planned(request, sent, given, "Nothing is changed yet: read this plan first.")
        try:
            done = await self._frame.read(request, self._form.operation, **given)
        except PlanChangedError:
            return await self._planned(request, sent, given, CHANGED)
        told = {"back": self._form.back(done, sent), "told": self._form.tell(done, sent), "onward": self._form.onward}
        return self._form.shows, {**told, "done": done, "qr": qr_svg}

    async def _planned(
        self, request: web.Request, sent: Mapping[str, str], given: Mapping[str, object], first: str = ""
    ) -> tuple[str, Mapping[str, Any]]:
        """Return the page with the plan for what was *given*; *first* says why nothing was changed."""
        asked = {**given, "planned": "", "dry_run": True}
        plan = await self._frame.read(request, self._form.operation, **asked)
        return self.template, {**self.shown(sent), "plan": plan, "first": first, "why": "", "problems": ()}

    def must_be_for(self, operator: Operator) -> None:
        """Raise `NotAllowedError` if *operator* may not send it."""
        must_have(operator, operation_of(self._form.operation).role)

    def refused(self, sent: Mapping[str, str], wrong: Exception) -> Mapping[str, Any]:
        """Return what the page shows after *wrong*: each fault is beside its field too, and the list above leads there."""
        faults: Mapping[str, str] = {}
        if isinstance(wrong, UnfitFieldsError):
            faults = wrong.faults
        elif isinstance(wrong, OperatorError):
            faults = self._form.faults_of(wrong, sent)
        return {**self.shown(sent), "faults": faults}

    async def show(self, request: web.Request) -> tuple[str, Mapping[str, Any]]:
        """Return the page, with what the query has for its fields; raises `NotAllowedError` if the role is too low.

        Raises `SipmeshError` if nothing says what the form is about. A link of another site fills in nothing: a form with the
        values of an attacker would be one click away.
        """
        self.must_be_for(request[OPERATOR])
        sent = {} if self._form.plans or is_of_another_site(request) else request.query
        if missing := [one.name for one in self._form.fields if one.kind == "hidden" and not sent.get(one.name)]:
            back = self.shown(sent)["back"].rstrip("/")
            raise SipmeshError(f"this form was opened without {' and '.join(missing)}; open it from {back}")
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
            "first": "",
            "faults": {},
        }

    def _choices(self, one: Field) -> Sequence[str]:
        topology = self._frame.view().loaded.topology
        if one.of_network == SITES:
            return ("", *topology.sites)
        return front_end_pools(topology) if one.of_network == POOLS else carrying_pools(topology)
