"""`syncd check`: reach everything the configuration names, and report its capabilities. Writes to neither side.

It says first what a run would say later: whether a target still is the place that its links belong to, and whether two
targets are one place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from socket import gethostname
from typing import Final

from syncd.cli.shared import stop_sentence
from syncd.cli.sharing import Account, may_be_one_host, shared_places
from syncd.core.limits import CONTENT_MOVES
from syncd.core.model import Json, Kind, Known, KnownGroup, State
from syncd.core.place import announcement_mark, seen_in_words, sorts_of
from syncd.cycle.whereabouts import reasons, to_record, visit
from syncd.errors import (
    ConfigurationError,
    ScimError,
    StateError,
    SyncdError,
    TargetElsewhere,
    TargetError,
    TargetGone,
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
from syncd.store import Snapshot, StateFile

_NOT_SERVED: Final = (ScimError, TargetRefused, TargetUnusable)
"""Responses for a missing optional endpoint, after users were listed: 404, 403 or a web page."""
_LOOKED_AT: Final = 20
"""The number of users, and of groups, that are listed."""
_COMPARED: Final = 20
"""The number of linked users, and of groups, whose ids are compared with those that are listed."""
_SORTS_NAMED: Final = 3


@dataclass
class Finding:
    """The findings at one end: facts by label, and the error if any."""

    what: str
    facts: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def add_error(self, error: str) -> None:
        """Add an error to those that were found before."""
        self.error = f"{self.error}\n{error}" if self.error else error


@dataclass
class Checked:
    """A target's finding, and the accounts that were listed there."""

    finding: Finding
    accounts: Sequence[Account] = ()


def check_all(setup: Setup, state: StateFile, targets: Sequence[Target]) -> list[Finding]:
    """Check the state file, the source and every target; a failure doesn't prevent the other checks."""
    zone = setup.settings.schedule.zone
    checked = {target.name: asyncio.run(_target(target, state, zone)) for target in targets}
    accounts = {name: each.accounts for name, each in checked.items()}
    for other in setup.targets:
        if other.name not in checked and any(may_be_one_host(other, target) for target in targets):
            accounts[other.name] = asyncio.run(_accounts_of(other))
    findings = {name: each.finding for name, each in checked.items()}
    _say_what_is_shared(setup.targets, findings, accounts)
    return [_state(state), _source(setup), *findings.values()]


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


async def _target(target: Target, state: StateFile, zone: tzinfo) -> Checked:
    finding = Finding(f"target {target.name}", {"address": target.base_url, "profile": _profile(target)})
    checked = Checked(finding)
    if target.proxy:
        finding.facts["by way of"] = target.proxy
    if first := _before_delete(target):
        finding.facts["before delete"] = first
    snapshot = state.snapshot(target.name)
    if why := reasons(target, snapshot):
        finding.facts["place"] = f"may be another one: {', and '.join(why)}"
    if (stop := snapshot.stop) is not None:
        finding.facts["stopped"] = stop_sentence(stop.cause, stop.reason, stop.since, zone).removeprefix("stopped ")
    try:
        async with target.transport({}) as transport:
            await _explore(target, target.client(transport, {}), state, checked)
    except (TargetError, SyncdError) as error:
        finding.add_error(str(error))
    except ScimError as error:
        finding.add_error(f"{target.base_url}: does not answer as a SCIM service provider: {error}\n  check base_url")
    return checked


async def _explore(target: Target, client: Client, state: StateFile, checked: Checked) -> None:
    """Ask for users first: an endpoint may serve its discovery to anybody, with any token."""
    finding = checked.finding
    users = await client.count(Kind.USER)
    groups: str | int
    try:
        groups = await client.count(Kind.GROUP)
    except ScimError as error:
        groups = f"not served ({error.status})"
    finding.facts["holds"] = f"{users} users, {groups} groups"
    listed = {kind: await _first_page(client, kind) for kind in Kind}
    checked.accounts = [Account.of(body) for body in listed[Kind.USER] or ()]
    config = await _discover(client, "ServiceProviderConfig")
    await _say_the_place(target, client, state, announcement_mark(config), finding)
    _say_sorts_of_ids(state.snapshot(target.name), listed, finding)
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
    finding.facts["members"] = _members(target, listed[Kind.GROUP])
    finding.facts["own account"] = await _own_account(client)
    _say_whom_it_concerns(target, state, finding)
    served = [name for name in ("Schemas", "ResourceTypes") if await _discover(client, name) is not None]
    finding.facts["discovery"] = ", ".join(served) or "neither Schemas nor ResourceTypes"


