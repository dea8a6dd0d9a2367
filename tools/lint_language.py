#!/usr/bin/env python3
"""Check the language of what an operator reads, and of the titles of commits.

An operator reads each string literal of the source that has two words or more: help, errors, remedies, findings, metrics.
An operator reads the events of the log too, of any length, and the docstring of each command, which is its help.
SQL, and what ``__repr__`` returns, are not checked.

Docstrings, comments, names of tests and the pages of the documents are read too: no phrase of `RIDDLES` is in them.

Three rules hold for a text of operators: no sentence is longer than 25 words, no phrase of `RIDDLES` is in it, and a help
ends with a full stop. ``.``, ``?``, ``!``, ``;`` and ``:`` end a sentence: what is behind a colon is often a command.
Three rules hold for a title: at most 72 characters, no full stop at its end, and its first word is a verb in its base form.

Usage: lint_language.py [--list] [FILE ...]; without files, the whole package and all titles since `SINCE`.
It prints ``file:line: what``. ``--list`` prints every text instead, to be read aloud.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "sipmesh"
COMMANDS: Final = SOURCE / "cli" / "main.py"
RULES: Final = ROOT / "docs" / "language.md"
"""It quotes the phrases."""
PYTHON: Final = ("src", "tests", "tools", "bench")

LONGEST_SENTENCE: Final = 25
"""Words of one sentence. A value that is filled in counts as one word."""
FEWEST_WORDS: Final = 2
LONGEST_TITLE: Final = 72
SINCE: Final = "82c198f"
"""The rules for titles hold for the commits after this."""

RIDDLES: Final[dict[str, str]] = {
    r"\bstands? (?:on|by|in|at|here|there|behind|under|alone)\b": "say 'is in', 'uses' or 'depends on'",
    r"\b(?:its|their|our|his) (?:last )?words?\b": "say which statement, signature or certificate",
    r"\bcounts? (?:no more|no longer|for nothing)\b": "say 'has expired', 'was revoked' or 'is ignored'",
    r"\banew\b|\bheld by\b|\bhears? (?:of|from)\b|\bheard of\b": "use 'again', 'has', 'receives'",
    r"\bpapers?\b": "say 'certificate' or 'document'",
    r"\blet (?:in|out)\b": "say 'accepted'",
    r"\brevocation(?<!\bcertificate\srevocation) lists?\b": "say 'CRL'",
    r"\brightful\b|\btwins?\b": "say 'control', and explain it",
    r"\bone that\b(?<!\bonly\sone\sthat)": "name the thing: 'a server that', 'a certificate that'",
    r"\bthe one (?:who|that|of|in|before|after)\b": "name the thing",
    r"\bones\b": "name the things",
    r"\bwhoever\b|\bwhomever\b|\bwhatever\b": "name the person or the thing",
    r"\b(?:is|are|was|were) told\b": "say who gets which message",
    r"\b(?:nobody|somebody|anybody|everybody)\b": "name the role: user, server, peer, operator",
    r"\bnothing else\b|\bno more\b(?! than\b)|\bas well\b(?! as\b)": "say the limit itself, or use 'also'",
    r"\b(?:it|they|he|she|we) has to say\b": "say who does what",
}
"""Phrases that a reader has to guess at, and what to write instead.

