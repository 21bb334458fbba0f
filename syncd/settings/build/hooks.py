"""From the settings of `before_delete` to the hook. A program is looked for at once; a secret is read at each call."""

from __future__ import annotations

import os
from collections.abc import Callable

from pydantic import SecretStr

from syncd.hooks.command import Command
from syncd.hooks.hook import Hook
from syncd.hooks.webhook import Webhook
from syncd.settings.build.secrets import Secrets
from syncd.settings.hooks import BeforeDeleteSettings, HookWebhookSettings


def before_delete(settings: BeforeDeleteSettings | None, secrets: Secrets, key: str) -> Hook | None:
    """Return the hook; `key`: that of the table. Raises ConfigurationError for a program that can't be run."""
    if settings is None:
        return None
    timeout = settings.timeout.total_seconds()
    if settings.webhook is not None:
        return _webhook(settings.webhook, secrets, f"{key}.webhook", timeout)
    assert settings.command is not None
    return _command(settings.command, secrets, f"{key}.command", timeout)


def _webhook(settings: HookWebhookSettings, secrets: Secrets, key: str, timeout: float) -> Hook:
    return Webhook(
        secrets.hook_url(settings.url, f"{key}.url"),
        token=_text(secrets.bearer(settings.token, f"{key}.token")) if settings.token else None,
        ca_file=secrets.base / settings.ca_file if settings.ca_file else None,
        proxy=settings.proxy or "",
        proxy_auth=_login(secrets.user_and_password(settings.proxy_auth, f"{key}.proxy_auth")),
        timeout=timeout,
    )


def _text(read: Callable[[], SecretStr]) -> Callable[[], str]:
    return lambda: read().get_secret_value()


def _login(read: Callable[[], SecretStr] | None) -> Callable[[], tuple[str, str] | None]:
    def login() -> tuple[str, str] | None:
        if read is None:
            return None
        user, _, password = read().get_secret_value().partition(":")
        return user, password

    return login


def _command(argv: list[str], secrets: Secrets, key: str, timeout: float) -> Hook:
    """Return the command; a relative path of its program is relative to the configuration's folder, like all paths."""
    program = secrets.base / argv[0]
    if not program.is_file():
        raise secrets.fault(key, f"there is no program {program}; PATH is not searched: name it with its folder")
    if not os.access(program, os.X_OK):
        raise secrets.fault(key, f"{program} can't be run by this user: chmod +x, or check its folder's permissions")
    return Command([str(program), *argv[1:]], timeout=timeout)


__all__ = ["before_delete"]
