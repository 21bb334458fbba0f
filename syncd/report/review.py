"""Turn a plan or run into a review for every format: one order, one set of words, one definition of unusual. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from syncd.core.digest import fingerprint
from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.limits import BEFORE_DELETE, NEVER_RELEASED, PASSING, in_words, waiting
from syncd.core.model import Evidence, Flat, Json, Kind
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Run, Trouble
from syncd.core.policy import class_of
from syncd.core.schema import ENTERPRISE_SCHEMA, MANAGER
from syncd.report import judging
from syncd.report.drifts import DRIFTS, drift_details
from syncd.report.items import MEANINGS, SECTIONS, Item, Meaning, Picture, Review, Row, Tally
from syncd.report.words import counted, duration, key_shown, label, listed, plain, requests_of, visible

Subject = Plan | Run
_DEPARTMENT: Final = f"{ENTERPRISE_SCHEMA}:department"
_ORDER: Final = {section.code: index for index, section in enumerate(SECTIONS)}
_ENOUGH_FOR_PATTERNS: Final = 5
"""The least number of changes for patterns: fewer changes are read as quickly as their patterns."""
_GRAVITY: Final = (Result.FAILED, Result.INEFFECTIVE, Result.REFUSED, Result.SKIPPED)


def review(subject: Subject, *, keys: bool = True) -> Review:
    """Return the review of a plan, or of a run with its outcomes.

    `keys`: every key is shown beside its name; else only short keys (`words.key_shown`).
    """
    run = subject if isinstance(subject, Run) else None
    plan = subject.plan if isinstance(subject, Run) else subject
    made = _Items(plan, run, keys=keys)
    items = made.all()
    place = {id(item): index for index, item in enumerate(items)}
    execution = [place[id(item)] for item in made.executed]
    rest = sorted(set(range(len(items))) - set(execution))
    return Review(
        target=visible(plan.target),
        kind=visible(plan.kind),
        moment=run.started if run else plan.created,
        run=run.number if run else None,
        serial=plan.base_serial,
        said=_said(items, run, made.unreached),
        effort=_effort(plan, run),
        error=tuple(map(visible, run.error.splitlines())) if run else (),
        unreached=made.unreached,
        evidence=_evidence(plan.evidence),
        doubt=_doubt(plan, run),
        counts=_counts(plan),
        results=_results(run),
        pictures=_pictures(plan, items),
        limits=plan.context.limits,
        patterns=made.patterns if made.altering >= _ENOUGH_FOR_PATTERNS else (),
        items=items,
        execution=(*execution, *rest),
    )


def withheld(
    held: Sequence[Held], rejected: Sequence[Held], *, approved: Collection[str] = (), keys: bool = True
) -> tuple[Item, ...]:
    """Return items of withheld and rejected changes, independent of a plan.

    `approved`: ids of changes that wait for nothing but the next run. `keys` as of `review`.
    """
    plan = Plan("", "", _NEVER, 0, (), tuple(held), tuple(rejected))
    made = _Items(plan, None, keys=keys, approved=approved)
    return (*sorted(map(made.held, held), key=_urgency), *map(made.rejected, rejected))


def _urgency(held: Item) -> int:
    """Return the rank of a held item: first changes that a person decides, last changes that need no decision."""
    return 2 if held.limit in PASSING else int(held.limit in NEVER_RELEASED)


class _Items:
    """Makes the items of one plan or run."""

    def __init__(self, plan: Plan, run: Run | None, *, keys: bool, approved: Collection[str] = ()) -> None:
        self._plan, self._run, self._keys = plan, run, keys
        self._approved = approved
        self._clusters = _together(plan.held, approved)
        self._context = plan.context
        self.executed: list[Item] = []
        self.unreached = 0
        withheld = [each.change for each in (*plan.held, *plan.rejected)]
        self._names = {key: person.name for key, person in self._context.people.items()}
        self._group_names = {key: group.name for key, group in self._context.groups.items()}
        self._groups_of: dict[str, list[str]] = {}
        for change in (*plan.changes, *withheld):
            if change.action.about_user:
                self._names.setdefault(change.key, change.name)
                continue
            self._group_names.setdefault(change.key, change.name)
            if change.action.of_members:
                for key in change.members:
                    self._groups_of.setdefault(key, []).append(change.name)
        altering = [self._rows(change) for change in plan.changes if judging.is_altering(change)]
        self.altering = len(altering)
        self.patterns = judging.patterns(altering)
        self._patterns = {(each.label, each.verb): each for each in self.patterns}
        self._newcomers = judging.Newcomers([change for change in plan.changes if _is_newcomer(change)])

    def all(self) -> tuple[Item, ...]:
        """Return every item in the order of sections, and inside a section in the order of execution."""
        plan = self._plan
        items = list(self._changes())
        self.executed = list(items)
        items += sorted(map(self.held, plan.held), key=_urgency)
        items += map(self.rejected, plan.rejected)
        items += map(self._drift, plan.drift)
        items += map(self._problem, plan.problems)
        items += map(self._accepted, plan.accepted)
        clusters: dict[tuple[str, str], int] = {}
        for item in items:
            clusters.setdefault((item.section, item.cluster), len(clusters))
        return tuple(sorted(items, key=lambda item: (_ORDER[item.section], clusters[item.section, item.cluster])))

    # -- changes -----------------------------------------------------------------------------------

    def _changes(self) -> Iterator[Item]:
        if self._run is None:
            for change in self._plan.changes:
                yield self._change(change)
            return
        planned = {change.id for change in self._plan.changes}
        outcomes = {outcome.change.id: outcome for outcome in self._run.outcomes}
        split = [outcome for outcome in self._run.outcomes if outcome.change.id not in planned]
        gravity = {result: index for index, result in enumerate(_GRAVITY)}
        # A change without an outcome was not reached. No planned change is left out.
        known = [outcomes.get(change.id) or Outcome(change, Result.SKIPPED) for change in self._plan.changes]
        for outcome in sorted((*known, *split), key=lambda each: gravity.get(each.result, -1)):
            by_stop = is_the_stop_itself(outcome, self._run)
            self.unreached += by_stop
            yield replace(self._outcome(outcome), by_stop=by_stop)

    def _odd(self, change: Change, rows: Sequence[Row]) -> list[str]:
        if _is_newcomer(change):
            return self._newcomers.lacking(change)
        return judging.odd_alterations(rows, self._patterns) if judging.is_altering(change) else []

    def _change(self, change: Change) -> Item:
        return self._item(change, planned=True)

    def _item(
        self,
        change: Change,
        *,
        section: str = "",
        planned: bool = False,
        meaning: Meaning | None = None,
        cluster: str = "",
        limit: str = "",
        means: str = "",
        outcome: Outcome | None = None,
    ) -> Item:
        rows = self._rows(change)
        odd = self._odd(change, rows) if planned else []
        action = change.action
        # A group that is taken over shows its members: `before` holds the members found at the target.
        members = change.before if action.adopts else (change.after or change.before) if action.of_members else {}
        who = () if action.about_user else self._members(members)
        person = self._context.people.get(change.key) if action.about_user else None
        department = change.after.get(_DEPARTMENT) or change.before.get(_DEPARTMENT)
        if department is None and person is not None:
            department = person.department
        groups = (
            (*self._groups_of.get(change.key, ()), *(person.groups if person else ()))
            if action.about_user
            else (change.name,)
        )
        return Item(
            id=change.id,
            section=section or judging.section_of(change, self._context, odd),
            meaning=meaning or MEANINGS[action.access],
            sign=action.sign,
            action=action.value,
            words=action.label,
            kind=action.kind.value,
            key=visible(change.key),
            name=visible(change.name),
            shown_key=self._shown_key(change.key, change.name),
            reason=visible(change.reason),
            cluster=cluster,
            state=change.state.value if change.state else "",
            department=plain(department),
            groups=tuple(dict.fromkeys(map(visible, groups))),
            # A change that was not applied is told by its consequence: the text must not read as if applied.
            notes=() if section == "undone" else judging.notes(change, self._context, odd),
            rows=rows,
            came=() if action.removes else who,
            went=who if action.removes else (),
            resource=visible(change.resource),
            first=visible(f"{change.first} ({BEFORE_DELETE})") if change.first else "",
            limit=visible(limit),
            result=outcome.result.value if outcome else "",
            status=outcome.status if outcome else 0,
            said=visible(outcome.detail) if outcome else "",
            means=means or judging.consequence(change),
        )

    def _rows(self, change: Change) -> tuple[Row, ...]:
        """Return the differences as rows of a table, without the id of an account that is taken over."""
        if change.action.of_members:
            return ()
        before, after = change.differences
        return tuple(
            Row(label(path), self._value(path, before[path]), self._value(path, after[path]))
            for path in before
            if before[path] is not None or after[path] is not None
        )

    def _value(self, path: str, value: Json) -> str | None:
        if value is None:
            return None
        if path == MANAGER and isinstance(value, str):
            return self._who(value)
        return plain(value)

    def _who(self, key: str) -> str:
        """Return a person by name, and by key where keys are shown."""
        name = self._names.get(key) or key
        shown = self._shown_key(key, name)
        return f"{visible(name)} ({shown})" if shown else visible(name)

    def _shown_key(self, key: str, name: str) -> str:
        return visible(key_shown(key, name, keys=self._keys))

    def _members(self, flat: Flat) -> tuple[str, ...]:
        groups = flat.get("groups", ())
        named = (f"group {visible(self._group_names.get(key, key))}" for key in groups)
        return (*map(self._who, flat.get("members", ())), *named)

    def _outcome(self, outcome: Outcome) -> Item:
        done = outcome.result is Result.APPLIED
        means = judging.after(outcome)
        if done:
            return self._item(outcome.change, planned=True, outcome=outcome, means=means)
        cluster = outcome.result.words
        return self._item(outcome.change, section="undone", cluster=cluster, outcome=outcome, means=means)

    # -- holds, rejections, drift, problems -----------------------------------------------------------

    def held(self, held: Held) -> Item:
        """Return the item of a withheld change, under the reason of the hold."""
        cluster = self._clusters[held.limit, held.reason, held.id in self._approved]
        means = judging.while_held(held)
        item = self._item(
            held.change, section="held", meaning=Meaning.HELD, cluster=cluster, limit=held.limit, means=means
        )
        return replace(item, stored=held.stored)

    def rejected(self, held: Held) -> Item:
        """Return the item of a change that a person rejected."""
        return self._item(
            held.change, section="rejected", meaning=Meaning.QUIET, limit=held.limit, means=visible(held.reason)
        )

    def _drift(self, drift: Drift) -> Item:
        enforced = drift.reaction is Reaction.ENFORCE
        what = "put back" if enforced else "only reported"
        if drift.returned is not None:
            what += " again: it comes back"
        return Item(
            id=fingerprint(drift.to_json()).hex(),
            section="drift",
            meaning=Meaning.TROUBLE,
            sign="!" if enforced else "?",
            action=drift.class_.value,
            words=DRIFTS[drift.class_],
            kind=drift.kind.value,
            key=visible(drift.key),
            name=visible(drift.name),
            shown_key=self._shown_key(drift.key, drift.name),
            reason=f"{_drifted(drift)}; {what}",
            cluster=f"{DRIFTS[drift.class_]}, {what}",
            groups=(visible(drift.name),) if drift.kind is Kind.GROUP else (),
            rows=self._drifted_rows(drift),
            columns=("as syncd left it", "found at the target"),
            came=self._members(drift.found) if drift.class_ is DriftClass.MEMBER_ADDED else (),
            went=self._members(drift.expected) if drift.class_ is DriftClass.MEMBER_REMOVED else (),
            told=tuple(drift_details(drift, self._members)),
            means="the source's values are put back" if enforced else "stays as it was found",
        )

    def _drifted_rows(self, drift: Drift) -> tuple[Row, ...]:
        if drift.class_ in (DriftClass.MEMBER_ADDED, DriftClass.MEMBER_REMOVED):
            return ()
        paths = dict.fromkeys((*drift.expected, *drift.found))
        return tuple(
            Row(label(path), self._value(path, drift.expected.get(path)), self._value(path, drift.found.get(path)))
            for path in paths
        )

    def _problem(self, problem: Trouble) -> Item:
        at_target = problem.kind == "target"
        return Item(
            id=fingerprint(problem.to_json()).hex(),
            section="problems",
            meaning=Meaning.TROUBLE,
            sign="!",
            action="problem",
            words="doubt" if at_target else "problem",
            kind=visible(problem.kind),
            key=visible(problem.key),
            name=visible(problem.where),
            shown_key=self._shown_key(problem.key, problem.where),
            reason=visible(problem.problem),
            cluster="doubts about what the target shows: nothing follows from them"
            if at_target
            else "in the source: left out and protected",
        )

    def _accepted(self, key: str) -> Item:
        name = visible(self._names.get(key, key))
        return Item(
            id=fingerprint(["accepted", key]).hex(),
            section="accepted",
            meaning=Meaning.QUIET,
            sign="=",
            action="accepted",
            words="accepted",
            kind="user",
            key=visible(key),
            name=name,
            shown_key=self._shown_key(key, self._names.get(key, key)),
            reason="the target shows the invitation as accepted",
            means="gets in from now on",
        )


_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _is_newcomer(change: Change) -> bool:
    return change.action.creates and change.action.about_user


def _together(held: Iterable[Held], approved: Collection[str]) -> dict[tuple[str, str, bool], str]:
    """Return the sentence shared by held changes of one limit, reason and release, by these three."""
    together: dict[tuple[str, str, bool], list[Held]] = {}
    for each in held:
        together.setdefault((each.limit, each.reason, each.id in approved), []).append(each)
    return {
        (limit, reason, is_approved): visible(_cluster(limit, reason, some, is_approved=is_approved))
        for (limit, reason, is_approved), some in together.items()
    }


def _cluster(limit: str, reason: str, held: Sequence[Held], *, is_approved: bool) -> str:
    number = len(held)
    if is_approved:
        return (
            f"{counted(number, 'approved change waits', 'approved changes wait')} for the next run: {in_words(reason)}."
        )
    if reason.startswith("waits "):  # the reason refers to another held change
        waits = reason.removeprefix("waits ")
        return f"{counted(number, 'change waits', 'changes wait')} {in_words(waits)}."
    own = all(class_of(each.change) == limit for each in held)
    return f"{waiting(limit, number, own=own)}: {in_words(reason, named=not own)}."


def is_the_stop_itself(outcome: Outcome, run: Run) -> bool:
    """Return whether an outcome reports only that the target stopped: one incident, reported once."""
    if not run.error or outcome.result is Result.APPLIED:
        return False
    return outcome.result is Result.SKIPPED or (bool(outcome.detail) and outcome.detail in run.error)


def _drifted(drift: Drift) -> str:
    match drift.class_:
        case DriftClass.USER_DELETED:
            return "the account is gone"
        case DriftClass.GROUP_DELETED:
            return "the group is gone"
        case DriftClass.MEMBER_ADDED:
            return "members were added there"
        case DriftClass.MEMBER_REMOVED:
            return "members were removed there"
        case _:
            return f"{listed([label(path) for path in drift.expected]) or 'nothing'} changed there"


# -- the head --------------------------------------------------------------------------------------------


def _evidence(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    people = counted(evidence.users, "person", "people")
    groups = counted(evidence.groups, "group", "groups")
    memberships = counted(evidence.memberships, "membership", "memberships")
    took = "" if evidence.seconds < 1 else f" in {duration(evidence.seconds)}"
    return f"read whole from {visible(evidence.source)}: {people}, {groups}, {memberships}{took}"


def _doubt(plan: Plan, run: Run | None) -> str:
    if plan.evidence is None:
        return ""
    if not plan.evidence.absence:
        return "an entry without a readable key: nobody counts as gone"
    if run is None and plan.kind == "sync" and not plan.managed and plan.summary.get(Action.CREATE_USER):
        return "nobody is managed yet, and the target was not read: --full finds accounts that are there already"
    return ""


def _counts(plan: Plan) -> tuple[Tally, ...]:
    counts = Counter(change.action for change in plan.changes)
    found = [Tally(action.value, action.label, counts[action], MEANINGS[action.access]) for action in Action]
    found.append(Tally("held", "held", len(plan.held), Meaning.HELD))
    found.append(Tally("rejected", "rejected", len(plan.rejected), Meaning.QUIET))
    found.append(Tally("drift", "drifted", len(plan.drift), Meaning.TROUBLE))
    found.append(Tally("problems", "problems", len(plan.problems), Meaning.TROUBLE))
    return tuple(each for each in found if each.count)


def _weight(result: Result) -> Meaning:
    return Meaning.QUIET if result is Result.APPLIED else Meaning.TROUBLE


def _results(run: Run | None) -> tuple[Tally, ...]:
    if run is None:
        return ()
    return tuple(
        Tally(result.value, result.words, run.results[result], _weight(result))
        for result in Result
        if run.results[result]
    )


def _effort(plan: Plan, run: Run | None) -> str:
    if run is None:
        if not plan.changes:
            return ""
        seconds = plan.estimate.seconds
        about = "" if seconds < 1 else "about "
        return f"{counted(plan.estimate.requests, 'request', 'requests')}, {about}{duration(seconds)}"
    parts = [f"{requests_of(run)} in {duration(run.seconds)}"]
    if run.retries:
        parts.append(f"{run.retries:,} of them sent again")
    if run.waited >= 1:
        parts.append(f"{duration(run.waited)} spent waiting for their turn")
    return ", ".join(parts)


#  The state under which a picture counts a person or group, once for all its items: the first that fits.
_STATES: Final = (
    ("held", "held", Meaning.HELD),
    ("undone", "not done", Meaning.TROUBLE),
    ("deactivated", "lose access", Meaning.DEACTIVATE),
    ("changed", "changed", Meaning.CHANGE),
)


def _pictures(plan: Plan, items: Iterable[Item]) -> tuple[Picture, ...]:
    """Return people and groups, by their state."""
    found: dict[str, dict[str, set[str]]] = {"user": {}, "group": {}}
    for item in items:
        if item.is_change and (state := _state(item)):
            found[item.kind].setdefault(state, set()).add(item.key)
    groups_known = plan.context.managed_groups or plan.context.limits
    managed = {"user": plan.managed, "group": plan.context.managed_groups if groups_known else None}
    pictures = []
    for kind, one, noun, gone in (
        ("user", "person", "people", "lose access"),
        ("group", "group", "groups", "deleted"),
    ):
        states = found[kind]
        if not states and not managed[kind]:
            continue
        # New and deactivated people are not among the managed, nor are people whose creation waits.
        new = states.get("created", set())
        waiting = states.get("waiting", set()) - new
        missing = states.get("missing", set()) - new - waiting
        seen = new | waiting | missing
        inside = []
        for code, words, meaning in _STATES:
            keys = states.get(code, set()) - seen
            seen |= keys
            words = gone if code == "deactivated" else words
            inside.append(Tally(code, words, len(keys), meaning))
        outside = [
            Tally("created", "new", len(new), Meaning.CREATE),
            Tally("waiting", "new but held", len(waiting), Meaning.HELD),
            Tally("missing", "new but not done", len(missing), Meaning.TROUBLE),
        ]
        shown = (tuple(each for each in part if each.count) for part in (inside, outside))
        pictures.append(Picture(one if managed[kind] == 1 else noun, managed[kind], *shown))
    return tuple(pictures)


def _state(item: Item) -> str:
    """Return the state under which a picture counts an item; "" for an item that isn't carried out."""
    if item.section == "rejected":
        return ""
    coming = item.change is not None and item.change.arrives
    if item.section == "undone":
        return "missing" if coming else "undone"
    if item.section == "held":
        return "waiting" if coming else "held"
    if item.section in ("deactivated", "deleted"):
        return "deactivated"
    return "created" if coming else "changed"


