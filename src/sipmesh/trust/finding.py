"""What one check of the judge found: the wanted value, the value seen, and the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipmesh.trust.formatting import tell

if TYPE_CHECKING:
    from sipmesh.trust.code import Code


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what it wanted, what it saw, and the rule behind it.

    *code* is the reason this finding gives for a refusal. A failed finding without one could not be judged because an
    earlier one failed; it refuses all the same, but never names the reason.
    """

    check: str  # stable name: logs, console and tests rely on it
    passed: bool
    wanted: str
    saw: str
    rule: str
    code: Code | None = None

    @property
    def judged(self) -> bool:
        """Whether the check could run at all."""
        return self.passed or self.code is not None


@dataclass(frozen=True, slots=True)
class CheckQuestion:
    """What one check asks; it becomes a finding with what was seen, written so that a log can bear it."""

    check: str
    wanted: str
    rule: str

    def passed(self, saw: str) -> Finding:
        """Answer yes."""
        return Finding(check=self.check, passed=True, wanted=self.wanted, saw=tell(saw), rule=self.rule)

    def refused(self, saw: str, code: Code) -> Finding:
        """Answer no, for the reason *code*."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=tell(saw), rule=self.rule, code=code)

    def unjudged(self, why: str) -> Finding:
        """Answer that it cannot be told, which refuses as well."""
        return Finding(check=self.check, passed=False, wanted=self.wanted, saw=f"not judged: {why}", rule=self.rule)
