"""From checked settings to channels. Secrets are read when a notice is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from pathlib import Path

from syncd.notify.channel import Channel
from syncd.settings.notify import EmailSettings, NotifySettings, WebhookSettings
from syncd.settings.secrets import Secret
from syncd.settings.values import user_and_password, webhook_url


def channels(settings: NotifySettings, file: Path, hostname: str, zone: tzinfo = UTC) -> list[Channel]:
    """Return the configured channels; paths are relative to the configuration file's folder.

    `zone`: that of the moments in e-mails.
    """
    base = file.resolve().parent
    found: list[Channel] = []
    if settings.webhook is not None:
        found.append(_webhook(settings.webhook, base))
    if settings.email is not None:
        found.append(_mail(settings.email, base, hostname, zone))
    return found


def _webhook(settings: WebhookSettings, base: Path) -> Channel:
    from syncd.notify.webhook import Webhook

    url = settings.url

    def address() -> str:
        if isinstance(url, str):
            return url
        try:
            return webhook_url(url.reveal(base).get_secret_value())
        except ValueError as error:
            raise ValueError(f"notify.webhook.url: {error}") from None

    login = settings.proxy_auth

    def proxy_auth() -> tuple[str, str] | None:
        try:
            return user_and_password(login.reveal(base).get_secret_value()) if login else None
        except ValueError as error:
            raise ValueError(f"notify.webhook.proxy_auth: {error}") from None

    ca_file = base / settings.ca_file if settings.ca_file else None
    return Webhook(address, ca_file=ca_file, proxy=settings.proxy or "", proxy_auth=proxy_auth)


def _mail(settings: EmailSettings, base: Path, hostname: str, zone: tzinfo) -> Channel:
    from syncd.notify.mail import Mail, MailServer

    server = MailServer(
        settings.host,
        settings.effective_port,
        settings.security,
        settings.user,
        _password(settings.password, base) if settings.password is not None else None,
        base / settings.ca_file if settings.ca_file else None,
    )
    return Mail(server, settings.sender, settings.to, hostname=hostname, zone=zone)


def _password(secret: Secret, base: Path) -> Callable[[], str]:
    def reveal() -> str:
        try:
            return secret.reveal(base).get_secret_value()
        except ValueError as error:
            raise ValueError(f"notify.email.password: {error}") from None

    return reveal
