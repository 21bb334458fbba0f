"""Every error that a user of syncd can meet. Each is a situation, with its facts as fields and what to do.

SyncdError                      exit code
├── ConfigurationError            1   the configuration is wrong; every fault of it at once
├── SourceError                   1   the source could not be read
│   ├── SourceUnreachable             no server answered, or the file is not there
│   ├── SourceRefused                 credentials, certificate or permission
│   ├── SourceMismatch                it lacks a column or attribute that the configuration names
│   └── SourceIncomplete              it was read in part: a partial directory must never be compared
├── TargetError                   1   the target as a whole
│   ├── TargetUnreachable             no answer
│   ├── TargetFailing                 it keeps failing, or asks to be left alone for long
│   ├── TargetRefused                 401, 403: the token is not (or no longer) accepted
│   ├── TargetPaused                  a person has paused it
│   ├── TargetGone                    everything managed is gone at once: SSO or SCIM was removed there
│   ├── TargetRedirected              it sends us to another host, where the token must not go
│   └── TargetUnusable                answers, but not as a SCIM service provider
├── StateError                    1   the state file
│   ├── StateNewer                    written by a newer syncd
│   ├── StateCorrupt                  not a database, or damaged
│   └── StateUnwritable               permission, disk, path
├── PlanFileError                 1   a saved plan that can't be carried out
├── DaemonError                   1   the daemon can't be asked, or can't listen
└── LeaseHeld                     5   another process works on this state file

ScimError is none of these: it is what a target answered to one request about one resource,
and concerns that resource alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class SyncdError(Exception):
    """A situation that a person has to know about. `str()` of it is one or more lines meant for them."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a configuration: the key (`source.users`), and what to do about it."""

    key: str
    problem: str
    line: int | None = None
    """Where in the file, if that is known."""

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}" if self.key else self.problem


class ConfigurationError(SyncdError):
    """The configuration is refused whole; `faults` holds everything that is wrong with it."""

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
    """The source refuses us, or we refuse it: password, certificate, file permission."""


class SourceMismatch(SourceError):
    """The source lacks something that the configuration names, such as a column."""


class SourceIncomplete(SourceError):
    """The source was read in part: it must not be compared, for what is absent may only be unread."""


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
    """The target has kept failing for longer than anybody should wait, or asks to be left alone for so long."""


class TargetRefused(TargetError):
    """The target answered 401 or 403: one incident for the whole target, not a fault of one resource."""


class TargetGone(TargetError):
    """Nothing of what is managed is at the target any more: one incident, not as many deletions."""


class TargetPaused(TargetError):
    """A person said that nothing is to be sent to the target."""


class TargetRedirected(TargetError):
    """The target redirects to another origin; following would hand the token to it."""


class TargetUnusable(TargetError):
    """Something answers at that address, but it doesn't speak SCIM."""


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
    """What a target answered to one request: RFC 7644 section 3.12, as far as the endpoint keeps to it.

    `status` is the HTTP status (0: no answer came, or it was not sent).
    """

    def __init__(self, status: int, detail: str, scim_type: str = "") -> None:
        super().__init__(" ".join(part for part in (str(status or ""), scim_type, detail) if part))
        self.status = status
        self.detail = detail
        self.scim_type = scim_type


class OutcomeUnclear(ScimError):
    """A request that may or may not have taken effect, and must not be sent again before somebody has looked.

    `stop`: why nobody can look now, where that is the target's as a whole. A TargetError by itself says that what was
    asked for was certainly not done.
    """

    def __init__(self, status: int, detail: str, scim_type: str = "", *, stop: TargetError | None = None) -> None:
        super().__init__(status, detail, scim_type)
        self.stop = stop

    def unseen(self, why: ScimError | TargetError) -> OutcomeUnclear:
        """Return it with what kept whoever looked from seeing."""
        stop = why if isinstance(why, TargetError) else None
        problem = why.problem if isinstance(why, TargetError) else str(why)
        return OutcomeUnclear(self.status, f"{self.detail}; looking for it: {problem}", self.scim_type, stop=stop)
