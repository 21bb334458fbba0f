"""Sending: oldest first, each once, never too often, and nobody waits for a channel that is down."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from syncd.errors import StateUnwritable
from syncd.notify import sender as module
from syncd.notify.channel import Undelivered
from syncd.notify.mail import Mail, MailServer
from syncd.notify.notice import Notice
from syncd.notify.sender import Sender, send_test
from syncd.notify.watch import unwritable
from syncd.notify.webhook import Webhook
from syncd.store import Outbox, StateFile
from tests.notify.sending import Post, Recorder, down, notice, titles
from tests.notify.servers import reply, smtp_server, webhook_server
from tests.notify.watching import DAY, HOUR, MINUTE
from tests.world import NOON


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path / "syncd.db")


# -- in order, and once --------------------------------------------------------------------------------


def test_what_waits_is_sent_oldest_first_and_goes(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b", "c")
        hook = Recorder()
        async with post.at_work(hook) as sender:
            assert hook.titles == ["a", "b", "c"]
            assert post.left() == []
            post.put("d")
            await post.wake()
            assert hook.titles == ["a", "b", "c", "d"]
            sender.wake()
            await post.wake()
            await post.after(DAY)
        assert hook.titles == ["a", "b", "c", "d"]
        async with post.at_work(other := Recorder()):
            assert other.titles == []

    asyncio.run(go())


def test_any_thread_may_say_that_there_is_something_new(post: Post) -> None:
    async def go() -> None:
        hook = Recorder()
        async with post.at_work(hook) as sender:

            def cycle() -> None:
                post.put("a")
                sender.wake()

            thread = threading.Thread(target=cycle)
            thread.start()
            await asyncio.to_thread(thread.join)
            await post.quiet()
            assert hook.titles == ["a"]

    asyncio.run(go())


def test_every_channel_delivers_everything(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b")
        hook, mail = Recorder("webhook"), Recorder("email")
        async with post.at_work(hook, mail):
            assert hook.took == mail.took
            assert hook.titles == ["a", "b"]
            assert post.left() == []

    asyncio.run(go())


def test_where_nobody_is_to_be_told_nothing_piles_up(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        async with post.at_work():
            assert post.left() == []
            post.put("b")
            await post.wake()
            assert post.left() == []

    asyncio.run(go())


# -- a channel that is down ----------------------------------------------------------------------------


def test_it_is_tried_again_after_ever_longer_times_up_to_an_hour(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook = Recorder()
        hook.refuses = down
        async with post.at_work(hook):
            await post.after(5 * HOUR)
            times = hook.times()
            waits = [later - earlier for earlier, later in itertools.pairwise(times)]
            assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
            hook.refuses = lambda notice: None
            await post.after(HOUR)
            assert hook.titles == ["a"]

    asyncio.run(go())


def test_not_everybody_tries_at_the_same_moment(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook = Recorder()
        hook.refuses = down
        async with post.at_work(hook, spread=lambda: 0.0):
            await post.after(4 * MINUTE)
        assert hook.times() == [0, 15, 45, 105, 225]

    asyncio.run(go())


def test_something_new_does_not_make_it_try_earlier(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook = Recorder()
        hook.refuses = down
        async with post.at_work(hook):
            for number in range(20):
                post.put(f"{number}")
                await post.wake()
            assert hook.times() == [0]

    asyncio.run(go())


def test_who_asks_to_be_left_alone_is(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook = Recorder()
        hook.refuses = lambda notice: Undelivered("it answers 429", retry_after=600.0)
        async with post.at_work(hook):
            await post.after(25 * MINUTE)
            assert hook.times() == [0, 600, 1200]
            hook.refuses = lambda notice: Undelivered("it answers 429", retry_after=10 * 86400.0)
            await post.after(3 * HOUR)
        assert hook.times() == [0, 600, 1200, 1800, 5400, 9000, 12600][: len(hook.times())]
        assert len(hook.times()) >= 6

    asyncio.run(go())


def test_one_channel_that_is_down_delays_no_other(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook, mail = Recorder("webhook"), Recorder("email")
        hook.refuses = down
        async with post.at_work(hook, mail):
            for number in range(3):
                post.put(f"{number}")
                await post.wake()
            assert mail.titles == ["a", "0", "1", "2"]
            assert hook.titles == []
            assert post.left() == ["a", "0", "1", "2"]
            hook.refuses = lambda notice: None
            await post.after(30 * MINUTE)
            assert hook.titles == mail.titles == ["a", "0", "1", "2"]
            assert post.left() == []

    asyncio.run(go())


def test_one_channel_that_hangs_delays_no_other(post: Post) -> None:
    class Hanging(Recorder):
        async def send(self, notice: Notice) -> None:
            hangs.set()
            await released.wait()

    hangs, released = asyncio.Event(), asyncio.Event()

    async def go() -> None:
        post.put("a", "b")
        mail = Recorder("email")
        mail.clock = post.clock
        sender = Sender(post.open, [Hanging(), mail], clock=post.clock)
        running = asyncio.create_task(sender.run())
        await hangs.wait()
        async with asyncio.timeout(30):
            await post.clock.quiet(1)
        assert mail.titles == ["a", "b"]
        released.set()
        sender.close()
        await running

    asyncio.run(go())


def test_what_is_never_taken_keeps_nothing_else_back(post: Post) -> None:
    async def go() -> None:
        post.put("poison", "b", "c")
        hook = Recorder()
        hook.refuses = lambda notice: down(notice) if notice.title == "poison" else None
        async with post.at_work(hook):
            await post.after(30 * timedelta(seconds=1))
            await post.after(timedelta(seconds=30))
            post.put("d")
            await post.wake()
            await post.after(HOUR)
            assert hook.titles == ["b", "c", "d"]
            assert post.left() == ["poison"]

    asyncio.run(go())


def test_after_three_days_it_is_given_up_and_the_log_says_so(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        hook = Recorder()
        hook.refuses = down
        with capture_logs() as logs:
            async with post.at_work(hook):
                await post.after(2 * DAY + 23 * HOUR)
                assert post.left() == ["a"]
                post.put("b")
                await post.after(2 * HOUR)
                assert post.left() == ["b"]
        (given_up,) = [entry for entry in logs if entry["event"] == "notice_given_up"]
        assert given_up["notice"] == notice("a").id
        assert given_up["log_level"] == "error"
        assert given_up["channel"] == "webhook"

    asyncio.run(go())


def test_after_a_long_silence_everything_is_tried_once_at_least(post: Post) -> None:
    async def go() -> None:
        post.put("a")
        post.clock.move(10 * DAY)
        async with post.at_work(hook := Recorder()):
            assert hook.titles == ["a"]

    asyncio.run(go())


def test_a_mistake_in_a_channel_is_a_failure_like_others(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b")
        hook = Recorder()

        def mistaken(notice: Notice) -> Undelivered | None:
            raise ZeroDivisionError

        hook.refuses = mistaken
        async with post.at_work(hook):
            assert hook.times() == [0]
            hook.refuses = lambda notice: None
            await post.after(MINUTE)
            assert hook.titles == ["a", "b"]

    asyncio.run(go())


def test_a_notice_that_nobody_can_read_keeps_nothing_back(post: Post) -> None:
    async def go() -> None:
        with StateFile(post.file) as state, state.atomic():
            state.outbox().put({"version": 9}, NOON)
        post.put("a")
        with capture_logs() as logs:
            async with post.at_work(hook := Recorder()):
                assert hook.titles == ["a"]
                assert post.left() == []
        assert [entry["event"] for entry in logs] == ["notice_unreadable", "notice_sent"]

    asyncio.run(go())


# -- not too often -------------------------------------------------------------------------------------


def test_what_exceeds_the_messages_of_an_hour_waits_and_goes_as_one(post: Post) -> None:
    async def go() -> None:
        post.put(*titles(5))
        async with post.at_work(hook := Recorder(), per_hour=3):
            assert hook.titles == ["n00", "n01", "n02"]
            await post.after(30 * MINUTE)
            post.put("late")
            await post.wake()
            assert len(hook.took) == 3
            assert post.left() == ["n03", "n04", "late"]
            await post.after(30 * MINUTE)
            (digest,) = hook.took[3:]
            assert digest.kind == "digest"
            assert [each["title"] for each in digest.facts["notices"]] == ["n03", "n04", "late"]
            assert post.left() == []
            post.put("next")
            await post.wake()
            assert hook.titles[-1] == "next"

    asyncio.run(go())


def test_no_hour_has_more_messages_than_that_and_nothing_is_lost(post: Post) -> None:
    async def go() -> None:
        async with post.at_work(hook := Recorder(), per_hour=4):
            for number in range(60):
                post.put(f"n{number:02}")
                await post.wake()
                await post.after(7 * MINUTE)
            await post.after(2 * HOUR)
        times = [at for at, _ in hook.tried]
        for first in times:
            assert sum(first <= at < first + HOUR for at in times) <= 4
        told = []
        for each in hook.took:
            told += [one["title"] for one in each.facts["notices"]] if each.kind == "digest" else [each.title]
        assert told == list(titles(60))

    asyncio.run(go())


def test_a_restart_is_no_new_hour(post: Post) -> None:
    async def go() -> None:
        post.put(*titles(2))
        async with post.at_work(hook := Recorder(), per_hour=3):
            assert hook.titles == ["n00", "n01"]
        post.clock.move(20 * MINUTE)
        post.put(*titles(5)[2:])
        async with post.at_work(hook := Recorder(), per_hour=3):
            assert hook.titles == ["n02"]
        async with post.at_work(hook := Recorder(), per_hour=3):
            assert hook.took == []
            await post.after(40 * MINUTE)
            (digest,) = hook.took
            assert [each["title"] for each in digest.facts["notices"]] == ["n03", "n04"]

    asyncio.run(go())


def test_one_that_waited_alone_goes_as_itself(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b")
        async with post.at_work(hook := Recorder(), per_hour=1):
            await post.after(HOUR)
            assert hook.titles == ["a", "b"]

    asyncio.run(go())


def test_a_message_of_many_that_fails_is_tried_again_one_by_one(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b", "c")
        hook = Recorder()
        async with post.at_work(hook, per_hour=1):
            hook.refuses = lambda notice: down(notice) if notice.kind == "digest" else None
            await post.after(HOUR)
            await post.after(MINUTE)
            assert hook.titles == ["a", "b"]

    asyncio.run(go())


# -- clocks, ends, and what survives them --------------------------------------------------------------


def test_a_clock_that_is_set_back_stops_nothing_for_long(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b")
        hook = Recorder()
        hook.refuses = down
        async with post.at_work(hook, per_hour=1):
            post.clock.move(-30 * DAY)
            hook.refuses = lambda notice: None
            await post.wake()
            assert hook.titles == ["a"]
            post.clock.move(-30 * DAY)
            await post.wake()
            assert hook.titles == ["a", "b"]

    asyncio.run(go())


def test_what_was_not_sent_is_sent_after_the_next_start(post: Post) -> None:
    async def go() -> None:
        post.put("a", "b")
        hook, mail = Recorder("webhook"), Recorder("email")
        mail.refuses = down
        async with post.at_work(hook, mail):
            pass
        post.clock.move(MINUTE)
        again, later = Recorder("webhook"), Recorder("email")
        async with post.at_work(again, later):
            await post.after(MINUTE)
        assert (hook.titles, again.titles, later.titles) == (["a", "b"], [], ["a", "b"])
        assert post.left() == []

    asyncio.run(go())


def test_it_ends_though_a_channel_hangs(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSING_SECONDS", 0.01)

    class Hanging(Recorder):
        async def send(self, notice: Notice) -> None:
            hangs.set()
            await asyncio.Event().wait()

    hangs = asyncio.Event()

    async def go() -> None:
        post.put("a")
        sender = Sender(post.open, [Hanging()], clock=post.clock)
        running = asyncio.create_task(sender.run())
        await hangs.wait()
        sender.close()
        async with asyncio.timeout(10):
            await running
        assert post.left() == ["a"]

    asyncio.run(go())


def test_what_is_being_sent_when_it_is_to_end_is_delivered_once(post: Post) -> None:
    class Slow(Recorder):
        async def send(self, notice: Notice) -> None:
            sending.set()
            await go_on.wait()
            await super().send(notice)

    sending, go_on = asyncio.Event(), asyncio.Event()

    async def go() -> None:
        post.put("a")
        hook = Slow()
        hook.clock = post.clock
        sender = Sender(post.open, [hook], clock=post.clock)
        running = asyncio.create_task(sender.run())
        await sending.wait()
        sender.close()
        go_on.set()
        await running
        assert (hook.titles, post.left()) == (["a"], [])

    asyncio.run(go())


def test_a_sender_that_was_closed_before_it_ran_ends_at_once(post: Post) -> None:
    async def go() -> None:
        sender = Sender(post.open, [Recorder()], clock=post.clock)
        sender.close()
        await sender.run()
        sender.wake()

    asyncio.run(go())


_PROGRAM = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from syncd.notify.sender import Sender
from syncd.notify.watch import Concerns, watch
from syncd.notify.webhook import Webhook
from syncd.store import StateFile

file, url = Path(sys.argv[1]), sys.argv[2]
with StateFile(file) as state:
    watch(state, Concerns((), source="people.csv: gone", fault="disk full"), datetime.now(UTC))

async def main():
    sender = Sender(lambda: StateFile(file), [Webhook(lambda: url)])
    running = asyncio.create_task(sender.run())
    while True:
        with StateFile(file) as state:
            if not state.outbox().all():
                break
        await asyncio.sleep(0.01)
    sender.close()
    await running

asyncio.run(main())
"""


