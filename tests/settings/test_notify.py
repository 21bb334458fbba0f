"""The configuration of notices: valid and refused keys, and the channels built from them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.notify.channel import Undelivered
from syncd.notify.channels import channels
from syncd.settings.notify import NotifySettings
from syncd.settings.secrets import Secret
from tests.configurations import SECRET, SMALLEST, faults, loaded
from tests.notify.servers import smtp_server, webhook_server
from tests.notify.test_notice import NOTICE
from tests.servers.tls import Authority

EMAIL = """
[notify.email]
host = "mail.example.com"
from = "syncd@example.com"
to = ["ada@example.com"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


def notify(file: Path, text: str) -> NotifySettings:
    return loaded(file, SMALLEST + text).notify


def test_without_a_word_nobody_is_told(file: Path) -> None:
    settings = notify(file, "")
    assert (settings.webhook, settings.email) == (None, None)
    assert (settings.pending_after, settings.per_hour) == (timedelta(days=14), 20)
    assert channels(settings, file, "id1") == []


def test_an_address_may_be_written_or_named(file: Path) -> None:
    written = notify(file, '[notify]\nwebhook = { url = "https://hooks.example.com/T0?key=x" }\n').webhook
    named = notify(file, '[notify]\nwebhook = { url = { credential = "hook" }, ca_file = "ca.pem" }\n').webhook
    assert written is not None
    assert named is not None
    assert written.url == "https://hooks.example.com/T0?key=x"
    assert (named.url, named.ca_file) == (Secret(credential="hook"), Path("ca.pem"))


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_mail_is_encrypted_and_its_port_follows(file: Path, security: str, port: int) -> None:
    email = notify(file, EMAIL + f'security = "{security}"\n').email
    assert email is not None
    assert (email.effective_port, email.sender, email.to) == (port, "syncd@example.com", ["ada@example.com"])
    default = notify(file, EMAIL).email
    assert default is not None
    assert default.security == "starttls"
    other = notify(file, EMAIL + "port = 2525\n").email
    assert other is not None
    assert other.effective_port == 2525


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_only_to_this_machine_mail_goes_in_clear(file: Path, host: str) -> None:
    email = notify(file, EMAIL.replace("mail.example.com", host) + 'security = "none"\n').email
    assert email is not None
    assert email.effective_port == 25


MAILBOX = "is not an address such as syncd@example.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EMAIL + 'security = "none"\n', {"notify.email.security": "would send the notices in clear"}),
        (EMAIL + 'security = "ssl"\n', {"notify.email.security": 'must be "starttls", "tls" or "none"'}),
        (EMAIL + 'user = "syncd"\n', {"notify.email.user": "`user` and `password` belong together"}),
        (EMAIL + 'password = { env = "P" }\n', {"notify.email.user": "`user` and `password` belong together"}),
        (EMAIL + f'user = "s"\npassword = "{SECRET}"\n', {"notify.email.password": "a secret is named here"}),
        (EMAIL + "port = 0\n", {"notify.email.port": "at least 1 is wanted"}),
        (EMAIL + "port = 65536\n", {"notify.email.port": "at most 65535 is wanted"}),
        (EMAIL.replace('"mail.example.com"', '"smtp://mail:25/"'), {"notify.email.host": "without a scheme or a port"}),
        (EMAIL.replace('["ada@example.com"]', "[]"), {"notify.email.to": "at least one is wanted"}),
        (EMAIL.replace('"syncd@example.com"', '"syncd"'), {"notify.email.from": MAILBOX}),
        (EMAIL.replace('"syncd@example.com"', '"a@b.example\\nBcc: c@d.example"'), {"notify.email.from": MAILBOX}),
        (EMAIL.replace("ada@example.com", "Ada <ada@example.com>"), {"notify.email.to[0]": MAILBOX}),
        (EMAIL.replace("ada@example.com", "a@b.example, c@d.example"), {"notify.email.to[0]": MAILBOX}),
        ("[notify.email]\n", {f"notify.email.{key}": "missing" for key in ("host", "from", "to")}),
        ("[notify]\nwebhook = { url = 3 }\n", {"notify.webhook.url": "an address in quotes is wanted, or where it is"}),
        (f'[notify]\nwebhook = {{ url = "http://h.example/{SECRET}" }}\n', {"notify.webhook.url": "in clear"}),
        (f'[notify]\nwebhook = {{ url = "{SECRET}" }}\n', {"notify.webhook.url": "not an address such as https://"}),
        ("[notify]\nwebhook = { url = {} }\n", {"notify.webhook.url": "name the secret one way"}),
        ('[notify]\nwebhook = { url = { envv = "H" } }\n', {"notify.webhook.url.envv": "no such key"}),
        ("[notify]\nper_hour = 0\n", {"notify.per_hour": "at least 1 is wanted"}),
        ('[notify]\npending_after = "0s"\n', {"notify.pending_after": "is not longer than 0s"}),
        ("[notify]\nemails = {}\n", {"notify.emails": "no such key; did you mean `email`?"}),
    ],
)
def test_what_can_not_be_meant_is_refused_by_its_key(file: Path, text: str, expected: dict[str, str]) -> None:
    found = faults(file, SMALLEST + text)
    assert found.keys() >= expected.keys()
    for key, problem in expected.items():
        assert problem in found[key]
    assert SECRET not in str(found)


