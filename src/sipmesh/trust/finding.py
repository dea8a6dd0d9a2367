"""The result of one check of the judge: the expected value, the value seen, and the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from sipmesh.trust.code import Code


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: the expected value, the value seen, and the rule.

    *code* is the verdict code of a failed check. It is None if the check could not run, because an earlier one failed. Such a
    finding refuses the peer too, but does not give the code of the verdict.
    """

    check: str  # stable name: logs, console and tests rely on it
    passed: bool
    wanted: str
    saw: str
    rule: str
    code: Code | None = None

    @property
    def judged(self) -> bool:
        """Whether the check could run."""
        return self.passed or self.code is not None


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """A check with its expected value and rule. Each method makes a finding from what was seen, in printable text."""

    check: str
    wanted: str
    rule: str

    def passed(self, saw: str) -> Finding:
        """Make a passed finding."""
        return Finding(check=self.check, passed=True, wanted=self.wanted, saw=tell(saw), rule=self.rule)

    def refused(self, saw: str, code: Code) -> Finding:
        """Make a failed finding with *code*."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=tell(saw), rule=self.rule, code=code)

    def unjudged(self, why: str) -> Finding:
        """Make a finding for a check that could not run. It refuses the peer too."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=f"not judged: {why}", rule=self.rule)
