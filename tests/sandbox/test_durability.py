"""Nothing that was answered is lost: not among two hundred writers, not to SIGKILL, not to a restart."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import add_members, group, patch, user

WRITERS = 200


def together(sandbox: Sandbox, requests: list[tuple[str, str, Any]]) -> list[httpx.Response]:
    """Send requests all at once and return the answers in their order."""

    async def send() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=len(requests))
        headers = {"Authorization": f"Bearer {sandbox.token}", "Content-Type": "application/scim+json"}
        base_url = sandbox.base_url
        async with httpx.AsyncClient(
            base_url=base_url, headers=headers, limits=limits, timeout=120, trust_env=False
        ) as client:
            calls = (client.request(method, path, json=body) for method, path, body in requests)
            return await asyncio.gather(*calls)

    return asyncio.run(send())


def test_two_hundred_concurrent_writers_lose_nothing() -> None:
    with Sandbox() as sandbox:
        created = together(sandbox, [("POST", "/Users", user(f"w{n}")) for n in range(WRITERS)])
        assert [answer.status_code for answer in created] == [201] * WRITERS
        ids = [answer.json()["id"] for answer in created]
        team = sandbox.scim("POST", "/Groups", group("Everybody")).json()["id"]

        added = together(sandbox, [("PATCH", f"/Groups/{team}", add_members(id_)) for id_ in ids])
        assert {answer.status_code for answer in added} == {204}
        members = sandbox.scim("GET", f"/Groups/{team}").json()["members"]
        assert sorted(member["value"] for member in members) == sorted(ids)

        phones = [patch({"op": "add", "path": "phoneNumbers", "value": [{"value": str(n)}]}) for n in range(WRITERS)]
        one = f"/Users/{ids[0]}"
        assert {a.status_code for a in together(sandbox, [("PATCH", one, body) for body in phones])} == {204}
        kept = sandbox.scim("GET", one).json()["phoneNumbers"]
        assert sorted(int(phone["value"]) for phone in kept) == list(range(WRITERS))

        same = together(sandbox, [("POST", "/Users", user("one-name")) for _ in range(WRITERS)])
        assert sorted(answer.status_code for answer in same) == [201] + [409] * (WRITERS - 1)
        assert sandbox.admin("GET", "/requests")["most_in_flight"] > 16


def test_what_was_answered_survives_kill_minus_nine_in_mid_write(tmp_path: Path) -> None:
    sandbox = Sandbox(state=tmp_path / "sandbox.db").start()
    team = sandbox.scim("POST", "/Groups", group("Everybody")).json()["id"]
    answered: list[str] = []
    enough = threading.Event()

    def write(writer: int) -> None:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        with httpx.Client(base_url=sandbox.base_url, headers=headers, trust_env=False) as client:
            for number in range(100_000):
                try:
                    id_ = client.post("/Users", json=user(f"w{writer}-{number}")).json()["id"]
                    answer = client.patch(f"/Groups/{team}", json=add_members(id_))
                except httpx.TransportError:
                    return
                assert answer.status_code == 204
                answered.append(id_)
                if len(answered) >= 200:
                    enough.set()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    sandbox.kill()
    for writer in writers:
        writer.join()

    with sqlite3.connect(tmp_path / "sandbox.db") as state:
        assert state.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert state.execute("PRAGMA foreign_key_check").fetchall() == []
    state.close()
    sandbox.start()
    members = {member["value"] for member in sandbox.scim("GET", f"/Groups/{team}").json()["members"]}
    users = {each["id"] for each in sandbox.users()}
    assert set(answered) <= members <= users
    assert len(users) <= len(answered) + 2 * len(writers)
    assert sandbox.scim("POST", "/Users", user("after")).status_code == 201
    sandbox.stop()


def test_a_restart_changes_nothing_that_a_client_sees() -> None:
    with Sandbox("lucidlink", verified_domains=("example.com",)) as sandbox:
        person = sandbox.scim("POST", "/Users", user("ada", domain="example.org")).json()["id"]
        sandbox.scim("POST", "/Groups", group("Design", person))
        sandbox.admin("POST", "/groups", {"name": "Native"})
        before = (sandbox.users(), sandbox.groups(), sandbox.admin("GET", "/users"), sandbox.base_url)
        sandbox.restart()
        assert (sandbox.users(), sandbox.groups(), sandbox.admin("GET", "/users"), sandbox.base_url) == before
