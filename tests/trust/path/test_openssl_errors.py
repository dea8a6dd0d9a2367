"""What OpenSSL's numbers mean, beside the table that the verify callback relies on."""

from __future__ import annotations

import pytest

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import EngineError
from sipmesh.trust.judgement.priority import PRIORITY
from sipmesh.trust.path.openssl_errors import CODES, is_left_to_us, meaning, tell


@pytest.mark.parametrize(
    ("code", "depth", "ours"),
    [
        (26, 0, True),
        (26, 1, True),
        (3, 0, True),
        (3, 1, True),
        (12, 0, True),
        (12, 2, True),
        (51, 0, True),
        (52, 1, True),
        (53, 0, True),
        (10, 0, False),
        (11, 0, False),
        (20, 0, False),
        (47, 0, False),
    ],
)
def test_only_what_the_judge_decides_is_left_to_it(code: int, depth: int, *, ours: bool) -> None:
    assert is_left_to_us(EngineError(depth, code, "")) is ours


def test_unknown_error_number_means_malformed_certificate() -> None:
    assert meaning(EngineError(0, 4711, "")) is Code.MALFORMED_CERTIFICATE
    assert meaning(EngineError(0, 10, "")) is Code.EXPIRED


def test_every_meaning_is_a_refusal() -> None:
    assert set(CODES.values()) <= set(PRIORITY)


def test_error_text_has_number_and_depth() -> None:
    assert tell(EngineError(1, 10, "certificate has expired")) == "error 10 at depth 1: certificate has expired"
