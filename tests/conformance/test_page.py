"""The page of conformance says what is: its tables come out again from the suites that are here."""

from __future__ import annotations

import re

import pytest

from conformance import engines, ocsp_cases, page
from conformance.page import SUITES, Suite, misses, part_of, results
from support.tiers import WIDE

needs_suites = pytest.mark.skipif(
    not (all(suite.here for suite in SUITES) and ocsp_cases.CASES.exists()), reason="not all suites are here"
)
LARGE = {suite for suite in SUITES if suite.name.startswith("bettertls")}
"""Half of all cases: `make test-wide` judges them, and `make test` those of the other suites."""

each_suite = pytest.mark.parametrize(
    "suite", [pytest.param(one, id=one.name, marks=[WIDE] if one in LARGE else []) for one in SUITES]
)


def there(suite: Suite) -> Suite:
    if not suite.here:
        pytest.skip(f"the suite {suite.name} is not on this machine (set SIPMESH_SUITES)")
    return suite


@each_suite
def test_nothing_that_a_suite_refuses_comes_in(suite: Suite) -> None:
    """In neither role, but for what is argued in `arguments.py`."""
    assert [one.trial.name for one in page.false_accepts(there(suite))] == []


@each_suite
def test_nothing_that_a_suite_refuses_passes_the_full_judge(suite: Suite) -> None:
    bad = [one for one in results(there(suite)) if not one.trial.good]
    assert [one.trial.name for one in bad if one.in_full and not page.argument(one)] == []


@each_suite
def test_every_valid_case_that_we_refuse_is_argued(suite: Suite) -> None:
    assert [(one.trial.name, one.told) for one in misses(there(suite)) if not page.argument(one)] == []


LEAST = {"x509-limbo, core": 53 / 63, "NIST PKITS 1.0.1": 0.7}


@each_suite
def test_enough_of_what_a_suite_calls_valid_comes_in(suite: Suite) -> None:
    good = [one for one in results(there(suite)) if one.trial.good]
    assert sum(one.accepted for one in good) >= LEAST.get(suite.name, 1) * len(good)


@pytest.mark.wide
@pytest.mark.peer("openssl")
def test_no_fewer_valid_cases_of_pkits_come_in_than_both_engines_accept_together() -> None:
    (suite,) = [there(one) for one in SUITES if "PKITS" in one.name]
    good = [one for one in results(suite) if one.trial.good]
    together = [one for one in good if engines.openssl(one.trial) and engines.pyca(one.trial)]
    assert sum(one.accepted for one in good) >= len(together) > 0


@pytest.mark.wide
@needs_suites
def test_the_tables_of_ours_come_out_again() -> None:
    """Where the data is other than the page names, only the tests above have a say."""
    text = page.PAGE.read_text()
    here = {suite.data for suite in SUITES}
    if not here <= set(re.findall(r"\| (own|[0-9a-f]{12}) \|", text)):
        pytest.skip("the suites on this machine are not those that the page was made from")
    for name in ("ours", "argued"):
        assert part_of(text, name) == "\n".join(page.PARTS[name]()), "run `make conformance`"


@pytest.mark.wide
@needs_suites
@pytest.mark.peer("openssl")
def test_the_table_of_the_engines_comes_out_again() -> None:
    text = page.PAGE.read_text()
    if engines.versions() not in text or not {suite.data for suite in SUITES} <= set(re.findall(r"\w+", text)):
        pytest.skip(f"the page was made with other engines or other data than {engines.versions()}")
    assert part_of(text, "beside") == "\n".join(page.beside()), "run `make conformance`"
