"""Serve a request as an endpoint with habits of its own does: with the deviations that affect the request.

Owns the effect of deviations on a request, on what is stored and on the answer; how resources are kept is `conduct`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

from syncd.sandbox.answer import Answer, App, Message, Receive, Scope, Wording, no_content, scim_error
from syncd.sandbox.conduct import Conduct
from syncd.sandbox.deviations import AddReplaces, Answered, AnyDeviation, Ineffective, Redundant, Reverts, Shown
from syncd.sandbox.memories import Memory, remember
from syncd.sandbox.resources import ENDPOINTS, Resources
from syncd.sandbox.reversion import Reversions
from syncd.sandbox.rules import Rule

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_TYPES = {endpoint: type_ for type_, endpoint in ENDPOINTS.items()}
_ONE_ELEMENT = re.compile(r'(\w+)\[\s*(\w+)\s+eq\s+("(?:[^"\\]|\\.)*")\s*\](?:\.(\w+))?')
_Kind = TypeVar("_Kind")


class Behaviour:
    """The SCIM application, with deviations."""

    def __init__(self, app: App, resources: Resources, wording: Wording) -> None:
        self._app = app
        self._resources = resources
        self._wording = wording
        self._reversions = Reversions(resources.database)

    def pass_time(self, rules: Sequence[Rule], scope: Scope, path: str, *, counted: bool) -> None:
        """Restore what is due before a request by the rules in force; `counted` False: an observer's."""
        searches = b"filter=" in scope["query_string"]
        listing = scope["method"] == "GET" and path.strip("/") in _TYPES and not searches
        self._reversions.carry_out(rules, counted=counted, listing=listing)

    def stored(self, path: str) -> str:
        """Return the resource that a path names as JSON; empty if there is none."""
        type_, id_ = named(path)
        found = self._resources.get(id_, type_) if type_ else None
        return "" if found is None else orjson.dumps(found.attributes).decode()

    async def answer(self, scope: Scope, path: str, body: bytes, deviations: Sequence[AnyDeviation]) -> Answer:
        """Serve a request and return the answer."""
        if not deviations:
            return await self._run(scope, body)
        if _first(AddReplaces, deviations) and scope["method"] == "PATCH":
            body = replacing(body, {name for each in _all(AddReplaces, deviations) for name in each.attributes})
        conduct = Conduct.of(deviations)
        with self._resources.conducted(conduct):
            if scope["method"] in _WRITES and _is_of_resources(path):
                answer = await self._write(scope, path, body, deviations)
            else:
                answer = await self._run(scope, body)
            if answer.succeeded and (rule := conduct.takes_over) is not None and conduct.took_over:
                answer.status = rule.status
        for shown in _all(Shown, deviations):
            show(answer, shown)
        return answer

    async def _write(self, scope: Scope, path: str, body: bytes, deviations: Sequence[AnyDeviation]) -> Answer:
        if ineffective := _first(Ineffective, deviations):
            return await self._without_effect(scope, body, ineffective)
        if redundant := _first(Redundant, deviations):
            answer = await self._unless_so_already(scope, body, redundant)
        else:
            memory = self._remembered(path) if _first(Reverts, deviations) else None
            answer = await self._run(scope, body)
            if answer.succeeded:
                self._plan_reversions(memory, path, answer, deviations)
        answered = _first(Answered, deviations)
        if answered and answer.succeeded and scope["method"] in ("PATCH", "PUT"):
            return await self._read_back(scope) if answered.body else no_content(answer.headers)
        return answer

    async def _without_effect(self, scope: Scope, body: bytes, rule: Ineffective) -> Answer:
        """Return the answer to a write that is undone, or refused as usual."""
        asked = None
        with self._resources.database.trial():
            answer = await self._run(scope, body)
            if answer.succeeded and rule.answer == "as_asked" and scope["method"] in ("PATCH", "PUT"):
                asked = await self._read_back(scope)
        if not answer.succeeded or scope["method"] in ("POST", "DELETE"):
            return answer
        if rule.answer == "nothing":
            return no_content(answer.headers)
        return asked or await self._read_back(scope)

    async def _unless_so_already(self, scope: Scope, body: bytes, rule: Redundant) -> Answer:
        """Return the answer to a write, which is refused and undone if some of it asks for what is so already."""
        database, conduct = self._resources.database, self._resources.conduct
        with database.trial() as trial:
            changes = database.connection.total_changes
            answer = await self._run(scope, body)
            changed = database.connection.total_changes > changes
            absent = scope["method"] == "DELETE" and answer.status == 404
            trial.kept = answer.succeeded and changed and not conduct.found_done
        if trial.kept or not (answer.succeeded or absent):
            return answer
        return scim_error(rule.status, self._wording, "This is so already", rule.scim_type)

    async def _run(self, scope: Scope, body: bytes) -> Answer:
        answer = Answer()
        await self._app(scope, _replay(body), answer.collect)
        return answer

    async def _read_back(self, scope: Scope) -> Answer:
        """Return the resource of a request, as a GET would."""
        conditions = (b"if-match", b"if-none-match", b"content-type", b"content-length")
        headers = [header for header in scope["headers"] if header[0].lower() not in conditions]
        return await self._run({**scope, "method": "GET", "headers": headers}, b"")

    # What becomes as it was

    def _remembered(self, path: str) -> Memory | None:
        type_, id_ = named(path)
        return remember(self._resources.database, type_, id_) if type_ else None

    def _plan_reversions(
        self, memory: Memory | None, path: str, answer: Answer, deviations: Sequence[AnyDeviation]
    ) -> None:
        for rule in _all(Reverts, deviations):
            created = answer.json if memory is None else None
            if isinstance(created, dict):
                memory = Memory(_TYPES[path.strip("/")], str(created["id"]), None)
            if memory is not None:
                self._reversions.plan(memory, rule)


