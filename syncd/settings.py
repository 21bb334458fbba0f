"""The configuration: TOML file, overridden by the environment, validated whole before anything runs.

Owns the keys, their types and defaults; what they mean when compiled is `setup.py`'s. Secrets are named here,
never written: they are read when they are used.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
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
from syncd.faults import explained, nearest
from syncd.scim.profiles import PROFILES
from syncd.values import (
    base_url,
    credential_name,
    duration,
    duration_or_never,
    environment_name,
    is_loopback,
    ldap_url,
    positive_duration,
    schedule,
    some_name,
    time_zone,
    webhook_url,
)

ENVIRONMENT_PREFIX: Final = "SYNCD__"
DEFAULT_FILE: Final = Path("/etc/syncd/syncd.toml")


def _rule(text: str) -> str:
    try:
        Rule(text)
    except RuleError as error:
        raise ValueError(str(error)) from None
    return text


def _domain(pattern: str) -> str:
    Domains([pattern])
    return pattern


def _between(shortest: str, longest: str) -> AfterValidator:
    low, high = duration(shortest), duration(longest)

    def check(value: timedelta) -> timedelta:
        if not low <= value <= high:
            raise ValueError(f"between {shortest} and {longest} is wanted")
        return value

    return AfterValidator(check)


def _proxy_url(text: str) -> str:
    """Check the address of a proxy. What can't be read may be a password in the wrong place: it is not repeated."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", text) or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("no address such as http://proxy.example.com:3128")
    if parts.username is not None:
        raise ValueError("an address without a user's name and password is wanted: those come as `proxy_auth`")
    return text.rstrip("/")


