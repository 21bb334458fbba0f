"""Reports, with the installed command: every form of a plan and of a run, changes since a review, kept reports."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

FORMS = {
    "html": "<!doctype html>",
    "md": "## plan: `sandbox`",
    "csv": '\ufeff"target",',
    "txt": "sandbox (resync",
    "json": '{\n  "fingerprint"',
}


@pytest.mark.parametrize("ending", FORMS)
def test_a_plan_in_every_form(admin: Administrator, sandbox: Sandbox, ending: str) -> None:
    done = admin.syncd("plan", "-o", f"plan.{ending}")
    assert done.code == 2
    assert f"written to plan.{ending}" in done.out
    text = (admin.folder / f"plan.{ending}").read_text(encoding="utf-8")
    assert text.lower().startswith(FORMS[ending])
    for key in range(1, 6):
        assert f"p{key}@example.com" in text


def test_an_ending_that_means_nothing_is_said_before_anything_is_done(admin: Administrator, sandbox: Sandbox) -> None:
    done = admin.syncd("plan", "-o", "plan.docx")
    assert done.code == 64
    assert "the ending says the format, and can be .txt, .json, .md, .html, .csv" in done.err
    assert sandbox.requests() == []


def test_a_plan_on_standard_output(admin: Administrator, sandbox: Sandbox) -> None:
    assert admin.syncd("plan", "--format", "html").out.lower().startswith("<!doctype html>")
    assert admin.syncd("plan", "--format", "markdown").out.startswith("## Plan: `sandbox`")
    rows = list(csv.DictReader(io.StringIO(admin.syncd("plan", "--format", "csv").out)))
    assert {row["target"] for row in rows} == {"sandbox"}
    plan = admin.syncd("plan", "--format", "json").json
    assert plan["changes"] == admin.syncd("plan", "--json").json["changes"]


def test_a_run_in_every_form(admin: Administrator, sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 400, "contains": "p3@example.com"})
    assert admin.syncd("sync").code == 4
    shown = admin.syncd("show", "1").out
    assert "p3@example.com" in shown
    for form in ("html", "markdown", "csv"):
        text = admin.syncd("show", "1", "--format", form).out
        assert "p3@example.com" in text
        assert "failed" in text
    assert "written to run.html" in admin.syncd("show", "1", "-o", "run.html").out
    assert "p3@example.com" in (admin.folder / "run.html").read_text(encoding="utf-8")
    assert admin.syncd("show", "1", "--json").json["results"]["failed"] == 1
    assert admin.syncd("show", "7").code == 1


def test_what_changed_since_the_review(admin: Administrator, sandbox: Sandbox) -> None:
    assert admin.syncd("plan", "-o", "plan.json").code == 2
    done = admin.syncd("diff", "plan.json")
    assert done.code == 0
    assert "Nothing has changed since the review" in done.out
    admin.people([*(person(key) for key in range(1, 6)), person(6, status="left"), person(7)])
    done = admin.syncd("diff", "plan.json")
    assert done.code == 2
    assert "p7@example.com" in done.out
    assert "p1@example.com" not in done.out
    assert admin.syncd("plan", "-o", "other.json").code == 2
    assert json.loads(admin.syncd("diff", "plan.json", "other.json", "--json").out)
    assert "p7@example.com" in admin.syncd("diff", "plan.json", "other.json", "--format", "markdown").out
    done = admin.syncd("diff", "people.csv")
    assert done.code == 1
    assert "people.csv: not JSON" in done.err
    assert sandbox.users() == []


def test_a_file_that_can_not_be_written_is_said(admin: Administrator, sandbox: Sandbox) -> None:
    done = admin.syncd("plan", "-o", "nowhere/plan.html")
    assert done.code == 1
    assert "nowhere/plan.html: No such file or directory" in done.err
