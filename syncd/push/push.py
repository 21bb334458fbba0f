"""Push: one plan on its way to one target, put together from its parts.

#  plan -> phases -> workers -> turns -> execution -> users, groups, members -> sending -> gate -> target
#                               skips, recording, learning  linking            effects
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from syncd.compare.estimate import bulk_operations, lists_groups, returning
from syncd.core.model import Kind
from syncd.core.ownership import NOTHING_OWNED, Ownership
from syncd.core.plan import Action, Change, Outcome, Plan
from syncd.core.returning import doubted_resources
from syncd.core.room import ANY_NUMBER, Room
from syncd.errors import TargetError
from syncd.push.collisions import AccountCollisions, GroupCollisions
from syncd.push.corrections import Corrections
from syncd.push.effects import Effects
from syncd.push.execution import Execution
from syncd.push.gate import Gate
from syncd.push.groups import Groups
from syncd.push.learning import Learning
from syncd.push.linking import Linking
from syncd.push.listings import TargetListing
from syncd.push.members import Members
from syncd.push.moves import Moves
from syncd.push.phases import Workers, phases
from syncd.push.preconditions import look_again
from syncd.push.predating import Habits
from syncd.push.preparing import DeletionRules, Preparing
from syncd.push.recording import Recording
from syncd.push.relinking import Relinking
from syncd.push.returning import Returning
from syncd.push.sending import Sending
from syncd.push.skips import Skips
from syncd.push.turns import Turns
from syncd.push.users import Users
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from syncd.store import Commits, Journal, Snapshot, StateFile


@dataclass(frozen=True)
class PushRules:
    """The rules of one run that pushes.

    `takeovers`: how many accounts that creates collide with may be taken over; None: all. `owned`: how far the source
    decides about the attributes of users. `protected` is the gate's.
    `room`: the target's room for a person. `read_just_now`: the plan was made from a reading of the whole target in
    this run.
    """

    profile: Profile
    concurrency: int = 8
    takeovers: int | None = None
    owned: Ownership = NOTHING_OWNED
    adopt_groups: bool = False
    room: Room = ANY_NUMBER
    protected: Callable[[str, str], str] = lambda key, id_: ""
    deletions: DeletionRules = field(default_factory=DeletionRules)
    read_just_now: bool = False


class Push:
    """One plan on its way to one target.

    Nine fields: the inputs of a push (state file, snapshot, journal, client, rules, clock, listener), and the two parts
    that a shutdown needs during the push (skips, workers).
    """

    def __init__(
        self,
        state: StateFile,
        snapshot: Snapshot,
        journal: Journal,
        client: Client,
        rules: PushRules,
        *,
        clock: Callable[[], datetime],
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._snapshot = snapshot
        self._journal = journal
        self._client = client
        self._rules = rules
        self._clock = clock
        self._on_outcome = on_outcome
        self._skips = Skips(client.transport.name)
        self._workers = Workers(client, rules.concurrency)

    @property
    def stopped(self) -> TargetError | None:
        """Why the target as a whole refused or disappeared; None where it didn't."""
        return self._skips.stopped

    def drain(self) -> None:
        """Begin nothing more; changes in flight go on to their end."""
        self._skips.drain()

    def cut_off(self) -> None:
        """Abandon the changes in flight: their outcome is unknown, and the next run recovers it."""
        self._workers.cut_off()

    async def carry_out(self, plan: Plan, run: int) -> tuple[Outcome, ...]:
        """Execute every change of the plan and return the outcomes, in the plan's order.

        When the target as a whole refuses or disappears, `stopped` has the reason, and the remaining changes are
        skipped. Raises StateError when the state file can't be written: nothing more is sent then.
        """
        # As known when the plan was made: the run carries out exactly the requests that the plan announces.
        bulk_offered = self._snapshot.discovery.get("bulk")
        failures = self._journal.failures() if plan.changes else {}
        if not self._rules.read_just_now:
            self._skips.leave_open(self._open_creates())
        learning = Learning(self._state, self._snapshot, self._client)
        if plan.changes:
            self._skips.stop(await learning.ask_first())
        commits = Commits(self._state)
        gate = Gate(self._client, self._snapshot, self._rules.protected)
        sending = self._sending(plan, gate)
        corrections = Corrections(plan.drift, self._state.put_back(self._snapshot.name), run, self._clock)
        recording = Recording(self._state, self._snapshot, self._journal, commits, run, self._clock, corrections)
        execution = self._execution(plan, gate, sending, commits, recording)
        turns = Turns(execution, recording, self._skips, learning, corrections, self._on_outcome)
        for phase in phases(plan.changes, failures, self._rules.room):
            operations = bulk_operations(self._rules.profile, bulk_offered, phase)
            await self._workers.side_by_side(phase, turns.take, operations)
            await recording.finish()
        if not self._skips.ends:
            try:
                await execution.put_back()
                await learning.look_at_marks()
            except TargetError as error:
                self._skips.stop(error)
            await recording.finish()
        learning.note_creates(sending.habits)
        learning.note_dialect()
        learning.note_marks()
        if self.stopped is None:  # else everything managed may be gone, and these losses are one incident
            learning.note_lost(gate.lost)
        place = {change.id: index for index, change in enumerate(plan.changes)}
        return tuple(sorted(turns.outcomes, key=lambda outcome: place[outcome.change.id]))

    def _open_creates(self) -> frozenset[tuple[Kind, str]]:
        """Return kind and key of each create that an earlier run left open."""
        changes = (intent.change for intent in self._journal.intents())
        return frozenset((each.action.kind, each.key) for each in changes if each.action.creates)

    def _sending(self, plan: Plan, gate: Gate) -> Sending:
        profile = self._rules.profile
        effects = Effects(gate, self._snapshot, profile, doubted=doubted_resources(plan.drift))
        return Sending(gate, effects, profile, self._clock, Habits.known(self._snapshot.discovery))

    def _execution(self, plan: Plan, gate: Gate, sending: Sending, commits: Commits, recording: Recording) -> Execution:
        """Put together the parts that carry out changes."""
        snapshot, rules, unmade = self._snapshot, self._rules, self._skips.unmade_groups
        profile = rules.profile
        looking = _seen_just_now if rules.read_just_now else partial(look_again, gate, profile.group_suffix)
        creates = sum(change.action is Action.CREATE_GROUP and "externalId" in change.after for change in plan.changes)
        groups_before = TargetListing(gate, Kind.GROUP) if lists_groups(creates, profile, snapshot) else None
        accounts = AccountCollisions(gate, snapshot, takeovers=rules.takeovers, owned=rules.owned)
        groups = GroupCollisions(
            gate, snapshot, profile.group_suffix, adopt_groups=rules.adopt_groups, listed_before=groups_before
        )
        linking = Linking(gate, snapshot, commits, profile.group_suffix, self._clock)
        preparing = Preparing(self._state, snapshot, commits, rules.deletions, self._clock)
        moves = Moves(
            plan.changes, rules.room, snapshot, profile, gate.dialect, recording.begin, lambda: self._skips.ends
        )
        moves.forget_doubtful(self._state)
        members = Members(gate, sending, commits, snapshot, profile, unmade, moves)
        return Execution(
            Users(gate, snapshot, sending, accounts, linking, preparing, self._clock, looking),
            Groups(gate, snapshot, sending, groups, linking, members, unmade, looking),
            members,
            Relinking(gate, snapshot, sending, linking),
            Returning(gate, snapshot, returning(plan.changes, [*plan.held, *plan.rejected], profile, snapshot)),
        )


async def _seen_just_now(change: Change) -> None:
    """Skip the second look: the plan was made from a reading of the whole target in this run."""


__all__ = ["Push", "PushRules"]
