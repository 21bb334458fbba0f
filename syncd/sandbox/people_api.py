"""The people's side as JSON under /admin: the views and actions of the page, for scripts and tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from scim2_models import SCIMException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from syncd.sandbox.control import json_response
from syncd.sandbox.people import Locked, NotThere, People, Refused, Tab

Endpoint = Callable[[Request], Awaitable[Response]]
BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


def people_routes(people: People) -> list[BaseRoute]:
    """Return the routes of the people's API, relative to /admin."""

    async def account(request: Request) -> Response:
        profile = people.profile
        tabs = {tab.value: people.users(tab, limit=0).total for tab in Tab}
        return json_response(
            {
                "profile": profile.name,
                "title": profile.title,
                "settings": {
                    name: answer for each in people.profiles.values() for name, answer in each.settings.items()
                },
                "verified_domains": list(profile.options.verified_domains),
                "sso": profile.accepts_token() if profile.has_sso else None,
                "users": tabs,
                "groups": len(people.groups()),
            }
        )

    async def users(request: Request) -> Response:
        if request.method == "POST":
            body = await _body(request, {"email", "name"})
            invited = people.invite(str(body.get("email", "")), str(body.get("name", "")))
            return json_response(people.describe_user(invited), 201)
        state = request.query_params.get("state")
        if state is not None and state not in list(Tab):
            raise Refused(f"state: there is no {state!r}; there are {', '.join(Tab)}")
        page = people.users(Tab(state) if state else None, request.query_params.get("q", ""))
        return json_response([people.describe_user(user) for user in page.documents])

    async def user(request: Request) -> Response:
        id_ = request.path_params["user"]
        if request.method == "PATCH":
            changes = await _body(request)
            force = changes.pop("force", _forced(request))
            return json_response(people.describe_user(people.change_user(id_, changes, force=bool(force))))
        if request.method == "DELETE":
            people.delete_user(id_, force=_forced(request))
            return Response(status_code=204)
        return json_response(people.describe_user(people.user(id_)))

    async def accept(request: Request) -> Response:
        return json_response(people.describe_user(people.accept(request.path_params["user"])))

    async def invite_again(request: Request) -> Response:
        return json_response(people.describe_user(people.invite_again(request.path_params["user"])))

    async def groups(request: Request) -> Response:
        if request.method == "POST":
            body = await _body(request, {"name", "kind"})
            created = people.create_group(str(body.get("name", "")), str(body.get("kind", "")))
            return json_response(people.describe_group(created), 201)
        return json_response([people.describe_group(group) for group in people.groups()])

    async def group(request: Request) -> Response:
        id_ = request.path_params["group"]
        if request.method == "PATCH":
            body = await _body(request, {"name", "permission", "force"})
            force = bool(body.pop("force", _forced(request)))
            with people.resources.database.transaction():
                if "permission" in body:
                    people.permit_group(id_, body["permission"])
                if "name" in body or not body:
                    people.rename_group(id_, str(body.get("name", "")), force=force)
            return json_response(people.describe_group(people.group(id_)))
        if request.method == "DELETE":
            people.delete_group(id_, force=_forced(request))
            return Response(status_code=204)
        return json_response(people.describe_group(people.group(id_)))

    async def member(request: Request) -> Response:
        act = people.add_member if request.method == "PUT" else people.remove_member
        changed = act(request.path_params["group"], request.path_params["user"], force=_forced(request))
        return json_response(people.describe_group(changed))

    async def sso(request: Request) -> Response:
        if request.method == "DELETE":
            people.remove_sso()
        elif request.method == "PUT":
            people.set_up_sso()
        return await account(request)

    async def elsewhere(request: Request) -> Response:
        if request.method == "PUT":
            body = await _body(request, {"emails"})
            emails = body.get("emails", [])
            if not isinstance(emails, list):
                raise Refused("emails has to be a list")
            people.set_elsewhere([str(email) for email in emails])
        return json_response({"emails": people.elsewhere()})

    return [
        Route("/account", _answering(account)),
        Route("/users", _answering(users), methods=["GET", "POST"]),
        Route("/users/{user}", _answering(user), methods=["GET", "PATCH", "DELETE"]),
        Route("/users/{user}/accept", _answering(accept), methods=["POST"]),
        Route("/users/{user}/invite", _answering(invite_again), methods=["POST"]),
        Route("/groups", _answering(groups), methods=["GET", "POST"]),
        Route("/groups/{group}", _answering(group), methods=["GET", "PATCH", "DELETE"]),
        Route("/groups/{group}/members/{user}", _answering(member), methods=["PUT", "DELETE"]),
        Route("/sso", _answering(sso), methods=["GET", "PUT", "DELETE"]),
        Route("/elsewhere", _answering(elsewhere), methods=["GET", "PUT"]),
    ]


def _answering(endpoint: Endpoint) -> Endpoint:
    """Answer a refused request with the reason as JSON: 404, 400, or 409 for a lock."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except NotThere as error:
            return JSONResponse({"error": str(error)}, 404)
        except Locked as error:
            return JSONResponse({"error": str(error), "locked": True}, 409)
        except Refused as error:
            return JSONResponse({"error": str(error)}, 400)
        except SCIMException as error:
            return JSONResponse({"error": error.detail}, 400)

    return answer


async def _body(request: Request, known: set[str] | None = None) -> dict[str, Any]:
    """Return a request's JSON object. Raises Refused if the body is no object, or has unknown keys."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused("the body has to be a JSON object")
    if known is not None and (unknown := body.keys() - known):
        raise Refused(f"{', '.join(sorted(unknown))}: unknown; there are {', '.join(sorted(known))}")
    return body


def _forced(request: Request) -> bool:
    """Whether the change is made with support's rights, which bypass the locks."""
    return BOOLEANS.get(request.query_params.get("force", "0").lower(), False)
