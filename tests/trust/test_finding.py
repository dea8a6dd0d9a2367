"""One check: its question, and what it found."""

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion

ASKED = CheckQuestion("validity", "valid now", "RFC 5280 4.1.2.5")


def test_passed_finding_repeats_the_question_and_has_no_code() -> None:
    found = ASKED.passed("until noon")
    assert (found.check, found.passed, found.wanted, found.saw, found.rule) == (
        "validity",
        True,
        "valid now",
        "until noon",
        "RFC 5280 4.1.2.5",
    )
    assert (found.code, found.judged) == (None, True)


def test_refused_finding_gives_its_code() -> None:
    found = ASKED.refused("until yesterday", Code.EXPIRED)
    assert (found.passed, found.code, found.judged) == (False, Code.EXPIRED, True)


def test_finding_that_could_not_be_judged_refuses_without_a_code() -> None:
    found = ASKED.unjudged("no certificate")
    assert (found.passed, found.code, found.judged, found.saw) == (False, None, False, "not judged: no certificate")


def test_text_of_a_peer_is_written_so_that_a_log_can_hold_it() -> None:
    assert "\x1b" not in ASKED.passed("\x1b[31mred").saw