Duration = Annotated[timedelta, BeforeValidator(duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(positive_duration)]
RuleText = Annotated[str, AfterValidator(_rule)]
DomainPattern = Annotated[str, AfterValidator(_domain)]
Schedule = Annotated[str, AfterValidator(schedule)]
Name = Annotated[str, AfterValidator(some_name)]


class Section(BaseModel):
    """A table of the configuration. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


class Secret(Section):
    """Where a secret is: exactly one of a systemd credential, an environment variable, a file."""

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
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not text in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return SecretStr(text)


_NAME_IT: Final = 'a secret is named here, not written: { credential = "…" }, { env = "…" } or { file = "…" }'


def _secret_is_named(value: Any, handler: Any) -> Any:
    """Say plainly that a secret written into the file doesn't belong there; never repeat it."""
    if not isinstance(value, dict | Secret):
        raise PydanticCustomError("secret_written", "{wanted}", {"wanted": _NAME_IT})
    return handler(value)


NamedSecret = Annotated[Secret, WrapValidator(_secret_is_named)]


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
        if kind is Kind.USER and not any(path.casefold() == "username" for path in value):
            fault("userName", "must be mapped: every SCIM user has one (RFC 7643 section 4.1.1)")
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
    """SCIM path to template, list of templates (the first that is not empty), true or false, or `{ cel = "…" }`.
    `userName` is needed; `externalId` is the key unless mapped."""
    group: Annotated[dict[str, Any], _lines(Kind.GROUP)] = Field(default_factory=dict)
    """The same for groups. `displayName` is the group's name unless mapped."""


class LimitSettings(Section):
    """The most that may happen in one run: a share of the managed people, a count, or both; or nothing by itself."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """This share of the managed people …"""
    count: Annotated[int, Field(ge=0)] | None = None
    """… or this many people in one run. Beyond either, the whole class is held."""
    base: Annotated[int, Field(ge=0, alias="from")] = 20
    """`percent` counts from this many managed people on."""
    hold: Literal["always"] | None = None
    """`"always"`: every such change waits for a person. Alone, `percent` and `count` stay as they are by default."""

    @model_validator(mode="after")
    def _something(self) -> LimitSettings:
        if self.percent is None and self.count is None and self.hold is None:
            raise ValueError('give `percent`, `count` or both, or hold = "always"')
        return self


Reaction = Literal["enforce", "report"]


class DriftSettings(Section):
    """What a full resync does about changes made at the target, by class."""

    default: Reaction = "enforce"
    """For every class below that is not named."""
    user_deleted: Reaction | None = None
    """An account that syncd made or took over is gone."""
    user_activation: Reaction | None = None
    """An account was switched on or off."""
    user_attributes: Reaction | None = None
    """Something that syncd writes was edited."""
    group_deleted: Reaction | None = None
    """A group is gone."""
    group_renamed: Reaction | None = None
    """A group has another name, or something else that syncd writes was edited."""
    member_added: Reaction | None = None
    """Managed people were put into a group. Members whom syncd doesn't manage are left alone in any case."""
    member_removed: Reaction | None = None
    """Managed people were taken out of a group."""


class TargetSettings(Section):
    """One `[[target]]`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    """What it is called in commands, reports and the state file. Renaming it makes it a new target."""
    profile: str = "generic"
    """How this kind of endpoint behaves."""
    base_url: Annotated[str, AfterValidator(base_url)]
    """The endpoint's root."""
    token: NamedSecret
    """Where the bearer token is."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    verified_domains: list[DomainPattern] = Field(default_factory=list)
    """Domains whose people belong to you: `example.com`, `*.example.com` for subdomains. Everybody else is external,
    and pending until they accept. None: nobody is external."""
    scope: RuleText | None = None
    """Rule in CEL: who is wanted at all. Leaving the scope switches the account off."""
    groups: list[str] | None = None
    """Which groups are pushed, by name, with `*` and `?`; else all. `[]`: people only."""
    missing_grace: Duration = timedelta(hours=24)
    """How long somebody (or a group) may be gone from the source before the account is switched off; `"0s"`: none."""
    delete_after: Annotated[timedelta | None, BeforeValidator(duration_or_never)] = None
    """After how long a deactivated account is deleted, with everything in it; by default never."""
    protect: list[Name] = Field(default_factory=list)
    """Who is never switched off or deleted, whatever the source says: keys, userNames or e-mails. The token's own
    account and the account's owner, where the endpoint names them, are protected anyway."""
    adopt_groups: bool = False
    """Whether a group that was at the target before is taken over when its name is the same. Else it is left alone, and
    another is made; where groups have no externalId to tell them apart (Lucid), that is held."""
    overlapping_groups: list[Name] = Field(default_factory=list)
    """Where a user can be in one group at most (`lucid-admin`): names, with `*` and `?`, of groups that everybody may
    be in beside their own, such as Lucid's `All users`."""
    rate: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Requests per second at most; else the profile's."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests at a time at most; fewer while the endpoint bears no more."""
    timeout: Annotated[Duration, _between("1s", "10m")] = timedelta(seconds=60)
    """How long one request may take from beginning to end: 1s to 10m."""
    proxy: Annotated[str, AfterValidator(_proxy_url)] | None = None
    """The proxy between here and the endpoint: `http://proxy.example.com:3128`. None: straight to the endpoint;
    the environment's `HTTPS_PROXY` is ignored on purpose."""
    proxy_auth: NamedSecret | None = None
    """Where the proxy's `user:password` is."""
    http2: bool = True
    """Whether HTTP/2 is used where the endpoint offers it."""
    approval_lasts: PositiveDuration = timedelta(hours=24)
    """How long `syncd approve` is good for: what no run has done by then is held again."""
    limits: dict[Class, LimitSettings] = Field(default_factory=dict)
    """By class: `deactivate`, `delete`, `delete_group`, `remove_members`, `rename`, `adopt`."""
    drift: DriftSettings = DriftSettings()
    """What a full resync does about changes made at the target."""

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, name: str) -> str:
        if name not in PROFILES:
            raise ValueError(
                f"no profile is called `{name}`{nearest(name, list(PROFILES))}; there are: {', '.join(PROFILES)}"
            )
        return name

    @field_validator("proxy_auth")
    @classmethod
    def _proxy_with_it(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        if secret is not None and info.data.get("proxy", "") is None:
            raise ValueError("needs a `proxy` beside it")
        return secret

    @field_validator("overlapping_groups")
    @classmethod
    def _where_it_means_something(cls, patterns: list[str], info: ValidationInfo) -> list[str]:
        profile = PROFILES.get(info.data.get("profile", ""))
        if patterns and profile is not None and not profile.one_group_per_user:
            fitting = ", ".join(each.name for each in PROFILES.values() if each.one_group_per_user)
            raise ValueError(
                f"with the profile `{profile.name}` people can be in any number of groups: leave it out "
                f"(it means something with {fitting})"
            )
        return patterns


class ScheduleSettings(Section):
    """When the daemon runs."""

    sync: Schedule = "15m"
    """Cron (`*/15 * * * *`) or a duration (`15m`)."""
    resync: Schedule | None = None
    """The same, for a full resync."""
    jitter: Duration = timedelta(0)
    """A random delay of at most this long."""
    timezone: Annotated[str, AfterValidator(time_zone)] = "UTC"
    """What the hours of cron mean."""


class WebhookSettings(Section):
    """Where notices are posted."""

    url: Annotated[str, AfterValidator(webhook_url)]
    """Where to post."""


class NotifySettings(Section):
    """Who hears of held changes, stopped targets and recovered ones."""

    webhook: WebhookSettings | None = None
    """Who hears of it."""


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
    drain: Annotated[Duration, _between("0s", "10m")] = timedelta(seconds=20)
    """How long requests in flight may go on when syncd is told to stop (SIGTERM): 0s to 10m."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When the daemon runs. Checked, and not used by this version."""
    notify: NotifySettings = NotifySettings()
    """Who hears of what is held. Checked, and not used by this version."""

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

    Lists and tables are written as in TOML: `SYNCD__SOURCE__URLS=["ldaps://a"]`.
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
            part = _part(place, step)
            if part is None:
                return self._refuse(name, path, step)
            path.append(part)
            if isinstance(place, dict) and part not in place:
                place[part] = {}
                self._origins[tuple(path)] = name
            place = place[part]
        part = _part(place, last)
        if part is None:
            return self._refuse(name, path, last)
        place[part] = _toml_value(text)
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


def _toml_value(text: str) -> Any:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


__all__ = ["DEFAULT_FILE", "ENVIRONMENT_PREFIX", "CsvSettings", "LdapSettings", "Settings", "TargetSettings", "load"]
