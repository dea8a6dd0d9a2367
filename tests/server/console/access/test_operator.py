"""Codes, sessions and tokens."""

from __future__ import annotations

from sipmesh.server.console.access.operator import (
    CODE_LIFETIME_S,
    SESSION_IDLE_S,
    SESSION_LIFETIME_S,
    CodeLogin,
    Operator,
    Operators,
)
from sipmesh.topology.document.operators.console_role import ConsoleRole

ADA = Operator("ada (1)", ConsoleRole.OPERATOR)


def test_code_begins_one_session() -> None:
    operators = Operators(lambda: 0.0)
    code = operators.new_code(ADA)
    secret = operators.log_in(code)
    assert secret is not None
    assert operators.log_in(code) is None
    session = operators.session(secret)
    assert session is not None
    assert session.login == CodeLogin(ADA)
    operators.log_out(secret)
    assert operators.session(secret) is None


def test_code_ends_after_five_minutes_and_a_session_after_its_time() -> None:
    now = [0.0]
    operators = Operators(lambda: now[0])
    late, code = operators.new_code(ADA), operators.new_code(ADA)
    secret = operators.log_in(code)
    now[0] = CODE_LIFETIME_S
    assert operators.log_in(late) is None
    assert secret is not None
    assert operators.session(secret) is not None
    while now[0] + SESSION_IDLE_S - 1 < SESSION_LIFETIME_S:
        now[0] += SESSION_IDLE_S - 1
        assert operators.session(secret) is not None
    now[0] = SESSION_LIFETIME_S
    assert operators.session(secret) is None


def test_two_sessions_have_different_form_tokens() -> None:
    operators = Operators(lambda: 0.0)
    secrets = [operators.log_in(operators.new_code(ADA)) or "" for _ in range(2)]
    first, second = map(operators.session, secrets)
    assert first is not None
    assert second is not None
    assert first.form_token != second.form_token
