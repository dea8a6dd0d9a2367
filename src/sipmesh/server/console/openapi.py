"""The OpenAPI document of the API, generated from the table of operations."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from sipmesh.server.console.operations import TABLE, Operation

REFERENCE: Final = "#/components/schemas/{model}"
SECURITY: Final = {"token": {"type": "http", "scheme": "bearer"}, "certificate": {"type": "mutualTLS"}}
ERRORS: Final = {
    "400": "The parameters cannot be read.",
    "401": "No session, no valid token, and no certificate of an operator.",
    "403": "The role of the operator is too low.",
    "409": "The operation was refused; nothing has changed.",
    "429": "Too many requests in this minute.",
}


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    schemas: dict[str, Any] = {
        "Error": {
            "type": "object",
            "required": ["error", "problems"],
            "properties": {"error": {"type": "string"}, "problems": {"type": "array", "items": {"type": "string"}}},
        }
    }
    paths = {
        f"/{operation.path}": {"post" if operation.changes else "get": _described(operation, schemas)}
        for operation in TABLE
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "sipmesh management", "version": "1", "description": "What the commands of sipmesh do."},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}, {"certificate": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    reply = _schema(operation.reply, "serialization", schemas)
    answers: dict[str, Any] = {
        "200": {"description": "The result.", "content": {"application/json": {"schema": reply}}}
    }
    wrong = {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}}
    answers |= {status: {"description": says, "content": wrong} for status, says in ERRORS.items()}
    needs = f"Needs the role {operation.role}."
    described = {"operationId": operation.name, "summary": operation.says, "description": needs, "responses": answers}
    given = _schema(operation.given, "validation", schemas)
    if operation.changes:
        return {**described, "requestBody": {"required": True, "content": {"application/json": {"schema": given}}}}
    return {**described, "parameters": _query(schemas[operation.given.__name__])}


def _query(given: dict[str, Any]) -> list[dict[str, Any]]:
    required = given.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in given.get("properties", {}).items()
    ]


def _schema(kind: Any, mode: JsonSchemaMode, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type, and add the types that it uses to *schemas*."""
    made = TypeAdapter(kind).json_schema(mode=mode, ref_template=REFERENCE)
    schemas.update(made.pop("$defs", {}))
    if (title := made.get("title")) and made.get("type") == "object":
        schemas[title] = made
        return {"$ref": REFERENCE.format(model=title)}
    return dict(made)
