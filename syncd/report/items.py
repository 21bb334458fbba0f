"""The parts of a report: items in sections, with every fact in words. Values only; `review` makes the items.

Every text in an item has been through `visible`: a format escapes only for its own syntax.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from syncd.core.actions import Access, Action
from syncd.core.context import LimitUse
from syncd.core.limits import NEVER_RELEASED
from syncd.report.characters import Parts, differing

ONCE_STORED: Final = "once the next run (`syncd sync`) has stored it"
"""When a held change that only a plan has found can be approved."""


class Meaning(StrEnum):
    """The meaning of a change for the people concerned: one colour each, always with a sign and a word."""

    CREATE = "create"
    CHANGE = "change"
    DEACTIVATE = "deactivate"
    HELD = "held"
    TROUBLE = "trouble"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Section:
    """Items of one kind, under one heading. `unusual`: a section that a reader should look at first."""

    code: str
    title: str
    why: str
    """In a sentence, why the section is worth a look, or the content of the section."""
    meaning: Meaning
    unusual: bool = True
    note: str = ""
    """The unusual aspect that all items share and no item repeats."""


SECTIONS: Final = (
    Section(
        "undone",
        "Not done",
        "failed, without effect, refused or not tried; the next run tries what is still needed",
        Meaning.TROUBLE,
    ),
    Section("held", "Held", "not done now: each says why, and what releases it", Meaning.HELD),
    Section("deleted", "Deletions", "can't be undone", Meaning.DEACTIVATE, note="deleted"),
    Section(
        "deactivated",
        "Deactivations",
        "these people can't get in any more",
        Meaning.DEACTIVATE,
        note="loses access",
    ),
    Section("emptied", "Groups that lose most of their members", "more than half of them go", Meaning.DEACTIVATE),
    Section(
        "renamed", "Another userName or e-mail", "people sign in with these", Meaning.CHANGE, note="signs in otherwise"
    ),
    Section(
        "adopted",
        "Taken over",
        "accounts and groups that were there already become managed",
        Meaning.CHANGE,
        note="taken over",
    ),
    Section(
        "invited",
        "Invited",
        "outside the verified domains: no access before they accept",
        Meaning.CREATE,
        note="pending",
    ),
    Section("odd", "The only ones of their kind", "unlike nearly all other changes of the plan", Meaning.CHANGE),
    Section(
        "drift",
        "Changed at the target",
        "drift and lock violations: somebody changed there what the source controls",
        Meaning.TROUBLE,
    ),
    Section("problems", "Problems", "left out of this plan, and protected from it", Meaning.TROUBLE),
    Section("created", "New people", "get an account", Meaning.CREATE, unusual=False),
    Section("reactivated", "Reactivations", "get in again, with what they had", Meaning.CREATE, unusual=False),
    Section("changed", "Changed people", "other values, the same account", Meaning.CHANGE, unusual=False),
    Section("groups", "Groups", "made, renamed or linked again", Meaning.CHANGE, unusual=False),
    Section("members", "Memberships", "who joins and who leaves a group", Meaning.CHANGE, unusual=False),
    Section("accepted", "Invitations accepted", "seen at the target", Meaning.QUIET, unusual=False),
    Section(
        "rejected",
        "Rejected",
        "a person said no: not asked again until the source changes",
        Meaning.QUIET,
        unusual=False,
    ),
)
"""All sections, in the order in which every format shows them."""
SECTION: Final = {section.code: section for section in SECTIONS}

MEANINGS: Final = {
    Access.GIVES: Meaning.CREATE,
    Access.KEEPS: Meaning.CHANGE,
    Access.TAKES: Meaning.DEACTIVATE,
}
"""The meaning of each action, by its effect on people's access."""


