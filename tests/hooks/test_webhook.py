"""A webhook before a deletion: what is posted, which answers may pass, and that no secret is repeated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ConfigurationError, Fault
from syncd.hooks.hook import Call, HookFailed
from syncd.hooks.webhook import Webhook
from tests.endpoints import Gate, Reply, Server, raw_server, reset

CALL = Call("idempotent", {"event": "before_delete", "name": "Ada Löve"})


def post(url: str, **options: Any) -> None:
    asyncio.run(Webhook(lambda: url, **options).call(CALL))


def failure(url: str, **options: Any) -> HookFailed:
    with pytest.raises(HookFailed) as caught:
        post(url, **options)
    return caught.value


def test_the_facts_are_posted_with_the_key_and_the_token() -> None:
    with Server(lambda _: Reply(201)) as server:
        post(f"{server.url}/s3cret?a=b", token=lambda: "t0ken")
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/scim/v2/s3cret?a=b")
    assert json.loads(request.content) == {"event": "before_delete", "name": "Ada Löve"}
    assert request.headers["idempotency-key"] == "idempotent"
    assert request.headers["authorization"] == "Bearer t0ken"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        *((status, False) for status in (301, 400, 401, 404, 409)),
        *((status, True) for status in (408, 425, 429, 500, 503)),
    ],
)
def test_which_answers_may_pass(status: int, *, passing: bool) -> None:
    with Server(lambda _: Reply(status, headers={"Retry-After": "9"})) as server:
        error = failure(server.url)
    assert (error.passing, error.retry_after) == (passing, 9.0)
    assert str(error) == f"the webhook: it answers {status}"


def test_a_redirect_is_not_followed() -> None:
    with Server(lambda _: Reply(307, headers={"Location": "http://127.0.0.1:1/"})) as server:
        error = failure(server.url)
    assert (error.passing, len(server.requests)) == (False, 1)
    assert "it redirects (307), which is not followed" in str(error)


def test_no_answer_may_pass() -> None:
    with Server() as server:
        pass
    assert failure(server.url).passing
    with raw_server(reset) as url:
        assert failure(url).passing


def test_an_answer_that_does_not_come_in_time_may_pass() -> None:
    gate = Gate()
    with Server(lambda request: (gate.hold(request), Reply(200))[1]) as server:
        error = failure(server.url, timeout=0.2)
        gate.open()
    assert (str(error), error.passing) == ("the webhook: no answer in time", True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "Ada has no manager"}, ": Ada has no manager"),
        ({"message": "line one\nline two"}, ": line one"),
        ({"error": {"code": 7}}, ""),
        (b"no manager\r\nsecond", ": no manager"),
        (b"<html><title>Oops", ""),
        (b"", ""),
        (b"\x1b[2J\x07bell", ": [2Jbell"),
        (b"see /scim/v2/s3cret-path", ""),
        (b"key is a%20b%2Fcde", ""),
        (b"x" * 5000, f": {'x' * 199}…"),
    ],
)
def test_its_words_are_shown_unless_they_repeat_the_address(body: object, said: str) -> None:
    with Server(lambda _: Reply(400, body)) as server:
        error = failure(f"{server.url}/s3cret-path?key=a%20b%2Fcde")
    assert str(error) == f"the webhook: it answers 400{said}"


def unreadable() -> str:
    raise ConfigurationError("syncd.toml", [Fault("target[a].before_delete.webhook.url", "HOOK is not set")])


@pytest.mark.parametrize("secret", ["url", "token"])
def test_a_secret_that_cannot_be_read_is_a_failure_that_names_the_key(secret: str) -> None:
    readers: dict[str, Callable[[], str]] = {"url": lambda: "http://127.0.0.1:1/", secret: unreadable}
    with pytest.raises(HookFailed, match=r"^target\[a\]\.before_delete\.webhook\.url: HOOK is not set$"):
        asyncio.run(Webhook(**readers).call(CALL))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://hooks.example.com/s3cret?x=y", "POST https://hooks.example.com/…"),
        ("https://user:pass@hooks.example.com:8443/s3cret#y", "POST https://hooks.example.com:8443/…"),
    ],
)
def test_scheme_and_host_alone_are_shown(url: str, words: str) -> None:
    assert Webhook(lambda: url).words == words


def test_an_address_that_cannot_be_read_is_not_shown() -> None:
    assert Webhook(unreadable).words == "POST to the webhook"


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    error = failure("https://127.0.0.1:1/", ca_file=tmp_path / "gone.pem")
    assert "`ca_file` is to be a file of certificates in PEM form" in str(error)
