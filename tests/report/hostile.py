"""Hostile names: texts that mean something to a terminal, a browser, a spreadsheet,
or to Markdown, and a plan and a run in which every text is one."""

from __future__ import annotations

from typing import Final

from syncd.core.context import Context, GroupSize, Person
from syncd.core.drift import Drift, DriftClass
from syncd.core.model import Evidence, Kind, State
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Run, Trouble
from tests.report.plans import NOON

NAMES: Final = (
    "\x1b[31mred\x1b[0m",
    "a\u202egpj.exe",
    "line\r\nbreak\u2028and\u2029more",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]><svg/onload=alert(1)>",
    "\"' onmouseover=alert(1) x='\"",
    "&lt;b&gt; &amp; &#x3c;",
    "| cell | another |",
    "`code` ``more``",
    "`",
    " blank ",
    "*bold* _it_ ~~no~~ [link](https://evil.example) ![x](y)",
    "https://evil.example/ www.evil.example",
    "@everyone #12 org/repo#3",
    "# heading",
    "- item\n\n<details open>",
    "$x^2$ :smile:",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1:A9)",
    "\t=1+1",
    " =1+1",
    '"=1+1',
    "＝1+1",
    "x,\"y\";'z'",
    "__proto__",
)


def _change(action: Action, name: str, number: int) -> Change:
    before, after = {"userName": f"{name} old", "title": name}, {"userName": name, "title": f"new {name}"}
    reason = f"because of {name}"
    return Change(action, f"{name}{number}", name, before, after, reason, State.ACTIVE, resource=name, first=name)


PLAN: Final = Plan(
    target="<b>lucid</b>",
    kind="sync",
    created=NOON,
    base_serial=1,
    changes=(
        *(_change(Action.UPDATE_USER, name, 1) for name in NAMES),
        *(_change(Action.ADOPT_USER, name, 2) for name in NAMES),
        *(Change(Action.CREATE_USER, f"{name}3", name, {}, {"title": name}, name) for name in NAMES),
        *(Change.of_members(Action.ADD_MEMBERS, f"{name}4", name, list(NAMES), [name]) for name in NAMES),
    ),
    held=tuple(Held(_change(Action.DEACTIVATE_USER, name, 5), name, f"held for {name}") for name in NAMES),
    rejected=tuple(Held(_change(Action.DELETE_USER, name, 6), "rejected", f"rejected by {name}") for name in NAMES),
    drift=tuple(
        Drift(DriftClass.USER_ATTRIBUTES, Kind.USER, f"{name}7", name, {"title": name}, {"title": f"{name}!"})
        for name in NAMES
    ),
    problems=tuple(Trouble(f"{name}8", f"wrong: {name}", f"{name}.csv:1") for name in NAMES),
    accepted=NAMES,
    managed=100,
    evidence=Evidence("<i>people</i>.csv", 1, 1, 1, 0, 0.1),
    context=Context(
        people={f"{name}1": Person(name, name, (name,)) for name in NAMES},
        groups={f"{name}4": GroupSize(name, 3) for name in NAMES},
    ),
)
RUN: Final = Run(
    1,
    PLAN,
    NOON,
    tuple(Outcome(change, Result.FAILED, 400, f"no: {change.name}") for change in PLAN.changes),
    1,
    0.1,
    "<b>stopped</b>\n@everyone | `x`",
    reads=0,
)
