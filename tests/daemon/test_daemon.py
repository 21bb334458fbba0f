"""The daemon from beginning to end: a process of its own, a real endpoint, the real socket, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from syncd.errors import SyncdError
from syncd.store import StateFile
from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
NEVER = {"SYNCD__SCHEDULE__SYNC": "100d"}
"""Let nothing happen by itself after the first run."""


def active(sandbox: Sandbox) -> set[str]:
    return {user["externalId"] for user in sandbox.users() if user.get("active", True)}


def events(running: Running, name: str) -> list[str]:
    return [line for line in running.logged().splitlines() if f"event={name}" in line]


def first_run(running: Running) -> None:
    """Wait until the run that it begins with has ended."""
    running.until(lambda status: status["last_run"] and status["last_run"]["finished"] and not goes_on(status))


def goes_on(status: dict[str, dict[str, object]]) -> bool:
    return status["daemon"]["running"] is not None


# -- what it does by itself ----------------------------------------------------------------------------


def test_it_begins_with_a_run_that_finds_what_is_there_already(admin: Administrator, sandbox: Sandbox) -> None:
    user = {"schemas": [USER], "userName": "p1@example.com", "emails": [{"value": "p1@example.com"}]}
    made = sandbox.scim("POST", "/Users", user)
    with Running(admin, **NEVER) as running:
        first_run(running)
        status = running.status()
    assert status["last_run"]["kind"] == "resync", "nothing was known of the target"
    assert active(sandbox) == {"1", "2", "3", "4", "5"}
    (ada,) = [user for user in sandbox.users() if user["userName"] == "p1@example.com"]
    assert ada["id"] == made.json()["id"]
    with Running(admin, **NEVER) as running:
        first_run(running)
        assert running.status()["last_run"]["kind"] == "sync"


def test_it_runs_on_schedule(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        first_run(running)
        admin.people(person(key) for key in range(1, 9))
        running.until(lambda status: status["users"]["active"] == 8)
        coming = running.status()["daemon"]["next"]
    assert active(sandbox) == set("12345678")
    assert datetime.fromisoformat(coming["sync"])
    assert coming["resync"] is None


def test_a_source_that_is_down_is_tried_again_and_said_once(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        first_run(running)
        people = (admin.folder / "people.csv").read_text()
        (admin.folder / "people.csv").unlink()
        status = running.until(lambda status: status["incidents"])
        (incident,) = status["incidents"]
        assert incident["kind"] == "source"
        assert "people.csv: there is no such file" in incident["detail"]["reason"]
        shown = admin.syncd("status").out
        assert "the source can't be read since" in shown
        admin.write("people.csv", people)
        running.until(lambda status: not status["incidents"])
    assert active(sandbox) == {"1", "2", "3", "4", "5"}


def test_a_target_whose_token_is_gone_stops_no_other(admin: Administrator, sandbox: Sandbox) -> None:
    text = (admin.folder / "syncd.toml").read_text()
    second = text[text.index("[[target]]") :].replace('"sandbox"', '"second"', 1).replace("SYNCD_TOKEN", "OTHER_TOKEN")
    token = admin.write("token", "sandbox-token")
    token.chmod(0o600)
    admin.write("syncd.toml", text + "\n" + second.replace('{ env = "OTHER_TOKEN" }', '{ file = "token" }'))
    where = {"SYNCD__TARGET__SECOND__BASE_URL": "http://127.0.0.1:9/scim/v2", "SYNCD__TARGET__SECOND__PATIENCE": "1s"}
    admin.environment |= where
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        running.until(lambda status: status["users"]["active"] == 5)
        token.unlink()
        admin.people(person(key) for key in range(1, 9))
        running.until(lambda status: status["users"]["active"] == 8)
        running.until(lambda _: running.ask("status", target="second")[0]["incidents"])
        first, second = running.ask("status")
    assert first["incidents"] == []
    assert "token: " in second["incidents"][0]["detail"]["reason"]


def test_targets_that_are_due_together_share_one_pull(admin: Administrator, sandbox: Sandbox, tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "second.db") as second:
        text = (admin.folder / "syncd.toml").read_text()
        more = text[text.index("[[target]]") :].partition("\n[schedule]")[0].replace('"sandbox"', '"second"', 1)
        admin.write("syncd.toml", f"{text}\n{more}")
        admin.environment["SYNCD__TARGET__SECOND__BASE_URL"] = second.base_url
        with Running(admin, **NEVER) as running:
            running.until(
                lambda _: all(row["users"]["active"] == 5 and not goes_on(row) for row in running.ask("status"))
            )
            assert len(events(running, "pulled")) == 1
            assert len(events(running, "run_ended")) == 2
        assert active(second) == active(sandbox) == {"1", "2", "3", "4", "5"}


# -- what it is told -----------------------------------------------------------------------------------


def test_commands_ask_the_daemon_that_holds_the_lease(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        first_run(running)
        status = admin.syncd("status", "--json").json
        assert status["daemon"]["pid"] == running.pid
        assert "the daemon runs since" in admin.syncd("status").out
        admin.people(person(key) for key in range(1, 8))
        done = admin.syncd("sync", "--user", "p7@example.com", "--json")
        assert (done.code, done.json["results"]["applied"]) == (0, 1)
        done = admin.syncd("resync")
        assert done.code == 0
        assert "1 done" in done.out
        assert admin.syncd("runs", "1", "--json").json[0]["kind"] == "resync"
        assert admin.syncd("show", "1").code == 0
        assert "is managed" in admin.syncd("explain", "p7@example.com").out or admin.syncd("explain", "7").code == 0
    assert [line.split("by=")[1] for line in events(running, "asked")] == [os.environ.get("USER", "root")] * 2


def test_who_accepts_while_a_run_goes_on_is_not_forgotten(admin: Administrator, sandbox: Sandbox) -> None:
    admin.environment["SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS"] = '["example.com"]'
    everybody = [*(person(key) for key in range(1, 40)), person(40, mail="ada@elsewhere.example")]
    admin.people(everybody)
    with Running(admin, **NEVER, SYNCD__TARGET__SANDBOX__CONCURRENCY="1") as running:
        first_run(running)
        assert running.status()["users"]["pending"] == 1
        sandbox.faults({"fault": "delay", "milliseconds": 100, "method": "PATCH"})
        admin.people([row | {"title": "Chief"} for row in everybody[:39]] + everybody[39:])
        command = [str(Path(sys.executable).with_name("syncd")), "sync"]
        follower = subprocess.Popen(command, cwd=admin.folder, env=admin.environment, stdout=subprocess.DEVNULL)
        running.until(lambda status: (status["daemon"]["running"] or {}).get("done", 0) > 5)
        running.ask("accept", who="ada@elsewhere.example")
        assert goes_on(running.status())
        assert follower.wait(60) == 0
        running.do("sync")
        assert running.status()["users"]["pending"] == 0
    assert "40" in active(sandbox)


def test_a_reviewed_plan_is_applied_while_the_daemon_runs(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        first_run(running)
        admin.people(person(key) for key in range(1, 9))
        assert admin.syncd("plan", "-o", "plan.json").code == 2
        done = admin.syncd("apply", "plan.json")
        assert (done.code, done.err) == (0, "")
        assert active(sandbox) == set("12345678")
        assert admin.syncd("apply", "people.csv").code == 1


def test_what_is_held_is_decided_over_the_socket_and_by_whom_is_kept(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people(person(key) for key in range(1, 31))
    with Running(admin, **NEVER) as running:
        first_run(running)
        admin.people(person(key, status="left" if key <= 9 else "active") for key in range(1, 31))
        (run,) = running.do("sync")
        assert len(run["held"]) == 9
        listed = admin.syncd("holds", "--json").json["holds"]
        assert len(listed) == 9
        one = next(hold for hold in listed if hold["change"]["key"] == "1")
        done = admin.syncd("approve", one["id"], "--json", environment={"SUDO_USER": "grace"})
        assert done.json["approved"][0]["by"] == ("grace" if os.getuid() == 0 else done.json["approved"][0]["by"])
        assert admin.syncd("reject", "all").code == 0
        assert admin.syncd("approve", "nonsense").code == 1
        (run,) = running.do("sync")
        # What was rejected last is rejected: also what had been approved before.
        assert run["results"]["applied"] == 0
        assert len(active(sandbox)) == 30
        admin.syncd("approve", one["id"], environment={"SUDO_USER": "grace"})
        (run,) = running.do("sync")
        assert run["results"]["applied"] == 1
    # The hold is gone; what was done says for ever who let it.
    shown = admin.syncd("show", str(run["run"])).out
    who = "grace" if os.getuid() == 0 else done.json["approved"][0]["by"]
    assert f"disabled in the source; approved by {who} on 20" in shown


def test_paused_is_paused_also_after_a_restart(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        first_run(running)
        assert "paused since" in admin.syncd("pause").out
        runs = running.status()["last_run"]["run"]
        admin.people(person(key) for key in range(1, 9))
        done = admin.syncd("sync")
        assert done.code == 1
        assert "`syncd resume --target sandbox` lets it go on" in done.err
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        for _ in range(3):
            running.wait_for("")
        assert running.status()["last_run"]["run"] == runs
        assert "paused" in "".join(running.heard)
        assert "it was paused since" in admin.syncd("resume").out
        running.until(lambda status: status["users"]["active"] == 8)
    assert admin.syncd("pause").code == 0, "without a daemon the state file is told"
    assert admin.syncd("sync").code == 1
    assert admin.syncd("plan").code == 0


def test_the_daemon_forgets_what_was_learned_when_a_check_asks_for_it(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        first_run(running)
        with StateFile(admin.folder / "syncd.db") as state, state.atomic():
            snapshot = state.snapshot("sandbox")
            snapshot.discover({**snapshot.discovery, "shows_members": True})
        done = admin.syncd("check", "--relearn")
        assert done.code == 0, done.err
        assert "that it shows members" in done.out
        with StateFile(admin.folder / "syncd.db") as state:
            assert "shows_members" not in state.snapshot("sandbox").discovery


def test_a_pause_brings_a_push_to_an_end(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people(person(key) for key in range(1, 201))
    sandbox.faults({"fault": "delay", "milliseconds": 200, "method": "POST"})
    with Running(admin, **NEVER, SYNCD__TARGET__SANDBOX__CONCURRENCY="2") as running:
        running.until(lambda status: (status["daemon"]["running"] or {}).get("done", 0) > 5)
        # A command may take seconds to start: the push takes more than a minute now.
        sandbox.faults({"fault": "delay", "milliseconds": 1000, "method": "POST"})
        admin.syncd("pause")
        status = running.until(lambda status: not goes_on(status))
        results = status["last_run"]["results"]
        assert results["skipped"] > 100
        assert set(results) == {"applied", "skipped"}
        sandbox.faults()
        admin.syncd("resume")
        running.until(lambda status: status["users"]["active"] == 200)
    names = [user["userName"] for user in sandbox.users()]
    assert len(names) == len(set(names)) == 200


def test_a_good_configuration_is_taken_over_and_a_bad_one_refused(admin: Administrator, sandbox: Sandbox) -> None:
    text = (admin.folder / "syncd.toml").read_text()
    with Running(admin, **NEVER) as running:
        first_run(running)
        admin.write("syncd.toml", text.replace("employee_id", "employe_id", 1) + "\nnonsense = 1\n")
        done = admin.syncd("reload")
        assert done.code == 1
        assert "nonsense" in done.err
        running.wait_for("RELOADING=1")
        said = running.wait_for("refused")
        assert said.startswith("STATUS=")
        assert "nonsense" in said
        running.wait_for("READY=1")
        assert "nonsense" in running.status()["daemon"]["refused"]
        running.signal(signal.SIGHUP)
        running.wait_for("RELOADING=1")
        running.wait_for("READY=1")
        assert running.do("sync")[0]["error"] == "", "the old one is in force"
        admin.write("syncd.toml", text.replace('title = "{title}"', 'title = "{title|upper}"'))
        running.signal(signal.SIGHUP)
        running.wait_for("RELOADING=1")
        running.wait_for("READY=1")
        assert running.status()["daemon"]["refused"] == ""
        assert "refused" not in [each for each in running.heard if each.startswith("STATUS=")][-1]
        (run,) = running.do("sync")
        assert {change["after"]["title"] for change in run["changes"]} == {"ENGINEER"}
        admin.write("syncd.toml", text.replace('state = "syncd.db"', 'state = "other.db"'))
        with pytest.raises(SyncdError, match="takes effect when the daemon is restarted"):
            running.ask("reload")
        admin.write("syncd.toml", text)


def test_who_follows_hears_how_far_it_is_and_need_not_stay(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER, SYNCD__TARGET__SANDBOX__CONCURRENCY="2") as running:
        first_run(running)
        # Commands may take seconds to start: until the faults end, the push takes a minute.
        admin.people(person(key) for key in range(1, 61))
        sandbox.faults({"fault": "delay", "milliseconds": 2000, "method": "POST"})
        command = [str(Path(sys.executable).with_name("syncd")), "resync"]
        follower = subprocess.Popen(command, cwd=admin.folder, env=admin.environment, stderr=subprocess.PIPE, text=True)
        running.until(lambda status: status["unsettled"])
        said = admin.syncd("status").out
        assert "resync goes on since" in said
        assert "nobody knows" not in said, "what is in flight is waited for"
        follower.send_signal(signal.SIGINT)
        _, said_last = follower.communicate()
        assert "the daemon goes on with it" in said_last
        sandbox.faults()
        running.until(lambda status: status["users"]["active"] == 60)
        assert any("pushing to sandbox: " in each for each in running.heard)


def test_two_people_at_once_wait_for_each_other(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        first_run(running)
        admin.people(person(key) for key in range(1, 41))
        sandbox.faults({"fault": "delay", "milliseconds": 20, "method": "POST"})
        command = [str(Path(sys.executable).with_name("syncd")), "sync", "--json"]
        both = [
            subprocess.Popen(command, cwd=admin.folder, env=admin.environment, stdout=subprocess.DEVNULL)
            for _ in range(2)
        ]
        assert [each.wait(60) for each in both] == [0, 0]
    posts = [request for request in sandbox.requests() if request["method"] == "POST"]
    names = [user["userName"] for user in sandbox.users()]
    assert len(names) == len(set(names)) == 40
    assert len(posts) >= 35


def test_a_second_daemon_is_refused(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        done = admin.syncd("run")
        assert done.code == 5
        assert f"process {running.pid}, syncd run" in done.err
        assert running.status()


def test_a_daemon_of_another_state_file_is_not_asked(admin: Administrator, sandbox: Sandbox, tmp_path: Path) -> None:
    with Running(admin, **NEVER):
        done = admin.syncd("status", "--json", environment={"SYNCD__STATE": str(tmp_path / "other" / "syncd.db")})
        assert done.code == 0
        assert done.json["daemon"] is None


# -- how it ends ---------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_flight(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people(person(key) for key in range(1, 201))
    sandbox.faults({"fault": "delay", "milliseconds": 50, "method": "POST"})
    with Running(admin, **NEVER, SYNCD__TARGET__SANDBOX__CONCURRENCY="4") as running:
        running.until(lambda status: (status["daemon"]["running"] or {}).get("done", 0) > 5)
        assert running.stop() == 0
        running.wait_for("STOPPING=1")
        assert not (admin.folder / "syncd.sock").exists()
    status = admin.syncd("status", "--json").json
    assert status["unsettled"] == 0
    assert len(sandbox.users()) == status["users"]["active"] < 200
    assert "unfinished=false" in running.logged()


def test_killed_in_the_middle_of_a_push_it_goes_on_where_it_was(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people(person(key) for key in range(1, 101))
    sandbox.faults({"fault": "delay", "milliseconds": 30, "method": "POST"})
    with Running(admin, **NEVER, SYNCD__TARGET__SANDBOX__CONCURRENCY="4") as running:
        running.until(lambda status: (status["daemon"]["running"] or {}).get("done", 0) > 5)
        running.signal(signal.SIGKILL)
        assert running.ended() == -signal.SIGKILL
        assert (admin.folder / "syncd.sock").exists()
        assert admin.syncd("status").code == 0, "nobody answers there: the state file does"
        sandbox.faults()
        running.start()
        running.until(lambda status: status["users"]["active"] == 100 and not goes_on(status))
        assert running.status()["unsettled"] == 0
    names = [user["userName"] for user in sandbox.users()]
    assert len(names) == len(set(names)) == 100


def test_it_ends_while_it_only_reads(admin: Administrator, sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "delay", "milliseconds": 30_000, "method": "GET"})
    with Running(admin, **NEVER, SYNCD__DRAIN="0s") as running:
        running.until(lambda status: (status["daemon"]["running"] or {}).get("phase") == "reading")
        assert running.stop() == 0
    sandbox.faults()
    assert "unfinished=true" in running.logged()


def test_what_can_not_work_is_said_at_the_start(admin: Administrator, sandbox: Sandbox) -> None:
    done = admin.syncd("run", environment={"SYNCD_TOKEN": ""})
    assert done.code == 1
    assert "token: the environment variable SYNCD_TOKEN is not set" in done.err
    done = admin.syncd("run", environment={"SYNCD__CONTROL__SOCKET": "/proc/nowhere/syncd.sock"})
    assert done.code == 1
    assert "`control.socket` says where" in done.err


def test_its_memory_stays_what_it_was(admin: Administrator, sandbox: Sandbox) -> None:
    people = [person(key) for key in range(1, 201)]
    with Running(admin, "--log-level", "warning", **NEVER) as running:
        admin.people(people)
        running.do("sync")
        used = {}
        for number in range(1, 501):
            people[number % 200]["title"] = f"Title {number}"
            admin.people(people)
            (run,) = running.do("resync" if number % 10 == 0 else "sync")
            assert run["results"]["applied"] == 1
            if number in (20, 500):
                status = Path(f"/proc/{running.pid}/status").read_text()
                used[number] = int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])
    assert used[500] <= 1.10 * used[20], used