def _phrases(items: Iterable[Item], *, would: bool = False) -> str:
    """Return the changes in words; a new person is counted once, despite any further changes."""
    counts: Counter[str] = Counter()
    keys: dict[str, set[str]] = {}
    for item in items:
        counts[item.action] += 1
        keys.setdefault(item.action, set()).add(item.key)
    new = keys.get(Action.CREATE_USER, set()) | keys.get(Action.ADOPT_USER, set())
    counts[Action.UPDATE_USER.value] = len(keys.get(Action.UPDATE_USER, set()) - new)
    parts = []
    for action in Action:
        if number := counts[action.value]:
            does, do = action.words.happens
            verb = f"would {re.sub('^are ', 'be ', do)}" if would else does if number == 1 else do
            parts.append(f"{counted(number, *action.words.subject)} {verb}")
    return listed(parts)


def _waiting(held: Sequence[Item]) -> Iterator[tuple[str, Meaning]]:
    """Yield the holds in words: holds that a person decides, that nobody can release, and that end by themselves."""
    for urgency, one, several, meaning in (
        (0, "change waits for a decision", "changes wait for a decision", Meaning.HELD),
        (1, "change is withheld and can't be approved", "changes are withheld and can't be approved", Meaning.QUIET),
        (2, "change waits for its time", "changes wait for their time", Meaning.QUIET),
    ):
        if items := [item for item in held if _urgency(item) == urgency]:
            yield f"{counted(len(items), one, several)}: {_phrases(items, would=True)}.", meaning


