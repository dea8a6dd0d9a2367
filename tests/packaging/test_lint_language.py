"""The rules for the language of operators' texts and of commit titles find each fault, and leave good texts alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT
from tools import lint_language
from tools.lint_language import LONGEST_SENTENCE, LONGEST_TITLE, Text

TOOL = ROOT / "tools" / "lint_language.py"


def found(words: str, kind: str = "text") -> list[str]:
    return [what.partition(": ")[0] for what in lint_language.faults(Text(1, kind, words))]


def read(source: str, commands: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    return [(text.kind, text.words) for text in lint_language.texts(ast.parse(source), commands)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise OperatorError('the root is not here')", ("text", "the root is not here")),
        ("raise OperatorError(f'the root of {name} is {how()} here')", ("text", "the root of {} is {} here")),
        ("x = f'{a:{b}}' + 'the root is here'", ("text", "the root is here")),
        ("x = f'{tell(\"the root is here\")}'", ("text", "the root is here")),
        ("self._log.warning('taken', why=why)", ("event", "taken")),
        ("log.info('taken')", ("event", "taken")),
        ("x = Option('--all', help='All.')", ("help", "All.")),
        ("@app.command()\ndef f():\n    '''Do it.'''", ("help", "Do it.")),
        ("@app.callback()\ndef f():\n    '''Do it.'''", ("help", "Do it.")),
        ("y = 'one two ' 'three'", ("text", "one two three")),
    ],
)
def test_what_an_operator_reads_is_found(source: str, text: tuple[str, str]) -> None:
    assert text in read(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    '''A docstring of four words.'''",
        "'''A docstring of a module.'''",
        "x = 'word'",
        "raise Problem('field')",
        "class C:\n    def __repr__(self):\n        return f'<A link of {self.peer}>'",
        "c.execute('SELECT x FROM y')",
        "maths.log('taken')",
    ],
)
def test_what_no_operator_reads_is_left_alone(source: str) -> None:
    assert read(source) == []


def test_help_of_a_function_that_is_registered_elsewhere_is_its_docstring() -> None:
    known = lint_language.commands_in(ast.parse("app.command('init')(init.init)\nca.app.command('x')(inventory.y)"))
    assert known == {"init.init", "inventory.y"}
    assert read("def init():\n    '''Make it.'''", frozenset({"init"})) == [("help", "Make it.")]


@pytest.mark.parametrize("end", [". ", "; ", ": ", "\n\n"])
def test_sentence_may_be_so_long_and_a_sentence_ends_at_each_sign(end: str) -> None:
    longest = " ".join(["word"] * LONGEST_SENTENCE)
    assert found(longest) == []
    assert found(f"{longest}{end}{longest}") == []
    assert found(f"{longest} more") == [f"{LONGEST_SENTENCE + 1} words in one sentence, of at most {LONGEST_SENTENCE}"]


@pytest.mark.parametrize(
    ("words", "riddle"),
    [
        ("name one that listens", "one that"),
        ("Whoever holds the key", "Whoever"),
        ("links that stand on the old root", "stand on"),
        ("a root stands by the operator alone", "stands by"),
        ("cross: its word for the next CA", "its word"),
        ("the certificate counts no more", "counts no more"),
        ("the list is made anew", "anew"),
        ("the server is told of it", "is told"),
        ("somebody else has published", "somebody"),
        ("its own names and nothing else", "nothing else"),
        ("the certificate would be let in", "let in"),
    ],
)
def test_riddle_is_found(words: str, riddle: str) -> None:
    assert repr(riddle) in found(words)


@pytest.mark.parametrize(
    "words",
    [
        "Remove the root from `anchors`.",
        "no one-time password",
        "understands the header",
        "a standard library",
        "paperwork",
    ],
)
def test_plain_text_passes(words: str) -> None:
    assert found(words) == []


def test_help_ends_with_a_full_stop() -> None:
    assert found("Show all", "help") == ["a help ends with a full stop"]
    assert found("Show all.", "help") == []


@pytest.mark.parametrize(
    "title",
    [
        "Add a check of titles",
        "Re-sign lists",
        "Address what a reader asks",
        "Pass the version",
        "Embed the list",
        "Bring the users back",
        f"Add {'x' * (LONGEST_TITLE - 4)}",
    ],
)
def test_imperative_title_passes(title: str) -> None:
    assert list(lint_language.title_faults(title)) == []


@pytest.mark.parametrize(
    "title",
    [
        "Added a check",
        "Adds a check",
        "Adding a check",
        "The check is added",
        "A check",
        "Now check titles",
        "add a check",
        "cli: add a check",
        "Add a check.",
        f"Add {'x' * (LONGEST_TITLE - 3)}",
    ],
)
def test_other_title_is_a_fault(title: str) -> None:
    assert len(list(lint_language.title_faults(title))) == 1


def test_titles_are_none_where_there_is_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint_language, "ROOT", tmp_path)
    assert lint_language.titles() == []


def test_file_that_keeps_the_rules_passes() -> None:
    """`make check` reads all sources."""
    checked = subprocess.run(
        [sys.executable, TOOL, ROOT / "src/sipmesh/errors.py"], capture_output=True, text=True, check=False
    )
    assert (checked.stdout, checked.returncode) == ("", 0)


def test_a_fault_fails_the_check_and_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("\nraise OperatorError('whoever holds the key')\n")
    checked = subprocess.run([sys.executable, TOOL, file], capture_output=True, text=True, check=False)
    assert (f"{file}:2: 'whoever'" in checked.stdout, checked.returncode) == (True, 1)


@pytest.mark.parametrize(
    ("words", "riddles"),
    [
        ("what stands in a CRL", [(0, "'stands in'")]),
        ("test phone subscribes anew", [(0, "'anew'")]),
        ("a server is\n\ntold of a version\nby whoever", [(3, "'whoever'"), (0, "'is told'")]),
        ("the control is `nobody`, ``one that``, *twin* or sip:nobody@example.com", []),
        ("```\nnobody\n```\nnobody", [(3, "'nobody'")]),
        ("the only one that is left", []),
        ("no more than a second, as well as a look-up", []),
        ("what is in a CRL", []),
    ],
)
def test_riddles_of_prose_are_found_with_their_lines(words: str, riddles: list[tuple[int, str]]) -> None:
    assert [(before, what.partition(": ")[0]) for before, what in lint_language.phrases(words)] == riddles


MODULE = """\
'''A module.'''
# A comment of
# two lines.
limit = 1  # its reason
'''An attribute.'''
async def test_names_are_read() -> None:
    found = "text"
"""


def test_prose_of_a_module_is_docstrings_comments_and_names_of_tests() -> None:
    assert {each for each in lint_language.prose_of(MODULE) if each[1]} == {
        (1, "A module."),
        (2, "A comment of\ntwo lines.\nits reason"),
        (5, "An attribute."),
        (6, "test names are read"),
    }


def test_pages_are_read_as_a_whole() -> None:
    read = {file.relative_to(ROOT).as_posix(): (line, words) for file, line, words in lint_language.pages()}
    assert read["docs/reference/limits.md"] == (1, (ROOT / "docs/reference/limits.md").read_text("utf-8"))
    assert "README.md" in read
    assert "docs/language.md" not in read
