"""The console and its operators."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.console import Console, ConsoleOperator


def test_console_asks_for_no_certificate_by_default() -> None:
    console = Console.model_validate({"listen": 8080})
    assert (console.client_certificates, console.openid, console.operators) == (False, None, ())


@pytest.mark.parametrize(
    "given",
    [{"name": "Ada"}, {"name": "-ada"}, {"name": "a" * 33}, {"role": "root"}, {"token_sha256": "secret"}],
)
def test_operator_without_a_name_role_or_hash_is_refused(given: dict[str, str]) -> None:
    ConsoleOperator.model_validate({"name": "ada", "role": "viewer"})
    with pytest.raises(ValidationError):
        ConsoleOperator.model_validate({"name": "ada", "role": "viewer", **given})
