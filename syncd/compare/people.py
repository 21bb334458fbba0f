"""The first step of a comparison: people, as the source yields them, against the snapshot.

Entries that differ are mapped, and the core decides what follows for each. Absence, addresses, references to managers
and groups can only be judged once everybody has been seen, and are the next steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from syncd.compare.accounts import Accounts
from syncd.compare.addresses import Claims
from syncd.compare.adoption import UserAdoption
from syncd.compare.comparison import Comparison
from syncd.compare.digests import Batch, Digests
from syncd.compare.draft import Draft
from syncd.core.diff import user_changes
from syncd.core.mapping import EntryUnusable, desired_user
from syncd.core.matching import Doubt, Match
from syncd.core.model import Desired, Entry, Flat, Kind, Known, Problem, State
from syncd.core.ownership import Ownership
from syncd.core.plan import Trouble
from syncd.core.schema import MANAGER


class People:
    """Takes every batch of the source; the public fields then hold the consequences for people.

    An unchanged person takes a byte and a number, so that memory stays flat.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._owned = comparison.source.users.ownership
        self.digests = Digests(
            comparison.snapshot,
            comparison.target.mapping_fingerprint,
            comparison.decisions.undecided,
            comparison.remember,
        )
        self.adoption = UserAdoption(
            comparison.source.users, comparison.target, comparison.snapshot, comparison.observation
        )
        kept_back = () if comparison.target.profile.pending_memberships else comparison.snapshot.pending_keys()
        self.accounts = Accounts(kept_back)
        self.claims = Claims()
        self.draft = Draft()
        self.unusable: set[str] = set()
        """Keys that a faulty row may belong to."""
        self.problems: list[Trouble] = []

    def compare(self, batch: Sequence[Entry | Problem]) -> None:
        """Compare the next people of the source."""
        entries = []
        for item in batch:
            if isinstance(item, Problem):
                self.report(item)
            else:
                entries.append(item)
        if self.unusable:  # a problem may come after the row that the problem casts doubt on
            entries = [entry for entry in entries if entry.key not in self.unusable]
        compared = self.digests.compare(entries)
        self.accounts.have_unchanged(compared.unchanged)
        if compared.differing:
            self._map(compared)

    def report(self, problem: Problem) -> None:
        """Report a row that can't be used, and leave everybody whom it may belong to exactly as they are."""
        self.problems.append(Trouble(problem.key, problem.problem, problem.where, problem.kind.value))
        if problem.kind is not Kind.USER:
            return
        protected = problem.protected
        self.digests.see(protected)
        self.unusable.update(protected)
        for key in protected:
            self.draft.leave_alone(key)
            self.accounts.discard(key)

    def _map(self, batch: Batch) -> None:
        """Map the entries that differ, and decide the changes of each."""
        source, target = self._comparison.source, self._comparison.target
        mapped = []
        for entry, digest in batch.differing:
            try:
                desired = desired_user(entry, source.users, source.active, target.selection)
            except EntryUnusable as error:
                self.problems.append(Trouble(entry.key, str(error), entry.where))
                if entry.key in batch.known:
                    self.accounts.have_unchanged([entry.key])
                continue
            mapped.append((entry, desired, digest))
        managers = {desired.attributes[MANAGER] for _, desired, _ in mapped if MANAGER in desired.attributes}
        linked = self._comparison.snapshot.ids(Kind.USER, sorted(managers))
        for entry, desired, digest in mapped:
            before = batch.known.get(desired.key)
            match = self.adoption.match(entry, desired) if before is None or before.lost else None
            owned, there = self._owned, self._values_there(before, match)
            if there is not None:
                self.draft.keep(desired, owned)
                if isinstance(match, Match) and MANAGER in owned.left_alone(desired.attributes):
                    owned = owned.without(MANAGER)  # an id at the target, and no key of the source
                desired = owned.settle(desired, there)
            self._follow(desired, before, digest, linked, owned, match)
            if desired.state is State.DEACTIVATED:
                self.claims.withdraw(desired.key)
            else:
                self.claims.claim(desired.key, desired.name, source.users.email(desired.attributes))

    @staticmethod
    def _values_there(before: Known | None, match: Match | Doubt | None) -> Flat | None:
        """Return the values of the account that somebody has, or takes over; None where there is no account."""
        if before is not None and not before.lost:
            return before.attributes
        return match.account.attributes if isinstance(match, Match) else None

    def _follow(
        self,
        desired: Desired,
        before: Known | None,
        digest: bytes,
        linked: Collection[str],
        owned: Ownership,
        match: Match | Doubt | None,
    ) -> None:
        """Note the changes of one person. `linked`: keys of managers who have an account already."""
        target = self._comparison.target
        following = user_changes(desired, before, target.pending, digest.hex(), linked, owned, match)
        key, changes, draft = desired.key, following.changes, self.draft
        if following.forget:
            draft.forgotten.append(key)
            return
        if before is not None and before.lost and not changes:
            return  # gone with SSO: no account to be in groups, or to have a digest
        if changes:
            draft.changes[key] = changes
        elif before is not None:
            draft.digests[key] = digest
        if following.doubt is not None:
            draft.doubts[key] = following.doubt
        if isinstance(match, Match) and changes:
            self.adoption.take(match, key)
        if changes or before is not None:
            state = changes[0].state if changes else before.state if before else None
            if state is not State.PENDING or target.profile.pending_memberships:
                self.accounts.have([key])
        if changes and before is not None and self._moves_outside(before, desired):
            reason = f"{desired.name} is active, and the new address is outside the verified domains"
            draft.doubts.setdefault(key, Doubt("external_domain", reason))

    def _moves_outside(self, before: Known, desired: Desired) -> bool:
        """Return whether somebody who is active gets an address outside the verified domains."""
        email = self._comparison.source.users.email
        outside = before.state is State.ACTIVE and desired.state is State.PENDING
        return outside and email(before.attributes) != email(desired.attributes)
