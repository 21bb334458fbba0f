"""One `[[target]]`: its address, whom it wants, its limits, and how it differs from its profile.

Refuses a target that contradicts itself, or its profile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from syncd.core.drift import Reaction
from syncd.core.mapping import Domains
from syncd.core.policy import Class
from syncd.scim.profiles import NAMES, PROFILES, Profile, Rate
from syncd.settings.daemon import TargetScheduleSettings
from syncd.settings.declared import Declared, keys_of
from syncd.settings.hooks import BeforeDeleteSettings
from syncd.settings.messages import nearest
from syncd.settings.secrets import NamedSecret, Secret
from syncd.settings.sections import Duration, Name, PositiveDuration, RuleText, Section, between
from syncd.settings.values import base_url, duration_or_never, proxy_url


def _domain(pattern: str) -> str:
    Domains([pattern])
    return pattern


DomainPattern = Annotated[str, AfterValidator(_domain)]


class LimitSettings(Section):
    """The most changes of one class in one run: a share of the managed people, a count, or both; or none unapproved."""

    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """This share of the managed people …"""
    count: Annotated[int, Field(ge=0)] | None = None
    """… or this many people in one run. Beyond either, the whole class is held."""
    base: Annotated[int, Field(ge=0, alias="from")] = 20
    """`percent` applies from this many managed people on."""
    hold: Literal["always"] | None = None
    """`"always"`: every change of the class waits for approval. Alone, it keeps the default `percent` and `count`."""

    @model_validator(mode="after")
    def _something(self) -> LimitSettings:
        if self.percent is None and self.count is None and self.hold is None:
            raise ValueError('give `percent`, `count` or both, or hold = "always"')
        return self


class DriftSettings(Section):
    """The reaction of a full resync to changes made at the target, by class."""

    default: Reaction = Reaction.ENFORCE
    """For every class that is unset."""
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
    """Managed people were put into a group."""
    member_removed: Reaction | None = None
    """Managed people were taken out of a group."""
    foreign_member: Reaction | None = None
    """Somebody whom syncd doesn't manage is in a managed group: taken out of it, and the account is never written."""


@keys_of(Profile, but=NAMES, all_optional=True)
class ProfileOverrides(Declared):
    """`[target.profile_overrides]`: how an endpoint differs from its profile. Unset keys take the profile's value."""

    def put_over(self, profile: Profile) -> Profile:
        """Return the profile with these overrides."""
        return replace(profile, **{name: value for name, value in self if value is not None})


def _effective(given: dict[str, Any]) -> Profile | None:
    """Return the profile with its overrides; None where either is wrong itself."""
    profile, overrides = PROFILES.get(given.get("profile", "")), given.get("profile_overrides")
    return overrides.put_over(profile) if profile and isinstance(overrides, ProfileOverrides) else None


