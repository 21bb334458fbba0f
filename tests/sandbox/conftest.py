"""Sandboxes for the tests of a module: one process per profile and settings, started when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.sandbox.process import Sandbox

Sandboxes = Callable[..., Sandbox]


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    """Return a function that gives the sandbox of a profile with certain settings.

    They are shared by the tests of a module: use names that no other test uses (`scim_bodies.unused`).
    """
    running: dict[Any, Sandbox] = {}
    with ExitStack() as stack:

        def get(profile: str = "generic", *, verified_domains: tuple[str, ...] = (), **settings: str) -> Sandbox:
            key = (profile, verified_domains, tuple(sorted(settings.items())))
            if key not in running:
                named = {name.replace("_", "-"): answer for name, answer in settings.items()}
                sandbox = Sandbox(profile, verified_domains=verified_domains, settings=named)
                running[key] = stack.enter_context(sandbox)
            return running[key]

        yield get
