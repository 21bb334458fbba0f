"""`syncd check`: reach everything the configuration names, and report its capabilities. Writes to neither side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from socket import gethostname
from typing import Final

from syncd.core.limits import CONTENT_MOVES
from syncd.core.model import Json, Kind
from syncd.errors import (
    ConfigurationError,
    ScimError,
    StateError,
    SyncdError,
    TargetError,
    TargetRefused,
    TargetUnusable,
)
from syncd.redaction import redact
from syncd.scim.client import ENDPOINTS, Client
from syncd.scim.dialect import Dialect
from syncd.scim.discovery import Announcement, announced, differences, in_toml, overridden
from syncd.scim.profiles import Profile
from syncd.scim.resources import field as member
from syncd.settings.build import Setup, Target
from syncd.store import StateFile

_NOT_SERVED: Final = (ScimError, TargetRefused, TargetUnusable)
"""Responses for a missing optional endpoint, after users were listed: 404, 403 or a web page."""
_LOOKED_AT: Final = 20
"""The number of groups whose members are read."""


@dataclass
class Finding:
    """The findings at one end: facts by label, and the error if any."""

    what: str
    facts: dict[str, str] = field(default_factory=dict)
    error: str = ""


def check_all(setup: Setup, state: StateFile, targets: Sequence[Target]) -> list[Finding]:
    """Check the state file, the source and every target; a failure doesn't prevent the other checks."""
    return [_state(state), _source(setup), *(asyncio.run(_target(target, state)) for target in targets)]


def with_forgotten(findings: Sequence[Finding], forgotten: Sequence[Json]) -> None:
    """Report at each target what `--relearn` dropped."""
    found = {finding.what: finding for finding in findings}
    for each in forgotten:
        dropped = "; ".join(each["forgotten"]) or "nothing: nothing had been learned"
        found[f"target {each['target']}"].facts["forgotten"] = dropped


def refused(error: SyncdError) -> dict[str, list[dict[str, Json]]]:
    """Return the answer in JSON where nothing can be checked: each error with file, line, key and message.

    Line and key are None where the error is about no line, or about no key.
    """
    if not isinstance(error, ConfigurationError):
        return {"errors": [{"file": None, "line": None, "key": None, "message": redact(str(error))}]}
    return {
        "errors": [
            {
                "file": error.file,
                "line": fault.line,
                "key": redact(fault.key) or None,
                "message": redact(fault.problem),
            }
            for fault in error.faults
        ]
    }


def check_notices(setup: Setup) -> list[Finding]:
    """Send a test notice by every configured channel."""
    from syncd.notify.channels import channels
    from syncd.notify.sender import send_test

    found = channels(setup.settings.notify, setup.file, gethostname(), setup.settings.schedule.zone)
    if not found:
        return [Finding("notices", error="no way is configured: `[notify.webhook]`, `[notify.email]`")]
    answers = asyncio.run(send_test(found, gethostname()))
    return [
        Finding(f"notices by {name}", {"test": "sent"} if not error else {}, error) for name, error in answers.items()
    ]


def _state(state: StateFile) -> Finding:
    finding = Finding("state", {"file": str(state.path)})
    try:
        state.check()
    except StateError as error:
        finding.error = str(error)
    return finding


def _source(setup: Setup) -> Finding:
    finding = Finding("source")
    try:
        finding.facts.update(setup.source.check(setup.wanted))
    except SyncdError as error:
        finding.error = str(error)
    return finding


async def _target(target: Target, state: StateFile) -> Finding:
    finding = Finding(f"target {target.name}", {"address": target.base_url, "profile": _profile(target)})
    if target.proxy:
        finding.facts["by way of"] = target.proxy
    if first := _before_delete(target):
        finding.facts["before delete"] = first
    try:
        async with target.transport({}) as transport:
            await _explore(target, target.client(transport, {}), state, finding)
    except (TargetError, SyncdError) as error:
        finding.error = str(error)
    except ScimError as error:
        finding.error = f"{target.base_url}: does not answer as a SCIM service provider: {error}\n  check base_url"
    return finding


async def _explore(target: Target, client: Client, state: StateFile, finding: Finding) -> None:
    """Ask for users first: an endpoint may serve its discovery to anybody, with any token."""
    users = await client.count(Kind.USER)
    groups: str | int
    try:
        groups = await client.count(Kind.GROUP)
    except ScimError as error:
        groups = f"not served ({error.status})"
    finding.facts["holds"] = f"{users} users, {groups} groups"
    config = await _discover(client, "ServiceProviderConfig")
    if config is None:
        finding.facts["announces"] = "nothing: it has no /ServiceProviderConfig (that does no harm)"
    else:
        said = announced(config)
        finding.facts["announces"] = str(said)
        if at_odds := " ".join(differences(target.rules.profile, said)):
            finding.facts["at odds"] = at_odds
        snapshot = state.snapshot(target.name)
        with state.atomic():
            snapshot.discover(said.facts(snapshot.discovery))
        finding.facts["updates by"] = _updates(target.rules.profile, said)
    _say_what_was_learned(target, state, finding)
    finding.facts["members"] = await _members(target, client)
    finding.facts["own account"] = await _own_account(client)
    _say_whom_it_concerns(target, state, finding)
    served = [name for name in ("Schemas", "ResourceTypes") if await _discover(client, name) is not None]
    finding.facts["discovery"] = ", ".join(served) or "neither Schemas nor ResourceTypes"


