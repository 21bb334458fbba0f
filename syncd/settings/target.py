"""One target of the configuration: how it is reached, what it wants, and in what it differs from its profile.

What contradicts itself is refused here: a target that could never do what it is asked for.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from syncd.core.mapping import Domains
from syncd.core.policy import Class
from syncd.scim.profiles import PROFILES, Profile, Rate
from syncd.settings.daemon import TargetScheduleSettings
from syncd.settings.declared import Declared, keys_of
from syncd.settings.messages import nearest
from syncd.settings.secrets import NamedSecret, Secret
from syncd.settings.sections import Duration, Name, PositiveDuration, RuleText, Section, between
from syncd.settings.values import base_url, duration_or_never, proxy_url


def _domain(pattern: str) -> str:
    Domains([pattern])
    return pattern


DomainPattern = Annotated[str, AfterValidator(_domain)]


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


@keys_of(Profile, but={"name"}, all_optional=True)
class ProfileOverrides(Declared):
    """`[target.profile_overrides]`: how an endpoint differs from its profile. Unset keys take the profile's value."""

    def put_over(self, profile: Profile) -> Profile:
        """Return the profile as it is for this target."""
        return replace(profile, **{name: value for name, value in self if value is not None})


def _effective(given: dict[str, Any]) -> Profile | None:
    """Return the profile as it is for a target; None where it, or an override, is wrong itself."""
    profile, overrides = PROFILES.get(given.get("profile", "")), given.get("profile_overrides")
    return overrides.put_over(profile) if profile and isinstance(overrides, ProfileOverrides) else None


class TargetSettings(Section):
    """One `[[target]]`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    """What it is called in commands, reports and the state file. Renaming it makes it a new target."""
    profile: str = "generic"
    """How this kind of endpoint behaves: one of those in [profiles.md](profiles.md)."""
    profile_overrides: ProfileOverrides = ProfileOverrides()
    """In what this endpoint differs from its profile."""
    base_url: Annotated[str, AfterValidator(base_url)]
    """The endpoint's root."""
    token: NamedSecret
    """Where the bearer token is."""
    token_expires: date | None = None
    """The day from which the token is no longer accepted, as a date of TOML (`2027-03-01`): a notice comes before."""
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
    rate: Rate | None = None
    """Requests per second at most; else the profile's."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests at a time at most; fewer while the endpoint bears no more."""
    timeout: Annotated[Duration, between("1s", "10m")] = timedelta(seconds=60)
    """How long one request may take from beginning to end: 1s to 10m."""
    patience: Annotated[Duration, between("1s", "1h")] = timedelta(seconds=30)
    """How long the endpoint may go on failing without one good answer until a run leaves the rest to the next one:
    1s to 1h."""
    proxy: Annotated[str, AfterValidator(proxy_url)] | None = None
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
    schedule: TargetScheduleSettings = TargetScheduleSettings()
    """When the daemon runs for this target, where that differs from `[schedule]`."""

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, name: str) -> str:
        if name not in PROFILES:
            raise ValueError(
                f"no profile is called `{name}`{nearest(name, list(PROFILES))}; there are: {', '.join(PROFILES)}"
            )
        return name

    @field_validator("profile_overrides")
    @classmethod
    def _possible(cls, overrides: ProfileOverrides, info: ValidationInfo) -> ProfileOverrides:
        profile = _effective({**info.data, "profile_overrides": overrides})
        if profile is not None and (found := profile.contradictions()):
            raise ValueError("; ".join(found))
        return overrides

    @field_validator("delete_after")
    @classmethod
    def _where_anybody_is_deleted(cls, after: timedelta | None, info: ValidationInfo) -> timedelta | None:
        profile = _effective(info.data)
        if after is not None and profile is not None and profile.deletes != "deletes":
            does = {"deactivates": "only switches the account off", "nothing": "does nothing"}[profile.deletes]
            raise ValueError(f"nobody can be deleted there: DELETE {does} (profile `{profile.name}`); leave it out")
        return after

    @field_validator("rate")
    @classmethod
    def _said_once(cls, rate: float | None, info: ValidationInfo) -> float | None:
        overrides = info.data.get("profile_overrides")
        if rate is not None and overrides is not None and "requests_per_second" in overrides.model_fields_set:
            raise ValueError("says the same as `profile_overrides.requests_per_second`: give one of the two")
        return rate

    @field_validator("proxy_auth")
    @classmethod
    def _proxy_with_it(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        if secret is not None and info.data.get("proxy", "") is None:
            raise ValueError("needs a `proxy` beside it")
        return secret

    @field_validator("overlapping_groups")
    @classmethod
    def _where_it_means_something(cls, patterns: list[str], info: ValidationInfo) -> list[str]:
        profile = _effective(info.data)
        if patterns and profile is not None and not profile.one_group_per_user:
            fitting = ", ".join(each.name for each in PROFILES.values() if each.one_group_per_user)
            raise ValueError(
                f"with the profile `{profile.name}` people can be in any number of groups: leave it out "
                f"(it means something with {fitting}, or where profile_overrides say one_group_per_user = true)"
            )
        return patterns
