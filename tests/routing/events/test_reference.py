"""A REFER outside a dialog."""

from __future__ import annotations

import pytest

from routing.messages import ALICE, BOB, request
from sipmesh.routing.events.reference import refused_reference
from sipmesh.trust.code import Code

TARGET = ("refer-to", "<sip:900123@premium.test>")
DIALOG = ("target-dialog", "c1;local-tag=1;remote-tag=2")


@pytest.mark.parametrize(
    ("identity", "application", "passes"),
    [
        (ALICE, False, False),
        (None, False, False),
        ("sip:erin@partner.test", False, False),
        (BOB, False, True),
        (ALICE, True, True),
    ],
)
@pytest.mark.parametrize("headers", [(TARGET,), (TARGET, DIALOG, ("require", "tdialog"))])
def test_only_the_user_and_an_application_refer_a_phone_outside_a_call(
    identity: str | None, headers: tuple[tuple[str, str], ...], *, application: bool, passes: bool
) -> None:
    answer = refused_reference(request("REFER", BOB, *headers), BOB, identity, is_application=application)
    assert (answer is None) is passes
    if answer is not None:
        assert (answer.status, answer.code) == (403, Code.FROM_NOT_ALLOWED)


def test_transfer_inside_a_call_and_other_methods_pass() -> None:
    assert refused_reference(request("REFER", BOB, TARGET, to_tag="2"), BOB, ALICE, is_application=False) is None
    assert refused_reference(request("INVITE", BOB), BOB, ALICE, is_application=False) is None
