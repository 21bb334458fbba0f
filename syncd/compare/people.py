"""One target's comparison: a stream of source entries against its snapshot, ending in a Plan.

Owns the order of the steps and what must be remembered on the way (a byte per known user, a number per
account); what a difference means is decided in the core.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Final

from syncd.compare.addresses import Claims, Clash
from syncd.compare.estimate import estimate
from syncd.compare.groups import Accounts, GroupComparison
from syncd.compare.rules import Decisions, SnapshotUpdates, SourceRules, TargetRules, counts_of
from syncd.core.context import Context
from syncd.core.diff import manager_apart, user_changes
from syncd.core.digest import entry_digest, fingerprint
from syncd.core.drift import Drift, Reaction
from syncd.core.mapping import EntryUnusable, desired_user
from syncd.core.matching import Doubt, Match, first, judge
from syncd.core.model import Desired, Entry, Evidence, Flat, GroupEntry, Kind, Known, Problem, State, is_on
from syncd.core.plan import Action, Change, Plan, Trouble, ordered
from syncd.core.policy import DEFAULT_LIMITS, EMPTY_SOURCE, Class, Situation, decide
from syncd.core.schema import MANAGER
from syncd.store import Observation, Snapshot
from syncd.store.context import groups_of_changes, people_of

_SHRUNK: Final = "shrunk_source"
_DISTRUST: Final = frozenset({EMPTY_SOURCE, _SHRUNK})
_ENOUGH_TO_JUDGE: Final = 20
"""From this many people or memberships on, less than half of them the next time is not to be believed."""


class Comparison:
    """Feed it `users` to the end, then `groups`, then take the `plan`.

    `observation` is what a full resync read of the target; the snapshot then says what the target has now.
    """

    def __init__(
        self,
        source: SourceRules,
        target: TargetRules,
        snapshot: Snapshot,
        now: datetime,
        *,
        decisions: Decisions = Decisions(),  # noqa: B008  # frozen
        observation: Observation | None = None,
        remember: Callable[[Sequence[Entry]], None] = lambda _: None,
    ) -> None:
        self.name = target.name
        self.snapshot_updates = SnapshotUpdates(entries=True)
        self._source = source
        self._target = target
        self._user_paths = source.users.paths
        self._deletes = target.profile.deletes == "deletes"
        self._pending = target.pending if self._deletes else replace(target.pending, withdrawn_by_delete=False)
        self._snapshot = snapshot
        self._now = now
        self._decisions = decisions
        self._observation = observation
        self._remember = remember
        self._serial = snapshot.serial
        self._counts = snapshot.counts()
        self._scheme = fingerprint(target.scheme)
        self._seen = bytearray(snapshot.highest_ref() + 1)
        kept_back = () if target.profile.pending_memberships else snapshot.pending_keys()
        self._accounts = Accounts(kept_back)
        self._claims = Claims()
        self._mapped: set[str] = set()
        self._off: set[str] = set()
        self._changes: dict[str, list[Change]] = {}
        self._doubts: dict[str, Doubt] = {}
        self._adopted: dict[str, str] = {}  # id at the target -> key that takes it over
        self._unusable: set[str] = set()
        self._problems: list[Trouble] = []
        self._gone: set[str] = set()
        self._unproven: set[str] = set()
        self._missing: dict[str, datetime] = {}
        self._evidence: Evidence | None = None
        self._groups = GroupComparison(
            source, target, snapshot, now, self._accounts, self.snapshot_updates, observation
        )

    # -- people ----------------------------------------------------------------------------------

    def users(self, batch: Sequence[Entry | Problem]) -> None:
        """Compare the next people of the source."""
        entries = []
        for item in batch:
            if isinstance(item, Problem):
                self._problem(item)
            else:
                entries.append(item)
        if self._unusable:  # a problem may come after the row that it casts doubt on
            entries = [entry for entry in entries if entry.key not in self._unusable]
        row_summaries = self._snapshot.row_summaries([entry.key for entry in entries])
        differing: list[tuple[Entry, bytes]] = []
        unchanged: list[str] = []
        undecided = self._decisions.undecided
        for entry in entries:
            digest = entry_digest(entry.attributes, self._scheme)
            row_summary = row_summaries.get(entry.key)
            if row_summary is not None:
                self._seen[row_summary.ref] = 1
                if row_summary.missing:
                    self.snapshot_updates.back.append(entry.key)
                if row_summary.digest == digest:
                    unchanged.append(entry.key)
                    if entry.key in undecided:
                        self._remember([entry])
                    continue
            differing.append((entry, digest))
        self._accounts.have_unchanged(unchanged)
        if differing:
            self._remember([entry for entry, _ in differing])
            self._differing(differing, self._snapshot.users([e.key for e, _ in differing if e.key in row_summaries]))

    def _differing(self, differing: Iterable[tuple[Entry, bytes]], known: Mapping[str, Known]) -> None:
        """Map the entries that changed and decide what follows."""
        mapped = []
        for entry, digest in differing:
            try:
                desired = desired_user(entry, self._source.users, self._source.active, self._target.selection)
            except EntryUnusable as error:
                self._problems.append(Trouble(entry.key, str(error), entry.where))
                if entry.key in known:
                    self._accounts.have_unchanged([entry.key])
                continue
            mapped.append((entry, desired, digest))
        managers = {desired.attributes[MANAGER] for _, desired, _ in mapped if MANAGER in desired.attributes}
        linked = self._snapshot.ids(Kind.USER, sorted(managers))
        for entry, desired, digest in mapped:
            before = known.get(desired.key)
            match = self._match(entry, desired) if before is None or before.lost else None
            self._follow(desired, before, digest.hex(), linked, match)
            if desired.state is State.DEACTIVATED:
                self._off.add(desired.key)
            else:
                self._mapped.add(desired.key)
                self._claims.claim(desired.key, desired.name, self._source.users.email(desired.attributes))

    def _follow(
        self,
        desired: Desired,
        before: Known | None,
        digest: str,
        linked: Collection[str],
        match: Match | Doubt | None,
    ) -> None:
        """Note what follows for one user who was mapped."""
        owned = before and replace(before, attributes=_owned(before.attributes, self._user_paths))
        following = user_changes(desired, owned, self._pending, digest, linked, match)
        key, changes = desired.key, following.changes
        if following.forget:
            self.snapshot_updates.forgotten.append(key)
            return
        if changes:
            self._changes[key] = changes
        elif before is not None:
            self.snapshot_updates.digests[key] = bytes.fromhex(digest)
        if following.doubt is not None:
            self._doubts[key] = following.doubt
        if isinstance(match, Match) and changes:
            self._adopted[match.account.id] = key
        if changes or before is not None:
            state = changes[0].state if changes else before.state if before else None
            if state is not State.PENDING or self._target.profile.pending_memberships:
                self._accounts.have([key])
        if before and before.state is State.ACTIVE and desired.state is State.PENDING and changes:
            email = self._source.users.email
            if email(before.attributes) != email(desired.attributes):
                reason = f"{desired.name} is active, and the new address is outside the verified domains"
                self._doubts.setdefault(key, Doubt("external_domain", reason))

    def _match(self, entry: Entry, desired: Desired) -> Match | Doubt | None:
        """Return whose account at the target somebody takes over who is not linked to any; None where nobody looked.

        For somebody who is disabled or not wanted only an account with our own mark counts.
        """
        observation = self._observation
        if observation is None:
            return None
        key, off = desired.key, desired.state is State.DEACTIVATED
        mapping = self._source.users
        external_id = mapping.external_id(key, entry.attributes)

        def judged() -> Iterator[Match | Doubt | None]:
            if external_id:
                found = observation.find_users("externalId", external_id)
                yield judge("externalId", found, key, external_id, self._owner)
            if not off:
                found = observation.find_users("userName", desired.name)
                yield judge("userName", found, key, external_id, self._owner)
            if not off and self._target.profile.adopt_by_email and self._target.is_verified(desired.attributes):
                found = observation.find_users("e-mail", mapping.email(desired.attributes))
                yield judge("e-mail", found, key, external_id, self._owner)

        match = first(judged())
        return match if isinstance(match, Match) or not off else None

    def _owner(self, id_: str) -> str | None:
        """Return the key that an account is linked to, or that takes it over in this plan."""
        return self._adopted.get(id_) or self._snapshot.key_of(Kind.USER, id_)

    def _problem(self, problem: Problem) -> None:
        """Report it, and leave whoever it may belong to exactly as they are."""
        self._problems.append(Trouble(problem.key, problem.problem, problem.where, problem.kind.value))
        if problem.kind is not Kind.USER:
            return
        protected = problem.protected
        for key, row_summary in self._snapshot.row_summaries(protected).items():
            self._seen[row_summary.ref] = 1
            if row_summary.missing:
                self.snapshot_updates.back.append(key)
        self._unusable.update(protected)
        for key in protected:
            self._leave_alone(key)
            self._accounts.discard(key)

    def _leave_alone(self, key: str) -> None:
        self._changes.pop(key, None)
        self._doubts.pop(key, None)
        self.snapshot_updates.digests.pop(key, None)

    # -- who is gone -----------------------------------------------------------------------------

    def vanished(self, kind: Kind, groups: Collection[str]) -> list[str]:
        """Return the keys that were not among those read (of groups: `groups`), where something would follow."""
        if kind is Kind.GROUP:
            return [key for key, known in self._groups.known.items() if key not in groups and not known.lost]
        due = {known.key for known in self._due()}
        return [
            known.key
            for known in self._snapshot.unseen(self._seen)
            if not known.lost
            and (known.state is not State.DEACTIVATED or is_on(known.attributes.get("active")) or known.key in due)
        ]

    def _due(self) -> list[Known]:
        """Return those who have been switched off for so long that they are to be deleted."""
        after = self._target.delete_after
        return [] if after is None or not self._deletes else self._snapshot.deactivated_before(self._now - after)

    def groups(
        self,
        groups: Mapping[str, GroupEntry],
        problems: Iterable[Problem],
        evidence: Evidence,
        found: Mapping[Kind, Mapping[str, bool | None]],
    ) -> None:
        """Compare all groups of the source; everybody has been seen by now.

        `found` is what asking directly for the `vanished` brought, by kind.
        """
        self._evidence = evidence
        problems = list(problems)
        for problem in problems:
            self._problem(problem)
        self._vanished(evidence, found[Kind.USER])
        self._expired()
        self._resolve_claims()
        self._groups.compare(groups, problems, evidence, found[Kind.GROUP], self._gone, self._adopted)
        self._problems += self._groups.problems

    def _vanished(self, evidence: Evidence, found: Mapping[str, bool | None]) -> None:
        """Decide about the managed people whom the source no longer returns."""
        unread = 0
        for known in self._snapshot.unseen(self._seen):
            if not evidence.absence:
                unread += known.state is not State.DEACTIVATED
                self._unproven.add(known.key)
                continue
            there = found.get(known.key, False)
            if there is None:
                self._unproven.add(known.key)
                continue
            desired = None
            if there:
                reason = "the source has the entry, and no longer among the people it returns (moved, or filtered out)"
                desired = Desired(known.key, "", State.DEACTIVATED, {}, reason)
                self._off.add(known.key)
            else:
                self._gone.add(known.key)
            following = user_changes(desired, known, self._pending, "", ())
            if following.forget:
                self.snapshot_updates.forgotten.append(known.key)
            if following.changes:
                self._changes[known.key] = following.changes
                self._is_missing(known, there=bool(there))
        if unread:
            doubt = "were not seen, but an entry without a readable key was: nobody counts as gone"
            self._problems.append(Trouble("", f"{unread} managed people {doubt}", evidence.source))
        unproven = len(self._unproven) if evidence.absence else 0
        if unproven:
            doubt = "were not seen, and the source doesn't say whether they are there: none of them counts as gone"
            some = ", ".join(sorted(self._unproven)[:3])
            self._problems.append(Trouble("", f"{unproven} managed people ({some}) {doubt}", evidence.source))

    def _is_missing(self, known: Known, *, there: bool) -> None:
        """Note since when somebody is missing: the grace counts from then."""
        if there:
            return
        self._missing[known.key] = known.missing_since or self._now
        if known.missing_since is None:
            self.snapshot_updates.missing[known.key] = self._now

    def _expired(self) -> None:
        """Delete those who have been switched off for long enough, and are not wanted again."""
        for known in self._due():
            if known.key in self._changes or known.key in self._unusable or known.key in self._unproven:
                continue
            reason = f"switched off since {known.since:%Y-%m-%d}, and delete_after is over"
            change = Change(Action.DELETE_USER, known.key, known.name, dict(known.attributes), {}, reason)
            self._changes[known.key] = [change]
            self._accounts.discard(known.key)
            if known.key in self._gone:
                self._is_missing(known, there=False)

    # -- who has whose address -------------------------------------------------------------------

    def _resolve_claims(self) -> None:
        for found in self._claims.conflicts(self._snapshot, self._off | self._gone | self._unproven, self._mapped):
            if isinstance(found, Clash):
                for key, other in (found.keys, found.keys[::-1]):
                    problem = f"{found.address} is the address of {other} as well: neither of the two is changed"
                    if all((each.key, each.problem) != (key, problem) for each in self._problems):
                        self._problems.append(Trouble(key, problem))
                    self._leave_alone(key)
                    if self._snapshot.user(key) is None:
                        self._accounts.discard(key)
            else:
                self._succeed(found.key, found.former, found.address)

    def _succeed(self, key: str, former: str, address: str) -> None:
        """Hold what would give somebody the address of an account that was another's.

        For a new key, what a person may approve is to hand that account over.
        """
        changes = self._changes.get(key)
        account = self._snapshot.user(former)
        if not changes or account is None:
            return
        if changes[0].action is not Action.CREATE_USER:
            reason = f"{address} still is the address of the account of {former} ({account.state})"
            self._doubts.setdefault(key, Doubt("address", reason))
            return
        after: Flat = dict(chain.from_iterable(change.after.items() for change in changes))
        before = {path: account.attributes.get(path) for path in after}
        left = "left" if former in self._gone else "was not seen" if former in self._unproven else "is switched off"
        reason = f"hired again? {former}, who {left}, has an account with this address"
        takes_over = replace(
            changes[-1],
            action=Action.ADOPT_USER,
            before=before,
            after=after,
            reason=reason,
            resource=account.id,
            digest=changes[-1].digest,
        )
        self._changes[key] = [takes_over]
        self._accounts.discard(key)  # groups follow once it is decided
        self._doubts[key] = Doubt(
            "rehire", f"{reason}; approve if it is the same person: the account is handed over with all that is in it"
        )

    # -- the plan --------------------------------------------------------------------------------

    def plan(
        self,
        kind: str = "sync",
        *,
        drift: Sequence[Drift] = (),
        accepted: Sequence[str] = (),
        doubts: Sequence[str] = (),
    ) -> Plan:
        """Return what is to be done, ordered, limited and counted; with what a full resync found and doubts."""
        changes = [change for changes in self._changes.values() for change in self._managers(changes)]
        changes += self._groups.changes
        if drift:
            changes = _told_apart(changes, drift)
        everything = ordered(changes)
        situation = self._situation(changes)
        verdict = decide(everything, self._target.policy, situation)
        if self._evidence is not None and not any(each.limit in _DISTRUST for each in verdict.held):
            self.snapshot_updates.counts = counts_of(self._evidence)
        return Plan(
            target=self.name,
            kind=kind,
            created=self._now,
            base_serial=self._serial,
            changes=tuple(map(self._with_approval, verdict.allowed)),
            held=tuple(verdict.held),
            rejected=tuple(verdict.rejected),
            drift=tuple(drift),
            accepted=tuple(accepted),
            problems=(*self._problems, *(Trouble("", doubt, self.name, "target") for doubt in doubts)),
            estimate=estimate(verdict.allowed, self._target, self._snapshot, drift),
            managed=situation.managed_users,
            evidence=self._evidence,
            scheme=self._scheme.hex(),
            context=Context(
                situation.managed_groups,
                verdict.limits,
                people_of(self._snapshot, everything),
                groups_of_changes(self._snapshot, everything),
            ),
        )

    def nothing(self, kind: str = "sync") -> Plan:
        """Return the plan where nothing is compared: nothing to do."""
        counts = self._counts
        return Plan(
            target=self.name,
            kind=kind,
            created=self._now,
            base_serial=self._serial,
            changes=(),
            managed=counts[State.ACTIVE] + counts[State.PENDING],
            scheme=self._scheme.hex(),
        )

    def _situation(self, changes: Sequence[Change]) -> Situation:
        managed = self._counts[State.ACTIVE] + self._counts[State.PENDING]
        members_of = {
            change.key: self._snapshot.members(change.key)[0]
            for change in changes
            if change.action is Action.DELETE_GROUP
        }
        making = {
            change.id: (change.action.kind, change.key)
            for change in (changes if self._decisions.declined or self._decisions.doubted else ())
            if change.action.creates
        }
        declined = {
            id_: self._decisions.declined[who] for id_, who in making.items() if who in self._decisions.declined
        }
        asked = {who: self._decisions.doubted[who] for who in making.values() if who in self._decisions.doubted}
        doubts = {key: doubt for (kind, key), doubt in asked.items() if kind is Kind.USER}
        group_doubts = {key: doubt for (kind, key), doubt in asked.items() if kind is Kind.GROUP}
        return Situation(
            now=self._now,
            managed_users=managed,
            managed_groups=len(self._groups.known),
            missing=self._missing,
            missing_groups=self._groups.missing,
            doubts=doubts | self._doubts,
            group_doubts=group_doubts | self._groups.doubts,
            protected=self._protected(changes),
            absences=self._absences(managed),
            quarantined=self._decisions.quarantined,
            approved=self._decisions.approved,
            rejected={**self._decisions.rejected, **declined},
            groups_of=self._groups_of(changes, members_of, managed),
            members_of=members_of,
        )

    def _with_approval(self, change: Change) -> Change:
        """Return a change that says who released it, and when, where somebody had to."""
        released = self._decisions.approvals.get(change.id)
        return change if released is None else replace(change, reason=f"{change.reason}; {released}")

    def _groups_of(
        self, changes: Iterable[Change], members_of: Mapping[str, Collection[str]], managed: int
    ) -> dict[str, int]:
        """Return how many groups the people have who leave some, where they are enough to matter."""
        leaving: set[str] = set().union(*members_of.values())
        people: set[str] = set()
        for change in changes:
            if change.action.removes:
                leaving.update(change.members)
            elif change.action is Action.DEACTIVATE_USER:
                people.add(change.key)
        limit = self._target.policy.limits.get(Class.DEACTIVATE, DEFAULT_LIMITS[Class.DEACTIVATE])
        if not leaving or not limit.exceeded(len(leaving | people), managed):
            return {}
        return self._snapshot.groups_of(sorted(leaving))

    def _protected(self, changes: Iterable[Change]) -> dict[str, str]:
        """Return who is never switched off, among those whom a change would shut out."""
        if not self._snapshot.discovery.get("protected") and not self._target.protect:
            return {}
        keys = [change.key for change in changes if change.shuts_out]
        known = self._snapshot.users(keys)
        reasons = {key: self._target.protection(self._snapshot, key, user.id, user) for key, user in known.items()}
        return {key: reason for key, reason in reasons.items() if reason}

    def _absences(self, managed: int) -> dict[Kind, Doubt]:
        """Return why nothing may follow from what the source lacks: it is empty, or much smaller than last time."""
        evidence, last = self._evidence, self._snapshot.source_counts
        if evidence is None:
            return {}
        found = {}
        if evidence.users == 0 and managed:
            found[Kind.USER] = Doubt(EMPTY_SOURCE, f"{evidence.source} holds nobody at all: nothing is taken away")
        elif _halved(evidence.users, last.get("users", 0)):
            reason = f"{evidence.source} holds {evidence.users} people, the last time {last['users']}: less than half"
            found[Kind.USER] = Doubt(_SHRUNK, reason)
        for what, count in (("groups", evidence.groups), ("memberships", evidence.memberships)):
            if _halved(count, last.get(what, 0)):
                reason = f"{evidence.source} holds {count} {what}, the last time {last[what]}: less than half"
                found[Kind.GROUP] = Doubt(_SHRUNK, reason)
        return found

    def _managers(self, changes: Iterable[Change]) -> list[Change]:
        """Leave out references to managers who have no account and get none now.

        Such a user keeps no digest and is looked at again in every run, so that the reference follows
        as soon as the manager is there. Somebody whose account is taken over may have the right one already.
        """
        kept: list[Change] = []
        for change in chain.from_iterable(map(self._apart, changes)):
            manager = change.after.get(MANAGER)
            if manager is None or manager in self._accounts or self._snapshot.ids(Kind.USER, [manager]):
                kept.append(change)
                continue
            before = change.before.get(MANAGER)
            after = {**change.after, MANAGER: None} if before is not None else _without(change.after, MANAGER)
            if after or change.resource or (not kept and self._moves(change)):
                untouched = change.before if before is not None else _without(change.before, MANAGER)
                kept.append(replace(change, before=untouched, after=after, digest=""))
        return kept

    def _apart(self, change: Change) -> list[Change]:
        """Set the manager of somebody who is adopted apart, unless the account has that manager or it is there."""
        manager = change.after.get(MANAGER)
        if change.action is not Action.ADOPT_USER or manager is None:
            return [change]
        there = change.before.get(MANAGER)
        if there is not None and self._owner(there) == manager:
            return [replace(change, before={**change.before, MANAGER: manager})]
        if there == manager or self._snapshot.ids(Kind.USER, [manager]):
            return [change]
        first_, second = manager_apart(change)
        return [first_, replace(second, before={MANAGER: None})]

    def _moves(self, change: Change) -> bool:
        """Return whether a change brings a known user to another state, whatever it sends."""
        known = self._snapshot.user(change.key)
        return known is not None and known.state is not change.state


def _told_apart(changes: Iterable[Change], drift: Iterable[Drift]) -> list[Change]:
    """Say of changes that they put back what was changed at the target, wholly or besides."""
    drifted: dict[tuple[bool, str], set[str]] = {}
    for each in drift:
        if each.reaction is Reaction.ENFORCE:
            drifted.setdefault((each.kind is Kind.USER, each.key), set()).update((*each.expected, *each.found))
    told = []
    for change in changes:
        paths = change.before.keys() | change.after.keys()
        found = paths & drifted.get((change.action.about_user, change.key), set())
        if found and not change.action.creates:
            names = ", ".join(sorted(path.rpartition(":")[2] for path in found))
            reason = f"{names} changed at the target"
            change = replace(change, reason=reason if found == paths else f"{change.reason}; {reason}")
        told.append(change)
    return told


def _halved(now: int, before: int) -> bool:
    return before >= _ENOUGH_TO_JUDGE and now * 2 < before


def _owned(flat: Flat, paths: frozenset[str]) -> Flat:
    """Return what the mapping still speaks of: a line taken out of it leaves the target's value alone."""
    return {path: value for path, value in flat.items() if path in paths}


def _without(flat: Flat, path: str) -> Flat:
    return {other: value for other, value in flat.items() if other != path}


__all__ = ["Comparison"]
