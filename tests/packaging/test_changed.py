"""The tests that a change touches, chosen by imports."""

from __future__ import annotations

import pytest

from tools import changed

A, B, C = "src/sipmesh/sip/a.py", "src/sipmesh/trust/b.py", "src/sipmesh/server/c.py"
OWN = {file: changed.own_tests(file) for file in (A, B, C)}
HELPER, SCENARIO, CONFTEST = "tests/support/help.py", "tests/scenarios/test_x.py", "tests/server/conftest.py"
GRAPH: changed.Graph = {
    A: (),
    B: (A,),
    C: (B,),
    HELPER: (C,),
    OWN[A]: (A,),
    OWN[B]: (B,),
    OWN[C]: (C, HELPER),
    SCENARIO: (HELPER,),
}


@pytest.mark.parametrize(
    ("change", "depth", "tests"),
    [
        ([A], 0, [OWN[A]]),
        ([A], 1, [OWN[A], OWN[B]]),
        ([A], 2, [OWN[A], OWN[B], OWN[C]]),
        ([C], 1, [OWN[C]]),
        ([HELPER], 1, [OWN[C], SCENARIO]),
        ([SCENARIO], 1, [SCENARIO]),
        ([CONFTEST], 1, [OWN[C]]),
        (["docs/verdicts.md"], 1, ["tests/cli/test_docs.py"]),
        (["LICENSE"], 1, []),
    ],
)
def test_tests_are_chosen_by_imports(change: list[str], depth: int, tests: list[str]) -> None:
    assert changed.chosen(change, GRAPH, depth) == set(tests)


def test_import_of_a_module_out_of_a_package_is_of_both() -> None:
    source = "import a.b\nfrom c import d\nfrom . import e\nif x:\n    from f.g import h as i\n"
    assert set(changed.imported_names(source)) == {"a.b", "c", "c.d", "f.g", "f.g.h"}


def test_every_own_test_module_of_this_checkout_is_found() -> None:
    files = changed.python_files()
    assert files["sipmesh.sip.uri"] == "src/sipmesh/sip/uri.py"
    assert files["support.checkout"] == "tests/support/checkout.py"
    graph = changed.import_graph(
        {name: file for name, file in files.items() if "/sip/" in file}
    )  # all take three seconds
    assert "tests/sip/test_uri.py" in changed.chosen(["src/sipmesh/sip/uri.py"], graph, 0)
