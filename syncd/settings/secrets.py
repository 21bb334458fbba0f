"""Named secrets: where a token or password is, and reading it. A secret written into the configuration is refused.

Owns that no secret is repeated in an error, and that each one read is known to the redaction from then on.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, SecretStr, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from syncd.redaction import learn
from syncd.settings.sections import Section
from syncd.settings.values import credential_name, environment_name


class Secret(Section):
    """The place of a secret: exactly one of a systemd credential, an environment variable, a file."""

    credential: Annotated[str, AfterValidator(credential_name)] | None = None
    """The name of a systemd credential (`LoadCredential=`)."""
    env: Annotated[str, AfterValidator(environment_name)] | None = None
    """The name of an environment variable."""
    file: Path | None = None
    """A file that others can't read."""

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if sum(value is not None for value in (self.credential, self.env, self.file)) != 1:
            raise ValueError('name the secret one way: { credential = "…" }, { env = "…" } or { file = "…" }')
        return self

    @property
    def place(self) -> str:
        """The place in words: `env SYNCD_TOKEN`."""
        return " ".join(f"{kind} {place}" for kind, place in self if place is not None)

    def reveal(self, base: Path) -> SecretStr:
        """Read the secret. Raises ValueError with what to do; the message never holds the secret."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value.strip():
                raise ValueError(f"the environment variable {self.env} is not set")
            return _learnt(value.strip())
        if self.credential is not None:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise ValueError(
                    f"the credential {self.credential} is there only under systemd (LoadCredential=); "
                    'elsewhere use { env = "…" } or { file = "…" }'
                )
            # `LoadCredential=syncd:/etc/syncd/credentials/` hands each file of a folder over as syncd_NAME.
            alone, of_folder = Path(folder) / self.credential, Path(folder) / f"syncd_{self.credential}"
            return _read_secret(of_folder if of_folder.exists() and not alone.exists() else alone, private=False)
        assert self.file is not None
        return _read_secret(base / self.file, private=True)


def _read_secret(path: Path, *, private: bool) -> SecretStr:
    try:
        status = path.stat()
        # root:syncd 0640 is the deliberate way to hand a service its secret; anything wider is an accident.
        wider = status.st_mode & (stat.S_IROTH | (0 if status.st_uid == 0 else stat.S_IRGRP))
        if private and wider:
            raise ValueError(f"{path} can be read by others: chmod 600 {path}")
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return _learnt(text)


def _learnt(text: str) -> SecretStr:
    """Wrap a secret, and make the redaction know it and each of its lines."""
    for each in {text, *text.splitlines()}:
        learn(each.strip())
    if ":" in text:
        learn(text.partition(":")[2])  # of `user:password`
    return SecretStr(text)


_NAME_IT: Final = 'a secret is named here, not written: { credential = "…" }, { env = "…" } or { file = "…" }'


def _secret_is_named(value: Any, handler: Any) -> Any:
    """Refuse a secret that is written into the file, and never repeat it."""
    if not isinstance(value, dict | Secret):
        raise PydanticCustomError("secret_written", "{wanted}", {"wanted": _NAME_IT})
    return handler(value)


NamedSecret = Annotated[Secret, WrapValidator(_secret_is_named)]


__all__ = ["NamedSecret", "Secret"]
