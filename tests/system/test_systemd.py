"""The service on a machine with a real systemd: installed by `make install`, used, broken, and still at work.

One machine for all of it, in the order in which an administrator would go: each test begins where the one before ended.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import Machine

UNITS = Path(__file__).parents[2] / "systemd"
CONFIGURATION = """
[source]
type = "csv"
users = "/srv/directory/people.csv"
key = "id"

[mapping.user]
userName = "{mail}"
title = "{title}"

[[target]]
name = "endpoint"
base_url = "http://127.0.0.1:8765/scim/v2"
token = { credential = "endpoint-token" }
concurrency = 4
# Cleanly said, so that nothing here waits for a person.
limits.deactivate = { percent = 100 }

[schedule]
sync = "1h"
resync = "never"
"""
SANDBOX = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine() as machine:
        yield machine


def people(machine: Machine, count: int, title: str = "Engineer") -> None:
    rows = "".join(f"{number},p{number}@example.com,{title}\n" for number in range(1, count + 1))
    machine.write("/srv/directory/people.csv", f"id,mail,title\n{rows}")


def users(machine: Machine) -> list[dict[str, Any]]:
    """Return all accounts at the endpoint."""
    found: list[dict[str, Any]] = []
    while True:
        address = f"{SANDBOX}/scim/v2/Users?startIndex={len(found) + 1}&count=500"
        page = json.loads(machine.run(f"curl -sS -H 'Authorization: Bearer s3cret-token' '{address}'").stdout)
        found += page.get("Resources", [])
        if len(found) >= page["totalResults"]:
            return found


def faults(machine: Machine, *rules: dict[str, Any]) -> None:
    body = json.dumps(list(rules))
    machine.run(f"curl -sSf -X PUT -H 'Content-Type: application/json' -d '{body}' {SANDBOX}/admin/faults")


def status(machine: Machine) -> Any:
    return json.loads(machine.run("syncd status --json").stdout)


def wait_until(machine: Machine, condition: str, seconds: int = 60) -> None:
    """Wait for a condition of the shell, inside: one call, however long it takes."""
    waited = f"for i in $(seq {seconds * 5}); do if {condition}; then exit 0; fi; sleep 0.2; done; exit 1"
    done = machine.run(waited, check=False, timeout=seconds * 3)
    assert done.returncode == 0, f"{condition}\n{machine.journal()}"


# -- installation --------------------------------------------------------------------------------------


def test_make_install_puts_it_all_in_place(machine: Machine) -> None:
    done = machine.run("cd /src && PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels make install")
    assert "done: syncd" in done.stderr
    assert "systemctl enable --now syncd" in done.stderr
    assert machine.run("syncd --version").stdout.startswith("syncd, version")
    assert machine.run("stat -c '%a %U %G' /etc/syncd /etc/syncd/credentials /etc/syncd/syncd.toml").stdout.split("\n")[
        :3
    ] == ["750 root syncd", "700 root root", "640 root syncd"]
    assert machine.run("id -un syncd").stdout == "syncd\n"
    assert machine.run("systemctl is-active syncd", check=False).stdout == "inactive\n", "it is for a person to start"


def test_the_exposure_is_small(machine: Machine) -> None:
    for unit in ("syncd.service", "syncd-resync@lucid.service"):
        said = machine.run(f"systemd-analyze security --no-pager {unit}", check=False).stdout
        found = re.search(r"Overall exposure level for .*: (\d+\.\d)", said)
        assert found is not None, said
        assert float(found[1]) <= 1.5, said
    assert machine.run("systemd-analyze verify syncd.service syncd-resync@lucid.service").stderr == ""


def test_it_starts_syncs_and_is_ready(machine: Machine) -> None:
    machine.run("mkdir -p /srv/directory")
    people(machine, 20)
    machine.write("/etc/syncd/syncd.toml", CONFIGURATION, 0o640)
    machine.run("chgrp syncd /etc/syncd/syncd.toml")
    machine.write("/etc/syncd/credentials/endpoint-token", "s3cret-token\n", 0o600)
    machine.run(
        "systemd-run --unit=endpoint --property=Type=exec /opt/syncd/bin/syncd sandbox --token s3cret-token"
        " --state /run/endpoint.db"
    )
    wait_until(machine, f"curl -sf -o /dev/null {SANDBOX}/")
    # As root, before the service ever ran: what it leaves must be the service's.
    assert "target endpoint: ok" in machine.run("CREDENTIALS_DIRECTORY=/etc/syncd/credentials syncd check").stdout
    assert (
        "create 20 users" in machine.run("CREDENTIALS_DIRECTORY=/etc/syncd/credentials syncd plan", check=False).stdout
    )
    machine.run("systemctl enable --now syncd")
    shown = machine.show("ActiveState", "SubState", "User", "WatchdogUSec")
    assert shown == {"ActiveState": "active", "SubState": "running", "User": "syncd", "WatchdogUSec": "1min"}
    wait_until(machine, "syncd status --json | grep -q '\"active\": 20'")
    assert len(users(machine)) == 20
    wait_until(machine, "systemctl show syncd -p StatusText | grep -q 'next run'")
    assert machine.run("stat -c '%a %U %G' /run/syncd/syncd.sock").stdout == "660 syncd syncd\n"
    assert machine.run("stat -c '%a %U' /var/lib/syncd/syncd.db").stdout == "600 syncd\n"


def test_the_journal_has_priorities_and_no_times_of_ours_and_no_token(machine: Machine) -> None:
    lines = machine.run("journalctl -u syncd -o json --no-pager").stdout.splitlines()
    ours = [entry for entry in map(json.loads, lines) if "event=" in str(entry["MESSAGE"])]
    assert {"event=started", "event=run_started", "event=run_ended"} <= {each["MESSAGE"].split()[0] for each in ours}
    assert {each["PRIORITY"] for each in ours} == {"6"}
    assert not any("timestamp=" in each["MESSAGE"] for each in ours)
    assert "s3cret-token" not in machine.journal()
    assert machine.run("grep -l s3cret-token -r /var/lib/syncd /run/syncd", check=False).stdout == ""
    pid = machine.show("MainPID")["MainPID"]
    assert (
        machine.run(f"tr '\\0' ' ' < /proc/{pid}/cmdline; tr '\\0' ' ' < /proc/{pid}/environ").stdout.find("s3cret") < 0
    )


# -- use -----------------------------------------------------------------------------------------------


def test_a_resync_by_command_is_the_daemons(machine: Machine) -> None:
    one = users(machine)[0]
    body = json.dumps(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "value": {"title": "Emperor"}}],
        }
    )
    headers = "-H 'Authorization: Bearer s3cret-token' -H 'Content-Type: application/scim+json'"
    machine.run(f"curl -sSf -X PATCH {headers} -d '{body}' {SANDBOX}/scim/v2/Users/{one['id']}")
    assert "1 done" in machine.run("syncd resync").stdout
    assert {user["title"] for user in users(machine)} == {"Engineer"}
    assert "event=asked kind=resync" in machine.journal()
    machine.run("systemctl start syncd-resync@endpoint")
    assert machine.run("systemctl show syncd-resync@endpoint -p Result").stdout == "Result=success\n"
    assert machine.journal().count("event=asked kind=resync") == 2


def test_members_of_the_group_may_and_others_may_not(machine: Machine) -> None:
    machine.run("useradd --no-create-home grace; usermod -aG syncd grace; useradd --no-create-home mallory")
    assert "endpoint" in machine.run("runuser -u grace -- syncd status").stdout
    machine.run("runuser -u grace -- syncd pause")
    assert status(machine)["paused"]["by"] == "grace"
    machine.run("runuser -u grace -- syncd resume")
    refused = machine.run("runuser -u mallory -- syncd status", check=False)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    refused = machine.run(
        "runuser -u mallory -- curl -sS --unix-socket /run/syncd/syncd.sock http://d/v1/status", check=False
    )
    assert refused.returncode != 0


def test_it_reloads_and_a_bad_configuration_is_refused(machine: Machine) -> None:
    machine.write("/etc/syncd/syncd.toml", CONFIGURATION + "nonsense = 1\n", 0o644)
    assert machine.run("systemctl reload syncd", check=False).returncode != 0
    shown = machine.run("systemctl status syncd --no-pager --full", check=False).stdout
    assert re.search(r'Status: "the new configuration was refused, .*nonsense', shown), shown
    assert "event=reload_refused" in machine.journal()
    said = [line for line in machine.journal().splitlines() if "nonsense" in line and "event=" not in line]
    assert said, "the command itself says why"
    assert "nonsense" in status(machine)["daemon"]["refused"]
    machine.write("/etc/syncd/syncd.toml", CONFIGURATION.replace('"{title}"', '"{title|upper}"'), 0o644)
    machine.run("systemctl reload syncd")
    assert "event=reloaded" in machine.journal()
    assert "refused" not in machine.show("StatusText")["StatusText"]
    assert machine.show("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    machine.run("syncd sync")
    assert {user["title"] for user in users(machine)} == {"ENGINEER"}


# -- what goes wrong -----------------------------------------------------------------------------------

QUICK = """
[Unit]
StartLimitIntervalSec=0
[Service]
RestartSec=200ms
"""


def test_killed_in_the_middle_of_a_push_it_comes_back_and_converges(machine: Machine) -> None:
    machine.run("mkdir -p /etc/systemd/system/syncd.service.d")
    machine.write("/etc/systemd/system/syncd.service.d/quick.conf", QUICK)
    machine.run("systemctl daemon-reload")
    faults(machine, {"fault": "delay", "milliseconds": 200, "method": "POST"})
    people(machine, 110)  # one request each: a hundred more would go as one
    machine.run("systemd-run --unit=follower syncd sync")
    wait_until(machine, "systemctl show syncd -p StatusText | grep -q 'pushing to endpoint: [1-9]'")
    machine.run("systemctl kill --kill-whom=main --signal=KILL syncd")
    faults(machine)
    wait_until(machine, "syncd status --json | grep -q '\"active\": 110'")
    names = [user["userName"] for user in users(machine)]
    assert len(names) == len(set(names)) == 110
    assert status(machine)["unsettled"] == 0
    assert machine.show("NRestarts") == {"NRestarts": "1"}


def test_a_loop_that_stands_still_is_noticed(machine: Machine) -> None:
    machine.write("/etc/systemd/system/syncd.service.d/quick.conf", QUICK + "WatchdogSec=3s\n")
    machine.run("systemctl daemon-reload && systemctl restart syncd")
    before = machine.show("MainPID")["MainPID"]
    # Fed for longer than it takes to bark.
    wait_until(
        machine,
        "[ $(systemctl show syncd -p ActiveEnterTimestampMonotonic --value) -lt"
        " $(( $(cut -d. -f1 /proc/uptime) * 1000000 - 7000000 )) ]",
    )
    assert machine.show("MainPID")["MainPID"] == before
    machine.run(f"kill -STOP {before}")
    wait_until(
        machine,
        f"[ $(systemctl show syncd -p MainPID --value) -gt 0 ] && "
        f"[ $(systemctl show syncd -p MainPID --value) != {before} ] && systemctl is-active --quiet syncd",
    )
    assert "Watchdog timeout" in machine.journal()
    assert status(machine)["users"]["active"] == 110


def test_a_full_disk_stops_it_before_the_next_request_and_room_lets_it_go_on(machine: Machine) -> None:
    machine.run("systemctl stop syncd")
    # The state file on a small disk of its own.
    machine.run(
        "cp -a /var/lib/syncd /var/lib/syncd.kept && mount -t tmpfs -o size=4m,mode=700 tmpfs /var/lib/syncd"
        " && cp -a /var/lib/syncd.kept/. /var/lib/syncd && chown syncd:syncd /var/lib/syncd"
    )
    machine.run("systemctl start syncd")
    wait_until(machine, "syncd status | grep -q 'next sync'")
    machine.run("dd if=/dev/zero of=/var/lib/syncd/full bs=4k status=none", check=False)
    before = len(users(machine))
    people(machine, 400)
    refused = machine.run("syncd sync", check=False)
    assert refused.returncode == 1
    assert "full" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert machine.run("systemctl is-active syncd").stdout == "active\n"
    assert "event=state_unusable" in machine.journal()
    pushed = len(users(machine))
    assert pushed < before + 60, "what can't be written down is not sent"
    machine.run("rm /var/lib/syncd/full")
    machine.run("syncd sync")
    names = [user["userName"] for user in users(machine)]
    assert len(names) == len(set(names)) == 400
    assert status(machine)["unsettled"] == 0


def test_a_credential_that_is_not_there_is_named(machine: Machine) -> None:
    machine.run("mv /etc/syncd/credentials /etc/syncd/elsewhere")
    assert machine.run("systemctl restart syncd", check=False).returncode != 0
    wait_until(machine, "journalctl -u syncd -n 20 | grep -q 'target.endpoint.*token: .*/endpoint-token: No such file'")
    machine.run("mv /etc/syncd/elsewhere /etc/syncd/credentials")
    wait_until(machine, "systemctl is-active --quiet syncd")


def test_an_upgrade_restarts_it_and_keeps_the_release_before(machine: Machine) -> None:
    pid = machine.show("MainPID")["MainPID"]
    before = machine.run("readlink /opt/syncd").stdout.strip()
    done = machine.run("cd /src && PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels make install")
    after = machine.run("readlink /opt/syncd").stdout.strip()
    assert f"restarting the service with {after.rpartition('/')[2]}" in done.stderr
    assert machine.run("ls -d /opt/syncd.releases/*").stdout.split() == sorted([before, after])
    assert machine.show("ActiveState")["ActiveState"] == "active"
    assert machine.show("MainPID")["MainPID"] != pid
    assert status(machine)["users"]["active"] == 400
    assert "endpoint" in machine.run("grep name /etc/syncd/syncd.toml").stdout


def test_it_goes_back_to_the_release_before_and_forth_again(machine: Machine) -> None:
    latter = machine.run("readlink /opt/syncd").stdout.strip()
    [former] = set(machine.run("ls -d /opt/syncd.releases/*").stdout.split()) - {latter}
    for release in (former, latter):
        pid = machine.show("MainPID")["MainPID"]
        machine.run(f"{release}/share/activate")
        assert machine.run("readlink /opt/syncd").stdout.strip() == release
        assert machine.show("MainPID")["MainPID"] != pid
        assert status(machine)["users"]["active"] == 400
    assert machine.run("ls -d /opt/syncd.releases/*").stdout.split() == sorted([former, latter])


def test_it_stops_in_order_and_uninstall_keeps_what_is_yours(machine: Machine) -> None:
    machine.run("systemctl stop syncd")
    assert machine.show("Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    done = machine.run("cd /src && make uninstall")
    assert "kept are /etc/syncd, /var/lib/syncd" in done.stderr
    assert machine.run("ls /opt").stdout == ""
    assert machine.run("systemctl cat syncd", check=False).returncode != 0
    assert machine.run("test -s /etc/syncd/syncd.toml && test -s /var/lib/syncd/syncd.db").returncode == 0


def test_the_debian_package_does_the_same_and_takes_over_what_is_there(machine: Machine) -> None:
    machine.run("cd /src && PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels make deb")
    machine.run("dpkg --force-unsafe-io -i /src/dist/syncd_*.deb && systemctl enable --now syncd")
    assert status(machine)["users"]["active"] == 400
    pid = machine.show("MainPID")["MainPID"]
    machine.run("dpkg --force-unsafe-io -i /src/dist/syncd_*.deb")
    assert machine.show("ActiveState")["ActiveState"] == "active"
    assert machine.show("MainPID")["MainPID"] != pid
    refused = machine.run("cd /src && make install", check=False)
    assert "syncd is installed as a Debian package" in refused.stderr
    machine.run("dpkg --remove syncd")
    assert machine.run("systemctl cat syncd", check=False).returncode != 0
    assert machine.run("test -s /etc/syncd/syncd.toml && test -s /var/lib/syncd/syncd.db").returncode == 0
    machine.run("umount /var/lib/syncd; dpkg --purge syncd")
    assert machine.run("ls -d /etc/syncd /var/lib/syncd /opt/syncd", check=False).stdout == ""


def test_what_the_tests_of_the_machine_need_is_here() -> None:
    assert shutil.which("systemd-nspawn")
    assert shutil.which("mmdebstrap")
