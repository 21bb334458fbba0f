"""The tables about notices: where they are sent, and how often."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WrapValidator, field_validator
from pydantic_core import PydanticCustomError

from syncd.core.hosts import is_loopback
from syncd.settings.secrets import NamedSecret, Secret
from syncd.settings.sections import PositiveDuration, Section
from syncd.settings.values import proxy_url, webhook_url

PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
"""The port for submission, by `security`: RFC 6409 section 3.1, RFC 8314 section 3.3, RFC 5321 section 4.5.4.2."""

_ADDRESS: Final = 'an address in quotes is wanted, or where it is: { credential = "…" }'


def address_or_secret(check: Callable[[str], str]) -> WrapValidator:
    """Return the check of a key that holds an address, or names the secret that holds it.

    Not a union of pydantic: its errors would name both.
    """

    def checked(value: Any, handler: Any) -> str | Secret:
        if isinstance(value, str):
            return check(value)
        if isinstance(value, dict | Secret):
            return Secret.model_validate(value)
        raise PydanticCustomError("address", "{wanted}", {"wanted": _ADDRESS})

    return WrapValidator(checked)


def _mailbox(text: str) -> str:
    """Check an e-mail address without a display name: other text could add a header to the mail."""
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text):
        raise ValueError(f"`{text}` is not an address such as syncd@example.com")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", text):
        raise ValueError("the name or address of a host is wanted, without a scheme or a port")
    return text


Mailbox = Annotated[str, AfterValidator(_mailbox)]


class WebhookSettings(Section):
    """Where notices are posted."""

    url: Annotated[str | Secret, address_or_secret(webhook_url)]
    """The address to post to. With most services the address is itself a secret: `{ credential = "slack-hook" }`."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    proxy: Annotated[str, AfterValidator(proxy_url)] | None = None
    """The proxy to go through: `http://proxy.example.com:3128`. Unset: none; the environment's `HTTPS_PROXY` is ignored
    on purpose."""
    proxy_auth: NamedSecret | None = None
    """Where the proxy's `user:password` is."""

    @field_validator("proxy_auth")
    @classmethod
    def _proxy_with_it(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        if secret is not None and info.data.get("proxy", "") is None:
            raise ValueError("needs a `proxy` beside it")
        return secret


class EmailSettings(Section):
    """Notices by e-mail."""

    # Validated in this order: `security` looks at `host`, `user` at both and at `password`.
    host: Annotated[str, AfterValidator(_host)]
    """The server that takes the mail."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls`: encrypted before any command; `tls`: from the first byte; `none`: to this machine alone."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The server's port. Unset: 587, 465 or 25, by `security`."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    password: NamedSecret | None = None
    """Where the password is."""
    user: str = ""
    """The account that submits the mail; empty: no authentication."""
    sender: Annotated[Mailbox, Field(alias="from")]
    """The sender's address."""
    to: Annotated[list[Mailbox], Field(min_length=1, max_length=50)]
    """The recipients' addresses."""

    @field_validator("security")
    @classmethod
    def _nothing_in_clear(cls, security: str, info: ValidationInfo) -> str:
        if security == "none" and not is_loopback(info.data.get("host", "localhost")):
            raise ValueError('would send the notices in clear: use "starttls" or "tls"')
        return security

    @field_validator("user")
    @classmethod
    def _password_with_it(cls, user: str, info: ValidationInfo) -> str:
        if "password" in info.data and bool(user) is (info.data["password"] is None):
            raise ValueError("`user` and `password` belong together: give both, or neither")
        return user

    @property
    def effective_port(self) -> int:
        return self.port if self.port is not None else PORTS[self.security]


class NotifySettings(Section):
    """Notices of faults, and of changes that wait for a decision."""

    webhook: WebhookSettings | None = None
    """A webhook: JSON, with a text that Slack understands."""
    email: EmailSettings | None = None
    """E-mail."""
    pending_after: PositiveDuration = timedelta(days=14)
    """An invitation that is not accepted for this long is reported, once."""
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 20
    """The most messages per hour, for webhook and e-mail each. Further notices wait, and are sent together."""


__all__ = ["EmailSettings", "NotifySettings", "WebhookSettings", "address_or_secret"]
