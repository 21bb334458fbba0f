"""Assemble one sandbox: state, profile, SCIM endpoints, people's side, log and faults."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from scim2_server.service import ScimService
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp

from syncd.sandbox.control import control_routes
from syncd.sandbox.database import Database
from syncd.sandbox.faults import Faults, load, parse
from syncd.sandbox.guard import Guard
from syncd.sandbox.interference import Interference
from syncd.sandbox.options import SCIM_PATH, SandboxOptions
from syncd.sandbox.page import Page
from syncd.sandbox.people import People
from syncd.sandbox.people_api import people_routes
from syncd.sandbox.profiles import Profile, integrations, profiles_of
from syncd.sandbox.requestlog import RequestLog
from syncd.sandbox.resources import Resources
from syncd.sandbox.scim import SandboxHandler, ScimApplication
from syncd.sandbox.storage import SandboxStorage


def build(options: SandboxOptions) -> Starlette:
    """Return the application; closing its lifespan closes the state file."""
    tokens = integrations(options)
    folder = None
    path = options.state
    if path is None:
        folder = tempfile.TemporaryDirectory(prefix="syncd-sandbox-")
        path = Path(folder.name) / "sandbox.db"
    database = Database(path)
    resources = Resources(database)
    profiles = profiles_of(resources, options)
    scim = ScimApplication({tokens[name]: handler(profile) for name, profile in profiles.items()})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        database.close()
        if folder is not None:
            folder.cleanup()

    people = People(resources, profiles)
    log = RequestLog()
    habits = parse([{"habit": name} for name in options.habits], "--habit")
    faults = Faults([*habits, *(load(options.faults) if options.faults else [])])
    # scim2-server and Starlette spell the same ASGI types differently.
    wording = next(iter(profiles.values())).error
    endpoints = Interference(cast("ASGIApp", scim), resources, log, faults, wording)
    page = Page(people, log, faults, tokens, SCIM_PATH)
    routes: list[BaseRoute] = [
        *page.routes(),
        Mount("/admin", routes=[*control_routes(log, faults), *people_routes(people)]),
        Mount(SCIM_PATH, app=endpoints),
        Mount("", app=endpoints),
    ]
    guard = Middleware(Guard, host=options.host)
    return Starlette(routes=routes, middleware=[guard], lifespan=lifespan)


def handler(profile: Profile) -> SandboxHandler:
    """Return the SCIM handler of one integration."""
    provider = profile.provider()
    storage = SandboxStorage(profile.resources, profile, provider)
    return SandboxHandler(ScimService(provider), storage)


def generic_storage(database: Database) -> SandboxStorage:
    """Return the storage of profile generic, for use without HTTP."""
    (profile,) = profiles_of(Resources(database), SandboxOptions()).values()
    return handler(profile).storage
