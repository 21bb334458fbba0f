"""Matching: the account at the target, if any, that an entry of the source takes over.

By externalId, which is our own mark; then by userName; then, where the profile says so and the address lies in a
verified domain, by e-mail: an address that anybody can register must not hand an account over. A match is exactly one
account that is linked to nobody else; in any other case a person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Observed


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a change is for a person to decide: `limit` names the rule, `reason` says it in a sentence."""

    limit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """The account that an entry takes over, and by which attribute it was found."""

    account: Observed
    by: str

    @property
    def ours(self) -> bool:
        """Whether the account carries our mark: linking such an account again takes nothing from anybody."""
        return self.by == "externalId"


ADOPT: Final = "adopt"
Owner = Callable[[str], str | None]
"""The key that an account's id is linked to, None for none."""


def judge(by: str, found: Sequence[Observed], key: str, external_id: str, owner: Owner) -> Match | Doubt | None:
    """Return the judgement of the accounts that one attribute found; None when there are none.

    #  accounts   linked to another key   carries another externalId   -> result
    #  none                                                            none: ask by the next attribute
    #  several                                                         doubt
    #  one        yes                                                  doubt
    #  one        no                      yes                          doubt
    #  one        no                      no                           match
    """
    if not found:
        return None
    if len(found) > 1:
        ids = ", ".join(sorted(each.id for each in found))
        return Doubt(ADOPT, f"{len(found)} accounts at the target have this {by} ({ids})")
    account = found[0]
    linked = owner(account.id)
    if linked is not None and linked != key:
        return Doubt(ADOPT, f"the account with this {by} ({account.id}) belongs to the source's key {linked}")
    if by != "externalId" and account.external_id not in ("", external_id):
        return Doubt(
            ADOPT, f"the account with this {by} ({account.id}) carries another externalId ({account.external_id})"
        )
    return Match(account, by)


def first(judgements: Iterable[Match | Doubt | None]) -> Match | Doubt | None:
    """Return the first judgement that is not None."""
    return next((each for each in judgements if each is not None), None)
