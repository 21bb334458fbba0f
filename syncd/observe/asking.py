"""Reading one linked resource by its id: the only proof that the resource is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from syncd.core.model import Kind
from syncd.errors import ScimError
from syncd.observe.bodies import id_of, observed_group, observed_user
from syncd.observe.model import Reading, Subject

_T = TypeVar("_T")


class Link(NamedTuple):
    """A linked resource."""

    kind: Kind
    key: str
    id: str
    off: bool = False
    """Whether syncd switched the account off; some endpoints hide such accounts."""
    sort: str = ""
    """The tally that the resource is counted in; "" for one that the target need not show, such as a pending account,
    or that syncd made anew."""


async def is_there(link: Link, subject: Subject, reading: Reading) -> bool | None:
    """Ask for a resource by id, and observe it; None when the endpoint doesn't say. Raises TargetError.

    #  answer                              -> is there
    #  the resource, with that id             yes
    #  404                                    no
    #  403, or another error of its own       unknown: this one is refused, others are not
    #  another id, or none                    unknown: an error with a status of success, or somebody else
    """
    try:
        body = (await subject.client.read(link.kind, link.id)).body
    except ScimError as error:
        return False if error.status == 404 else None
    if id_of(body).casefold() != link.id.casefold():
        return None
    body = {**body, "id": link.id}
    if link.kind is Kind.USER:
        user = observed_user(body, subject.owned[Kind.USER].paths, reading)
        subject.observation.put_users([user])
        reading.shown.switched_off = reading.shown.switched_off or (link.off and not user.active)
    else:
        subject.observation.put_groups(
            [observed_group(body, subject.owned[Kind.GROUP].paths, subject.profile, reading)]
        )
    return True


async def side_by_side(work: Callable[[_T], Awaitable[object]], items: Sequence[_T], most: int) -> None:
    """Do the work for each item, with limited concurrency. Raises the first failure."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(most, len(items))):
                tasks.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