Two of them are good English in one form: "the only one that" has its thing beside it, and "no more than" and "as well as" say
a limit and an addition.
"""

PHRASES: Final = {re.compile(phrase.replace(" ", r"\s+"), re.IGNORECASE): better for phrase, better in RIDDLES.items()}
ANY_PHRASE: Final = re.compile("|".join(phrase.pattern for phrase in PHRASES), re.IGNORECASE)
CODE: Final = re.compile(r"(`+)[^`]+\1|\*\w+\*|\S+@\S+")
"""What is no prose: code, the name of a parameter, and an address such as ``sip:nobody@example.com``."""

ENDS: Final = re.compile(r"[.?!;:](?:\s|$)|\n\s*\n|\n\s*[-*#] ")
WORD: Final = re.compile(r"[A-Za-z0-9{][^\s]*")
SQL: Final = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|DROP|BEGIN|WITH|ON CONFLICT|WHERE|ORDER)\b"
)
LEVELS: Final = frozenset({"debug", "info", "warning", "error", "critical"})

BASE_FORMS: Final = frozenset(
    {"Address", "Bring", "Embed", "Exceed", "Feed", "Focus", "Need", "Proceed", "Seed", "Shed", "Speed", "String"}
)
"""Verbs that look as if they were not in their base form."""
NO_VERBS: Final = frozenset(
    {"A", "All", "An", "And", "Each", "Every", "For", "In", "It", "No", "Now", "On", "One", "The", "This", "We"}
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text and the line that it begins on; *kind* is ``text``, ``event`` or ``help``."""

    line: int
    kind: str
    words: str


def texts(tree: ast.Module, commands: frozenset[str] = frozenset()) -> Iterator[Text]:
    """Give each text of a module that an operator reads; *commands* names the functions that are registered elsewhere."""
    yield from _docstrings_of_commands(tree, commands)
    events = {id(call.args[0]) for call in _calls(tree) if _is_log(call) and call.args}
    helps = {id(keyword.value) for call in _calls(tree) for keyword in call.keywords if keyword.arg == "help"}
    for node in _literals(tree):
        words = literal(node)
        kind = "event" if id(node) in events else "help" if id(node) in helps else "text"
        if kind != "text" or (len(WORD.findall(words)) >= FEWEST_WORDS and not SQL.match(words)):
            yield Text(node.lineno, kind, words)


def faults(text: Text) -> Iterator[str]:
    """Give what is wrong with a text."""
    for sentence in ENDS.split(text.words):
        count = len(WORD.findall(sentence))
        if count > LONGEST_SENTENCE:
            yield f"{count} words in one sentence, of at most {LONGEST_SENTENCE}: {_short(sentence)}"
    yield from (what for _line, what in phrases(text.words))
    if text.kind == "help" and not text.words.rstrip().endswith("."):
        yield f"a help ends with a full stop: {_short(text.words)}"


def title_faults(title: str) -> Iterator[str]:
    """Give what is wrong with the title of a commit."""
    first = title.partition(" ")[0]
    if len(title) > LONGEST_TITLE:
        yield f"{len(title)} characters, of at most {LONGEST_TITLE}"
    if title.endswith("."):
        yield "a title ends without a full stop"
    if not re.fullmatch(r"[A-Z][a-z-]+", first):
        yield f"the first word is a verb with a capital letter, and is {first!r}"
    elif first in NO_VERBS or (first not in BASE_FORMS and re.search(r"(?:ed|ing|[^s]s)$", first)):
        yield f"the first word is a verb in its base form, as in 'Add', and is {first!r}"


