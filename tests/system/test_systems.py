"""Installation on each system that syncd is made for: the demo from a clone, the package, upgrade, roll back, purge.

One machine for each, in the order in which an administrator would go. The installed service is tested on one of them
(test_systemd.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.machine import DEBIAN_12, DEBIAN_13, UBUNTU_24_04, Machine

OFFLINE = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels"
CONFIGURATION = """
[source]
type = "csv"
users = "/srv/directory/people.csv"
key = "id"

[mapping.user]
userName = "{mail}"

[[target]]
name = "endpoint"
base_url = "http://127.0.0.1:8765/scim/v2"
token = { credential = "endpoint-token" }

[schedule]
sync = "1h"
resync = "never"
"""


@pytest.fixture(scope="module", params=[DEBIAN_12, DEBIAN_13, UBUNTU_24_04], ids=str)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    if not request.param.mirror_answers():
        pytest.skip(f"{request.param.mirror} can't be reached from here")
    with Machine(request.param) as machine:
        yield machine


def status(machine: Machine) -> Any:
    return json.loads(machine.run("syncd status --json").stdout)


def pid(machine: Machine) -> str:
    return machine.show("MainPID")["MainPID"]


def releases(machine: Machine) -> list[str]:
    return machine.run("ls /opt/syncd.releases").stdout.split()


def package(version: str) -> str:
    return f"/root/syncd_{version}.deb"


def build(machine: Machine, version: str) -> None:
    """Build the package as if this were that version."""
    machine.run(
        f"git clone -q /src /root/build && cd /root/build &&"
        f" sed -i 's/^version = .*/version = \"{version}\"/' pyproject.toml &&"
        f" sed -i 's/^__version__ = .*/__version__ = \"{version}\"/' syncd/__init__.py &&"
        f" {OFFLINE} make deb && mv dist/syncd_{version}_*.deb {package(version)}",
    )


def follow(machine: Machine, version: str, later: str) -> None:
    """Make the package of a later version out of a built one: the same but for its number."""
    number = version.replace(".", "[.]")
    machine.run(
        f"dpkg-deb -R {package(version)} /root/later && cd /root/later &&"
        f" sed -i 's/^Version: .*/Version: {later}/' DEBIAN/control &&"
        f" sed -i '/^release=/s/{number}/{later}/' DEBIAN/postinst &&"
        f" sed -i 's/{number}/{later}/' usr/lib/syncd/release/lib/python3*/site-packages/syncd/__init__.py &&"
        f" dpkg-deb --build -Znone /root/later {package(later)}"
    )


def test_the_demo_runs_from_a_clone(machine: Machine) -> None:
    done = machine.run(f"git clone -q /src /root/syncd && cd /root/syncd && {OFFLINE} make demo")
    assert "nothing to do" in done.stdout


def test_the_package_is_installed_and_the_service_runs(machine: Machine) -> None:
    build(machine, "0.0.8")
    machine.run(f"apt-get install -y {package('0.0.8')}")
    assert machine.run("syncd --version").stdout == "syncd, version 0.0.8\n"
    machine.run("mkdir -p /srv/directory")
    machine.write("/srv/directory/people.csv", "id,mail\n1,ada@example.com\n2,grace@example.com\n")
    machine.write("/etc/syncd/syncd.toml", CONFIGURATION, 0o640)
    machine.run("chgrp syncd /etc/syncd/syncd.toml")
    machine.write("/etc/syncd/credentials/endpoint-token", "s3cret-token\n", 0o600)
    machine.run(
        "cp -a $(realpath /opt/syncd) /root/sandbox && systemd-run --unit=endpoint --property=Type=exec"
        " /root/sandbox/bin/python -m syncd sandbox --token s3cret-token --state /run/endpoint.db"
    )
    machine.run("for i in $(seq 300); do curl -sf -o /dev/null http://127.0.0.1:8765/ && exit; sleep 0.1; done; exit 1")
    assert "target endpoint: ok" in machine.run("CREDENTIALS_DIRECTORY=/etc/syncd/credentials syncd check").stdout
    machine.run("systemctl enable --now syncd && syncd sync")
    assert status(machine)["users"]["active"] == 2


def test_manual_page_and_completion_are_there(machine: Machine) -> None:
    machine.run("test -s /usr/share/man/man1/syncd.1.gz && gzip -t /usr/share/man/man1/syncd.1.gz")
    completion = "/usr/share/bash-completion/completions/syncd"
    assert "syncd" in machine.run(f"bash -n {completion} && cat {completion}").stdout
    machine.run("test -s /usr/share/zsh/vendor-completions/_syncd")
    machine.run("test -s /usr/share/fish/vendor_completions.d/syncd.fish")


def test_an_upgrade_leaves_the_service_running_until_its_one_restart(machine: Machine) -> None:
    before, release = pid(machine), releases(machine)
    follow(machine, "0.0.8", "0.0.9")
    machine.run(f"dpkg --force-unsafe-io --unpack {package('0.0.9')}")
    assert pid(machine) == before, "it runs on while files are unpacked"
    assert machine.run("syncd --version").stdout == "syncd, version 0.0.8\n"
    machine.run("syncd sync")
    machine.run("dpkg --force-unsafe-io --configure syncd")
    assert pid(machine) not in (before, "0")
    assert machine.run("syncd --version").stdout == "syncd, version 0.0.9\n"
    assert status(machine)["users"]["active"] == 2
    assert len(releases(machine)) == 2
    assert set(release) < set(releases(machine)), "the former release stays"


def test_back_to_the_former_release_and_forth_again(machine: Machine) -> None:
    former, latter = releases(machine)
    for release, version in ((former, "0.0.8"), (latter, "0.0.9")):
        before = pid(machine)
        machine.run(f"/opt/syncd.releases/{release}/share/activate")
        assert machine.run("syncd --version").stdout == f"syncd, version {version}\n"
        assert pid(machine) not in (before, "0")
        assert releases(machine) == [former, latter]
        assert status(machine)["users"]["active"] == 2


def test_an_older_package_is_a_way_back_too(machine: Machine) -> None:
    machine.run(f"apt-get install -y --allow-downgrades {package('0.0.8')}")
    assert machine.run("syncd --version").stdout == "syncd, version 0.0.8\n"
    assert status(machine)["users"]["active"] == 2


def test_the_other_way_of_installing_steps_aside(machine: Machine) -> None:
    refused = machine.run("cd /src && make install", check=False)
    assert "syncd is installed as a Debian package" in refused.stderr


def test_a_release_that_does_not_start_is_not_taken_into_use(machine: Machine) -> None:
    before, current = pid(machine), machine.run("readlink /opt/syncd").stdout
    broken = "/opt/syncd.releases/0.0.7-broken"
    machine.run(f"cp -a $(realpath /opt/syncd) {broken} && printf '#!/bin/sh\\nexit 1\\n' > {broken}/bin/syncd")
    refused = machine.run(f"{broken}/share/activate", check=False)
    assert refused.returncode == 1
    assert "0.0.7-broken does not start; nothing was changed" in refused.stderr
    assert (pid(machine), machine.run("readlink /opt/syncd").stdout) == (before, current)


def test_removal_keeps_what_is_the_administrators_and_a_purge_does_not(machine: Machine) -> None:
    machine.run("apt-get remove -y syncd")
    assert machine.run("systemctl cat syncd", check=False).returncode != 0
    assert machine.run("ls /opt").stdout == ""
    machine.run("test -s /etc/syncd/syncd.toml && test -s /var/lib/syncd/syncd.db")
    machine.run("apt-get purge -y syncd")
    assert machine.run("ls -d /etc/syncd /var/lib/syncd /opt/syncd* /usr/lib/syncd", check=False).stdout == ""
