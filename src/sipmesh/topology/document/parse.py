"""Make the model from the YAML tree, and report all errors at once.

A part with an error is removed, and the rest is read. So an unknown key or a short name does not hide the other problems that
`validate` finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.report import did_you_mean
from sipmesh.topology.document.yaml_tree import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from pydantic_core import ErrorDetails

    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.document.yaml_tree import Loc, YamlEntry

_MOST_ROUNDS = 8  # removing an item may empty its list, and then its pool: not deeper than the model
_MOST_ERRORS = 200  # each costs a walk through the whole document; an operator corrects a few, and checks again
_LONGEST_QUOTE = 40  # characters of a wrong value that an error text repeats
_STAND_INS: Mapping[str, object] = {
    "sipmesh": 1,
    "organisation": "unread",
    "authority": {"anchors": ("unread",), "crls": ("unread",)},
}
"""Placeholders for required keys that could not be read, so that the other checks can run. They never leave
`document.load`, which refuses the document."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The removed parts: their *places* in the document as written, and the *texts* in them."""

    places: frozenset[Loc] = frozenset()
    texts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shaped:
    """The result: *topology* is ``None`` if too little is left; *root* is the tree without the removed parts."""

    topology: Topology | None
    root: YamlEntry
    unread: Unread


def shape(root: YamlEntry, report: ProblemReport) -> Shaped:
    """Make the model from *root*. Each error is added to *report*, and its part is removed."""
    unread = Unread()
    for _ in range(_MOST_ROUNDS):
        try:
            return Shaped(Topology.model_validate(_completed(root.plain(), unread)), root, unread)
        except ValidationError as wrong:
            found = wrong.errors(include_url=False)
            errors = _causes(found[:_MOST_ERRORS])
        for error in errors:
            _tell(error, root, report, unread)
        if len(found) > _MOST_ERRORS:
            reason = f"has {len(found)} values that cannot be used; the first {_MOST_ERRORS} are listed"
            report.add((), reason, "correct those first, then check again")
            break
        cuts = {_cut(root, error) for error in errors}
        if () in cuts:
            break
        removed = [root.at(cut) for cut in cuts]
        texts = unread.texts.union(*(entry.texts() for entry in removed))
        # A missing required key has no entry of its own. Its place is where it should be.
        unread = Unread(unread.places | {entry.path or cut for entry, cut in zip(removed, cuts, strict=True)}, texts)
        root = _without_all(root, cuts)
    return Shaped(None, root, unread)


def _completed(given: object, unread: Unread) -> object:
    """Add the placeholders for removed parts."""
    stand_ins = {key: value for key, value in _STAND_INS.items() if (key,) in unread.places}
    return {**given, **stand_ins} if isinstance(given, dict) else given


def _causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Remove the error "list too short" if it only follows from wrong items of that list."""
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(len(e["loc"]) > len(error["loc"]) and e["loc"][: len(error["loc"])] == error["loc"] for e in errors)
    ]


def _without_all(root: YamlEntry, cuts: AbstractSet[Loc]) -> YamlEntry:
    """Remove all *cuts*, the last index first, so that the earlier indexes stay valid."""
    for cut in sorted(cuts, key=lambda loc: [(isinstance(step, int), step) for step in loc], reverse=True):
        if not any(cut[: len(other)] == other for other in cuts if other != cut):
            root = root.without(cut)
    return root


def _tell(error: ErrorDetails, root: YamlEntry, report: ProblemReport, unread: Unread) -> None:
    """Report one error, unless it only follows from a part that was removed before."""
    place = root.at(error["loc"]).path
    if not any(cut[: len(place)] == place for cut in unread.places):
        report.root = root
        report.add(error["loc"], *_sentence(error))


def _cut(root: YamlEntry, error: ErrorDetails) -> Loc:
    """Give the smallest removable part around an error: an optional key or an item of a list; () if there is none."""
    loc: Loc = error["loc"]
    if error["type"] == "extra_forbidden":
        return loc
    while loc and not _can_be_left_out(root, loc):
        loc = loc[:-1]
    return loc


def _can_be_left_out(root: YamlEntry, loc: Loc) -> bool:
    if len(loc) == 1 and loc[0] in _STAND_INS:
        return True
    return _exists(root, loc) and (isinstance(loc[-1], int) or not _field(loc).is_required())


def _exists(root: YamlEntry, loc: Loc) -> bool:
    entry = root
    for step in loc:
        if (inner := entry.child(step)) is None:
            return False
        entry = inner
    return True


def _part(annotation: Any) -> type[BaseModel] | None:
    """Give the model class in an annotation, inside tuples, unions and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((part for inner in get_args(annotation) if (part := _part(inner))), None)


