"""Why a user or group is in its state: answered from the state file and today's configuration alone.

Owns the verdict and its parts. Refuses the network: the facts are the target's last acknowledged state and the entry
as last read from the source. Writes nothing.
"""

from __future__ import annotations

from datetime import datetime

from syncd.core.model import Kind
from syncd.explain.circumstances import Circumstances
from syncd.explain.groups import explain_group
from syncd.explain.meant import meant
from syncd.explain.people import explain_user
from syncd.report.explanation import Explanation
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


def explain(setup: Setup, state: StateFile, target: Target, who: str, now: datetime) -> Explanation:
    """Explain one user or group: a source key, userName, e-mail or group name; `user:` or `group:` may stand before it.

    Raises SyncdError when nobody or several are meant, naming them.
    """
    with state.explained():
        kind, key = meant(setup, state, target.name, who)
        circumstances = Circumstances.of(state, target.name, kind, key, now)
        if kind is Kind.GROUP:
            return explain_group(circumstances, state, target)
        return explain_user(circumstances, state, setup.rules, target)


__all__ = ["explain"]
