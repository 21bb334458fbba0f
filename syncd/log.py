"""Logs: one line per event on stderr, facts as keys, no attribute values at info level."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Send events of `level` and above to stderr, readable on a terminal, `key=value` elsewhere."""
    terminal = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer(colors=True)
        if terminal
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
