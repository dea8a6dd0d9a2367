"""The contract that no modules import each other in a circle, inside packages too, and also inside functions.

Import Linter's own contract compares packages. Imports for the type checker alone do not count: they are not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grimp
from importlinter import Contract, ContractCheck, output

if TYPE_CHECKING:
    from collections.abc import Iterator


class AcyclicModules(Contract):
    """The modules of the root package have no import circle."""

    type_name = "acyclic_modules"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 - their signature
        """Find each circle, by the imports that are run."""
        (root,) = self.session_options["root_packages"]
        run = grimp.build_graph(root, exclude_type_checking_imports=True, cache_dir=None)
        circles = list(circles_in({module: run.find_modules_directly_imported_by(module) for module in run.modules}))
        return ContractCheck(kept=not circles, metadata={"circles": circles})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each circle."""
        for circle in check.metadata["circles"]:
            output.print_error(f"A circle of imports: {', '.join(circle)}")


def circles_in(imports: dict[str, set[str]]) -> Iterator[list[str]]:
    """Give the modules of each circle: those that can be reached from each other."""
    reached = {module: _reached(module, imports) for module in imports}
    seen: set[str] = set()
    for module in sorted(imports):
        if module in reached[module] and module not in seen:
            circle = sorted(other for other in reached[module] if module in reached[other])
            seen.update(circle)
            yield circle


def _reached(module: str, imports: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [module]
    while ahead:
        new = imports[ahead.pop()] - found
        found |= new
        ahead += new
    return found
