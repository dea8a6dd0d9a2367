"""Logs: one line of JSON per event, or coloured text on a terminal; nothing secret is ever in them."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

Log = structlog.stdlib.BoundLogger


def configure(stream: TextIO = sys.stderr, *, level: str = "info") -> None:
    """Write to *stream*; times are UTC (RFC 3339)."""
    terminal = stream.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def get_log(**bound: str) -> Log:
    """A logger that adds *bound* to each of its lines."""
    log: Log = structlog.get_logger(**bound)
    return log
