"""`before_delete` of a target: the webhook or command that must succeed before an account is deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from syncd.settings.notify import WebhookSettings, address_or_secret
from syncd.settings.secrets import NamedSecret, Secret
from syncd.settings.sections import Duration, Section, between
from syncd.settings.values import argument, hook_url


class HookWebhookSettings(WebhookSettings):
    """Where the facts about a deletion are posted."""

    url: Annotated[str | Secret, address_or_secret(hook_url)]
    """The address to post to. Any 2xx answer is success."""
    token: NamedSecret | None = None
    """Where the bearer token is that goes with it, if it wants one."""


class BeforeDeleteSettings(Section):
    """What must succeed before an account is deleted, such as the transfer of its content: a webhook or a command."""

    webhook: HookWebhookSettings | None = None
    """A webhook: the facts are posted as JSON, with the same `Idempotency-Key` at each attempt."""
    command: Annotated[list[Annotated[str, AfterValidator(argument)]], Field(min_length=1)] | None = None
    """A program and its arguments, without a shell: the facts come on its standard input and as variables `SYNCD_…`.
    Exit code 0 is success, 75 asks for another attempt soon."""
    timeout: Annotated[Duration, between("1s", "1h")] = timedelta(seconds=60)
    """How long one attempt may take: 1s to 1h. A command is then killed."""

    @model_validator(mode="after")
    def _one(self) -> BeforeDeleteSettings:
        if (self.webhook is None) is (self.command is None):
            raise ValueError("give either `webhook` or `command`")
        return self


__all__ = ["BeforeDeleteSettings", "HookWebhookSettings"]
