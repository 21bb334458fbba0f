"""A person at one target: the facts behind every answer about the person."""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncd.compare.rules import SourceRules, TargetRules
from syncd.core.diff import user_changes
from syncd.core.model import Kind, Known
from syncd.core.plan import Change
from syncd.core.schema import MANAGER
from syncd.explain.circumstances import Circumstances, spoken
from syncd.explain.evaluation import Evaluation
from syncd.store import Snapshot
from syncd.store.lookup import last_kept


@dataclass(frozen=True)
class Person:
    """One person at one target."""

    circumstances: Circumstances
    snapshot: Snapshot
    source: SourceRules
    target: TargetRules
    known: Known | None
    """The account, as the target last acknowledged it."""
    evaluation: Evaluation | None
    """The entry, mapped with today's configuration; None where no entry was kept."""
    gone: str
    """Since when the source lacks the person, as a clause; "" where the person is there or nothing is known."""
    changes: tuple[Change, ...]
    """The changes that a run would make now, as far as these depend on no other person's entry."""

    @classmethod
    def of(cls, circumstances: Circumstances, snapshot: Snapshot, source: SourceRules, target: TargetRules) -> Person:
        """Collect the facts from the state file."""
        known, kept = snapshot.user(circumstances.key), snapshot.entry(circumstances.key)
        evaluation = Evaluation.of(*kept, source, target) if kept else None
        gone = _gone(known, evaluation, circumstances, snapshot)
        changes = _following(known, evaluation, source, target, snapshot, gone=bool(gone))
        return cls(circumstances, snapshot, source, target, known, evaluation, gone, tuple(changes))

    @property
    def key(self) -> str:
        return self.circumstances.key

    @property
    def off(self) -> str:
        """Why they should have no access, as a clause; "" where they should have access."""
        return self.gone or (self.evaluation.off if self.evaluation else "")

    @property
    def name(self) -> str:
        """The name that is displayed, else given and family name, else the userName, else "" or the changes' name."""
        flat = self.evaluation.flat if self.evaluation else {}
        known = self.known.attributes if self.known else {}
        for attributes in (flat, known):
            if shown := attributes.get("displayName"):
                return str(shown)
        given = " ".join(str(flat[path]) for path in ("name.givenName", "name.familyName") if flat.get(path))
        name = given or str(flat.get("userName", "")) or (self.known.name if self.known else "")
        return name or self.circumstances.name()


def _gone(known: Known | None, evaluation: Evaluation | None, circumstances: Circumstances, snapshot: Snapshot) -> str:
    if known is not None and known.missing_since is not None:
        return f"the source has not had them since {spoken(known.missing_since)}"
    # The entry of a person without an account differs in every reading, and is kept anew each time.
    kept = last_kept(snapshot) if known is None and evaluation is not None else None
    if kept and evaluation and evaluation.at < kept and not circumstances.problems:
        return f"the source no longer had them on {spoken(kept)}"
    return ""


def _following(
    known: Known | None,
    evaluation: Evaluation | None,
    source: SourceRules,
    target: TargetRules,
    snapshot: Snapshot,
    *,
    gone: bool,
) -> list[Change]:
    """Return the changes that a run would make now.

    #  account  entry               -> changes
    #  -        gone, or unusable      none
    #  -        usable                 as for a new person
    #  there    gone                   as for a person who left
    #  there    none, or unusable      none
    #  there    usable                 the differences
    """
    desired, owned = evaluation.desired if evaluation is not None and not gone else None, source.users.ownership
    if known is None:
        return user_changes(desired, None, target.pending, "", (), owned).changes if desired is not None else []
    if gone:
        return user_changes(None, known, target.pending, "", (), owned).changes
    if desired is None:
        return []
    desired = owned.settle(desired, known.attributes)
    manager = desired.attributes.get(MANAGER)
    accounts = snapshot.ids(Kind.USER, [manager]) if manager else {}
    if manager and not accounts:  # the reference waits for the manager's account
        without = {path: each for path, each in desired.attributes.items() if path != MANAGER}
        desired, owned = replace(desired, attributes=without), owned.without(MANAGER)
    return user_changes(desired, known, target.pending, "", accounts, owned).changes
