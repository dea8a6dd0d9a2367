"""`sipmesh serve`, without the libraries of the command line: a server would keep their 16 MB in memory."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "SIPMESH_TOPOLOGY"
LEVELS: Final = ("debug", "info", "warning", "error")
_OPTIONS: Final = {"--topology": "topology", "-t": "topology", "--log-level": "level"}


@dataclass(frozen=True, slots=True)
class Serving:
    """The servers to run, by their *names* in the file *topology*, and the lowest *level* that is logged."""

    names: tuple[str, ...]
    topology: Path
    level: str

    @classmethod
    def read(cls, arguments: Sequence[str]) -> Serving | None:
        """Read a command line as units and containers have it.

        None for another command, for `--help`, and for what is wrong: the full command line answers these.
        """
        if arguments[:1] != ["serve"]:
            return None
        names, rest = list[str](), iter(arguments[1:])
        given = {"topology": os.environ.get(ENVIRONMENT) or "topology.yaml", "level": "info"}
        for word in rest:
            option, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
            if not word.startswith("-"):
                names.append(word)
            elif option in _OPTIONS and (value := value or next(rest, "")):
                given[_OPTIONS[option]] = value
            else:
                return None
        if not names or given["level"] not in LEVELS:
            return None
        return cls(tuple(names), Path(given["topology"]), given["level"])

    def run(self) -> None:
        """Run the servers until a signal stops them; raises `SipmeshError` if one cannot start."""
        from sipmesh.cli.owner import for_owner_of
        from sipmesh.server.log import configure, get_log
        from sipmesh.server.service import serve

        configure(level=self.level)
        serve(
            for_owner_of(self.topology),
            list(dict.fromkeys(map(str.lower, self.names))),
            lambda name: get_log(server=name),
            _fork_workers,
        )


def _fork_workers() -> socket.socket:
    """Fork the process from which the workers of a server are forked; only a server that has some imports what they use."""
    from sipmesh.server.process.fork_server import fork_server
    from sipmesh.server.worker import serve_workers

    return fork_server(serve_workers)
