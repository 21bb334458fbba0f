"""The configuration: TOML file, overridden by the environment, validated whole before anything runs.

Owns the keys, their types and defaults; what they mean when compiled is `setup.py`'s. Secrets are named here,
never written: they are read when they are used.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from syncd.core.groups import Nesting
from syncd.core.mapping import Domains, MappingFault, Spec, compile_assignment, conflicts
from syncd.core.model import Kind
from syncd.core.policy import Class
from syncd.core.rules import Rule, RuleError
from syncd.errors import ConfigurationError, Fault
from syncd.scim.profiles import PROFILES

ENVIRONMENT_PREFIX: Final = "SYNCD__"
DEFAULT_FILE: Final = Path("/etc/syncd/syncd.toml")

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Parse `90d`, `24h`, `15m`, `30s`, `0s` or `1h30m`. Raises ValueError."""
    parts = re.findall(r"(\d+)\s*([smhdw])", text.strip())
    if not parts or re.sub(r"\d+\s*[smhdw]\s*", "", text.strip()):
        raise ValueError(f"`{text}` is not a duration such as 30s, 15m, 24h or 90d")
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _duration_or_never(value: Any) -> Any:
    return None if value == "never" else _duration(value)


def _rule(text: str) -> str:
    try:
        Rule(text)
    except RuleError as error:
        raise ValueError(str(error)) from None
    return text


def _domain(pattern: str) -> str:
    Domains([pattern])
    return pattern


def _schedule(text: str) -> str:
    if len(text.split()) == 5 and re.fullmatch(r"[\d\s*/,\-a-zA-Z]+", text):
        return text
    try:
        parse_duration(text)
    except ValueError:
        raise ValueError(f"`{text}` is neither cron (`*/15 * * * *`) nor a duration (`15m`)") from None
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"`{name}` is no time zone such as Europe/Berlin") from None
    return name


Duration = Annotated[timedelta, BeforeValidator(_duration)]
RuleText = Annotated[str, AfterValidator(_rule)]
DomainPattern = Annotated[str, AfterValidator(_domain)]
Schedule = Annotated[str, AfterValidator(_schedule)]


class Section(BaseModel):
    """A table of the configuration. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Secret(Section):
    """Where a secret is: exactly one of a systemd credential, an environment variable, a file."""

    credential: str | None = None
    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if sum(value is not None for value in (self.credential, self.env, self.file)) != 1:
            raise ValueError('name the secret one way: { credential = "…" }, { env = "…" } or { file = "…" }')
        return self

    def reveal(self, base: Path) -> SecretStr:
        """Read the secret. Raises ValueError with what to do; the text never holds the secret."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value.strip():
                raise ValueError(f"the environment variable {self.env} is not set")
            return SecretStr(value.strip())
        if self.credential is not None:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise ValueError(
                    f"the credential {self.credential} is there only under systemd (LoadCredential=); "
                    'elsewhere use { env = "…" } or { file = "…" }'
                )
            return _read_secret(Path(folder) / self.credential, private=False)
        assert self.file is not None
        return _read_secret(base / self.file, private=True)


def _read_secret(path: Path, *, private: bool) -> SecretStr:
    try:
        status = path.stat()
        # root:syncd 0640 is the deliberate way to hand a service its secret; anything wider is an accident.
        wider = status.st_mode & (stat.S_IROTH | (0 if status.st_uid == 0 else stat.S_IRGRP))
        if private and wider:
            raise ValueError(f"{path} can be read by others: chmod 600 {path}")
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return SecretStr(text)


def _secret_is_named(value: Any, handler: Any) -> Any:
    """Say plainly that a secret written into the file doesn't belong there; never repeat it."""
    if isinstance(value, str):
        raise PydanticCustomError(
            "secret_written",
            'a secret is named here, not written: { credential = "…" }, {{ env = "…" }} or {{ file = "…" }}'.replace(
                "{{", "{"
            ).replace("}}", "}"),
        )
    return handler(value)


NamedSecret = Annotated[Secret, WrapValidator(_secret_is_named)]


class CsvSettings(Section):
    """`[source]` with type = "csv"."""

    type: Literal["csv"]
    users: Path
    key: str
    active: RuleText | None = None
    groups: Path | None = None
    members: Path | None = None
    delimiter: Literal[",", ";", "\t"] | None = None
    multivalued: dict[str, str] = Field(default_factory=dict)
    nested_groups: Nesting = Nesting.FLATTEN

    @model_validator(mode="after")
    def _pairs(self) -> CsvSettings:
        if (self.groups is None) is not (self.members is None):
            raise ValueError("`groups` and `members` belong together: give both files, or neither")
        return self


def _ldap_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname:
        raise ValueError(f"`{text}` is no address such as ldaps://dc1.example.com")
    return text