class TargetSettings(Section):
    """One `[[target]]`. One field for each key, so there are many."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    """The target's name in commands, reports and the state file. A renamed target is a new target."""
    profile: str = "generic"
    """How this kind of endpoint behaves: one of those in [profiles.md](profiles.md)."""
    profile_overrides: ProfileOverrides = ProfileOverrides()
    """How this endpoint differs from its profile."""
    base_url: Annotated[str, AfterValidator(base_url)]
    """The endpoint's root."""
    token: NamedSecret
    """Where the bearer token is."""
    token_expires: date | None = None
    """The day from which the token is no longer accepted, as a date of TOML (`2027-03-01`): a notice comes before."""
    shares_address: Name | None = None
    """Why this target and another one are one place on purpose: the same address and token, or the same accounts. Else
    `syncd check` refuses both."""
    ca_file: Path | None = None
    """The certificate authorities to trust, in PEM; else the system's."""
    verified_domains: list[DomainPattern] = Field(default_factory=list)
    """Domains whose people belong to you: `example.com`, `*.example.com` for subdomains. Everybody else is external,
    and pending until they accept. Empty: nobody is external."""
    scope: RuleText | None = None
    """Rule in CEL: the people that this target wants. Leaving the scope switches the account off."""
    groups: list[str] | None = None
    """The groups to push, by name, with `*` and `?`. Unset: all. `[]`: people only."""
    missing_grace: Duration = timedelta(hours=24)
    """How long somebody (or a group) may be gone from the source before the account is switched off; `"0s"`: none."""
    delete_after: Annotated[timedelta | None, BeforeValidator(duration_or_never)] = None
    """How long after deactivation an account is deleted, with everything in it. Unset or `"never"`: not at all."""
    before_delete: BeforeDeleteSettings | None = None
    """What must succeed before an account is deleted: `{ webhook = { url = { credential = "transfer-hook" } } }` or
    `{ command = ["/usr/local/bin/transfer"] }`. Until it has, the deletion waits."""
    protect: list[Name] = Field(default_factory=list)
    """People who are never switched off or deleted, whatever the source says: keys, userNames or e-mails. The token's
    own account and the account's owner are protected anyway, where the endpoint names them."""
    adopt_groups: bool = False
    """Whether an existing group of the same name is taken over. If not, it is left alone and another one is made; where
    groups have no externalId to tell them apart (Lucid), that change is held."""
    overlapping_groups: list[Name] = Field(default_factory=list)
    """Where a user can be in one group at most (`lucid-admin`): names, with `*` and `?`, of other groups that everybody
    may be in beside their own."""
    default_group: Name | None = None
    """Where a user can be in one group at most: the name of the account's default group, as the endpoint has it, such
    as Lucid's `All users`. It is made and filled before any other group, and is nobody's second group."""
    rate: Rate | None = None
    """The most requests per second. Unset: the profile's rate."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """The most requests at a time; fewer while the endpoint is overloaded."""
    timeout: Annotated[Duration, between("1s", "10m")] = timedelta(seconds=60)
    """How long one request may take from beginning to end: 1s to 10m."""
    patience: Annotated[Duration, between("1s", "1h")] = timedelta(seconds=30)
    """How long the endpoint may fail without one good answer. Then the run ends, and the next run does the rest: 1s to
    1h."""
    proxy: Annotated[str, AfterValidator(proxy_url)] | None = None
    """The proxy between here and the endpoint: `http://proxy.example.com:3128`. Unset: none;
    the environment's `HTTPS_PROXY` is ignored on purpose."""
    proxy_auth: NamedSecret | None = None
    """Where the proxy's `user:password` is."""
    http2: bool = True
    """Whether HTTP/2 is used where the endpoint offers it."""
    approval_lasts: PositiveDuration = timedelta(hours=24)
    """How long an approval lasts: a change that no run has done by then is held again."""
    limits: dict[Class, LimitSettings] = Field(default_factory=dict)
    """By class: `deactivate`, `delete`, `delete_group`, `remove_members`, `rename`, `adopt`."""
    drift: DriftSettings = DriftSettings()
    """The reaction of a full resync to changes made at the target."""
    schedule: TargetScheduleSettings = TargetScheduleSettings()
    """When the daemon synchronises this target, where that differs from `[schedule]`."""

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
            raise ValueError(f"accounts can't be deleted there: DELETE {does} (profile `{profile.name}`); leave it out")
        return after

    @field_validator("before_delete")
    @classmethod
    def _before_somebody_is_deleted(
        cls, first: BeforeDeleteSettings | None, info: ValidationInfo
    ) -> BeforeDeleteSettings | None:
        profile = _effective(info.data)
        if first is not None and profile is not None and profile.deletes != "deletes":
            raise ValueError(f"accounts can't be deleted there (profile `{profile.name}`): leave it out")
        return first

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

    @field_validator("overlapping_groups", "default_group")
    @classmethod
    def _where_it_means_something(cls, given: list[str] | str | None, info: ValidationInfo) -> list[str] | str | None:
        profile = _effective(info.data)
        if given and profile is not None and not profile.one_group_per_user:
            fitting = ", ".join(each.name for each in PROFILES.values() if each.one_group_per_user)
            raise ValueError(
                f"with the profile `{profile.name}` people can be in any number of groups: leave it out "
                f"(it applies to {fitting}, or where profile_overrides say one_group_per_user = true)"
            )
        return given
