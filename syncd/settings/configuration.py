"""The configuration: TOML file, overridden by the environment, validated whole before anything runs.

Owns the keys, their types and defaults; what they mean when compiled is `build.py`'s. Secrets are named here,
never written: they are read when they are used.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from syncd.core.groups import Nesting
from syncd.core.mapping import MappingFault, Spec, compile_assignment, conflicts
from syncd.core.model import Kind
from syncd.errors import ConfigurationError, Fault
from syncd.settings.daemon import ControlSettings, MetricsSettings, ReportsSettings, ScheduleSettings
from syncd.settings.messages import explained, nearest
from syncd.settings.notify import NotifySettings
from syncd.settings.sections import Duration, NamedSecret, PositiveDuration, RuleText, Section, between
from syncd.settings.target import TargetSettings
from syncd.settings.values import is_loopback, ldap_url

ENVIRONMENT_PREFIX: Final = "SYNCD__"
DEFAULT_FILE: Final = Path("/etc/syncd/syncd.toml")
_WAYS: Final = frozenset({"credential", "env", "file"})
"""The keys of which a secret has one."""


class CsvSettings(Section):
    """`[source]` with type = "csv"."""

    type: Literal["csv"]
    """`"csv"`."""
    users: Path
    """The people: UTF-8 with a header row; comma, semicolon or tab."""
    key: str
    """The column with the immutable id: an employee number, not a name or an e-mail."""
    active: RuleText | None = None
    """Rule in CEL. False: the account is switched off. Without a rule everybody is active."""
    groups: Path | None = None
    """The groups: columns `id` and `name`, and any others for `[mapping.group]`."""
    members: Path | None = None
    """Who is in which group: columns `group` and `member` (a key of `users`, or an id of `groups`: nested)."""
    delimiter: Literal[",", ";", "\t"] | None = None
    """What separates the cells, where it should not be found out from the header."""
    multivalued: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Columns with several values in a cell, and what separates them: `{ aliases = ";" }`."""
    nested_groups: Nesting = Nesting.FLATTEN
    """What a group inside a group means: `flatten` (its members are members), `keep` (it is a member) or `ignore`."""

    @field_validator("members")
    @classmethod
    def _pairs(cls, members: Path | None, info: ValidationInfo) -> Path | None:
        if "groups" in info.data and (info.data["groups"] is None) is not (members is None):
            raise ValueError("`groups` and `members` belong together: give both files, or neither")
        return members


