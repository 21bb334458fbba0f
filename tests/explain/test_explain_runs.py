"""`explain` after real runs against an endpoint on loopback, which is gone when the question is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.core.plan import Result
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from syncd.explain import explain
from syncd.settings.build import read
from syncd.store import StateFile
from tests.endpoints import TOKEN, Endpoint, error

CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "id"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{{mail}}"
displayName = "{{name}}"
title = "{{title}}"
[[target]]
name = "lucid"
base_url = "{url}"
rate = 10000
token = {{ env = "EXPLAIN_TOKEN" }}
verified_domains = ["x.org"]
scope = 'title != "Contractor"'
missing_grace = "24h"
[target.limits]
deactivate = {{ count = 0 }}
"""
FIRST = """id,mail,name,title,status
1,ada@x.org,Ada,Chief,active
2,bob@x.org,Bob,Clerk,active
3,cy@x.org,Cy,Contractor,active
4,,Dee,Clerk,active
5,eve@y.org,Eve,Clerk,active
6,fay@x.org,Fay,Clerk,left
7,gil@x.org,Gil,Clerk,active
"""


def test_after_real_runs_every_verdict_says_what_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLAIN_TOKEN", TOKEN)
    (tmp_path / "groups.csv").write_text("id,name\ng,Design\n", encoding="utf-8")
    (tmp_path / "members.csv").write_text("group,member\ng,1\ng,2\n", encoding="utf-8")
    people = tmp_path / "people.csv"
    file = tmp_path / "syncd.toml"
    with StateFile(tmp_path / "syncd.db") as state:
        with Endpoint() as endpoint:
            file.write_text(CONFIGURATION.format(url=endpoint.url), encoding="utf-8")
            setup = read(file)

            def sync() -> list[Result]:
                (planned,) = make_plans(setup, state, setup.targets, Progress())
                return [outcome.result for outcome in carry_out(planned, state, Progress()).outcomes]

            people.write_text(FIRST, encoding="utf-8")
            assert set(sync()) == {Result.APPLIED}
            for method in ("PATCH", "PUT"):  # in whatever form
                endpoint.instead(method, "/Users/", *[error(400, "title is reserved")] * 9)
            # Ada gets a title that is refused, Bob is disabled, Gil is gone.
            second = FIRST.replace("Chief", "Boss").replace("Bob,Clerk,active", "Bob,Clerk,left")
            people.write_text("".join(second.splitlines(keepends=True)[:-1]), encoding="utf-8")
            assert sync() == [Result.FAILED]

        def verdict(who: str) -> str:
            return explain(setup, state, setup.targets[0], who, datetime.now(UTC)).verdict

        assert verdict("ada@x.org").startswith(
            "Ada (1) is active at lucid, but not quite as the source has it (title differs): the change is quarantined"
        )
        assert "title is reserved" in verdict("1")
        assert (
            'Bob (2) is active at lucid, although the source says `status` is "left" (rule: status == "active"):'
            " switching it off is held ("
        ) in verdict("Bob@x.org")
        assert 'is not there at lucid: they are out of scope: the source says `title` is "Contractor"' in verdict("3")
        assert verdict("4") == "4 is not there at lucid: the entry has no value for userName."
        assert "is pending at lucid: invited on" in verdict("eve@y.org")
        assert 'is not there at lucid: the source says `status` is "left"' in verdict("fay@x.org")
        assert "although the source has not had them since" in verdict("7")
        assert "switching it off is held (missing from the source since" in verdict("7")
        assert verdict("design") == "The group Design (g) is at lucid with 2 people, as the source had it in run 2."
