"""What a report is made of: items in sections, with everything about them in words. Values only; `review` makes them.

Every text in them has been through `visible`: a format escapes what its own syntax needs, and nothing else.
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
"""When a held change can be approved that only a plan has met."""


class Meaning(StrEnum):
    """What something means to those concerned: one colour each, never without a sign and a word."""

    CREATE = "create"
    CHANGE = "change"
    DEACTIVATE = "deactivate"
    HELD = "held"
    TROUBLE = "trouble"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Section:
    """Items of one sort, under one heading. `unusual`: what a reader should look at first."""

    code: str
    title: str
    why: str
    """In a sentence, why it is worth a look, or what it is."""
    meaning: Meaning
    unusual: bool = True
    note: str = ""
    """What is unusual about all of them, and needs no saying of each."""


SECTIONS: Final = (
    Section(
        "undone", "Not done", "failed, refused or not tried; the next run tries what is still needed", Meaning.TROUBLE
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
"""Of an action, by what it does to people's access."""


_ACTIONS: Final = frozenset(action.value for action in Action)


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute before and after; None: nothing there."""

    label: str
    before: str | None
    after: str | None

    @property
    def parts(self) -> tuple[Parts, Parts]:
        """Both values in parts, by turns the same and differing; one that is not there has none."""
        if self.before is None or self.after is None:
            return ((self.before,) if self.before is not None else ()), (
                (self.after,) if self.after is not None else ()
            )
        return differing(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a report: a change (to be done, held, rejected, or with its outcome), a drift, a problem."""

    id: str
    """Hexadecimal; of a change the change's own."""
    section: str
    meaning: Meaning
    sign: str
    action: str
    """The word for programs: an action, a class of drift, `problem`, `accepted`."""
    words: str
    kind: str
    """`user` or `group`; of a problem whatever it is about."""
    key: str
    name: str
    reason: str
    shown_key: str = ""
    """The key where a line for people shows it (`words.key_shown`), else ""."""
    cluster: str = ""
    """Inside a section, the sentence that is said once for all of whom it holds."""
    state: str = ""
    department: str = ""
    groups: tuple[str, ...] = ()
    """Names of groups that it has to do with."""
    notes: tuple[str, ...] = ()
    """Why it is worth a look, in words."""
    rows: tuple[Row, ...] = ()
    columns: tuple[str, str] = ("before", "after")
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    """Who joins and who leaves, by name and key."""
    resource: str = ""
    """The id at the target of what is taken over."""
    limit: str = ""
    """What holds it."""
    stored: bool = True
    """Of what is held, whether a run has stored it, so that a person can decide."""
    result: str = ""
    """What came of it: `applied`, `failed`, `refused`, `skipped`; "" where nothing was to."""
    status: int = 0
    said: str = ""
    """The endpoint's own words, or why it wasn't tried."""
    means: str = ""
    """What follows for those concerned."""
    told: tuple[str, ...] = ()
    """Of a drift its differences, in sentences."""
    by_stop: bool = False
    """Whether it wasn't done only because the target stopped: one incident, told once."""

    @property
    def unusual(self) -> bool:
        return SECTION[self.section].unusual

    @property
    def people(self) -> list[tuple[str, tuple[str, ...]]]:
        """Who joins, leaves, or (of a group that is taken over) is there, each with the verb."""
        verb = "is in it" if self.change is not None and self.change.adopts else "joins"
        return [(word, names) for word, names in ((verb, self.came), ("leaves", self.went)) if names]

    @property
    def can_be_approved(self) -> bool:
        """Whether an approval releases it; also where no run has stored it yet."""
        return self.section == "held" and self.limit not in NEVER_RELEASED

    @property
    def command(self) -> str:
        """The command that releases it, "" where none does or not yet: the beginning of its id is enough."""
        return f"syncd approve {self.id[:12]}" if self.can_be_approved and self.stored else ""

    @property
    def telling(self) -> tuple[str, ...]:
        """Its notes without what its section says already."""
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
        """Whether its rows are worth a line each: not of what is made, switched off or deleted as a whole."""
        action = self.change
        return action is None or action.adopts or (action.alters and not action.ends)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of what: `code` of the section or state that they belong to."""

    code: str
    words: str
    count: int
    meaning: Meaning

    @property
    def is_action(self) -> bool:
        return self.code in _ACTIONS


@dataclass(frozen=True, slots=True)
class Picture:
    """People, or groups, by what happens to each: `inside` are parts of the managed, `outside` come to them."""

    noun: str
    managed: int | None
    """None: a plan that was saved before doesn't say."""
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
    """What many changes have in common. `example`: the commonest values, `example_count` times."""

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
    """What will happen, or did, sentence by sentence, each with what it means."""
    effort: str
    """Requests and time: estimated of a plan, counted of a run."""
    error: tuple[str, ...]
    """Why a run was cut short, line by line."""
    unreached: int
    """Changes that weren't done because of that alone."""
    evidence: str
    doubt: str
    """Why nobody counts as gone; "" where somebody may."""
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
        """What it is: "Plan", "Run 7"."""
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
