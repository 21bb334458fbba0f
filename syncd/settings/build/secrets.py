"""From named secrets to functions that read them when they are used, and check what they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from syncd.errors import ConfigurationError, Fault
from syncd.redaction import learn
from syncd.settings.secrets import Secret
from syncd.settings.values import hook_url, user_and_password


class Secrets:
    """The secrets that one configuration file names; paths are relative to its folder, `base`.

    Each method returns a function. That function reads the secret, and raises ConfigurationError, with the key, where
    the secret can't be read or can't be what the key is for.
    """

    def __init__(self, file: Path) -> None:
        self.base = file.resolve().parent
        self._file = file

    def reader(self, secret: Secret, key: str) -> Callable[[], SecretStr]:
        """Take the secret as it is."""

        def reveal() -> SecretStr:
            try:
                return secret.reveal(self.base)
            except ValueError as error:
                raise self.fault(key, str(error)) from None

        return reveal

    def password(self, secret: Secret, key: str) -> Callable[[], str]:
        """Take the secret as it is, as text."""
        read = self.reader(secret, key)
        return lambda: read().get_secret_value()

    def bearer(self, secret: Secret, key: str) -> Callable[[], SecretStr]:
        """Take a token."""
        read = self.reader(secret, key)

        def reveal() -> SecretStr:
            token = read()
            # A header can't hold anything else, and the error message for that would repeat the token.
            if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
                raise self.fault(
                    key,
                    "a token is one line of visible ASCII characters; this one has blanks, line breaks or others",
                )
            return token

        return reveal

    def user_and_password(self, secret: Secret | None, key: str) -> Callable[[], SecretStr] | None:
        """Take a proxy's credentials, `user:password`."""
        if secret is None:
            return None
        read = self.reader(secret, key)

        def reveal() -> SecretStr:
            both = read()
            try:
                user_and_password(both.get_secret_value())
            except ValueError as error:
                raise self.fault(key, str(error)) from None
            return both

        return reveal

    def hook_url(self, url: str | Secret, key: str) -> Callable[[], str]:
        """Take the address of a hook: as written, or a secret. All of it is redacted from then on."""
        if isinstance(url, str):
            learn(url)
            return lambda: url
        read = self.reader(url, key)

        def reveal() -> str:
            try:
                return hook_url(read().get_secret_value())
            except ValueError as error:
                raise self.fault(key, str(error)) from None

        return reveal

    def fault(self, key: str, problem: str) -> ConfigurationError:
        """Return the error of one key."""
        return ConfigurationError(str(self._file), [Fault(key, problem)])


__all__ = ["Secrets"]
