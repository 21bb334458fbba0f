"""Every error that a user of syncd can meet. Each error is a situation, with its facts as fields and a hint.

SyncdError                      exit code
├── ConfigurationError            1   the configuration is wrong; every fault of it at once
├── SourceError                   1   the source could not be read
│   ├── SourceUnreachable             no server answered, or the file is not there
│   ├── SourceRefused                 credentials, certificate or permission
│   ├── SourceMismatch                a column or attribute that the configuration names is missing
│   └── SourceIncomplete              read in part: a partial directory must never be compared
├── TargetError                   1   the target as a whole
│   ├── TargetUnreachable             no answer
│   ├── TargetFailing                 keeps failing, or asks for a long pause
│   ├── TargetRefused                 401, or 403 to a read too: the token is not (or no longer) accepted
│   ├── TargetPaused                  paused by a person
│   ├── TargetGone                    everything managed is gone at once: SSO or SCIM was removed there
│   ├── TargetElsewhere               may be another place: what is managed was not seen there
│   ├── TargetRedirected              redirects to another host, which must not get the token
│   └── TargetUnusable                answers, but not as a SCIM service provider
├── StateError                    1   the state file
│   ├── StateNewer                    written by a newer syncd
│   ├── StateCorrupt                  not a database, or damaged
│   └── StateUnwritable               permission, disk, path
├── PlanFileError                 1   a saved plan that can't be carried out
├── DaemonError                   1   the daemon can't be asked, or can't listen
└── LeaseHeld                     5   another process works on this state file

ScimError is none of these: a ScimError is a target's response to one request about one resource,
and concerns that resource alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class SyncdError(Exception):
    """A situation that a person has to know about. `str()` of the error is one or more lines for that person."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a configuration: the key (`source.users`), and the problem with its remedy."""

    key: str
    problem: str
    line: int | None = None
    """The line in the file, if known."""

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}" if self.key else self.problem


class ConfigurationError(SyncdError):
    """The configuration is refused as a whole; `faults` holds every fault of the configuration."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{file}: {count}; nothing was done\n{lines}")


class SourceError(SyncdError):
    """The source could not be read; `source` names the file or host."""

    def __init__(self, source: str, problem: str, *, hint: str = "") -> None:
        self.source = source
        self.problem = problem
        super().__init__(f"{source}: {problem}", hint=hint)


class SourceUnreachable(SourceError):
    """No server of the source answered, or its file does not exist."""


class SourceRefused(SourceError):
    """The source refuses syncd, or syncd refuses the source: password, certificate, file permission."""


class SourceMismatch(SourceError):
    """The source lacks something that the configuration names, such as a column."""


class SourceIncomplete(SourceError):
    """The source was read in part and must not be compared: an absent entry may only be unread."""


class TargetError(SyncdError):
    """A target as a whole can't be used now; `target` is its name or address, `status` the HTTP status that said so."""

    def __init__(self, target: str, problem: str, *, hint: str = "", status: int = 0) -> None:
        self.target = target
        self.problem = problem
        self.status = status
        super().__init__(f"{target}: {problem}", hint=hint)


class TargetUnreachable(TargetError):
    """The target did not answer: name, network, TLS or time-out."""


class TargetFailing(TargetError):
    """The target keeps failing for too long, or asks for a pause that is too long."""


class TargetRefused(TargetError):
    """The target refuses the token: one incident for the whole target, not a fault of one resource.

    `status` is 401, also where the target says so by answering 403 to whatever it is asked. A 403 while other requests
    are answered is a ScimError.
    """


class TargetGone(TargetError):
    """No managed resource is at the target any more: one incident, not many deletions."""


class TargetElsewhere(TargetError):
    """The target may have become another place (address, token, profile), and what is managed was not seen there."""


class TargetPaused(TargetError):
    """A person has paused the target."""


class TargetRedirected(TargetError):
    """The target redirects to another origin; following the redirect would send the token to that origin."""


class TargetUnusable(TargetError):
    """The server at the address answers, but not as a SCIM service provider."""


class StateError(SyncdError):
    """The state file can't be used."""


class StateNewer(StateError):
    """The state file was written by a newer version of syncd."""


class StateCorrupt(StateError):
    """The state file is damaged, or is no state file."""


class StateUnwritable(StateError):
    """The state file can't be opened or written."""


class PlanFileError(SyncdError):
    """A saved plan can't be carried out as a whole."""


class DaemonError(SyncdError):
    """The running daemon can't be asked, or a daemon can't open its socket."""


class LeaseHeld(SyncdError):
    """Another process holds the lease of the state file."""

    exit_code = 5


class ScimError(Exception):
    """A target's response to one request: RFC 7644 section 3.12, as far as the endpoint follows the RFC.

    `status` is the HTTP status (0: no response came, or the request was not sent).
    """

    def __init__(self, status: int, detail: str, scim_type: str = "") -> None:
        super().__init__(" ".join(part for part in (str(status or ""), scim_type, detail) if part))
        self.status = status
        self.detail = detail
        self.scim_type = scim_type


class Ineffective(ScimError):
    """A write that was answered with success, while a look at the target shows no effect of it."""


class OutcomeUnclear(ScimError):
    """A request that may have taken effect, and must not be sent again before the target has been read.

    `stop`: the error of the target as a whole that prevents this read now. A TargetError alone means that the request
    certainly took no effect.
    """

    def __init__(self, status: int, detail: str, scim_type: str = "", *, stop: TargetError | None = None) -> None:
        super().__init__(status, detail, scim_type)
        self.stop = stop

    def unseen(self, why: ScimError | TargetError) -> OutcomeUnclear:
        """Return this error with the error that prevented the read."""
        stop = why if isinstance(why, TargetError) else None
        problem = why.problem if isinstance(why, TargetError) else str(why)
        return OutcomeUnclear(self.status, f"{self.detail}; looking for it: {problem}", self.scim_type, stop=stop)
