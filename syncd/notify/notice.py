"""One message to people, and its forms as JSON of a webhook and as an e-mail. Pure.

Names and reasons come from directories and endpoints, and are hostile. Control and bidi characters, markup and calls of
a whole channel are defused wherever a person reads them. The facts are for programs, and stay as they are.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final, Self

from syncd.core.digest import fingerprint
from syncd.core.model import Json
from syncd.core.plan import timestamp
from syncd.report.moments import second
from syncd.report.words import visible

_LINE: Final = 500
"""Characters of one line: an endpoint's error message may be a whole page."""
_TITLE: Final = 180
_TEXT: Final = 30_000
"""Characters of a message in a chat: Slack cuts beyond 40,000 bytes of what it is sent."""
_COLUMNS: Final = 78
"""RFC 5322 section 2.1.1."""
_CALLS: Final = re.compile(r"@(?=(?:channel|all|here|everyone)\b)", re.IGNORECASE)
"""Calls of a whole channel in Slack, Mattermost or Discord, which need no markup."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. The same notice has the same id however often it is sent: a receiver can tell it came twice."""

    id: str
    at: datetime
    kind: str
    """The `event` of the webhook: `source_down`, `changes_held`, …"""
    target: str
    """"" where the notice concerns no single target."""
    title: str
    lines: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kind: str,
        target: str,
        title: str,
        lines: Iterable[str],
        facts: Mapping[str, Json],
        at: datetime,
        host: str,
    ) -> Self:
        """Compose a notice; a host tells no two things of one kind about one target at one moment."""
        id_ = fingerprint([host, kind, target, at.isoformat()]).hex()
        return cls(id_, at, kind, target, title, tuple(lines), {**facts, "host": host})

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "target": self.target,
            "title": self.title,
            "lines": list(self.lines),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, data: Json) -> Self:
        """Read what `to_json` gave."""
        at = datetime.fromisoformat(data["at"])
        return cls(
            data["id"], at, data["kind"], data["target"], data["title"], tuple(data["lines"]), dict(data["facts"])
        )


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes the notices of one moment and one host; `zone` is that of the moments in their lines."""

    now: datetime
    hostname: str
    zone: tzinfo

    def notice(self, kind: str, target: str, title: str, lines: Iterable[str], facts: Mapping[str, Json]) -> Notice:
        return Notice.of(kind, target, title, lines, facts, self.now, self.hostname)


def digest_of(notices: Sequence[Notice], at: datetime, zone: tzinfo = UTC) -> Notice:
    """Return one notice with the text of all these; its facts hold each of them, with its own id.

    `zone`: that of the moments in its lines.
    """
    lines = []
    for notice in notices:
        lines.append(f"{second(notice.at, zone)}  {notice.title}")
        lines += [f"    {line}" for line in notice.lines]
    id_ = fingerprint([notice.id for notice in notices]).hex()
    title = f"{len(notices)} notices in one: there were more than may be sent in an hour"
    return Notice(id_, at, "digest", "", title, tuple(lines), {"notices": [_for_programs(each) for each in notices]})


def _for_programs(notice: Notice) -> dict[str, Json]:
    return {
        "event": notice.kind,
        "target": notice.target or None,
        "id": notice.id,
        "at": timestamp(notice.at),
        "title": notice.title,
        "facts": dict(notice.facts),
    }


# -- for a chat --------------------------------------------------------------------------------------


def webhook_body(notice: Notice) -> dict[str, Json]:
    """Return the body of the post: Slack, and services that take its format, show `text`; the rest is for programs."""
    shown: list[str] = []
    length = 0
    for line in map(_defused, (notice.title, *notice.lines)):
        length += len(line) + 1
        if length > _TEXT:
            shown.append("…")
            break
        shown.append(line)
    return {"text": "\n".join(shown), **_for_programs(notice)}


def _defused(line: str) -> str:
    """Return a line without active markup: Slack reads `<!channel>` and `<http://…|text>` as markup."""
    escaped = _shown(line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALLS.sub("\uff20", escaped)


# -- for a mailbox -----------------------------------------------------------------------------------


def email(notice: Notice, sender: str, to: Sequence[str], host: str, zone: tzinfo = UTC) -> EmailMessage:
    """Return the e-mail: plain text, with the notice's id as its Message-ID, and marked as nobody's to answer."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = email_subject(notice)
    message["From"] = Address("syncd", addr_spec=sender)
    message["To"] = [Address(addr_spec=each) for each in to]
    message["Date"] = format_datetime(notice.at.astimezone(zone))
    message["Message-ID"] = f"<{notice.id}@{re.sub(r'[^A-Za-z0-9.-]', '-', host) or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no notice of absence comes back
    message["X-Syncd-Event"] = re.sub(r"[^a-z_]", "-", notice.kind)
    message.set_content(email_text(notice, zone), charset="utf-8", cte="quoted-printable")
    return message


def email_subject(notice: Notice) -> str:
    """Return the title as one line: characters that could end a header and begin another are escaped."""
    return f"[syncd] {_cut(_shown(notice.title), _TITLE)}"


def email_text(notice: Notice, zone: tzinfo = UTC) -> str:
    """Return the text, its lines folded where there are blanks; no line is hidden in another."""
    paragraphs = [*_folded(notice.title), ""]
    for line in notice.lines:
        paragraphs += _folded(line)
    host = _shown(str(notice.facts.get("host", "")))
    return "\n".join([*paragraphs, "", "-- ", f"syncd{f' at {host}' if host else ''}, {second(notice.at, zone)}", ""])


def _folded(line: str) -> list[str]:
    shown = _shown(line)
    indent = " " * (len(shown) - len(shown.lstrip(" ")) + 2)
    return textwrap.wrap(
        shown,
        _COLUMNS,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]


def _shown(line: str) -> str:
    return visible(_cut(line, _LINE))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


__all__ = ["Composer", "Notice", "digest_of", "email", "email_subject", "email_text", "webhook_body"]