class LdapSettings(Section):
    """`[source]` with type = "ldap"."""

    # Validated in this order: `urls` looks at `start_tls`, `bind_dn` at `password`.
    type: Literal["ldap"]
    """`"ldap"`."""
    start_tls: bool = False
    """Encrypt `ldap://` connections before anything is said; needed unless the server is on this machine."""
    urls: Annotated[list[Annotated[str, AfterValidator(ldap_url)]], Field(min_length=1)]
    """The servers, tried in turn until one can be used. Certificates and names are verified."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    password: NamedSecret | None = None
    """Where the password is."""
    bind_dn: str = ""
    """Who reads the directory; empty: anonymous."""
    base_dn: str
    """Where to search, with everything below."""
    user_base_dn: str | None = None
    """Where to search for people; else `base_dn`."""
    group_base_dn: str | None = None
    """Where to search for groups; else `base_dn`."""
    user_filter: str | None = None
    """Which entries are people; else as the preset has it."""
    group_filter: str | None = None
    """Which entries are groups; else as the preset has it. `""`: none."""
    preset: Literal["openldap", "ad", "389ds", "posix"] = "openldap"
    """Fills in filters, key, member and group name attributes and the `active` rule for a kind of directory."""
    key: str | None = None
    """The attribute with the immutable id; else as the preset has it."""
    member: str | None = None
    """The attribute that lists a group's members: DNs, or user names for `memberUid`."""
    group_name: str | None = None
    """The attribute with a group's name."""
    active: RuleText | None = None
    """Rule in CEL; else as the preset has it. False: the account is switched off."""
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Entries per page."""
    nested_groups: Nesting = Nesting.FLATTEN
    """What a group inside a group means: `flatten`, `keep` or `ignore`."""
    connect_timeout: PositiveDuration = timedelta(seconds=10)
    """How long to wait for a server to answer at all."""
    receive_timeout: PositiveDuration = timedelta(seconds=60)
    """After how long a silence a server counts as gone."""
    deadline: PositiveDuration = timedelta(hours=1)
    """How long a whole reading may take."""

    @field_validator("urls")
    @classmethod
    def _nothing_in_clear(cls, urls: list[str], info: ValidationInfo) -> list[str]:
        for url in urls:
            parts = urlsplit(url)
            clear = parts.scheme == "ldap" and not info.data.get("start_tls", True)
            if clear and not is_loopback(parts.hostname or ""):
                raise ValueError(f"{url} would send everything in clear: use ldaps://, or start_tls = true")
        return urls

    @field_validator("bind_dn")
    @classmethod
    def _password_with_it(cls, bind_dn: str, info: ValidationInfo) -> str:
        if bind_dn and info.data.get("password", bind_dn) is None:
            raise ValueError("needs a `password` beside it")
        return bind_dn


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
            if isinstance(spec, dict) and set(spec) != {"cel"} and not any(map(_like_cel, spec)):
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
        if kind is Kind.USER and not any(path.casefold() == "username" for path in value):
            fault("userName", "must be mapped: every SCIM user has one (RFC 7643 section 4.1.1)")
        if faults:
            raise ValidationError.from_exception_data("mapping", faults)
        return value

    return WrapValidator(check)


def _like_cel(key: str) -> bool:
    return bool(get_close_matches(key, ["cel"], n=1))


def _is_spec(spec: Any) -> bool:
    if isinstance(spec, dict):
        return set(spec) == {"cel"} and isinstance(spec["cel"], str)
    if isinstance(spec, list):
        return all(isinstance(item, str) for item in spec)
    return isinstance(spec, str | bool)


class MappingSettings(Section):
    """`[mapping.user]` and `[mapping.group]`: SCIM path to template."""

    user: Annotated[dict[str, Any], _lines(Kind.USER)]
    """SCIM path to template, list of templates (the first that is not empty), true or false, or `{ cel = "…" }`.
    `userName` is needed; `externalId` is the key unless mapped."""
    group: Annotated[dict[str, Any], _lines(Kind.GROUP)] = Field(default_factory=dict)
    """The same for groups. `displayName` is the group's name unless mapped."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    state: Path = Path("/var/lib/syncd/syncd.db")
    """The state file: what each target has acknowledged. Mode 0600; one process at a time."""
    source: Annotated[CsvSettings | LdapSettings, Field(discriminator="type")]
    """Where people and groups come from."""
    mapping: MappingSettings
    """What becomes of an entry."""
    target: Annotated[list[TargetSettings], Field(min_length=1)]
    """The SCIM endpoints; one table each."""
    drain: Annotated[Duration, between("0s", "10m")] = timedelta(seconds=20)
    """How long requests in flight may go on when syncd is told to stop (SIGTERM): 0s to 10m."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the daemon runs."""
    control: ControlSettings = ControlSettings()
    """Who may talk to the daemon."""
    metrics: MetricsSettings = MetricsSettings()
    """Where it shows figures."""
    reports: ReportsSettings = ReportsSettings()
    """The reports that it keeps."""
    notify: NotifySettings = NotifySettings()
    """Who hears of what is wrong, or waits for somebody."""

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
    data = _read(file)
    override = _Override(data)
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            override.put(name, environment[name])
    faults = override.faults + _called_alike(data)
    # pydantic-settings takes names with `_` in front for options of its own.
    faults += [Fault(key, "no such key") for key in data if key.startswith("_")]
    settings = None
    try:
        settings = Settings(**{key: value for key, value in data.items() if not key.startswith("_")})
    except ValidationError as error:
        faults += [override.traced(each, explained(each, data, Settings)) for each in error.errors()]
    if settings is None or faults:
        raise ConfigurationError(str(file), faults)
    return settings


