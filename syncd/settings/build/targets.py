"""From the settings of a target to its rules, and to the connection over which it is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from syncd.compare.rules import TargetRules
from syncd.core.drift import DriftClass, Reactions
from syncd.core.mapping import Domains, Selection
from syncd.core.model import Json
from syncd.core.ownership import NOTHING_OWNED, Ownership
from syncd.core.place import Place, address_of, token_mark
from syncd.core.policy import DEFAULT_LIMITS, Class, Limit, Policy
from syncd.core.rules import Rule
from syncd.errors import ConfigurationError
from syncd.hooks.hook import Hook
from syncd.scim.client import Client
from syncd.scim.dialect import Dialect
from syncd.scim.pace import Pace
from syncd.scim.profiles import PROFILES, Profile
from syncd.scim.transport import Patience, Transport
from syncd.settings.build.hooks import before_delete
from syncd.settings.build.secrets import Secrets
from syncd.settings.build.sources import Schemes, SourceSetup
from syncd.settings.target import DriftSettings, LimitSettings, TargetSettings


@dataclass(frozen=True)
class Target:
    """One configured target, ready to be used. A field for each fact of how it is reached, beside its rules."""

    rules: TargetRules
    base_url: str
    token: Callable[[], SecretStr]
    """Raises ConfigurationError when the token can't be read."""
    ca_file: Path | None
    concurrency: int
    approval_lasts: timedelta = timedelta(hours=24)
    """How long an approval lasts."""
    timeout: float = 60.0
    """Seconds that one request may take."""
    patience: Patience | None = None
    proxy: str = ""
    proxy_auth: Callable[[], SecretStr] | None = None
    """The proxy's `user:password`. Raises ConfigurationError when it can't be read."""
    http2: bool = True
    owned: Ownership = NOTHING_OWNED
    """How far the source decides about the attributes of users: for accounts that a run without a reading meets."""
    before_delete: Hook | None = None
    """What must succeed before an account is deleted."""
    drain: float = 20.0
    """Seconds that requests in flight may go on after SIGTERM."""
    token_from: str = ""
    """Where the token is, in words."""
    shares_address: str = ""
    """Why this target and another one are one place on purpose."""
    siblings: tuple[Target, ...] = ()
    """The targets of the other integration at the same address, where the token alone decides which one answers."""

    @property
    def name(self) -> str:
        return self.rules.name

    def place(self, salt: str) -> Place:
        """Return the place that is configured, as far as the configuration tells.

        A token that can't be read is left out: this is no use of it.
        """
        try:
            token = token_mark(self.token().get_secret_value(), salt)
        except ConfigurationError:
            token = ""
        return Place(address_of(self.base_url), self.rules.profile.name, salt, token)

    def is_at_address_of(self, other: Target) -> bool:
        """Return whether another target has the same base URL, in whatever spelling."""
        return address_of(self.base_url) == address_of(other.base_url)

    def has_token_of(self, other: Target) -> bool:
        """Return whether another target has the same token; where one can't be read, whether it is the same secret."""
        try:
            return self.token().get_secret_value() == other.token().get_secret_value()
        except ConfigurationError:
            return bool(self.token_from) and self.token_from == other.token_from

    def transport(self, discovery: Mapping[str, Json]) -> Transport:
        """Return the connection to the target, with as many requests at a time as the endpoint was found to bear.

        Raises ConfigurationError when its token can't be read.
        """
        token = self.token().get_secret_value()
        user, _, password = self.proxy_auth().get_secret_value().partition(":") if self.proxy_auth else ("", "", "")
        return Transport(
            self.name,
            self.base_url,
            token,
            ca_file=self.ca_file,
            proxy=self.proxy,
            proxy_auth=(user, password) if user else None,
            http2=self.http2,
            timeout=self.timeout,
            pace=Pace(
                self.rules.profile,
                rate=self.rules.rate,
                most=self.concurrency,
                limit=float(discovery.get("concurrency") or 0),
            ),
            patience=self.patience,
        )

    def client(self, transport: Transport, discovery: Mapping[str, Json]) -> Client:
        """Return the SCIM client. The profile takes precedence over what was learnt of the endpoint."""
        return Client(
            transport,
            self.rules.profile,
            patch=discovery.get("patch"),
            etags=discovery.get("etag"),
            dialect=Dialect.known(discovery, self.rules.profile),
            shows_members=bool(discovery.get("shows_members")),
        )


