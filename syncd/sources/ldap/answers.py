"""The meaning of a server's answer for a reading: result codes as errors, with the server's words and advice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from syncd.errors import SourceError, SourceIncomplete, SourceMismatch, SourceRefused, SourceUnreachable

Result = Mapping[str, Any]
"""ldap3's form of an LDAPResult: result (its code), description, dn (the matched one), message, referrals."""

SUCCESS: Final = 0
SIZE_LIMIT: Final = 4
REFERRAL: Final = 10
NO_SUCH_OBJECT: Final = 32
INVALID_CREDENTIALS: Final = 49
BUSY, UNAVAILABLE = 51, 52

_LIMITS: Final = (
    "let the bind account read without limits: OpenLDAP `limits dn.exact=… size=unlimited time=unlimited`, 389 DS "
    "nsSizeLimit, nsTimeLimit and nsLookThroughLimit of the account, Active Directory MaxPageSize and MaxQueryDuration"
)
_CREDENTIALS: Final = "check bind_dn and password; no other server was tried, so as not to lock the account"

# RFC 4511 section 4.1.9: code -> the meaning for a search, and the advice.
_SEARCH: Final[dict[int, tuple[type[SourceError], str]]] = {
    1: (SourceRefused, "Active Directory answers this to an anonymous search: set bind_dn and password"),
    3: (SourceIncomplete, _LIMITS),
    SIZE_LIMIT: (SourceIncomplete, _LIMITS),
    8: (SourceRefused, "use ldaps:// or start_tls = true, and set bind_dn and password"),
    REFERRAL: (SourceMismatch, "name the server that holds the base in `urls`; referrals aren't followed"),
    11: (SourceIncomplete, _LIMITS),
    12: (SourceMismatch, "the server must support paged results (RFC 2696)"),
    13: (SourceRefused, "use ldaps:// or start_tls = true"),
    18: (SourceMismatch, "the server can't evaluate the filter; simplify it"),
    NO_SUCH_OBJECT: (SourceMismatch, "correct the base, or let the bind account see it"),
    34: (SourceMismatch, "correct the base"),
    48: (SourceRefused, "set bind_dn and password"),
    INVALID_CREDENTIALS: (SourceRefused, "check bind_dn and password"),
    50: (SourceRefused, "let the bind account read users and groups"),
    BUSY: (SourceUnreachable, "try again later, or name another server"),
    UNAVAILABLE: (SourceUnreachable, "try again later, or name another server"),
    53: (SourceIncomplete, "the server's log says why; a limit on paged results (size.prtotal) is the usual reason"),
}

# Active Directory's reasons behind invalidCredentials: `AcceptSecurityContext error, data 52e`.
_AD_REASONS: Final = {
    "525": "there is no such account",
    "52e": "wrong password",
    "530": "the account may not log in at this hour",
    "531": "the account may not log in from this machine",
    "532": "the account's password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the account must change its password first",
    "775": "the account is locked",
}


def plain(text: str) -> str:
    """Return a server's text fit for one line: no control characters, no more than 300 characters."""
    cleaned = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return cleaned if len(cleaned) <= 300 else cleaned[:299] + "…"


def words(result: Result) -> str:
    """Return the server's own words: the name of the code, its number, and the diagnostic message if any."""
    said = plain(result["message"] or "")
    return f"{result['description']} ({result['result']})" + (f": “{said}”" if said else "")


def search_error(url: str, task: str, result: Result, read: int) -> SourceError:
    """Return the error for a search that did not succeed, `read` entries into it."""
    kind, hint = _SEARCH.get(result["result"], (SourceIncomplete, "the server's log may say why"))
    if read:
        return SourceIncomplete(url, f"{task} broke off after {read} entries: {words(result)}", hint=hint)
    said = words(result)
    if result["result"] == REFERRAL:
        said += f"; it refers to {', '.join(plain(url) for url in result['referrals'] or ()) or 'another server'}"
    if result["result"] == NO_SUCH_OBJECT and result["dn"]:
        hint += f"; it exists only down to {plain(result['dn'])}"
    return kind(url, f"{task}: {said}", hint=hint)


def bind_error(url: str, name: str, result: Result) -> SourceError:
    """Return the error for a failed bind: SourceUnreachable where another server may succeed."""
    if result["result"] in (BUSY, UNAVAILABLE):
        return SourceUnreachable(url, f"takes no bind now: {words(result)}")
    if result["result"] == INVALID_CREDENTIALS:
        hidden = re.search(r"\bdata ([0-9a-f]{3})\b", result["message"] or "")
        reason = _AD_REASONS.get(hidden[1], "") if hidden else ""
        said = words(result) + (f"; that means: {reason}" if reason else "")
        return SourceRefused(url, f"refuses the bind as {name}: {said}", hint=_CREDENTIALS)
    who = name or "anonymous"
    hint = {
        8: "use ldaps:// or start_tls = true",
        13: "use ldaps:// or start_tls = true",
        34: "bind_dn is no DN that this server understands",
        48: "the server takes no simple bind of this account, or none without an account: set bind_dn and password",
    }.get(result["result"], "the server's log may say why")
    return SourceRefused(url, f"refuses the bind as {who}: {words(result)}", hint=hint)
