"""The web page over the people's side: its views, and the action and redirect of each form.

Server-rendered. Every form is a POST that is answered with a redirect, so that a reload never repeats an action.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qsl, urlencode, urlsplit

from scim2_models import SCIMException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from syncd.errors import ConfigurationError
from syncd.sandbox import views
from syncd.sandbox.actions import ACTIONS, Actions
from syncd.sandbox.faults import Faults
from syncd.sandbox.people import People, Refused, Tab
from syncd.sandbox.requestlog import RequestLog
from syncd.sandbox.views import Frame, Note

STATIC = Path(__file__).parent / "static"
SUPPORT = "support"
KEPT_NOTES = 100
MOST_PAGES = 10**9
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; img-src data:"
)


class Page:
    """The page of one sandbox."""

    def __init__(self, people: People, log: RequestLog, faults: Faults, tokens: dict[str, str], scim_path: str) -> None:
        self.people = people
        self.log = log
        self.faults = faults
        self.tokens = tokens
        self.scim_path = scim_path
        self.notes: OrderedDict[str, Note] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the page."""
        return [
            Route("/", self.members),
            Route("/ui/groups", self.groups),
            Route("/ui/requests", self.requests),
            Route("/ui/account", self.account),
            Route("/ui/pulse", self.pulse),
            Route("/ui/act/{action}", self.act, methods=["POST"]),
            Route("/ui/style.css", self.static),
            Route("/ui/script.js", self.static),
        ]

    # Views

    async def members(self, request: Request) -> Response:
        """Show a tab of members."""
        query = request.query_params
        tab = Tab(query["tab"]) if query.get("tab") in list(Tab) else Tab.ACTIVE
        page = query.get("page", "1")
        number = min(max(1, int(page)), MOST_PAGES) if page.isascii() and page.isdigit() else 1
        return _html(views.members(self._frame(request), tab, query.get("q", ""), number))

    async def groups(self, request: Request) -> Response:
        """Show the groups."""
        return _html(views.groups(self._frame(request)))

    async def requests(self, request: Request) -> Response:
        """Show the request log and the faults."""
        return _html(views.requests(self._frame(request), self.log, self.faults))

    async def account(self, request: Request) -> Response:
        """Show the account."""
        return _html(views.account(self._frame(request), self._tokens()))

    async def pulse(self, request: Request) -> Response:
        """Report whether the shown data has changed."""
        return JSONResponse({"pulse": self._pulse()}, headers={"Cache-Control": "no-store"})

    async def static(self, request: Request) -> Response:
        """Return the style sheet or the script."""
        return FileResponse(STATIC / request.url.path.rpartition("/")[2], headers={"Cache-Control": "no-cache"})

    def _tokens(self) -> dict[str, str]:
        return {name: self.people.profile.token(first) for name, first in self.tokens.items()}

    def _frame(self, request: Request) -> Frame:
        query = urlencode([(name, value) for name, value in request.query_params.items() if name != "note"])
        return Frame(
            people=self.people,
            path=request.url.path,
            here=f"{request.url.path}?{query}" if query else request.url.path,
            scim_url=f"{request.url.scheme}://{request.url.netloc}{self.scim_path}",
            support=request.cookies.get(SUPPORT) == "on",
            pulse=self._pulse(),
            note=self.notes.pop(request.query_params.get("note", ""), None),
        )

    def _pulse(self) -> str:
        """Return a token that changes whenever a page may have changed."""
        changes = self.people.resources.database.connection.total_changes
        flying = self.log.in_flight
        return f"{changes}-{self.log.counts.total()}-{flying}-{id(self.faults.rules)}"

    # Actions

    async def act(self, request: Request) -> Response:
        """Carry out a form's action and redirect to the form's page, with a note of the result."""
        fields = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        support = request.cookies.get(SUPPORT) == "on"
        action = ACTIONS.get(request.path_params["action"])
        if action is None:
            return Response("there is no such action", 404)
        try:
            note = Note(action(Actions(self.people, self.log, self.faults, support=support), fields))
        except KeyError as error:
            note = Note(f"the form lacks the field {error}", refused=True)
        except Refused as error:
            note = Note(str(error), refused=True)
        except ConfigurationError as error:
            note = Note("; ".join(str(fault) for fault in error.faults), refused=True)
        except SCIMException as error:
            note = Note(str(error.detail), refused=True)
        response = RedirectResponse(self._back(fields.get("back", "/"), note), 303)
        if action is Actions.switch_support:
            response.set_cookie(SUPPORT, "off" if support else "on", httponly=True, samesite="strict")
        return response

    def _back(self, path: str, note: Note) -> str:
        """Return the redirect path of a form, with the key of the note to show."""
        parts = urlsplit(path)
        if parts.scheme or parts.netloc or not parts.path.startswith("/") or parts.path.startswith("//"):
            return "/"
        if not note.message:
            return path
        key = token_urlsafe(8)
        self.notes[key] = note
        while len(self.notes) > KEPT_NOTES:
            self.notes.popitem(last=False)
        return f"{path}{'&' if parts.query else '?'}note={key}"


def _html(page: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return HTMLResponse(page, headers=headers)
