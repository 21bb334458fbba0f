"""Logs: the form of a line by destination, and content that no line may have."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from syncd import log, redaction

SECRET = 'ab/c"d\\e+f'
FORMS: tuple[log.Form, ...] = ("console", "journal", "logfmt", "json")


@pytest.fixture(autouse=True)
def _no_secrets_of_others() -> Iterator[None]:
    before = dict(redaction._forms)
    yield
    redaction._forms.clear()
    redaction._forms.update(before)


@pytest.mark.parametrize("form", FORMS)
def test_one_line_for_each_event_whatever_it_is_made_of(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", form)
    hostile = "a\nlevel=error event=forged\r\x1b[2J\u202egnp.exe\u2028"
    structlog.get_logger().info("run_started", target=hostile, **{"key\nforged": [hostile], "deep": {hostile: hostile}})
    logging.getLogger("others").warning("said %s", hostile)
    written = capsys.readouterr().err
    assert written.count("\n") == 2
    assert not {"\r", "\u202e", "\u2028"} & set(written)
    assert written.count("\x1b[2J") == 0


@pytest.mark.parametrize("form", FORMS)
def test_an_error_cant_look_like_the_next_event(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", form)
    try:
        raise ValueError("of a server\n<2>event=forged\r\x1b[31m")
    except ValueError:
        structlog.get_logger().exception("fault")
        logging.getLogger("asyncio").exception("fault")
    lines = capsys.readouterr().err.splitlines()
    events = [line for line in lines if not line.startswith("    ")]
    assert len(events) == 2
    assert all("fault" in event for event in events)
    assert "\x1b[31m<" not in "".join(lines)
    assert len(lines) == 2 or form == "console"


def test_the_journal_gets_a_priority_and_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("debug", "journal")
    logger = structlog.get_logger().bind(run=3)
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logger, level)("something", target="lucid")
    logging.getLogger("somebodys.library").error("of a library")
    assert capsys.readouterr().err.splitlines() == [
        *(f"<{priority}>event=something run=3 target=lucid" for priority in (7, 6, 4, 3, 2)),
        '<3>event="of a library" logger=somebodys.library',
    ]


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")
    structlog.get_logger().info("run_ended", applied=3, error="", users={"é": None})
    found = json.loads(capsys.readouterr().err)
    assert found.pop("timestamp").endswith("Z")
    assert found == {"event": "run_ended", "level": "info", "applied": 3, "error": "", "users": {"é": None}}


def test_which_form_is_chosen_by_where_it_goes() -> None:
    code = "from syncd import log; import structlog; log.configure('info'); structlog.get_logger().info('here')"

    def lines(journal: str) -> str:
        reading, writing = os.pipe()
        status = os.fstat(writing)
        environment = {**os.environ, "JOURNAL_STREAM": journal.format(f"{status.st_dev}:{status.st_ino}")}
        subprocess.run([sys.executable, "-c", code], stderr=writing, env=environment, check=True)
        os.close(writing)
        with os.fdopen(reading) as file:
            return file.read()

    assert lines("{}") == "<6>event=here\n"
    assert lines("1:2").startswith("timestamp=")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_has_colours_unless_somebody_wants_none(no_color: str, coloured: bool) -> None:
    code = "from syncd import log; import structlog; log.configure('info'); structlog.get_logger().info('here', run=3)"
    here, there = os.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=there, env={**os.environ, "NO_COLOR": no_color}, check=True)
    said = os.read(here, 4096).decode()
    os.close(here)
    os.close(there)
    assert "here" in said
    assert ("\x1b[" in said) is coloured
    if not coloured:
        assert said.rstrip().endswith("run=3")


def test_people_without_a_terminal_see_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "console")
    structlog.get_logger().info("here", run=3)
    assert "\x1b" not in capsys.readouterr().err


def test_libraries_are_heard_from_warning_on(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("debug", "logfmt")
    logging.getLogger("httpx").info("GET https://example.com/?token=1")
    logging.getLogger("aiohttp").debug("headers")
    assert capsys.readouterr().err == ""


# -- secrets -------------------------------------------------------------------------------------------


def failing() -> None:
    value = SECRET
    raise ValueError(f"with {value} in it")


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_in_no_line_in_none_of_its_forms(form: log.Form, capsys: pytest.CaptureFixture[str]) -> None:
    redaction.learn(SECRET)
    forms = [SECRET, "ab%2Fc%22d%5Ce%2Bf", "YWIvYyJkXGUrZg==", 'ab/c\\"d\\\\e+f', 'ab/c"d\\\\e+f']
    log.configure("debug", form)
    logger = structlog.get_logger().bind(bound=SECRET)
    for each in forms:
        logger.info("said", text=f"Bearer {each}", nested={each: [each, {"deep": (each,)}]}, other=ValueError(each))
        logging.getLogger("library").warning("said %s", each)
    try:
        failing()
    except ValueError:
        logger.exception("fault")
        logging.getLogger("asyncio").exception("fault")
    written = capsys.readouterr().err
    for each in forms:
        assert each not in written
    assert "ab/c" not in written
    assert written.count("(secret)") > 20
    assert "failing()" in written or "in failing" in written, "where it happened is said"


def test_what_is_short_is_no_secret() -> None:
    redaction.learn("abc")
    assert redaction.redact("abc") == "abc"


def test_one_secret_may_be_part_of_another() -> None:
    redaction.learn("part")
    redaction.learn("part-of-a-longer-one")
    assert redaction.redact("x part-of-a-longer-one part") == "x (secret) (secret)"