def _said(items: Sequence[Item], run: Run | None, unreached: int) -> tuple[tuple[str, Meaning], ...]:
    """Return the planned changes or the outcomes, sentence by sentence."""
    sections = Counter(item.section for item in items)
    tried = [item for item in items if item.is_change and item.section not in ("held", "rejected")]
    done = [item for item in tried if item.section != "undone"]
    waiting = list(_waiting([item for item in items if item.section == "held"]))
    said: list[tuple[str, Meaning]] = []
    if run is not None and tried:
        said.append((f"{len(done):,} of {counted(len(tried), 'change', 'changes')} done.", Meaning.QUIET))
        undone = Counter(item.result for item in tried if item.section == "undone")
        if undone:
            parts = [f"{undone[result]:,} {result.words}" for result in _GRAVITY if undone[result]]
            said.append((f"{listed(parts)}.", Meaning.TROUBLE))
    if phrases := _phrases(done):
        said.append((f"{phrases}.", Meaning.QUIET))
    elif not tried:
        # "Nothing to do" would be an all-clear, which must not stand above changes that wait for a decision.
        said.append(("Nothing is done now." if waiting else "Nothing to do.", Meaning.QUIET))
    said += waiting
    others = (
        ("drift", "thing was changed at the target", "things were changed at the target"),
        ("problems", "problem is to be looked at", "problems are to be looked at"),
    )
    also = [counted(sections[code], one, several) for code, one, several in others if sections[code]]
    if also:
        said.append((f"{listed(also)}.", Meaning.QUIET))
    if unreached:
        said.append(("The target stopped before the end.", Meaning.TROUBLE))
    return tuple(said)


__all__ = ["Subject", "is_the_stop_itself", "review", "withheld"]
