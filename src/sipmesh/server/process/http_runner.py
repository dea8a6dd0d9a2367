"""Runs an HTTP server of ours: no body is decompressed, and a fault of a request is a line of our log, not a traceback."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sipmesh.server.process.request_rate import WINDOW_S

if TYPE_CHECKING:
    from sipmesh.server.log import Log

GOODBYE_S: Final = 1.0
"""Seconds for which an open request can delay the stop of the server."""

PERIOD_S: Final = 60.0
"""Seconds between two lines about faulty requests."""


class FaultLog(logging.Handler):
    """Logs what aiohttp reports: the kind of the fault and how many there were, once a minute."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log, self._due_at, self._count = log, 0.0, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a fault, and log it if a line is due. Nothing of the request is in the line."""
        self._count += 1
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + PERIOD_S
        kind = record.exc_info[0] if record.exc_info else None
        self._log.warning("HTTP request failed", fault=kind.__name__ if kind else "", count=self._count)
        self._count = 0


def runner_of(app: web.Application, log: Log) -> web.AppRunner:
    """Return a runner of *app*; it decompresses no body, since a small one may become a large one, on the event loop."""
    logger = logger_of(log)
    return web.AppRunner(app, access_log=None, logger=logger, auto_decompress=False, shutdown_timeout=GOODBYE_S)


def too_many(retry_after_s: int = int(WINDOW_S)) -> web.HTTPTooManyRequests:
    """Return HTTP 429, with which the connection ends: to go on costs a connection, with TLS a handshake."""
    answer = web.HTTPTooManyRequests(headers={"Retry-After": str(retry_after_s)})
    answer.force_close()
    return answer


def unavailable(text: str, retry_after_s: int) -> web.HTTPServiceUnavailable:
    """Return HTTP 503 with *text*, for a client that may try again after so many seconds."""
    return web.HTTPServiceUnavailable(headers={"Retry-After": str(retry_after_s)}, text=text)


def logger_of(log: Log) -> logging.Logger:
    """Return a logger for aiohttp that writes to *log*."""
    logger = logging.Logger("http")  # noqa: LOG001 - it is not registered: nothing is passed on to another logger
    logger.setLevel(logging.WARNING)
    logger.addHandler(FaultLog(log))
    return logger
