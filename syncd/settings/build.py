"""From checked settings to working parts: the source, the compiled rules and the targets. Reads secrets on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from syncd.compare.rules import SourceRules, TargetRules
from syncd.core.drift import DriftClass, Reaction, Reactions
from syncd.core.mapping import (
    MAPPING_VERSION,
    Domains,
    GroupMapping,
    Selection,
    Spec,
    UserMapping,
    compile_assignment,
    union,
)
from syncd.core.model import Json, Kind, Source, Wanted
from syncd.core.policy import DEFAULT_LIMITS, Class, Limit, Policy
from syncd.core.rules import Rule
from syncd.errors import ConfigurationError, Fault
from syncd.scim.client import Client
from syncd.scim.pace import Pace
from syncd.scim.profiles import PROFILES
from syncd.scim.transport import Patience, Transport
from syncd.settings.configuration import CsvSettings, LdapSettings, Settings, load
from syncd.settings.sections import Secret
from syncd.settings.target import DriftSettings, LimitSettings, TargetSettings
from syncd.settings.values import user_and_password

RUNTIME_SOCKET: Final = Path("/run/syncd/syncd.sock")
"""Where the service has its socket (RuntimeDirectory=syncd)."""


@dataclass(frozen=True)
class Target:
    """One configured target, ready to be used."""

    rules: TargetRules
    base_url: str
    token: Callable[[], SecretStr]
    """Raises ConfigurationError when the token can't be read."""
    ca_file: Path | None
    concurrency: int
    approval_lasts: timedelta = timedelta(hours=24)
    """How long what a person released stays released."""
    timeout: float = 60.0
    """Seconds that one request may take."""
    patience: Patience | None = None
    proxy: str = ""
    proxy_auth: Callable[[], SecretStr] | None = None
    """The proxy's `user:password`. Raises ConfigurationError when it can't be read."""
    http2: bool = True
    drain: float = 20.0
    """Seconds that requests in flight have when syncd is told to stop."""

    @property
    def name(self) -> str:
        return self.rules.name

    def transport(self, discovery: Mapping[str, Json]) -> Transport:
        """Return the connection to the target, as fast as it was found to bear.

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
        """Return the SCIM client; what was learnt of the endpoint gives way to the profile."""
        return Client(
            transport,
            self.rules.profile,
            patch=discovery.get("patch"),
            etags=discovery.get("etag"),
            by_put=discovery.get("by_put") or (),
        )


@dataclass(frozen=True)
class Setup:
    """A whole configuration, compiled."""

    file: Path
    state: Path
    source: Source
    rules: SourceRules
    wanted: Wanted
    targets: tuple[Target, ...]
    settings: Settings
    """As it was written, for what concerns the daemon alone."""

    @property
    def base(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.file.resolve().parent

    @property
    def sockets(self) -> list[Path]:
        """Where a daemon for this configuration has its socket: as configured, else where the service and where a
        daemon without one would put it."""
        configured = self.settings.control.socket
        beside = self.state.parent / "syncd.sock"
        return [self.base / configured] if configured else [beside, RUNTIME_SOCKET]

    @property
    def reports(self) -> Path:
        """Where the daemon keeps its reports."""
        folder = self.settings.reports.folder
        return self.base / folder if folder else self.state.parent / "reports"

    def chosen(self, name: str | None) -> tuple[Target, ...]:
        """Return the named target, or all. Raises ConfigurationError for a name that is not configured."""
        if name is None:
            return self.targets
        found = tuple(target for target in self.targets if target.name == name)
        if not found:
            names = ", ".join(target.name for target in self.targets)
            raise ConfigurationError(str(self.file), [Fault("target", f"none is called `{name}`; there are: {names}")])
        return found


def read(file: Path) -> Setup:
    """Load and compile a configuration. Raises ConfigurationError."""
    return compile_settings(load(file), file)


def compile_settings(settings: Settings, file: Path) -> Setup:
    """Compile checked settings; paths in them are relative to the file's folder."""
    base = file.resolve().parent
    source = settings.source
    active = source.active
    group_spec: dict[str, Spec] = dict(settings.mapping.group)
    if isinstance(source, LdapSettings):
        from syncd.sources.ldap import PRESETS

        preset = PRESETS[source.preset]
        active = active if active is not None else preset.active
        group_name = source.group_name or preset.group_name
    else:
        group_name = "name"
    if not any(path.casefold() == "displayname" for path in group_spec):
        group_spec["displayName"] = f"{{{group_name}}}"
    users = UserMapping([compile_assignment(path, spec, Kind.USER) for path, spec in settings.mapping.user.items()])
    groups = GroupMapping([compile_assignment(path, spec, Kind.GROUP) for path, spec in group_spec.items()])
    rule = Rule(active) if active else None
    rules = SourceRules(users, groups, rule, source.nested_groups)
    scheme = [MAPPING_VERSION, settings.mapping.user, active or ""]
    group_scheme = [MAPPING_VERSION, group_spec, source.nested_groups.value]
    drain = settings.drain.total_seconds()
    targets = tuple(
        replace(_target(target, scheme, group_scheme, file, base), drain=drain) for target in settings.target
    )
    scopes = [target.rules.selection.scope.attributes for target in targets if target.rules.selection.scope]
    wanted = Wanted(
        user=union([users.attributes, rule.attributes if rule else frozenset(), *scopes]),
        group=groups.attributes,
    )
    return Setup(file, base / settings.state, _source(source, file, base), rules, wanted, targets, settings)