class LdapSettings(Section):
    """`[source]` with type = "ldap"."""

    type: Literal["ldap"]
    urls: Annotated[list[Annotated[str, AfterValidator(_ldap_url)]], Field(min_length=1)]
    start_tls: bool = False
    ca_file: Path | None = None
    bind_dn: str = ""
    password: NamedSecret | None = None
    base_dn: str
    user_base_dn: str | None = None
    group_base_dn: str | None = None
    user_filter: str | None = None
    group_filter: str | None = None
    preset: Literal["openldap", "ad", "389ds", "posix"] = "openldap"
    key: str | None = None
    member: str | None = None
    group_name: str | None = None
    active: RuleText | None = None
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1000
    nested_groups: Nesting = Nesting.FLATTEN
    connect_timeout: Duration = timedelta(seconds=10)
    receive_timeout: Duration = timedelta(seconds=60)
    deadline: Duration = timedelta(hours=1)

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> LdapSettings:
        for url in self.urls:
            parts = urlsplit(url)
            if parts.scheme == "ldap" and not self.start_tls and not is_loopback(parts.hostname or ""):
                raise ValueError(f"{url} would send the password in clear: use ldaps:// or start_tls = true")
        if self.bind_dn and self.password is None:
            raise ValueError("`bind_dn` needs a `password`")
        return self


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    return host == "localhost" or host == "::1" or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def _lines(kind: Kind) -> WrapValidator:
    """Compile every line of a mapping and report every fault with its path."""

    def check(value: Any, handler: Any) -> dict[str, Spec]:
        if not isinstance(value, dict):
            raise PydanticCustomError("mapping", "a table is wanted: SCIM paths on the left, templates on the right")
        faults: list[InitErrorDetails] = []
        assignments = []

        def fault(path: str, problem: str) -> None:
            error = PydanticCustomError("mapping", "{problem}", {"problem": problem})
            faults.append(InitErrorDetails(type=error, loc=(path,), input=None))

        for path, spec in value.items():
            if isinstance(spec, dict) and set(spec) != {"cel"}:
                fault(path, f'a path with a dot needs quotes: "{path}.{next(iter(spec), "…")}" = …')
            elif not _is_spec(spec):
                fault(path, 'wanted: a template "{mail}", a list of them, true or false, or { cel = "…" }')
            else:
                try:
                    assignments.append(compile_assignment(path, spec, kind))
                except MappingFault as error:
                    fault(path, str(error))
        for path, problem in conflicts(assignments):
            fault(path, problem)
        if faults:
            raise ValidationError.from_exception_data("mapping", faults)
        return value

    return WrapValidator(check)


def _is_spec(spec: Any) -> bool:
    if isinstance(spec, dict):
        return isinstance(spec["cel"], str)
    if isinstance(spec, list):
        return all(isinstance(item, str) for item in spec)
    return isinstance(spec, str | bool)


class MappingSettings(Section):
    """`[mapping.user]` and `[mapping.group]`: SCIM path to template."""

    user: Annotated[dict[str, Any], _lines(Kind.USER)]
    group: Annotated[dict[str, Any], _lines(Kind.GROUP)] = Field(default_factory=dict)

    @field_validator("user")
    @classmethod
    def _user_name(cls, value: dict[str, Spec]) -> dict[str, Spec]:
        if not any(path.casefold() == "username" for path in value):
            raise ValueError("userName must be mapped: every SCIM user has one (RFC 7643 section 4.1.1)")
        return value


class LimitSettings(Section):
    """The most that may happen in one run: a share of the managed people, a count, or both."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    count: Annotated[int, Field(ge=0)] | None = None
    base: Annotated[int, Field(ge=0, alias="from")] = 20

    @model_validator(mode="after")
    def _something(self) -> LimitSettings:
        if self.percent is None and self.count is None:
            raise ValueError("give `percent`, `count` or both")
        return self


Reaction = Literal["enforce", "report"]


class DriftSettings(Section):
    """What a full resync does about changes made at the target, by class."""

    default: Reaction = "enforce"
    user_deleted: Reaction | None = None
    user_activation: Reaction | None = None
    user_attributes: Reaction | None = None
    group_deleted: Reaction | None = None
    group_renamed: Reaction | None = None
    member_added: Reaction | None = None
    member_removed: Reaction | None = None


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`{text}` is no address such as https://users.lucid.app/scim/v2")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"`{text}` would send the token in clear: use https://")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("an address without user, query and fragment is wanted")
    return text


class TargetSettings(Section):
    """One `[[target]]`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    profile: str = "generic"
    base_url: Annotated[str, AfterValidator(_base_url)]
    token: NamedSecret
    ca_file: Path | None = None
    verified_domains: list[DomainPattern] = Field(default_factory=list)
    scope: RuleText | None = None
    groups: list[str] | None = None
    missing_grace: Duration = timedelta(hours=24)
    delete_after: Annotated[timedelta | None, BeforeValidator(_duration_or_never)] = None
    rate: Annotated[float, Field(gt=0, le=10_000)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    limits: dict[Class, LimitSettings] = Field(default_factory=dict)
    drift: DriftSettings = DriftSettings()

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, name: str) -> str:
        if name not in PROFILES:
            raise ValueError(
                f"no profile is called `{name}`{_nearest(name, list(PROFILES))}; there are: {', '.join(PROFILES)}"
            )
        return name


