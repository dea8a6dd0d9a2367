"""Writes one manual page for each command, from the commands themselves: man_pages.py FOLDER DATE VERSION."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sipmesh.cli.app import command

SECTION = 1
FILES = """\
.SH FILES
.TP
.I topology.yaml
The draft of the topology, in the folder of the organisation. A command works on the one in the current folder, or on the
file that \\fB\\-\\-topology\\fR or the environment variable \\fBSIPMESH_TOPOLOGY\\fR names.
.TP
.I /var/lib/sipmesh
The folder of the organisation on a host that was installed from the Debian package.
"""


def escaped(text: str) -> str:
    """Write *text* for roff: its backslashes and hyphens, and a dot or a quote that begins a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in text.splitlines())


def commands_below(group: Any, context: Any) -> Iterator[tuple[str, Any]]:
    """Give each command of *group* that is listed, with its name."""
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if found is not None and not found.hidden:
            yield name, found


def page(words: tuple[str, ...], found: Any, context: Any, date: str, version: str) -> str:
    """Give the page of the command *words*."""
    name = " ".join(words)
    usage = " ".join(found.collect_usage_pieces(context))
    paragraphs = [" ".join(part.split()) for part in (found.help or "").split("\n\n")]
    lines = [
        f'.TH "{"-".join(words).upper()}" "{SECTION}" "{date}" "sipmesh {version}" "sipmesh"',
        ".SH NAME",
        f"{escaped('-'.join(words))} \\- {escaped(paragraphs[0].rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {escaped(name)}",
        escaped(usage),
        ".SH DESCRIPTION",
        *("\n.PP\n".join(map(escaped, paragraphs)),),
    ]
    records = [record for part in found.get_params(context) if (record := part.get_help_record(context))]
    if records:
        lines.append(".SH OPTIONS")
        for option, text in records:
            lines += [".TP", f".B {escaped(option)}", escaped(" ".join(text.split()))]
    below = list(commands_below(found, context)) if hasattr(found, "list_commands") else []
    if below:
        lines.append(".SH COMMANDS")
        for child, made in below:
            lines += [
                ".TP",
                f".B {escaped(child)}",
                f"{escaped(made.get_short_help_str(200))} See \\fB{escaped('-'.join((*words, child)))}\\fR({SECTION}).",
            ]
    lines += [
        ".SH EXIT STATUS",
        "0: all is well. 1: something is wrong. 2: the command line cannot be read.",
        FILES.rstrip(),
    ]
    if len(words) > 1:
        lines += [".SH SEE ALSO", f".BR {escaped('-'.join(words[:-1]))} ({SECTION})"]
    return "\n".join(lines) + "\n"


def write(folder: Path, words: tuple[str, ...], found: Any, parent: Any, date: str, version: str) -> None:
    """Write the pages of the command *words* and of those below it."""
    context = found.context_class(found, info_name=words[-1], parent=parent)
    (folder / f"{'-'.join(words)}.{SECTION}").write_text(page(words, found, context, date, version))
    if hasattr(found, "list_commands"):
        for child, made in commands_below(found, context):
            write(folder, (*words, child), made, context, date, version)


if __name__ == "__main__":
    target, day, number = sys.argv[1:]
    Path(target).mkdir(parents=True, exist_ok=True)
    write(Path(target), ("sipmesh",), command(), None, day, number)
