"""A command before a deletion: real processes, their exit codes, their words, and their end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from syncd.hooks.command import Command
from syncd.hooks.hook import Call, HookFailed
from syncd.redaction import learn
from tests.endpoints import PATIENCE_SECONDS

FACTS = {
    "event": "before_delete",
    "userName": "ada@example.com",
    "emails": ["ada@example.com", "countess@example.com"],
    "manager": {"key": "2", "email": "bob@example.com", "name": None},
    "missingSince": None,
    "attempt": 3,
}
DEATH_SECONDS = 5.0
CALL = Call("idempotent", FACTS)


def script(folder: Path, text: str) -> Path:
    file = folder / "transfer"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(stat.S_IRWXU)
    return file


def run(program: Path, *arguments: str, timeout: float = 20) -> None:
    asyncio.run(Command([str(program), *arguments], timeout=timeout).call(CALL))


def failure(program: Path, *arguments: str, timeout: float = 20) -> HookFailed:
    with pytest.raises(HookFailed) as caught:
        run(program, *arguments, timeout=timeout)
    return caught.value


def test_it_gets_the_facts_as_json_and_as_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNCD__TARGET__LUCID__TOKEN", "LUCID_TOKEN", "CREDENTIALS_DIRECTORY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "s3cret")
    run(
        script(tmp_path, 'cat > "$1/facts"; env > "$1/env"; pwd > "$1/folder"; echo "$#" > "$1/count"'),
        str(tmp_path),
        "a b",
    )
    assert json.loads((tmp_path / "facts").read_text()) == FACTS
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert {name: value for name, value in environment.items() if name.startswith("SYNCD")} == {
        "SYNCD_EVENT": "before_delete",
        "SYNCD_USER_NAME": "ada@example.com",
        "SYNCD_EMAILS": "ada@example.com,countess@example.com",
        "SYNCD_MANAGER_KEY": "2",
        "SYNCD_MANAGER_EMAIL": "bob@example.com",
        "SYNCD_ATTEMPT": "3",
    }
    assert "s3cret" not in environment.values()
    assert "CREDENTIALS_DIRECTORY" not in environment
    assert ((tmp_path / "folder").read_text(), (tmp_path / "count").read_text()) == ("/\n", "2\n")


def test_facts_that_nobody_reads_are_no_failure(tmp_path: Path) -> None:
    run(script(tmp_path, "exec <&-; exit 0"))


def test_no_shell_reads_its_arguments(tmp_path: Path) -> None:
    run(script(tmp_path, 'echo "$2" > "$1/said"'), str(tmp_path), "$(touch /nowhere); `false` > x")
    assert (tmp_path / "said").read_text() == "$(touch /nowhere); `false` > x\n"


@pytest.mark.parametrize(("code", "passing"), [(1, False), (75, True), (127, False)])
def test_any_other_exit_code_is_a_failure_with_the_last_line_as_the_reason(
    tmp_path: Path, code: int, *, passing: bool
) -> None:
    error = failure(script(tmp_path, f"echo first >&2; echo 'no folder of Bob' >&2; echo >&2; exit {code}"))
    assert (str(error), error.passing) == (f"the command exits with {code}: no folder of Bob", passing)


def test_a_failure_without_words(tmp_path: Path) -> None:
    assert str(failure(script(tmp_path, "exit 3"))) == "the command exits with 3"


def test_a_signal_is_a_failure(tmp_path: Path) -> None:
    assert str(failure(script(tmp_path, "kill -9 $$"))) == "the command ends by signal 9"


def test_its_words_are_bounded_and_redacted(tmp_path: Path) -> None:
    learn("t0ken-of-the-transfer")
    error = failure(
        script(tmp_path, "yes word | head -200000 >&2; printf 'with t0ken-of-the-transfer \\033[1m' >&2; exit 1")
    )
    assert str(error) == "the command exits with 1: with (secret) [1m"
    error = failure(script(tmp_path, "printf 'x%.0s' $(seq 3000) >&2; exit 1"))
    assert len(str(error)) < 250


def test_much_output_blocks_nobody(tmp_path: Path) -> None:
    run(script(tmp_path, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"))


class Pair:
    """A program of two processes that keep a pipe open while they live; it says on it that they began."""

    def __init__(self, folder: Path) -> None:
        self._pipe = folder / "alive"
        os.mkfifo(self._pipe)
        text = f'exec 9> "{self._pipe}"; echo $$ >&9; echo working >&2; sleep 600 & sleep 600'
        self.program = script(folder, text)
        self.began, self._dead = threading.Event(), threading.Event()
        self._pid = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        with self._pipe.open() as pipe:
            self._pid = int(pipe.readline())
            self.began.set()
            pipe.read()
        self._dead.set()

    @property
    def are_dead(self) -> bool:
        """Whether both are dead, now or soon; they are in any case afterwards."""
        dead = self._dead.wait(DEATH_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        return dead


def test_when_its_time_is_over_the_whole_group_is_killed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    error = failure(pair.program, timeout=1)
    assert (str(error), error.passing) == ("the command was ended after 1 s: working", False)
    assert pair.are_dead


def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    """A child that keeps standard error open holds up nobody: the pipe's other end is closed."""
    run(script(tmp_path, f'sleep 600 & echo $! > "{tmp_path}/pid"; exit 0'))
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_where_the_call_is_cancelled_the_group_is_killed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)

    async def cancelled() -> None:
        call = asyncio.create_task(Command([str(pair.program)]).call(CALL))
        assert await asyncio.to_thread(pair.began.wait, PATIENCE_SECONDS)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert pair.are_dead


def test_a_cycle_of_the_daemon_runs_it_in_a_thread_of_its_own(tmp_path: Path) -> None:
    program = script(tmp_path, "exit 7")
    with ThreadPoolExecutor(1) as pool, pytest.raises(HookFailed, match="exits with 7"):
        pool.submit(run, program).result(PATIENCE_SECONDS)


def test_a_program_that_is_no_longer_there(tmp_path: Path) -> None:
    assert str(failure(tmp_path / "gone")) == "the command can't be run: No such file or directory"


def test_only_the_program_is_named(tmp_path: Path) -> None:
    assert Command(["/opt/transfer", "--token", "s3cret"]).words == "run /opt/transfer"