def literal(node: ast.expr) -> str:
    """The text of a literal; each value that is filled in is ``{}``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return "{}"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_TITLE else f"{flat[:LONGEST_TITLE]}..."


def _literals(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Give each literal below *node* once, but for those that no operator reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield child
            for part in child.values:
                yield from _literals(part) if isinstance(part, ast.FormattedValue) else ()
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child
        elif not _is_unread(child):
            yield from _literals(child)


def _is_unread(node: ast.AST) -> bool:
    """Tell whether a node is a docstring, or a ``__repr__``."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "__repr__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _calls(tree: ast.Module) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _is_log(call: ast.Call) -> bool:
    """Tell whether a call writes to the log: ``log.info``, ``self._log.warning``."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LEVELS:
        return False
    of = call.func.value
    return (of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else "").endswith("log")


def _docstrings_of_commands(tree: ast.Module, commands: frozenset[str]) -> Iterator[Text]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (node.name in commands or any(map(_registers, node.decorator_list))):
            yield from (Text(node.lineno, "help", told) for told in (ast.get_docstring(node),) if told)


def _registers(decorator: ast.expr) -> bool:
    """Tell whether a decorator makes a command of a function: ``@app.command()``, ``@app.callback()``."""
    made = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(made, ast.Attribute) and made.attr in {"command", "callback"}


def commands_in(tree: ast.Module) -> frozenset[str]:
    """Give ``module.function`` of each command that *tree* registers with ``app.command("name")(module.function)``."""
    found = [call.args[0] for call in _calls(tree) if call.args and _registers(call.func)]
    return frozenset(ast.unparse(one) for one in found if isinstance(one, ast.Attribute))


def texts_of(file: Path) -> list[Text]:
    """Give the texts of a file, in the order of their lines."""
    known = [name.rpartition(".") for name in commands_in(ast.parse(COMMANDS.read_text("utf-8")))]
    own = frozenset(function for module, _, function in known if module == file.stem)
    return sorted(texts(ast.parse(file.read_text("utf-8")), own), key=lambda text: text.line)


def titles() -> list[tuple[str, str]]:
    """Give id and title of each commit since `SINCE`; none where this is no clone, or one without its history."""
    command = ["git", "-C", str(ROOT), "log", "--no-merges", "--format=%h %s", f"{SINCE}..HEAD"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [(short, title) for short, _, title in (line.partition(" ") for line in told.splitlines())]


def prose() -> Iterator[tuple[Path, int, str]]:
    """Give the prose of all Python files, and the pages, each with its place."""
    for file in sorted(file for folder in PYTHON for file in (ROOT / folder).rglob("*.py")):
        source = file.read_text("utf-8")
        if ANY_PHRASE.search(source.replace("_", " ")):
            yield from ((file, line, words) for line, words in prose_of(source))
    yield from pages()


def pages() -> Iterator[tuple[Path, int, str]]:
    """Give the pages, but for the one with the rules."""
    for page in sorted({*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")} - {RULES}):
        yield page, 1, page.read_text("utf-8")


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """Give the docstrings, the names of tests and the comments of a module, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")
    yield from _comments(source)


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Give the comments of a module; those of lines that follow each other are one text."""
    first, lines = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != first + len(lines):
                yield first, "\n".join(lines)
                first, lines = token.start[0], []
            lines.append(token.string.lstrip("# "))
    yield first, "\n".join(lines)


def phrases(words: str) -> Iterator[tuple[int, str]]:
    """Give the phrases of `RIDDLES` in a text, each with the number of lines before it."""
    prose = CODE.sub(lambda code: "\n" * code[0].count("\n"), words)
    for phrase, better in PHRASES.items():
        for found in phrase.finditer(prose):
            before = prose.count("\n", 0, found.start())
            yield before, f"{' '.join(found[0].split())!r}: {better}: {_short(prose[max(0, found.start() - 30) :])}"


def complaints(named: list[Path]) -> Iterator[str]:
    """Give a line for each fault in the *named* files; without names, in the package, in all prose and in the titles."""
    for file, line, words in () if named else prose():
        yield from (f"{file}:{line + before}: {what}" for before, what in phrases(words))
    for file in named or sorted(SOURCE.rglob("*.py")):
        for text in texts_of(file):
            yield from (f"{file}:{text.line}: {what}" for what in faults(text))
    for short, title in [] if named else titles():
        yield from (f"commit {short}: {what}: {title}" for what in title_faults(title))


def main(arguments: list[str]) -> int:
    """Check the named files, or all; 1 where there is a fault."""
    named = [Path(name).resolve() for name in arguments if name != "--list"]
    if "--list" in arguments:
        for file in named or sorted(SOURCE.rglob("*.py")):
            for text in texts_of(file):
                print(f"{file.relative_to(ROOT)}:{text.line}: {text.kind}: {' '.join(text.words.split())}")
        return 0
    found = list(complaints(named))
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
