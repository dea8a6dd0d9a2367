"""The reference of all commands, made from the commands themselves: an index, and a page for each group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sipmesh.cli.app import command

HEAD: Final = """# Commands

Each command prints its description with `--help`. Exit code 0: all is well. 1: something is wrong. 2: the command line cannot be
read. A command works on `topology.yaml` in the current folder, or on the file that `--topology` or `SIPMESH_TOPOLOGY` names.

What the HTTP API and the console have for each: [Commands, API and console](interfaces.md).

"""
MADE: Final = "<!-- made by tools/docs/reference.py: make reference -->\n\n"
SINGLE: Final = "network"
"""The page of the commands that are in no group."""

HELP: Final = "--help"


@dataclass(frozen=True, slots=True)
class Described:
    """One command: the *words* to type, its line of *usage*, its *help*, and its options and arguments with their texts."""

    words: str
    usage: str
    help: str
    rows: tuple[tuple[str, str], ...]

    @property
    def group(self) -> str:
        """The page where it stands."""
        first, _, second = self.words.partition(" ")
        return first if second else SINGLE

    @property
    def anchor(self) -> str:
        """Its heading as it is in a link."""
        return f"sipmesh-{self.words.replace(' ', '-')}"

    @property
    def first_sentence(self) -> str:
        """The beginning of its help."""
        return re.split(r"(?<=\.)\s", self.help, maxsplit=1)[0]


def pages() -> dict[str, str]:
    """Give each page by its path below docs/reference."""
    found = sorted(described(), key=lambda one: one.group != SINGLE)
    groups = dict.fromkeys(one.group for one in found)
    return {"commands.md": _index(found)} | {
        f"commands/{group}.md": _page(group, [one for one in found if one.group == group]) for group in groups
    }


def _index(found: list[Described]) -> str:
    rows = "".join(
        f"| [`sipmesh {one.words}`](commands/{one.group}.md#{one.anchor}) | {one.first_sentence} |\n" for one in found
    )
    return f"{MADE}{HEAD}| command | |\n| --- | --- |\n{rows}"


def _page(group: str, found: list[Described]) -> str:
    title = "Commands of the network" if group == SINGLE else f"Commands: sipmesh {group}"
    return f"{MADE}# {title}\n\nAll commands: [Commands](../commands.md).\n" + "".join(map(_section, found))


def _section(one: Described) -> str:
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in one.rows)
    table = f"\n| option | |\n| --- | --- |\n{rows}" if rows else ""
    return f"\n## `sipmesh {one.words}`\n\n```console\n$ {one.usage}\n```\n\n{one.help}\n{table}"


def described() -> Iterator[Described]:
    """Give every command, in the order of `sipmesh --help`."""
    yield from _walk(command(), (), None)


def _walk(group: Any, words: tuple[str, ...], above: Any) -> Iterator[Described]:
    context = group.context_class(group, info_name=words[-1] if words else "sipmesh", parent=above)
    if not hasattr(group, "list_commands"):
        yield _described(group, words, context)
        return
    if words and group.invoke_without_command and not group.no_args_is_help:
        yield _described(group, words, context)
    for name in group.list_commands(context):
        yield from _walk(group.get_command(context, name), (*words, name), context)


def _described(one: Any, words: tuple[str, ...], context: Any) -> Described:
    records = (parameter.get_help_record(context) for parameter in one.params)
    rows = tuple((_cell(name), _cell(text)) for name, text in filter(None, records) if HELP not in name)
    usage = " ".join(["sipmesh", *words, *one.collect_usage_pieces(context)])
    return Described(" ".join(words), usage, _text(one.help or ""), rows)


def _text(given: str) -> str:
    """Give a help text with its paragraphs, each on one line."""
    paragraphs = (" ".join(part.split()) for part in given.replace("\f", "").split("\n\n"))
    return "\n\n".join(filter(None, paragraphs))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
