"""The issuer is asked as rarely as possible; `test_bearer_auth` has the rest with a provider that runs."""

from __future__ import annotations

from sipmesh.server.openid import token_issuer


def test_rest_between_questions_is_longer_than_an_answer_counts() -> None:
    assert token_issuer.ANSWER_COUNTS_S < token_issuer.AGAIN_S < token_issuer.ASK_AFTER_S < token_issuer.KEYS_COUNT_S