async def _say_the_place(target: Target, client: Client, state: StateFile, announcement: str, finding: Finding) -> None:
    """Say whether the target still is the place that its links belong to, as a run would find it, and record it.

    The endpoint's announcement counts only here: a run doesn't read it each time.
    """
    snapshot = state.snapshot(target.name)
    why = reasons(target, snapshot, announcement)
    changed = ", and ".join(why)
    try:
        visited = await visit(target, state, client, announcement)
    except (TargetGone, TargetElsewhere) as error:
        other = "another integration answers" if isinstance(error, TargetElsewhere) else "what is managed is gone"
        finding.facts["place"] = f"may be another one: {changed}" if why else other
        finding.add_error(str(error))
        return
    if snapshot.is_empty:
        finding.facts["place"] = "new: nothing is managed there yet"
    else:
        seen = seen_in_words(visited.tallies) or "there was nothing to ask for"
        finding.facts["place"] = f"the same, though {changed}: {seen}" if why else f"unchanged: {seen}"
    with state.atomic():
        snapshot.set_place(to_record(target, snapshot, announcement))


def _say_sorts_of_ids(snapshot: Snapshot, listed: Mapping[Kind, Sequence[Json] | None], finding: Finding) -> None:
    """Say where listed ids look different from those of the links: it is another place, or was set up anew."""
    linked: dict[Kind, Sequence[Known | KnownGroup]] = {
        Kind.USER: snapshot.sample_users([State.ACTIVE], _COMPARED),
        Kind.GROUP: snapshot.sample_groups(_COMPARED),
    }
    told = []
    for kind, bodies in listed.items():
        there = sorts_of(str(id_) for body in bodies or () if (id_ := member(body, "id")))
        ours = sorts_of(known.id for known in linked[kind])
        if there and ours and not set(there) & set(ours):
            told.append(f"{kind.value}s there look like {_quoted(there)}, the linked ones like {_quoted(ours)}")
    if told:
        finding.facts["ids"] = "; ".join(told)


def _quoted(sorts: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorts[:_SORTS_NAMED])


async def _accounts_of(target: Target) -> Sequence[Account]:
    """Return the first accounts listed at a target that is not checked itself; none where it can't be read."""
    try:
        async with target.transport({}) as transport:
            return [Account.of(body) for body in await _first_page(target.client(transport, {}), Kind.USER) or ()]
    except (SyncdError, ScimError):
        return []


def _say_what_is_shared(
    targets: Sequence[Target], findings: Mapping[str, Finding], accounts: Mapping[str, Sequence[Account]]
) -> None:
    """Refuse two targets that are one place, unless one says why: each would put back what the other one writes."""
    found = list(shared_places(targets, findings, accounts))
    for shared in found:
        finding = findings[shared.target]
        if shared.is_said:
            finding.facts[f"shared with {shared.other}"] = f"{shared.what}, on purpose: {shared.reason}"
        else:
            finding.add_error(
                f"{shared.target} and {shared.other} are one place ({shared.what}): each would put back what the other "
                "one writes\n  correct or remove one of the two; if both are wanted, say why in one of them: "
                'shares_address = "…"'
            )
    alone = {target.name for target in targets if target.shares_address}
    for name in alone.intersection(findings).difference(*({each.target, each.other} for each in found)):
        if not findings[name].error:
            findings[name].facts["shared with"] = "no other target: shares_address can be left out"


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


def _members(target: Target, groups: Sequence[Json] | None) -> str:
    """Return whether a group's members can be read: unreadable members are left out of a full resync's findings.

    `groups`: those of the first page; None where none is served.
    """
    match target.rules.profile.members_read:
        case "nothing":
            return "are never shown: a full resync leaves them as they are"
        case "filter":
            return "can be read by a filter over the users: a request for each group"
        case "group":
            return "can be read"
    if groups is None:
        return "unknown: groups can't be listed"
    if not groups:
        return "unknown: there is no group yet"
    if any(member(each, "members") for each in groups):
        return "can be read"
    return f"none shown in {len(groups)} groups: a full resync leaves them as they are until one shows some"


async def _first_page(client: Client, kind: Kind) -> Sequence[Json] | None:
    """Return the first resources that are listed; None where the list is refused. Raises TargetError."""
    try:
        answer = await client.transport.send("GET", ENDPOINTS[kind], query={"count": str(_LOOKED_AT)})
    except ScimError:
        return None
    listed = member(answer.body, "Resources")
    return listed if isinstance(listed, list) else []


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