def _before_delete(target: Target) -> str:
    """Return what must succeed before somebody is deleted, "" where nobody is deleted or nothing has to."""
    rules, hook = target.rules, target.before_delete
    if hook is not None:
        unused = "" if rules.delete_after is not None else " (`delete_after` is unset: nobody is deleted by age)"
        return f"{hook.words}, which must succeed first{unused}"
    if rules.delete_after is not None and rules.profile.delete_moves_content:
        return f"nothing is named, so each deletion waits for a person: {CONTENT_MOVES}"
    return ""


def _profile(target: Target) -> str:
    """Return the profile's name, and what is overridden."""
    profile = target.rules.profile
    other = ", ".join(in_toml(name, value) for name, value in overridden(profile).items())
    return f"{profile.name}, overridden: {other}" if other else profile.name


def _updates(profile: Profile, said: Announcement) -> str:
    """Return how changes are written; the endpoint's announcement counts where the profile is silent."""
    if profile.patch is not None:
        return "PATCH" if profile.patch else "reading, merging and PUT (as the profile says)"
    return "PATCH" if said.patch is not False else "reading, merging and PUT (it announces no PATCH)"


async def _members(target: Target, client: Client) -> str:
    """Return whether a group's members can be read: unreadable members are left out of a full resync's findings."""
    match target.rules.profile.members_read:
        case "nothing":
            return "are never shown: a full resync leaves them as they are"
        case "filter":
            return "can be read by a filter over the users: a request for each group"
        case "group":
            return "can be read"
    try:
        listed = (await client.transport.send("GET", ENDPOINTS[Kind.GROUP], query={"count": str(_LOOKED_AT)})).body
    except ScimError:
        return "unknown: groups can't be listed"
    groups = member(listed, "Resources")
    if not isinstance(groups, list) or not groups:
        return "unknown: there is no group yet"
    if any(member(each, "members") for each in groups):
        return "can be read"
    return f"none shown in {len(groups)} groups: a full resync leaves them as they are until one shows some"


async def _own_account(client: Client) -> str:
    """Name the token's own account (RFC 7644 section 3.11), which is never deactivated."""
    try:
        me = (await client.transport.send("GET", "Me")).body
    except _NOT_SERVED:
        me = None
    id_ = member(me, "id")
    if not id_:
        return "not told by the endpoint (no /Me); name it in `protect` if the source has it"
    name = member(me, "userName")
    return f"{name if isinstance(name, str) else id_}: never switched off"


def _say_what_was_learned(target: Target, state: StateFile, finding: Finding) -> None:
    """Report the endpoint's dialect; one that was learned under another profile counts as forgotten."""
    discovery, profile = state.snapshot(target.name).discovery, target.rules.profile
    if Dialect.is_outdated(discovery, profile):
        finding.facts["learned"] = "nothing: the profile or an override has changed since, and all of it is forgotten"
    elif learned := Dialect.known(discovery, profile).in_words():
        finding.facts["learned"] = f"{'; '.join(learned)} (`syncd check --relearn` forgets it)"


def _say_whom_it_concerns(target: Target, state: StateFile, finding: Finding) -> None:
    """Report verified and protected people, and the entries of `protect` that match nobody."""
    domains = target.rules.selection.domains.patterns
    finding.facts["verified"] = ", ".join(domains) or "no domains are listed: nobody is external"
    if not target.rules.protect:
        return
    snapshot = state.snapshot(target.name)
    unknown = {who for who in target.rules.protect if not snapshot.find(who)}
    for batch in snapshot.all_users() if unknown else ():
        unknown.difference_update(user.key.casefold() for user in batch)  # `find` needs the exact case of a key
    if not any(snapshot.counts().values()):
        finding.facts["protected"] = f"{len(target.rules.protect)} named; nobody is managed yet"
    elif unknown:
        finding.facts["protected"] = f"nobody who is managed is called {', '.join(sorted(unknown))}: see `protect`"
    else:
        finding.facts["protected"] = ", ".join(sorted(target.rules.protect))


async def _discover(client: Client, endpoint: str) -> Json:
    try:
        return await client.discovery(endpoint)
    except _NOT_SERVED:
        return None