def test_who_is_killed_while_sending_tells_of_it_after_the_next_start_and_of_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "syncd.db"
    with webhook_server() as hook:
        process: subprocess.Popen[bytes] | None = None

        def kill(handler: BaseHTTPRequestHandler) -> None:
            assert process is not None
            if len(hook.got) == 2:  # the first is delivered, of the second nobody knows
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            reply(handler, 200)

        hook.answer = kill
        command = [sys.executable, "-c", _PROGRAM, str(file), hook.url]
        for code in (-signal.SIGKILL, 0, 0):
            process = subprocess.Popen(command)
            assert process.wait(60) == code
        events = [got["event"] for got in hook.got]
        ids = [got["id"] for got in hook.got]
    assert events == ["source_down", "run_failed", "run_failed"]
    assert ids[1] == ids[2]


# -- without a state file ------------------------------------------------------------------------------


class Unusable:
    """A state file that can't be used, while that is so."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self.usable = False

    def __call__(self) -> StateFile:
        if not self.usable:
            raise StateUnwritable("syncd.db: database or disk is full")
        return self._post.open()


def test_a_notice_past_the_outbox_is_sent_once_and_tried_again_like_others(post: Post) -> None:
    async def go() -> None:
        state = Unusable(post)
        hook = Recorder()
        hook.refuses = down
        with capture_logs() as logs:
            async with post.at_work(hook, open_state=state) as sender:
                for _ in range(5):
                    sender.tell(unwritable("syncd.db: database or disk is full", "id1", post.clock.now()))
                    await post.after(10 * timedelta(seconds=1))
                assert len(hook.tried) == 2
                hook.refuses = lambda notice: None
                await post.after(HOUR)
                assert hook.titles == ["the state file can't be used"]
                post.put("a")
                state.usable = True
                await post.after(MINUTE)
                assert hook.titles == ["the state file can't be used", "a"]
        assert [entry["event"] for entry in logs].count("outbox_unusable") == 1

    asyncio.run(go())


def test_what_is_told_before_it_runs_is_sent_when_it_does(post: Post) -> None:
    async def go() -> None:
        hook = Recorder()
        hook.clock = post.clock
        sender = Sender(post.open, [hook], clock=post.clock)
        sender.tell(notice("a"))
        running = asyncio.create_task(sender.run())
        async with asyncio.timeout(30):
            await post.clock.quiet(1)
        assert hook.titles == ["a"]
        sender.close()
        await running

    asyncio.run(go())


def test_what_was_delivered_is_not_sent_again_because_that_could_not_be_written(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StateUnwritable("syncd.db: database or disk is full")

    async def go() -> None:
        post.put("a")
        hook = Recorder()
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "done", full)
            async with post.at_work(hook):
                await post.after(5 * MINUTE)
                assert (hook.titles, post.left()) == (["a"], ["a"])
                patch.undo()
                await post.after(MINUTE)
                assert (hook.titles, post.left()) == (["a"], [])

    asyncio.run(go())


# -- whether it works at all ---------------------------------------------------------------------------


def test_a_test_notice_goes_by_every_channel_and_says_where_it_did_not_arrive(post: Post) -> None:
    async def go() -> None:
        with webhook_server() as hook:
            async with smtp_server() as mailbox:
                mailbox.answer = "554 no thanks"
                mail = Mail(
                    MailServer("127.0.0.1", mailbox.port, "none"), "s@example.com", ["a@example.com"], hostname="id1"
                )
                channels = [Webhook(lambda: hook.url), mail]
                assert await send_test(channels, "id1") == {"webhook": "", "email": "127.0.0.1 answers 554 no thanks"}
                mailbox.answer = ""
                assert await send_test(channels, "id1") == {"webhook": "", "email": ""}
                assert mailbox.took[0]["Subject"] == "[syncd] a test from id1: notices arrive"
        assert [got["event"] for got in hook.got] == ["test", "test"]
        assert await send_test([], "id1") == {}

    asyncio.run(go())


def test_over_real_servers_one_that_is_down_delays_nobody(post: Post) -> None:
    async def go() -> None:
        with webhook_server() as hook:
            hook.answer = lambda handler: reply(handler, 500)
            async with smtp_server() as mailbox:
                post.put("a", "b")
                server = MailServer("127.0.0.1", mailbox.port, "none")
                mail = Mail(server, "s@example.com", ["a@example.com"], hostname="id1")
                async with post.at_work(Webhook(lambda: hook.url), mail):
                    assert [each["Subject"] for each in mailbox.took] == ["[syncd] a", "[syncd] b"]
                    assert len(hook.got) == 1
                    hook.answer = lambda handler: reply(handler, 200)
                    await post.after(HOUR)
                    assert [got["title"] for got in hook.got] == ["a", "a", "b"]
                    assert post.left() == []

    asyncio.run(go())
