"""Codes, sessions and tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sipmesh.server.console.access.operator import (
    CODE_LIFETIME_S,
    MOST_OF_OPERATOR,
    SESSION_IDLE_S,
    SESSION_LIFETIME_S,
    CertificateLogin,
    CodeLogin,
    OpenIdLogin,
    Operator,
    Operators,
    operator_of_certificate,
    operator_of_token,
)
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.topology.document.parts.console import Console
from support.managed import build_managed

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


TOKEN = "a token"
CONSOLE = {
    "listen": "127.0.0.1:8444",
    "client_certificates": True,
    "operators": [
        {"name": "ada", "role": "operator"},
        {"name": "ansible", "role": "viewer", "token_sha256": hash_of(TOKEN)},
    ],
    "openid": {
        "issuer": "https://id.example.test",
        "client_id": "console",
        "roles": [{"value": "staff", "role": "viewer"}],
    },
}


def topology(tmp_path: Path, **changes: Any) -> Topology:
    made = build_managed(tmp_path).load().topology
    return made.model_copy(update={"console": Console.model_validate({**CONSOLE, **changes})})


def test_certificate_counts_for_the_operator_of_the_topology_on_the_same_connection_alone(tmp_path: Path) -> None:
    here, login = topology(tmp_path), CertificateLogin("ada")
    assert login.operator(here, lambda: "ada") == Operator("ada (certificate)", ConsoleRole.OPERATOR)
    assert login.operator(here, lambda: "eve") is None
    assert login.operator(here, lambda: "") is None
    assert CertificateLogin("eve").operator(here, lambda: "eve") is None
    assert CodeLogin(ADA).operator(here, lambda: "") == ADA


def test_no_certificate_counts_where_the_console_asks_for_none(tmp_path: Path) -> None:
    here = topology(tmp_path, client_certificates=False)
    assert operator_of_certificate(here, "ada") is None
    assert operator_of_certificate(here.model_copy(update={"console": None}), "ada") is None


def test_token_counts_for_its_operator_and_for_no_operator_without_one(tmp_path: Path) -> None:
    here = topology(tmp_path)
    assert operator_of_token(here, TOKEN) == Operator("ansible (API)", ConsoleRole.VIEWER)
    assert operator_of_token(here, "") is None
    assert operator_of_token(here.model_copy(update={"console": None}), TOKEN) is None


def test_login_by_openid_has_the_role_of_its_values_until_its_end(tmp_path: Path) -> None:
    here, now = topology(tmp_path), [0.0]
    assert here.console is not None
    assert here.console.openid is not None
    login = OpenIdLogin(here.console.openid, "hash", "vera", frozenset({"staff"}), 10.0, lambda: now[0])
    assert login.operator(here, str) == Operator("vera (OpenID)", ConsoleRole.VIEWER)
    assert replace(login, values=frozenset({"cooks"})).operator(here, str) is None
    other = {**CONSOLE["openid"], "issuer": "https://evil.test"}  # type: ignore[dict-item]
    moved = here.model_copy(update={"console": Console.model_validate({**CONSOLE, "openid": other})})
    assert login.operator(moved, str) is None
    assert login.operator(here.model_copy(update={"console": None}), str) is None
    now[0] = 10.0
    assert login.operator(here, str) is None


def test_colleagues_with_codes_of_one_operator_do_not_displace_each_other() -> None:
    """Each has a session of its own. An operator with a certificate displaces the oldest of its own sessions, and no other."""
    operators = Operators(lambda: 0.0)
    by_code = [operators.log_in(operators.new_code(ADA)) or "" for _ in range(3 * MOST_OF_OPERATOR)]
    assert all(operators.session(secret) for secret in by_code)
    by_certificate = [operators.begin(CertificateLogin("vera")) for _ in range(MOST_OF_OPERATOR + 1)]
    assert [operators.session(secret) is not None for secret in by_certificate] == [False] + [True] * MOST_OF_OPERATOR
    assert all(operators.session(secret) for secret in by_code)


def test_all_sessions_and_codes_end_together() -> None:
    operators = Operators(lambda: 0.0)
    code, secret = operators.new_code(ADA), operators.begin(CodeLogin(ADA))
    assert operators.log_out_all() == 1
    assert (operators.session(secret), operators.log_in(code)) == (None, None)