_ACTIONS: Final = frozenset(action.value for action in Action)


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute before and after; None: no value."""

    label: str
    before: str | None
    after: str | None

    @property
    def parts(self) -> tuple[Parts, Parts]:
        """Both values in parts that are in turn equal and differing; an absent value has no parts."""
        if self.before is None or self.after is None:
            return ((self.before,) if self.before is not None else ()), (
                (self.after,) if self.after is not None else ()
            )
        return differing(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a report: a change (to be done, held, rejected, or with its outcome), a drift, a problem."""

    id: str
    """Hexadecimal; for a change, the id of the change."""
    section: str
    meaning: Meaning
    sign: str
    action: str
    """The word for programs: an action, a class of drift, `problem`, `accepted`."""
    words: str
    kind: str
    """`user` or `group`; for a problem, the kind of its subject."""
    key: str
    name: str
    reason: str
    shown_key: str = ""
    """The key where a line for people shows the key (`words.key_shown`), else ""."""
    cluster: str = ""
    """The sentence that a section shows once for all items that share the sentence."""
    state: str = ""
    department: str = ""
    groups: tuple[str, ...] = ()
    """Names of groups that the item concerns."""
    notes: tuple[str, ...] = ()
    """Why the item is worth a look, in words."""
    rows: tuple[Row, ...] = ()
    columns: tuple[str, str] = ("before", "after")
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    """The members that join and that leave, by name and key."""
    resource: str = ""
    """The id at the target of an account or group that is taken over."""
    first: str = ""
    """What must succeed before the change is sent, in words; "": nothing."""
    limit: str = ""
    """The limit that holds the change."""
    stored: bool = True
    """For a held change, whether a run has stored the hold, so that a person can decide."""
    result: str = ""
    """The result, as `Result` names it: `applied`, for instance; "" where no result is due."""
    status: int = 0
    said: str = ""
    """The endpoint's own words, or the reason why the change was not tried."""
    means: str = ""
    """The consequences for the people concerned."""
    told: tuple[str, ...] = ()
    """The differences of a drift, in sentences."""
    by_stop: bool = False
    """Whether the change was skipped only because the target stopped: one incident, reported once."""

    @property
    def unusual(self) -> bool:
        return SECTION[self.section].unusual

    @property
    def people(self) -> list[tuple[str, tuple[str, ...]]]:
        """The members that join, leave, or (in a group that is taken over) are present, each with the verb."""
        verb = "is in it" if self.change is not None and self.change.adopts else "joins"
        return [(word, names) for word, names in ((verb, self.came), ("leaves", self.went)) if names]

    @property
    def can_be_approved(self) -> bool:
        """Whether an approval releases the change; also where no run has stored the hold yet."""
        return self.section == "held" and self.limit not in NEVER_RELEASED

    @property
    def command(self) -> str:
        """The command that releases the change, "" without such a command; the beginning of the id is enough."""
        return f"syncd approve {self.id[:12]}" if self.can_be_approved and self.stored else ""

    @property
    def telling(self) -> tuple[str, ...]:
        """The notes of the item without the note of its section."""
        return tuple(note for note in self.notes if note != SECTION[self.section].note)

    @property
    def is_change(self) -> bool:
        return self.action in _ACTIONS

    @property
    def change(self) -> Action | None:
        """The action of a change; None for anything else."""
        return Action(self.action) if self.action in _ACTIONS else None

    @property
    def compares(self) -> bool:
        """Whether each row is worth a line: not for a creation, deactivation or deletion as a whole."""
        action = self.change
        return action is None or action.adopts or (action.alters and not action.ends)


@dataclass(frozen=True, slots=True)
class Tally:
    """A count of items; `code`: the section or state of the items."""

    code: str
    words: str
    count: int
    meaning: Meaning

    @property
    def is_action(self) -> bool:
        return self.code in _ACTIONS


@dataclass(frozen=True, slots=True)
class Picture:
    """People, or groups, by their state: `inside` are parts of the managed, `outside` are new."""

    noun: str
    managed: int | None
    """None: a plan saved by an older version lacks the number."""
    inside: tuple[Tally, ...]
    outside: tuple[Tally, ...]

    @property
    def untouched(self) -> int:
        return max(0, (self.managed or 0) - sum(each.count for each in self.inside))

    @property
    def caption(self) -> str:
        return f"{self.noun}" if self.managed is None else f"{self.managed:,} managed {self.noun}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A property that many changes share. `example`: the commonest values, `example_count` times."""

    label: str
    verb: str
    count: int
    example: Row
    example_count: int
    rare: bool


@dataclass(frozen=True, slots=True)
class Review:
    """Everything that any format shows of one plan or run, in the order in which it is shown."""

    target: str
    kind: str
    """`sync`, `resync`, `user`."""
    moment: datetime
    run: int | None
    serial: int
    said: tuple[tuple[str, Meaning], ...]
    """The planned changes or outcomes, sentence by sentence, each with its meaning."""
    effort: str
    """Requests and time: estimated for a plan, counted for a run."""
    error: tuple[str, ...]
    """Why a run was cut short, line by line."""
    unreached: int
    """Changes that were skipped only because the run was cut short."""
    evidence: str
    doubt: str
    """Why no person counts as missing; "" where a person may."""
    counts: tuple[Tally, ...]
    """Changes by action, what is held, rejected, drifted."""
    results: tuple[Tally, ...]
    pictures: tuple[Picture, ...]
    limits: tuple[LimitUse, ...]
    patterns: tuple[Pattern, ...]
    items: tuple[Item, ...]
    execution: tuple[int, ...]
    """Indices of items in the order of execution."""

    @property
    def title(self) -> str:
        """The kind and number: "Plan", "Run 7"."""
        return "Plan" if self.run is None else f"Run {self.run}"

    @property
    def sentence(self) -> str:
        return " ".join(sentence for sentence, _ in self.said)

    @property
    def kind_words(self) -> str:
        return {"sync": "sync", "resync": "full resync", "user": "one person"}.get(self.kind, self.kind)

    @property
    def unusual(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.unusual)

    def sections(self) -> list[tuple[Section, list[Item]]]:
        """Return the sections that hold something, in order, with their items."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.section, []).append(item)
        return [(section, found[section.code]) for section in SECTIONS if section.code in found]
