"""The text of a notice: any name becomes a line of plain text."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.notify.notice import Notice, digest_of, email, email_subject, email_text, webhook_body
from tests.world import NOON

NOTICE = Notice.of(
    "changes_held",
    "lucid",
    "lucid: 2 changes are held",
    ["2 changes wait for approval (limit for deactivations)", "  deactivate Ada (1)"],
    {"count": 2},
    NOON,
    "id1.example.com",
)
TO = ["ada@example.com", "bob@example.com"]


def titled(title: str, *lines: str) -> Notice:
    return replace(NOTICE, title=title, lines=lines)


def sent(notice: Notice) -> EmailMessage:
    """Return the e-mail as it arrives."""
    data = email(notice, "syncd@example.com", TO, "id1.example.com").as_bytes()
    arrived = message_from_bytes(data, policy=default)
    assert isinstance(arrived, EmailMessage)
    return arrived


def text_of(message: EmailMessage) -> str:
    text: str = message.get_content()
    return text.replace("\r\n", "\n")


# -- a webhook -------------------------------------------------------------------------------------------


def test_a_webhook_is_sent_text_for_people_and_facts_for_programs() -> None:
    assert webhook_body(NOTICE) == {
        "text": "lucid: 2 changes are held\n2 changes wait for approval (limit for deactivations)\n"
        "  deactivate Ada (1)",
        "event": "changes_held",
        "target": "lucid",
        "id": NOTICE.id,
        "at": "2026-11-22T12:00:00Z",
        "title": "lucid: 2 changes are held",
        "facts": {"count": 2, "host": "id1.example.com"},
    }
    assert webhook_body(replace(NOTICE, target=""))["target"] is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("<https://evil.example|the holds>", "&lt;https://evil.example|the holds&gt;"),
        ("AT&T &lt;", "AT&amp;T &amp;lt;"),
        ("@channel @Here (@all) @everyone", "＠channel ＠Here (＠all) ＠everyone"),
        ("all@example.com @allison", "all@example.com @allison"),
        ("Ada\nlucid: all is well", "Ada\\u000alucid: all is well"),
        ("Ada\u2028\u2029\x85\x0b\x1b[2J", "Ada\\u2028\\u2029\\u0085\\u000b\\u001b[2J"),
        ("\u202egnp.exe \u2066x\u2069", "\\u202egnp.exe \\u2066x\\u2069"),
        ("Zoë Müller 李", "Zoë Müller 李"),
    ],
)
def test_a_name_in_a_chat_is_a_name(name: str, shown: str) -> None:
    assert webhook_body(titled(name))["text"] == shown
    assert webhook_body(titled("title", name))["text"] == f"title\n{shown}"


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_whatever_anybody_is_called_a_chat_shows_as_many_lines_as_there_are(texts: list[str]) -> None:
    title, *lines = texts
    text = orjson.loads(orjson.dumps(webhook_body(titled(title, *lines))))["text"]
    assert len(text.splitlines() or [""]) + (text.endswith("\n")) == len(texts)
    assert not re.search(r"[<>\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)


def test_a_text_is_no_longer_than_a_chat_takes() -> None:
    text = webhook_body(titled("title", *["<" * 600] * 1000))["text"]
    assert len(text) <= 30_002
    assert text.endswith("\n…")
    assert text.splitlines()[1] == "&lt;" * 499 + "…"  # cut before it is escaped, not within


# -- e-mail ----------------------------------------------------------------------------------------------


def test_an_email_says_the_same() -> None:
    message = sent(NOTICE)
    assert dict(message.items()) == {
        "Subject": "[syncd] lucid: 2 changes are held",
        "From": "syncd <syncd@example.com>",
        "To": "ada@example.com, bob@example.com",
        "Date": "Sun, 22 Nov 2026 12:00:00 +0000",
        "Message-ID": f"<{NOTICE.id}@id1.example.com>",
        "Auto-Submitted": "auto-generated",
        "X-Syncd-Event": "changes_held",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert text_of(message) == (
        "lucid: 2 changes are held\n\n"
        "2 changes wait for approval (limit for deactivations)\n  deactivate Ada (1)\n\n"
        "-- \nsyncd at id1.example.com, 2026-11-22 12:00:00 UTC\n"
    )


def test_an_email_names_its_moment_in_a_zone() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    message = email(NOTICE, "syncd@example.com", TO, "id1.example.com", berlin)
    assert message["Date"] == "Sun, 22 Nov 2026 13:00:00 +0100"
    assert email_text(NOTICE, berlin).endswith("-- \nsyncd at id1.example.com, 2026-11-22 13:00:00 CET\n")
    assert digest_of([NOTICE, NOTICE], NOON, berlin).lines[0] == "2026-11-22 13:00:00 CET  lucid: 2 changes are held"


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\x85", "\u2028", "\x0b", "\x0c", "\0", "\x1c"])
def test_no_name_adds_a_header_or_ends_them(ending: str) -> None:
    message = sent(titled(f"Ada{ending}Bcc: mallory@example.com{ending}{ending}all is well"))
    assert message.keys() == sent(NOTICE).keys()
    subject = f"[syncd] Ada\\u{ord(ending[0]):04x}"
    assert message["Subject"].startswith(subject)
    assert "Bcc: mallory" in message["Subject"]


@given(st.text(st.characters(codec="utf-8"), max_size=400), st.text(st.characters(codec="utf-8"), max_size=1500))
def test_whatever_anybody_is_called_an_email_is_one_that_any_server_takes(title: str, line: str) -> None:
    notice = titled(title, line)
    data = email(notice, "syncd@example.com", TO, "id1").as_bytes()
    head, _, _ = data.partition(b"\r\n\r\n")
    assert data.isascii()
    # RFC 5322 section 2.1.1; no line that ends in CR or LF alone.
    assert all(len(row) <= 998 for row in data.split(b"\r\n"))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert [row.split(b":")[0] for row in re.split(rb"\r\n(?![ \t])", head)] == [
        key.encode()
        for key in sent(NOTICE).keys()  # noqa: SIM118
    ]
    assert sent(notice)["Subject"].split() == email_subject(notice).split()
    assert text_of(sent(notice)) == email_text(notice)


def test_long_lines_are_folded_where_there_are_blanks() -> None:
    line = "  deactivate " + "word " * 40 + "x" * 100
    rows = email_text(titled("title", line)).splitlines()[2:-3]
    assert " ".join(" ".join(rows).split()) == " ".join(line.split())
    assert all(len(row) <= 78 or row.split() == ["x" * 100] for row in rows)
    assert rows[0].startswith("  deactivate word")
    assert rows[1].startswith("    word")


def test_a_host_of_any_name_makes_a_message_id() -> None:
    assert email(NOTICE, "s@example.com", TO, "höst name>")["Message-ID"] == f"<{NOTICE.id}@h-st-name->"
    assert email(NOTICE, "s@example.com", TO, "")["Message-ID"] == f"<{NOTICE.id}@localhost>"


# -- both ------------------------------------------------------------------------------------------------


def test_a_notice_is_the_same_after_it_was_kept() -> None:
    assert Notice.from_json(orjson.loads(orjson.dumps(NOTICE.to_json()))) == NOTICE


def test_the_id_is_that_of_what_it_tells_of() -> None:
    def id_of(kind: str = "a", target: str = "t", at: datetime = NOON, host: str = "h") -> str:
        return Notice.of(kind, target, "title", [], {}, at, host).id

    assert id_of() == id_of()
    others = {id_of(kind="b"), id_of(target="u"), id_of(at=datetime(2026, 11, 23, tzinfo=UTC)), id_of(host="i")}
    assert len(others | {id_of()}) == 5


def test_several_notices_in_one_lose_nothing() -> None:
    other = Notice.of("source_down", "", "the source can't be read", ["no answer"], {}, NOON, "id1")
    both = digest_of([NOTICE, other], NOON)
    assert both.title == "2 notices in one: there were more than may be sent in an hour"
    assert both.lines == (
        "2026-11-22 12:00:00 UTC  lucid: 2 changes are held",
        "    2 changes wait for approval (limit for deactivations)",
        "      deactivate Ada (1)",
        "2026-11-22 12:00:00 UTC  the source can't be read",
        "    no answer",
    )
    assert [each["id"] for each in webhook_body(both)["facts"]["notices"]] == [NOTICE.id, other.id]
    assert digest_of([NOTICE, other], NOON).id == both.id != digest_of([NOTICE], NOON).id
