"""`syncd demo`: the main job from beginning to end on this machine, with the real commands.

Starts a sandbox as a process of its own, works in a folder of its own, and checks each step's exit code
against the expected code.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from syncd.cli.starter import write
from syncd.errors import SyncdError

Row = dict[str, str]
_TOKEN: Final = "sandbox-token"  # noqa: S105 - the sandbox's own, on loopback
_PROFILE: Final = "lucidlink"
_DOMAIN: Final = "example.com"
_LEAVERS: Final = 9


@dataclass
class Demo:
    """One run of the demo, and its folder."""

    folder: Path
    environment: dict[str, str]
    pause: bool
    page: str
    """The URL of the people's side of the sandbox; the people's API is below this URL."""
    report: Path
    """The path of the page with the plan of the bad export."""

    def say(self, text: str) -> None:
        click.echo("\n" + click.style(text, bold=True))

    def wait(self) -> None:
        if self.pause:
            click.prompt(click.style("Enter goes on", dim=True), default="", show_default=False, prompt_suffix=" ")

    def run(self, *arguments: str, expected: int) -> None:
        """Run one command of syncd as a person would, show it, and compare its exit code."""
        click.echo(click.style(f"$ syncd {shlex.join(arguments)}", fg="cyan"))
        sys.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-m", "syncd", *arguments], cwd=self.folder, env=self.environment, check=False
        )
        click.echo(click.style(f"exit code {done.returncode}", dim=True))
        if done.returncode != expected:
            raise SyncdError(
                f"not as it should be: `syncd {shlex.join(arguments)}` ended with {done.returncode}, not {expected}"
            )

    def asked(self, *arguments: str) -> Any:
        """Run one command unseen, and return its JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "syncd", *arguments, "--json"],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
        )
        return json.loads(done.stdout)

    def at_the_target(self, method: str, path: str, body: Any = None) -> Any:
        """Make a change as support at the target, which causes drift; returns the response."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.page}admin/{path}", data, method=method)  # noqa: S310  # loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def edit(self, name: str, change: Callable[[list[Row]], list[Row]]) -> None:
        """Replace a CSV file by a changed one, as an export should: whole, by a rename."""
        path = self.folder / name
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or [])
            rows = list(reader)
        draft = path.with_suffix(".draft")
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(change(rows))
        draft.replace(path)


def run(*, pause: bool, keep: Path | None) -> None:
    """Run every step. Raises SyncdError at the first step with an unexpected result."""
    with ExitStack() as stack:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            if (keep / "syncd.db").exists():
                raise SyncdError(f"{keep}: a demo was here already", hint="give an empty folder")
            folder = keep.resolve()
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncd-demo-")))
        for _ in write(folder):
            pass
        address = stack.enter_context(_sandbox(folder))
        environment = {
            **os.environ,
            "SYNCD_CONFIG": "syncd.toml",
            "SYNCD_TOKEN": _TOKEN,
            "SYNCD__TARGET__SANDBOX__BASE_URL": address,
            "SYNCD__TARGET__SANDBOX__PROFILE": _PROFILE,
            "SYNCD__TARGET__SANDBOX__RATE": "200",
            "SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS": f'["{_DOMAIN}"]',
        }
        demo = Demo(folder, environment, pause, address.removesuffix("scim/v2"), _report(keep))
        _show(demo, address)
        done = click.style("\nEvery step went as it should.", fg="green", bold=True)
        click.echo(f"{done} Your turn: `syncd init`")
        click.echo(f"The report of step 5, for your browser: {demo.report}")


def _report(keep: Path | None) -> Path:
    """Return the path of a report that outlives the demo."""
    if keep is not None:
        return keep.resolve() / "plan.html"
    return Path(tempfile.mkdtemp(prefix="syncd-report-")) / "plan.html"


@contextmanager
def _sandbox(folder: Path) -> Iterator[str]:
    """Run a sandbox beside the demo; yields its SCIM base URL. Raises SyncdError."""
    command = [sys.executable, "-m", "syncd", "sandbox", "--port", "0", "--state", str(folder / "sandbox.db")]
    command += ["--profile", _PROFILE, "--verified-domain", _DOMAIN]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = process.stdout.readline()
        found = re.search(r"https?://\S+/scim/v2", said)
        if found is None:
            process.terminate()
            raise SyncdError(f"the sandbox did not start: {said}{process.stderr.read()}".strip())
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def _show(demo: Demo, address: str) -> None:
    page = demo.page
    demo.say("1. An organisation in three CSV files, and an empty workspace that behaves as LucidLink's documents say")
    click.echo(f"   files in {demo.folder}\n   SCIM at {address}\n   what its people see: {page}")
    demo.run("check", expected=0)
    demo.wait()

    demo.say("2. What would happen? Nothing is sent; the plan is saved for review")
    demo.run("plan", "-o", "plan.json", expected=2)
    demo.run("plan", expected=2)
    demo.wait()

    demo.say("3. Reviewed: carry out exactly that plan")
    demo.run("apply", "plan.json", expected=0)
    demo.run("status", expected=0)
    click.echo(f"   See {page}: groups carry the mark (SCIM) and are locked; people of other domains are pending.")
    demo.wait()

    demo.say("4. The organisation changes")
    for line in _changes(demo):
        click.echo(f"   {line}")
    demo.run("plan", expected=2)
    demo.run("sync", expected=0)
    click.echo(f"   See {page}: who left is deactivated, and keeps everything but access.")
    demo.wait()

    demo.say(f"5. A bad export: {_LEAVERS} people are suddenly marked as having left")
    demo.edit("people.csv", _mass_leave)
    demo.run("plan", "-o", str(demo.report), expected=3)
    demo.run("sync", expected=3)
    click.echo("   Over the limit, so nobody was locked out: it is held until a person decides.")
    demo.wait()

    left = demo.asked("holds")["holds"][0]
    demo.say(f"6. A person decides: {left['change']['name']} did leave, the others did not")
    demo.run("approve", left["id"][:8], expected=0)
    demo.run("sync", expected=3)
    click.echo("   Exactly that one change. The export is mended for the others: nothing is held any more.")
    demo.edit("people.csv", lambda rows: _back_but(rows, left["change"]["key"]))
    demo.run("sync", expected=0)
    demo.run("holds", expected=0)
    demo.wait()

    demo.say("7. Meanwhile somebody changed things at the workspace; a full resync reads it and finds out")
    for line in _drift(demo):
        click.echo(f"   {line}")
    demo.run("plan", "--full", expected=2)
    demo.run("resync", expected=0)
    demo.wait()

    demo.say("8. Everything is in line again, so the next run is quiet: not a single request")
    demo.run("sync", expected=0)
    demo.run("status", expected=0)
    demo.run("runs", expected=0)


def _changes(demo: Demo) -> Iterator[str]:
    """Change a few values in the files, and yield a sentence per change."""
    changed: list[str] = []

    def people(rows: list[Row]) -> list[Row]:
        active = [row for row in rows if row["status"] == "active"]
        promoted, married, leaver = active[3], active[4], active[5]
        promoted["title"] = f"Senior {promoted['title']}"
        changed.append(f"{promoted['first']} {promoted['last']} is promoted to {promoted['title']}")
        old = married["mail"]
        married["last"] += "-Okafor"
        married["mail"] = f"{married['first']}.okafor@{old.partition('@')[2]}".lower()
        married["display"] = ""
        changed.append(f"{old} marries and becomes {married['mail']}: the same account, renamed")
        leaver["status"] = "left"
        changed.append(f"{leaver['first']} {leaver['last']} leaves")
        key = str(max(int(row["employee_id"]) for row in rows) + 1)
        new = {
            "employee_id": key,
            "first": "Noor",
            "last": "Haddad",
            "mail": "noor.haddad@example.com",
            "status": "active",
            "department": promoted["department"],
            "title": "Engineer",
            "manager_id": promoted["employee_id"],
        }
        changed.append("Noor Haddad joins, and is put into a group")
        return [*rows, new]

    demo.edit("people.csv", people)

    def members(rows: list[Row]) -> list[Row]:
        key = _last_key(demo)
        return [*rows, {"group": rows[0]["group"], "member": key}]

    demo.edit("members.csv", members)
    yield from changed


def _last_key(demo: Demo) -> str:
    """Return the key of the person added last."""
    with (demo.folder / "people.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))[-1]["employee_id"]


def _mass_leave(rows: list[Row]) -> list[Row]:
    for row in [row for row in rows if row["status"] == "active"][-_LEAVERS:]:
        row["status"] = "LEFT?"
    return rows


def _back_but(rows: list[Row], leaver: str) -> list[Row]:
    for row in rows:
        if row["status"] == "LEFT?":
            row["status"] = "left" if row["employee_id"] == leaver else "active"
    return rows


def _drift(demo: Demo) -> Iterator[str]:
    """Change a few values at the target, and yield a sentence per change."""
    group = demo.at_the_target("GET", "groups")[0]
    member = next(each for each in group["members"] if each["type"] == "User")
    demo.at_the_target("DELETE", f"groups/{group['id']}/members/{member['id']}?force=1")
    yield f"{member['name']} was taken out of {group['name']}"
    users = [user for user in demo.at_the_target("GET", "users?state=active") if user["id"] != member["id"]]
    demo.at_the_target("PATCH", f"users/{users[0]['id']}", {"title": "Emperor", "force": True})
    yield f"{users[0]['userName']} got the title Emperor"
    demo.at_the_target("PATCH", f"users/{users[1]['id']}", {"active": False, "force": True})
    yield f"{users[1]['userName']} was switched off"
