"""Logs: one line for each event on stderr, constant names, facts as keys, no attribute values at info level.

Text from outside can't forge a line or a colour, and secrets are redacted. Records of Python's `logging` are shown from
`warning` on, in the same form.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import textwrap
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

from syncd.redaction import redacted
from syncd.report.words import visible

Form = Literal["auto", "console", "journal", "logfmt", "json"]
_PRIORITIES: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Levels as sd-daemon(3) numbers them."""
_UNFIT: Final = re.compile(r'[\s="]')
"""Characters that a key of logfmt can't contain."""
_Event = MutableMapping[str, Any]


def configure(level: str, form: Form = "auto") -> None:
    """Send events of `level` and above to stderr.

    `auto`: for people on a terminal, coloured unless $NO_COLOR is set; for the journal with a priority and without a
    time, because the journal adds the time; logfmt elsewhere.
    """
    chosen = _suiting(sys.stderr) if form == "auto" else form
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _with_traceback,
    ]
    if chosen != "journal":
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    shared += [_without_secrets, _harmless]
    structlog.configure(
        processors=[*shared, _renderer(chosen)],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shared, _renderer(chosen)],
        )
    )
    root = logging.getLogger()
    root.handlers = [others]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(False)


def _suiting(stream: TextIO) -> Form:
    if stream.isatty():
        return "console"
    return "journal" if _is_journal(stream) else "logfmt"


def _is_journal(stream: TextIO) -> bool:
    """Return whether systemd connected a stream to the journal ($JOURNAL_STREAM, systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def _renderer(form: Form) -> Any:
    if form == "console":
        return _for_people(sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    if form == "json":
        return structlog.processors.JSONRenderer(_dumped)
    if form == "journal":
        return _for_the_journal
    return _logfmt


_logfmt = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
_logfmt_of_journal = structlog.processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False)


def _for_people(coloured: bool) -> Any:
    """Return a renderer that indents the traceback below an event: error text can't look like the next event."""
    console = structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=structlog.dev.plain_traceback)

    def render(logger: Any, method: str, event: _Event) -> str:
        if "exception" in event:
            event["exception"] = textwrap.indent(event["exception"], "    ", lambda line: True)
        return str(console(logger, method, event))

    return render


def _for_the_journal(logger: Any, method: str, event: _Event) -> str:
    """Render `<6>event=…`: the journal strips the priority, and adds the time and the process."""
    priority = _PRIORITIES.get(str(event.pop("level", "info")), 6)
    return f"<{priority}>{_logfmt_of_journal(logger, method, event)}"


def _dumped(event: Mapping[str, Any], **_: Any) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def _with_traceback(logger: Any, method: str, event: _Event) -> _Event:
    """Put a traceback into the event as one text, without values of variables."""
    found = event.pop("exc_info", None)
    if isinstance(found, BaseException):
        found = (type(found), found, found.__traceback__)
    elif found and not isinstance(found, tuple):
        found = sys.exc_info()
    if found and found[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*found)).rstrip()
    return event


def _without_secrets(logger: Any, method: str, event: _Event) -> _Event:
    cleaned: dict[str, Any] = redacted(dict(event))
    return cleaned


def _harmless(logger: Any, method: str, event: _Event) -> _Event:
    """Escape control characters and characters that change the text direction, in keys and values."""
    shown = {_UNFIT.sub("_", _shown(str(key))): _harmless_value(value) for key, value in event.items()}
    shown["event"] = str(shown.get("event", "")).replace("\n", "\\n")  # the terminal form doesn't escape the event
    return shown


def _harmless_value(value: Any) -> Any:
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, list | tuple):
        return [_harmless_value(item) for item in value]
    if isinstance(value, dict):
        return {_shown(str(key)): _harmless_value(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else _shown(str(value))


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "\n".join(visible(line) for line in text.split("\n"))