def _model_at(loc: Loc) -> type[BaseModel]:
    """Give the model class whose keys are at *loc*."""
    model: type[BaseModel] = Topology
    for step in loc:
        if isinstance(step, str) and step in model.model_fields:
            model = _part(model.model_fields[step].annotation) or model
    return model


def _field(loc: Loc) -> FieldInfo:
    """Give the field for the last key of *loc*."""
    return _model_at(loc[:-1]).model_fields.get(str(loc[-1]), FieldInfo(default=None))


def _sentence(error: ErrorDetails) -> tuple[str, str]:
    """Give reason and remedy for one of pydantic's errors, in the operator's words."""
    loc, context = error["loc"], error.get("ctx", {})
    if "remedy" in context:
        return str(context["reason"]), str(context["remedy"])
    match error["type"]:
        case "missing":
            return f"`{dotted(loc[-1:])}` is missing", f"add `{loc[-1]}`: {_field(loc).description}"
        case "extra_forbidden":
            known = _model_at(loc[:-1]).model_fields
            return "is not a known key", did_you_mean(str(loc[-1]), known, f"known keys: {', '.join(known)}")
        case "too_short" | "string_too_short":
            return "is empty", f"give at least one value: {_described(loc)}"
        case "enum" | "literal_error":
            return f"is {_seen(error['input'])}", f"write {context['expected']}"
    return _misfit(error)


_WANTED = {
    "string_type": "text",
    "tuple_type": "a list, such as [a, b]",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "dict_type": "keys with values",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def _misfit(error: ErrorDetails) -> tuple[str, str]:
    """Give reason and remedy for a value of the wrong type, form, length or size."""
    seen, described = f"is {_seen(error['input'])}", _described(error["loc"])
    wanted = _WANTED.get(error["type"], "")
    match error.get("ctx", {}):
        case {"error": ValueError() as wrong}:
            reason, _, remedy = str(wrong).partition(": ")
            return reason, remedy or f"write {described}"
        case {"max_length": most, "actual_length": given}:
            return f"has {given or 'too many'} items", f"give at most {most}: {described}"
        case {"pattern": _}:
            return f"{seen}, which has another form than this value", f"write {described}"
        case {"max_length": most}:
            return f"{seen}, which is too long", f"write at most {most} characters"
        case {"ge": least}:
            wanted = f"a number from {least} on"
        case {"le": most}:
            wanted = f"a number up to {most}"
    if not wanted:
        return f"{seen}, which is not possible here", f"write {described}"
    return f"{seen}, expected {wanted.partition(',')[0]}", f"write {wanted}: {described}"


def _described(loc: Loc) -> str:
    """Give the description of the field at *loc*. An item of a list has the description of the list."""
    while loc and isinstance(loc[-1], int):
        loc = loc[:-1]
    return (_field(loc).description if loc else None) or "keys with values, see `sipmesh topology schema`"


def _seen(given: object) -> str:
    """Describe a wrong value in at most 40 characters."""
    if given is None:
        return "empty"
    if isinstance(given, tuple):
        return "a list"
    if isinstance(given, dict):
        return "keys with values"
    text = repr(given) if isinstance(given, str) else str(given).lower()
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