class ScheduleSettings(Section):
    """When the daemon runs."""

    sync: Schedule = "15m"
    resync: Schedule | None = None
    jitter: Duration = timedelta(0)
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class WebhookSettings(Section):
    url: Annotated[str, AfterValidator(_base_url)]


class NotifySettings(Section):
    """Who hears of held changes, stopped targets and recovered ones."""

    webhook: WebhookSettings | None = None


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    state: Path = Path("/var/lib/syncd/syncd.db")
    source: Annotated[CsvSettings | LdapSettings, Field(discriminator="type")]
    mapping: MappingSettings
    target: Annotated[list[TargetSettings], Field(min_length=1)]
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()

    @field_validator("target")
    @classmethod
    def _names(cls, targets: list[TargetSettings]) -> list[TargetSettings]:
        names = [target.name for target in targets]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two targets are called `{min(twice)}`")
        return targets

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` hands over counts: it has merged file and environment, lists included."""
        return (init_settings,)


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the configuration. Raises ConfigurationError with every fault there is."""
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        hint = "; `syncd init` writes one to start from" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(str(file), [Fault("", f"{error.strerror}{hint}")]) from None
    except UnicodeDecodeError:
        raise ConfigurationError(str(file), [Fault("", "not text in UTF-8")]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), [Fault("", f"not valid TOML: {error}")]) from None
    _override(data, environment)
    try:
        return Settings(**data)
    except ValidationError as error:
        raise ConfigurationError(str(file), [_fault(each, data) for each in error.errors()]) from None


def _override(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put `SYNCD__SOURCE__BIND_DN=…` into its place; a target is named by its number or its name.

    Lists and tables are written as in TOML: `SYNCD__SOURCE__URLS=["ldaps://a"]`.
    """
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *path, last = [part.lower() for part in name[len(ENVIRONMENT_PREFIX) :].split("__")]
        place: Any = data
        for part in path:
            place = _step(place, part)
        if isinstance(place, dict):
            place[_spelling(place, last)] = _toml_value(environment[name])


def _step(place: Any, part: str) -> Any:
    if isinstance(place, list):
        for index, item in enumerate(place):
            named = isinstance(item, dict) and re.sub(r"\W", "_", str(item.get("name", ""))).lower() == part
            if named or part == str(index):
                return item
        return None
    if isinstance(place, dict):
        return place.setdefault(_spelling(place, part), {})
    return None


def _spelling(place: dict[str, Any], part: str) -> str:
    return next((key for key in place if key.lower() == part), part)


def _toml_value(text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _nearest(name: str, known: list[str]) -> str:
    found = get_close_matches(name, known, n=1)
    return f"; did you mean `{found[0]}`?" if found else ""


_PLAIN_WORDS: Final = {
    "missing": "missing: it has no default",
    "union_tag_not_found": 'needs type = "csv" or type = "ldap"',
}


def _fault(error: Any, data: Mapping[str, Any]) -> Fault:
    """Turn one finding of pydantic into a key and a sentence; input values stay out (they may be secrets)."""
    place: list[str] = []
    holder: Any = data
    model: Any = Settings
    for part in error["loc"]:
        if part in ("csv", "ldap") and place == ["source"]:
            model = CsvSettings if part == "csv" else LdapSettings
            continue
        if isinstance(part, int):
            name = holder[part].get("name") if isinstance(holder, list) and isinstance(holder[part], dict) else None
            place[-1] += f"[{name or part}]"
            holder = holder[part] if isinstance(holder, list) and part < len(holder) else None
        else:
            place.append(f'"{part}"' if re.search(r"\W", part) else part)
            model = _inside(model, part) if error["type"] != "extra_forbidden" or part != error["loc"][-1] else model
            holder = holder.get(part) if isinstance(holder, Mapping) else None
    key = ".".join(place)
    kind = error["type"]
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in getattr(model, "model_fields", {}).items()]
        return Fault(key, f"no such key{_nearest(str(error['loc'][-1]), known)}")
    if kind == "union_tag_invalid":
        return Fault(f"{key}.type", 'must be "csv" or "ldap"')
    message = _PLAIN_WORDS.get(kind) or error["msg"].removeprefix("Value error, ")
    return Fault(key, message[:1].lower() + message[1:] if message.startswith("Input should") else message)


def _inside(model: Any, part: str) -> Any:
    """Return the settings model behind a key, None where there is none."""
    fields = getattr(model, "model_fields", {})
    for name, field in fields.items():
        if part in (name, field.alias):
            for candidate in _models(field.annotation):
                return candidate
    return model if not fields else None


def _models(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models(inner)]


__all__ = ["DEFAULT_FILE", "ENVIRONMENT_PREFIX", "CsvSettings", "LdapSettings", "Settings", "TargetSettings", "load"]