def test_a_named_address_is_read_when_it_is_used_and_checked_then(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hook,) = channels(notify(file, '[notify]\nwebhook = { url = { env = "HOOK" } }\n'), file, "id1")

    def refusal() -> str:
        with pytest.raises(Undelivered) as caught:
            asyncio.run(hook.send(NOTICE))
        return str(caught.value)

    monkeypatch.delenv("HOOK", raising=False)
    assert refusal() == "notify.webhook.url: the environment variable HOOK is not set"
    monkeypatch.setenv("HOOK", f"http://hooks.example.com/{SECRET}")
    assert refusal() == "notify.webhook.url: http:// would send the notices in clear: use https://"
    monkeypatch.setenv("HOOK", SECRET)
    assert refusal() == "notify.webhook.url: not an address such as https://hooks.example.com/…"
    with webhook_server() as server:
        monkeypatch.setenv("HOOK", server.url)
        asyncio.run(hook.send(NOTICE))
        assert [got["id"] for got in server.got] == [NOTICE.id]


def test_both_ways_as_configured_reach_people(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    certificate = authority.issue("127.0.0.1")
    monkeypatch.setenv("MAIL_PASSWORD", "correct horse")

    async def go() -> None:
        async with smtp_server(certificate, "starttls", auth=True) as mailbox:
            with webhook_server(certificate) as hook:
                text = f"""
[notify]
webhook = {{ url = "{hook.url}", ca_file = "{authority.file.name}" }}
[notify.email]
host = "127.0.0.1"
port = {mailbox.port}
user = "syncd"
password = {{ env = "MAIL_PASSWORD" }}
ca_file = "{authority.file.name}"
from = "syncd@example.com"
to = ["ada@example.com"]
"""
                found = channels(notify(file, text), file, "id1")
                assert [channel.name for channel in found] == ["webhook", "email"]
                for channel in found:
                    await channel.send(NOTICE)
                assert len(hook.got) == len(mailbox.took) == 1
                monkeypatch.setenv("MAIL_PASSWORD", "")
                with pytest.raises(Undelivered, match=r"^notify\.email\.password: the environment variable"):
                    await found[1].send(NOTICE)

    asyncio.run(go())


def test_a_webhook_behind_a_proxy(file: Path) -> None:
    hook = '[notify.webhook]\nurl = "https://hooks.example.com/T0"\n'
    found = notify(file, hook + 'proxy = "http://proxy.example.com:3128/"\nproxy_auth = { env = "LOGIN" }\n').webhook
    assert found is not None
    assert (found.proxy, found.proxy_auth) == ("http://proxy.example.com:3128", Secret(env="LOGIN"))
    wrong = faults(file, SMALLEST + hook + 'proxy_auth = { env = "LOGIN" }\n')
    assert wrong["notify.webhook.proxy_auth"] == "needs a `proxy` beside it"
    wrong = faults(file, SMALLEST + hook + f'proxy = "http://me:{SECRET}@proxy.example.com"\n')
    assert "those come as `proxy_auth`" in wrong["notify.webhook.proxy"]


def test_what_is_no_login_of_a_proxy_is_said_without_repeating_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGIN", SECRET)
    hook = (
        '[notify.webhook]\nurl = "https://127.0.0.1:9/"\nproxy = "http://127.0.0.1:9"\nproxy_auth = { env = "LOGIN" }\n'
    )
    (way,) = channels(notify(file, hook), file, "id1")
    with pytest.raises(Undelivered) as caught:
        asyncio.run(way.send(NOTICE))
    assert str(caught.value) == "notify.webhook.proxy_auth: the secret is not of the form user:password, on one line"