def _read(file: Path) -> dict[str, Any]:
    """Return the file's content as tables. Raises ConfigurationError."""
    try:
        if file.is_char_device():  # some of which never end
            raise ConfigurationError(str(file), [Fault("", "not a file")])
        content = file.read_bytes()
    except OSError as error:
        hint = "; `syncd init` writes one to start from" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError(str(file), [Fault("", f"{error.strerror}{hint}")]) from None
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line}: not text in UTF-8 (byte 0x{content[error.start]:02x})"
        raise ConfigurationError(str(file), [Fault("", problem)]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), [Fault("", f"not valid TOML: {error}")]) from None


def _called_alike(data: Mapping[str, Any]) -> list[Fault]:
    targets = data.get("target")
    names = [item.get("name") for item in targets if isinstance(item, dict)] if isinstance(targets, list) else []
    counts = Counter(name for name in names if isinstance(name, str))
    return [Fault("target", f"{count} targets are called `{name}`") for name, count in counts.items() if count > 1]


class _Override:
    """Puts `SYNCD__SOURCE__BIND_DN=…` into its place; a target is named by its number, from 0, or by its name.

    Lists and tables are written as in TOML or JSON: `SYNCD__SOURCE__URLS=["ldaps://a"]`. The number after the last
    target's makes a new one.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._origins: dict[tuple[str | int, ...], str] = {}
        self.faults: list[Fault] = []
        """Variables that have no place in the configuration."""

    def put(self, name: str, text: str) -> None:
        """Set one key from the environment variable of that name."""
        *steps, last = name[len(ENVIRONMENT_PREFIX) :].lower().split("__")
        place: Any = self._data
        path: list[str | int] = []
        for step in steps:
            if isinstance(place, list) and step == str(len(place)):
                self._origins[(*path, len(place))] = name
                place.append({})
            part = _part(place, step)
            if part is None:
                return self._refuse(name, path, step)
            path.append(part)
            if isinstance(place, dict) and part not in place:
                place[part] = [] if path == ["target"] else {}
                self._origins[tuple(path)] = name
            place = place[part]
        part = _part(place, last)
        if part is None:
            return self._refuse(name, path, last)
        if last in _WAYS and isinstance(place, dict):  # a secret is named one way: this one, not what the file says
            for way in _WAYS & place.keys():
                if (*path, way) not in self._origins:
                    del place[way]
        place[part] = _value(text)
        self._origins[(*path, part)] = name
        return None

    def _refuse(self, name: str, path: list[str | int], step: str) -> None:
        if path == ["target"]:
            names = [_in_environment(item) or str(index) for index, item in enumerate(self._data["target"])]
            self.faults.append(Fault(name, f"no target is called `{step}`{nearest(step, names)}"))
        else:
            self.faults.append(Fault(name, f"`{'.'.join(map(str, path))}` is no table: `{step}` has no place in it"))

    def traced(self, finding: Any, fault: Fault) -> Fault:
        """Name the variable that one of pydantic's findings comes from, where it is not the file."""
        path = tuple(
            part for part in finding["loc"] if finding["loc"][:1] != ("source",) or part not in ("csv", "ldap")
        )
        if finding["type"] == "union_tag_invalid":
            path += ("type",)
        for end in range(len(path), 0, -1):
            if path[:end] in self._origins:
                return Fault(f"{fault.key} (from {self._origins[path[:end]]})", fault.problem)
        return fault


def _part(place: Any, step: str) -> str | int | None:
    """Return the key or index that a step of a variable's name means, None where there is none."""
    if isinstance(place, dict):
        return next((key for key in place if key.lower() == step), step)
    if isinstance(place, list):
        return next((index for index, item in enumerate(place) if step in (str(index), _in_environment(item))), None)
    return None


def _in_environment(target: Any) -> str:
    """Return a target's name as it can stand in a variable's name: `lucid-content` as `lucid_content`."""
    return re.sub(r"\W", "_", str(target.get("name", ""))).lower() if isinstance(target, dict) else ""


def _value(text: str) -> Any:
    """Return a list or table as TOML or JSON writes it; whatever else it is as it stands, such as a template."""
    if text.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return tomllib.loads(f"value = {text}")["value"]
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


__all__ = ["DEFAULT_FILE", "ENVIRONMENT_PREFIX", "CsvSettings", "LdapSettings", "Settings", "load"]