def target(settings: TargetSettings, source: SourceSetup, secrets: Secrets, drain: timedelta) -> Target:
    """Return the target. `drain` is how long its requests may go on after SIGTERM."""
    key = f"target[{settings.name}]"
    hook = before_delete(settings.before_delete, secrets, f"{key}.before_delete")
    return Target(
        rules=replace(_rules(settings, source.schemes), before_delete=_words_of(hook)),
        base_url=settings.base_url,
        token=secrets.bearer(settings.token, f"{key}.token"),
        token_from=settings.token.place,
        ca_file=secrets.base / settings.ca_file if settings.ca_file else None,
        concurrency=settings.concurrency,
        approval_lasts=settings.approval_lasts,
        timeout=settings.timeout.total_seconds(),
        patience=Patience(outage=settings.patience.total_seconds()),
        proxy=settings.proxy or "",
        proxy_auth=secrets.user_and_password(settings.proxy_auth, f"{key}.proxy_auth"),
        http2=settings.http2,
        owned=source.rules.users.ownership,
        before_delete=hook,
        drain=drain.total_seconds(),
        shares_address=settings.shares_address or "",
    )


def with_siblings(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return the targets, each with those of the other integration at its address."""
    return tuple(
        replace(
            each,
            siblings=tuple(
                other
                for other in targets
                if other.rules.profile.name == each.rules.profile.sibling and each.is_at_address_of(other)
            ),
        )
        for each in targets
    )


def _words_of(hook: Hook | None) -> Callable[[], str] | None:
    """Return what a plan says of a hook: read when there is a deletion to plan, for an address may be a secret."""
    return None if hook is None else lambda: hook.words


def _rules(settings: TargetSettings, schemes: Schemes) -> TargetRules:
    profile = settings.profile_overrides.put_over(PROFILES[settings.profile])
    selection = _selection(settings)
    return TargetRules(
        name=settings.name,
        profile=profile,
        selection=selection,
        policy=_policy(settings),
        rate=settings.rate or profile.requests_per_second,
        group_scheme=[*schemes.groups, settings.groups],
        scheme=_scheme(settings, schemes, selection.domains, profile),
        drift=_reactions(settings.drift),
        protect=frozenset(each.strip().casefold() for each in settings.protect),
        adopt_groups=settings.adopt_groups,
        overlapping_groups=tuple(settings.overlapping_groups),
        default_group=settings.default_group or "",
        delete_after=settings.delete_after,
    )


def _selection(settings: TargetSettings) -> Selection:
    return Selection(
        scope=Rule(settings.scope) if settings.scope else None,
        groups=tuple(settings.groups) if settings.groups is not None else None,
        domains=Domains(settings.verified_domains),
    )


def _scheme(settings: TargetSettings, schemes: Schemes, domains: Domains, profile: Profile) -> list[object]:
    """Return all settings that decide what is wanted of a person. A change of one compares everybody again."""
    return [*schemes.users, settings.scope or "", list(domains.patterns), profile.pending_by_endpoint]


def _policy(settings: TargetSettings) -> Policy:
    limits = {class_: _limit(class_, limit) for class_, limit in settings.limits.items()}
    return Policy({**DEFAULT_LIMITS, **limits}, settings.missing_grace)


def _limit(class_: Class, settings: LimitSettings) -> Limit:
    always = settings.hold == "always"
    if settings.percent is None and settings.count is None:
        return replace(DEFAULT_LIMITS[class_], base=settings.base, always=always)
    return Limit(settings.percent, settings.count, settings.base, always)


def _reactions(settings: DriftSettings) -> Reactions:
    named = settings.model_dump(exclude={"default"}, exclude_none=True)
    return Reactions(
        settings.default,
        {DriftClass(name): reaction for name, reaction in named.items()},
    )


__all__ = ["Target", "target", "with_siblings"]
