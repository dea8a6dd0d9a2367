"""What became of every suite, as the tables of docs/reference/conformance.md.

``PYTHONPATH=tests:src python -m conformance.page`` writes them again; `test_page.py` compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from conformance import engines, limbo, ocsp_cases, pkits, sip_names
from conformance.arguments import ACCEPTED, REFUSED
from conformance.stage import Outcome, Role, Trial, run
from conformance.suites import as_on_links
from sipmesh.trust.revocation.ocsp import TERMS
from support.checkout import DOCS

PAGE = DOCS / "reference/conformance.md"
BEGIN, END = "<!-- {}: made by conformance.page -->", "<!-- end of {} -->"


@dataclass(frozen=True)
class Result:
    """One case, and what came of it in each role that it speaks for."""

    trial: Trial
    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> bool:
        """At the stage: a good case in every role, a bad one in any."""
        every = all if self.trial.good else any
        return every(outcome.accepted for outcome in self.outcomes)

    @property
    def in_full(self) -> bool:
        """By the full judgement, likewise."""
        every = all if self.trial.good else any
        return every(not outcome.full for outcome in self.outcomes)

    @property
    def told(self) -> tuple[str, ...]:
        """Why it was refused, in the first role that refused it."""
        return next((outcome.stage for outcome in self.outcomes if outcome.stage), ())


@dataclass(frozen=True)
class Suite:
    """One suite: what it is called, where its cases come from, and which file they are in."""

    name: str
    trials: Callable[[], tuple[Trial, ...]]
    file: Path | None
    names: bool = True  # whether its certificates have names that a link could mean
    compared: bool = True  # whether the engines are asked too

    @property
    def data(self) -> str:
        """Which data it is: the beginning of its SHA-256."""
        return "own" if self.file is None else sha256(self.file.read_bytes()).hexdigest()[:12]

    @property
    def here(self) -> bool:
        return self.file is None or self.file.exists()


def _bettertls(kind: str) -> Callable[[], tuple[Trial, ...]]:
    return lambda: tuple(trial for trial in limbo.trials("bettertls") if f"::{kind}::" in trial.name)


SUITES = (
    Suite("x509-limbo, core", lambda: limbo.trials("limbo"), limbo.FILES["limbo"]),
    Suite("bettertls, path building", _bettertls("pathbuilding"), limbo.FILES["bettertls"]),
    Suite("bettertls, name constraints", _bettertls("nameconstraints"), limbo.FILES["bettertls"], compared=False),
    Suite("NIST PKITS 1.0.1", pkits.trials, pkits.CASES, names=False),
    Suite("constraints on `sip:` names", sip_names.trials, None),
)


@lru_cache(maxsize=len(SUITES))
def results(suite: Suite) -> tuple[Result, ...]:
    """Judge every case of *suite*. A case about usage speaks for the role that it names the usage of."""
    with as_on_links():
        return tuple(
            Result(trial, tuple(run(trial, role) for role in Role if not trial.asks_usage or role in trial.asks_usage))
            for trial in suite.trials()
        )


def argument(result: Result) -> str:
    """Say why we and the suite differ on this case; nothing where it is not argued."""
    if result.trial.good:
        told = "\n".join(result.told)
        return next((why for pattern, why in REFUSED.items() if re.search(pattern, told)), "")
    return next((why for key, why in ACCEPTED.items() if key in result.trial.name), "")


def false_accepts(suite: Suite) -> list[Result]:
    """Bad cases that came in and that no argument covers."""
    return [one for one in results(suite) if not one.trial.good and one.accepted and not argument(one)]


def misses(suite: Suite) -> list[Result]:
    """Good cases that were refused."""
    return [one for one in results(suite) if one.trial.good and not one.accepted]


def ours() -> Iterator[str]:
    """The table of what we accept."""
    yield "| suite | data | cases | false accepts | bad, argued | valid accepted | full judge: false accepts | valid |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for suite in SUITES:
        held = results(suite)
        good = [one for one in held if one.trial.good]
        argued = sum(one.accepted for one in held if not one.trial.good) - len(false_accepts(suite))
        full = [one for one in held if one.in_full]
        told = [
            str(sum(not one.trial.good and not argument(one) for one in full)),
            f"{sum(one.trial.good for one in full)} of {len(good)}",
        ]
        cells = [
            suite.name,
            suite.data,
            str(len(held)),
            str(len(false_accepts(suite))),
            str(argued),
            f"{sum(one.accepted for one in good)} of {len(good)}",
            *(told if suite.names else ["-", "-"]),
        ]
        yield f"| {' | '.join(cells)} |"
    yield from _ocsp_rows()


def _ocsp_rows() -> Iterator[str]:
    held = ocsp_cases.cases()
    data = sha256(ocsp_cases.CASES.read_bytes()).hexdigest()[:12]
    good = [case for case in held if case.good]
    for words, terms in (("on the terms of links", TERMS), ("on those of 2012", ocsp_cases.OF_2012)):
        wrong = sum(not case.good and not case.refusal(terms) for case in held)
        right = sum(not case.refusal(terms) for case in good)
        yield f"| OpenSSL's OCSP answers, {words} | {data} | {len(held)} | {wrong} | 0 | {right} of {len(good)} | - | - |"


def beside() -> Iterator[str]:
    """The table of what the engines accept."""
    yield f"{engines.versions()}; false accepts, and valid cases accepted of all valid cases:"
    yield ""
    yield "| suite | sipmesh | OpenSSL | cryptography | both engines together |"
    yield "| --- | --- | --- | --- | --- |"
    for suite in SUITES:
        if not suite.compared:
            continue
        with as_on_links():
            told = [
                (one.trial.good, one.accepted, engines.openssl(one.trial), engines.pyca(one.trial))
                for one in results(suite)
            ]
        columns = [[(good, one[n]) for good, *one in told] for n in range(3)]
        columns.append([(good, first and second) for good, _, first, second in told])
        yield f"| {suite.name} | {' | '.join(map(_tell, columns))} |"


def _tell(column: list[tuple[bool, bool]]) -> str:
    wrong = sum(accepted for good, accepted in column if not good)
    right = sum(accepted for good, accepted in column if good)
    return f"{wrong}, {right} of {sum(good for good, _ in column)}"


def argued() -> Iterator[str]:
    """The cases on which a suite and we differ, each with the reason."""
    yield "| suite | case | suite says | we say | because |"
    yield "| --- | --- | --- | --- | --- |"
    for suite in SUITES:
        for one in results(suite):
            if one.accepted is not one.trial.good:
                says = ("valid", "refused") if one.trial.good else ("refused", "accepted")
                yield f"| {suite.name} | {one.trial.name} | {' | '.join(says)} | {argument(one)} |"


PARTS = {"ours": ours, "beside": beside, "argued": argued}


def part_of(text: str, name: str) -> str:
    """The part *name* as it is on the page."""
    return text.partition(BEGIN.format(name))[2].partition(END.format(name))[0].strip()


def rewrite() -> None:
    """Put fresh tables into the page."""
    text = PAGE.read_text()
    for name, make in PARTS.items():
        before, _, rest = text.partition(BEGIN.format(name))
        after = rest.partition(END.format(name))[2]
        lines = "\n".join(make())
        text = f"{before}{BEGIN.format(name)}\n\n{lines}\n\n{END.format(name)}{after}"
    PAGE.write_text(text)


if __name__ == "__main__":
    rewrite()