def _target(
    settings: TargetSettings, scheme: list[object], group_scheme: list[object], file: Path, base: Path
) -> Target:
    profile = settings.profile_overrides.put_over(PROFILES[settings.profile])
    domains = Domains(settings.verified_domains)
    selection = Selection(
        scope=Rule(settings.scope) if settings.scope else None,
        groups=tuple(settings.groups) if settings.groups is not None else None,
        domains=domains,
    )
    limits = {
        **DEFAULT_LIMITS,
        **{class_: _limit(class_, limit) for class_, limit in settings.limits.items()},
    }
    rules = TargetRules(
        name=settings.name,
        profile=profile,
        selection=selection,
        policy=Policy(limits, settings.missing_grace),
        rate=settings.rate or profile.requests_per_second,
        group_scheme=[*group_scheme, settings.groups],
        scheme=[*scheme, settings.scope or "", list(domains.patterns), profile.pending_by_endpoint],
        drift=_reactions(settings.drift),
        protect=frozenset(each.strip().casefold() for each in settings.protect),
        adopt_groups=settings.adopt_groups,
        overlapping_groups=tuple(settings.overlapping_groups),
        delete_after=settings.delete_after,
    )
    return Target(
        rules=rules,
        base_url=settings.base_url,
        token=_bearer(settings.token, f"target[{settings.name}].token", file, base),
        ca_file=base / settings.ca_file if settings.ca_file else None,
        concurrency=settings.concurrency,
        approval_lasts=settings.approval_lasts,
        timeout=settings.timeout.total_seconds(),
        patience=Patience(outage=settings.patience.total_seconds()),
        proxy=settings.proxy or "",
        proxy_auth=_user_and_password(settings.proxy_auth, f"target[{settings.name}].proxy_auth", file, base),
        http2=settings.http2,
    )


def _limit(class_: Class, settings: LimitSettings) -> Limit:
    always = settings.hold == "always"
    if settings.percent is None and settings.count is None:
        return replace(DEFAULT_LIMITS[class_], base=settings.base, always=always)
    return Limit(settings.percent, settings.count, settings.base, always)


def _reactions(settings: DriftSettings) -> Reactions:
    named = settings.model_dump(exclude={"default"}, exclude_none=True)
    return Reactions(
        Reaction(settings.default),
        {DriftClass(name): Reaction(reaction) for name, reaction in named.items()},
    )


def _reader(secret: Secret, key: str, file: Path, base: Path) -> Callable[[], SecretStr]:
    """Return a function that reads a secret when it is needed. Raises ConfigurationError then."""

    def reveal() -> SecretStr:
        try:
            return secret.reveal(base)
        except ValueError as error:
            raise ConfigurationError(str(file), [Fault(key, str(error))]) from None

    return reveal


def _bearer(secret: Secret, key: str, file: Path, base: Path) -> Callable[[], SecretStr]:
    """Return a function that reads a token and checks that it can be one. Raises ConfigurationError then."""
    read_it = _reader(secret, key, file, base)

    def reveal() -> SecretStr:
        token = read_it()
        # What can't stand in a header ends in an error message that repeats it.
        if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            problem = "a token is one line of visible ASCII characters; what is there has blanks, line breaks or others"
            raise ConfigurationError(str(file), [Fault(key, problem)])
        return token

    return reveal


def _user_and_password(secret: Secret | None, key: str, file: Path, base: Path) -> Callable[[], SecretStr] | None:
    """Return a function that reads a proxy's credentials, `user:password`. Raises ConfigurationError then."""
    if secret is None:
        return None
    read_it = _reader(secret, key, file, base)

    def reveal() -> SecretStr:
        both = read_it()
        try:
            user_and_password(both.get_secret_value())
        except ValueError as error:
            raise ConfigurationError(str(file), [Fault(key, str(error))]) from None
        return both

    return reveal


def _source(settings: CsvSettings | LdapSettings, file: Path, base: Path) -> Source:
    if isinstance(settings, CsvSettings):
        from syncd.sources.csv import CsvOptions, CsvSource

        return CsvSource(
            CsvOptions(
                users=base / settings.users,
                key=settings.key,
                groups=base / settings.groups if settings.groups else None,
                members=base / settings.members if settings.members else None,
                delimiter=settings.delimiter,
                multivalued=settings.multivalued,
            )
        )
    from syncd.sources.ldap import LdapOptions, LdapSource

    password = None
    if settings.password is not None:
        reveal = _reader(settings.password, "source.password", file, base)

        def password() -> str:
            return reveal().get_secret_value()

    options = LdapOptions(
        urls=tuple(settings.urls),
        start_tls=settings.start_tls,
        ca_file=base / settings.ca_file if settings.ca_file else None,
        bind_dn=settings.bind_dn,
        password=password,
        base_dn=settings.base_dn,
        user_base_dn=settings.user_base_dn,
        group_base_dn=settings.group_base_dn,
        user_filter=settings.user_filter,
        group_filter=settings.group_filter,
        preset=settings.preset,
        key=settings.key,
        member=settings.member,
        group_name=settings.group_name,
        page_size=settings.page_size,
        connect_timeout=int(settings.connect_timeout.total_seconds()),
        receive_timeout=int(settings.receive_timeout.total_seconds()),
        deadline=int(settings.deadline.total_seconds()),
    )
    if faults := options.faults():
        raise ConfigurationError(str(file), faults)
    return LdapSource(options)