def _is_of_resources(path: str) -> bool:
    """Whether a path is that of a kind of resource, or of one resource, and not of a search."""
    return path.strip("/").split("/")[0] in _TYPES and not path.endswith("/.search")


def named(path: str) -> tuple[str, str]:
    """Return the type and the id of the resource that a path names; two empty texts for any other path."""
    endpoint, _, id_ = path.strip("/").partition("/")
    return (_TYPES[endpoint], id_) if endpoint in _TYPES and id_ and "/" not in id_ else ("", "")


def replacing(body: bytes, attributes: set[str]) -> bytes:
    """Return a PATCH in which what was added to these lists is all that they have."""
    try:
        message = orjson.loads(body)
        operations = [part for each in message["Operations"] for part in _replacing(each, attributes)]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return body
    return orjson.dumps({**message, "Operations": operations})


def _replacing(operation: dict[str, Any], attributes: set[str]) -> list[dict[str, Any]]:
    """Return an operation in the words of those that an endpoint carries out in its place."""
    path, value = operation.get("path"), operation.get("value")
    if operation["op"].lower() != "add":
        return [operation]
    if not path and isinstance(value, dict):
        lists = [{"op": "replace", "path": name, "value": value[name]} for name in value if name in attributes]
        others = {name: value[name] for name in value if name not in attributes}
        return [*lists, *([{**operation, "value": others}] if others else [])]
    if path in attributes:
        return [{**operation, "op": "replace", "value": value if isinstance(value, list) else [value]}]
    if (one := _ONE_ELEMENT.fullmatch(str(path))) and one[1] in attributes:
        given: dict[str, Any] = {one[4]: value} if one[4] else {**(value or {})}
        element = {one[2]: orjson.loads(one[3]), **given}
        return [{"op": "replace", "path": one[1], "value": [element]}]
    return [operation]


def show(answer: Answer, rule: Shown) -> None:
    """Show an attribute of every resource in an answer as a rule says."""
    body = answer.json if answer.succeeded else None
    if not isinstance(body, dict):
        return
    for resource in body.get("Resources", [body]):
        if rule.attribute not in resource:
            continue
        value = rule.off if resource[rule.attribute] is False else rule.on
        if value is None:
            del resource[rule.attribute]
        else:
            resource[rule.attribute] = value
    answer.replace_json(body)


def _all(kind: type[_Kind], deviations: Sequence[AnyDeviation]) -> list[_Kind]:
    return [each for each in deviations if isinstance(each, kind)]


def _first(kind: type[_Kind], deviations: Sequence[AnyDeviation]) -> _Kind | None:
    return next(iter(_all(kind, deviations)), None)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
