"""The people who have an account at the target, or get one now: only they can be in groups or named as managers."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.core.digest import member_numbers
from syncd.core.model import Kind


class Accounts:
    """Keys of everybody seen who has an account or gets one now, each with the number of its digest as a member."""

    def __init__(self, kept_back: Iterable[str]) -> None:
        """`kept_back`: keys of the invited, where they join no group before they accept."""
        self._numbers: dict[str, int] = {}
        self._kept_back = frozenset(kept_back)

    def have(self, keys: Iterable[str]) -> None:
        """Note that these users have an account."""
        self._numbers.update(member_numbers(Kind.USER, keys))

    def have_unchanged(self, keys: Iterable[str]) -> None:
        """Note that these users still have an account."""
        self.have([key for key in keys if key not in self._kept_back] if self._kept_back else keys)

    def discard(self, key: str) -> None:
        """Note that a user has no account, or can't be in groups for now."""
        self._numbers.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def numbers(self, keys: Iterable[str]) -> list[int]:
        """Return the digest numbers of the users who have an account."""
        numbers = self._numbers
        try:
            return [numbers[key] for key in keys]  # nearly always every user has an account
        except KeyError:
            return [numbers[key] for key in keys if key in numbers]
