"""Completion for bash, zsh and fish: the scripts, and the answers to the scripts' requests during typing.

Reads the configuration and the state file, or asks the daemon. Writes nothing, takes no lease, and gives no answer
where reading fails: an error message would appear in the middle of the line that is being typed.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from click import Command, Context, Parameter
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

if TYPE_CHECKING:
    from syncd.daemon.client import Daemon

VARIABLE: Final = "_SYNCD_COMPLETE"
"""The environment variable in which a script says which shell asks."""
STATE: Final = Path("/var/lib/syncd/syncd.db")
SOCKET: Final = Path("/run/syncd/syncd.sock")
NEVER_RELEASED: Final = frozenset({"empty_source", "protected"})
# These are also in settings, setup and policy, which take too long to be imported between two keys; a test compares.

_PATIENCE: Final = 3.0
"""Seconds after which no answer is better than a late one."""
_HOLDS: Final = 100
_RUNS: Final = 30
_SHORT: Final = 8
"""Characters of a hold's id, as `syncd holds` shows it."""
_BREAKS: Final = frozenset("=:@")
"""Characters at which bash ends a word (COMP_WORDBREAKS) and syncd does not."""


# -- answering ---------------------------------------------------------------------------------------


def answer_shell(cli: Command, instruction: str) -> int:
    """Print the completions at the cursor, and return the exit code. `instruction`: `bash_complete`, for instance."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
    with suppress(Exception), _deadline(_PATIENCE):
        return shell_complete(cli, {}, "syncd", VARIABLE, instruction)
    return 0


def script(cli: Command, shell: str) -> str:
    """Return the script that makes a shell ask: to be sourced, or to be installed where the shell looks for it."""
    for each in (_Bash, _Zsh, _Fish):
        add_completion_class(each)
    found = get_completion_class(shell)
    assert found is not None
    return found(cli, {}, "syncd", VARIABLE).source()


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block when the block takes too long."""

    def expired(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def targets(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the names of the configured targets."""
    return [CompletionItem(name) for name in _configured(context).targets if _fits(name, incomplete)]


def holds(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the arguments of `approve` and `reject`: limits, `all`, and ids, without holds decided that way."""
    approving = context.info_name == "approve"
    chosen = context.params.get("target")
    at = _configured(context)
    undone = [
        hold
        for hold in _held(at, [chosen] if chosen else at.targets)
        if not (approving and hold["limit"] in NEVER_RELEASED)
        and not _decided(hold, "approved" if approving else "rejected")
    ]
    named = [hold for hold in undone if hold["decision"] != "rejected"]  # a rejected change is released by its id alone
    meanings = {name: f"{_counted(count)} held" for name, count in Counter(hold["limit"] for hold in named).items()}
    if named:
        meanings["all"] = f"everything that is held: {_counted(len(named))}"
    ids = Counter(hold["id"][:_SHORT] for hold in undone)
    given = set(context.params.get("wanted") or ())
    found = [
        CompletionItem(name, help=meaning)
        for name, meaning in meanings.items()
        if _fits(name, incomplete) and name not in given
    ]
    for hold in undone:
        short = hold["id"][:_SHORT]
        id_ = short if ids[short] == 1 and short.startswith(incomplete) else hold["id"]
        if _fits(id_, incomplete) and not {id_, hold["id"]} & given:
            found.append(CompletionItem(id_, help=_reason(hold)))
        if len(found) >= _HOLDS:
            break
    return found


def _decided(hold: dict[str, Any], decision: str) -> bool:
    """Return whether a decision stands; an approval does until it expires."""
    if hold["decision"] != decision:
        return False
    return not hold["expires"] or datetime.fromisoformat(hold["expires"]) > datetime.now(UTC)


def _counted(count: int) -> str:
    return f"{count} change{'' if count == 1 else 's'}"


def _reason(hold: dict[str, Any]) -> str:
    import json

    from syncd.core.actions import Action
    from syncd.core.limits import in_words

    change = json.loads(hold["change"]) if isinstance(hold["change"], str) else hold["change"]
    rejected = "rejected; " if hold["decision"] == "rejected" else ""
    return f"{Action(change['action']).of(change['name'])}: {rejected}{in_words(hold['reason'])}"


def runs(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Return the numbers of the last runs, the newest first."""
    found = []
    for run in sorted(_ran(_configured(context)), key=lambda run: int(run["run"]), reverse=True):
        if _fits(str(run["run"]), incomplete):
            error = f", stopped: {run['error'].splitlines()[0]}" if run["error"] else ""
            started = run["started"].replace("T", " ")[:16]
            found.append(
                CompletionItem(str(run["run"]), help=f"{run['kind']} of {run['target']}, {started} UTC{error}")
            )
    return found


def _fits(value: str, incomplete: str) -> bool:
    """Return whether a value continues the typed text; a value with control characters can't be typed."""
    return value.startswith(incomplete) and value.isprintable()


# -- reading -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Configured:
    """The part of the configuration that completion needs."""

    targets: Sequence[str]
    state: Path
    sockets: Sequence[Path]


def _configured(context: Context) -> _Configured:
    """Read the configuration that the line, the environment or the default names.

    The configuration is not validated: validation takes longer than a person waits for a completion. Raises the
    errors of reading.
    """
    import tomllib

    file = Path(os.path.expandvars(context.params["config"])).expanduser()
    if not file.is_file():  # reading a pipe would take data from the intended reader
        raise FileNotFoundError(file)
    data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    names: dict[str, Any] = {
        str(number): target.get("name")
        for number, target in enumerate(data.get("target") or ())
        if isinstance(target, dict)
    }
    for number in range(len(names) + 1):
        if name := os.environ.get(f"SYNCD__TARGET__{number}__NAME"):
            names[str(number)] = name
    base = file.resolve().parent
    state = base / (os.environ.get("SYNCD__STATE") or data.get("state") or STATE)
    socket = os.environ.get("SYNCD__CONTROL__SOCKET") or (data.get("control") or {}).get("socket")
    sockets = [base / socket] if socket else [state.parent / "syncd.sock", SOCKET]
    return _Configured([name for name in names.values() if isinstance(name, str)], state, sockets)


def _held(at: _Configured, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the changes withheld from some targets, the oldest first; `change` may still be JSON's text."""
    query = (
        "SELECT name AS target, holds.id, change, limit_name AS 'limit', reason, decision, expires"
        " FROM holds JOIN targets ON targets.id = holds.target ORDER BY since, holds.rowid"
    )
    try:
        return [row for row in _selected(at.state, query) if row["target"] in names]
    except OSError:
        daemon = _daemon(at)
        return [hold for name in names for each in daemon.ask("holds", {"target": name}) for hold in each["holds"]]


def _ran(at: _Configured) -> list[dict[str, Any]]:
    """Return the last runs."""
    query = (
        "SELECT runs.id AS run, name AS target, kind, started, error"
        " FROM runs JOIN targets ON targets.id = runs.target ORDER BY runs.id DESC LIMIT ?"
    )
    try:
        return _selected(at.state, query, _RUNS)
    except OSError:
        return [run for each in _daemon(at).ask("runs", {"count": _RUNS}) for run in each]


def _daemon(at: _Configured) -> Daemon:
    """Return the daemon that works on the state file. Raises DaemonError where it may not be asked."""
    from syncd.daemon.client import find
    from syncd.errors import DaemonError

    daemon = find(at.sockets, at.state)
    if daemon is None:
        raise DaemonError("none runs")
    return daemon


def _selected(state: Path, query: str, *parameters: int) -> list[dict[str, Any]]:
    """Return the rows of a query on a state file, by column. Changes no file, and creates none.

    The store opens the file to write (and takes half a second to be imported). Raises OSError where the file can't be
    read, sqlite3.Error where it is no state file of this version.
    """
    import sqlite3

    if not state.is_file():
        raise FileNotFoundError(state)
    with state.open("rb"):  # SQLite reports any failure as "unable to open"
        pass
    log = state.with_name(f"{state.name}-wal")
    # No process works on a file without a log, and SQLite would create a log. Otherwise the log's index is read as it
    # is, or made in memory (readonly_shm; https://sqlite.org/wal.html#readonly).
    how = "mode=ro&readonly_shm=1" if log.exists() and log.stat().st_size else "immutable=1"
    with closing(sqlite3.connect(f"{state.absolute().as_uri()}?{how}", uri=True, timeout=0.5)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, parameters)]


# -- the shells --------------------------------------------------------------------------------------


def _one_line(item: CompletionItem[str]) -> CompletionItem[str]:
    """Return an item whose help is one line without control characters, which shells can't misread."""
    text = "".join(character if character.isprintable() else " " for character in item.help or "")
    return CompletionItem(item.value, item.type, " ".join(text.split()) or None)


class _Bash(BashComplete):
    """bash 4.4 and newer. Shows no help."""

    source_template = """\
# bash completion for syncd, made by `syncd completion bash`
%(complete_func)s() {
    local IFS=$'\\n' program=syncd type value
    [[ $1 != */* || ! -x $1 ]] || program=$1
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) printf -v value %%q "$value" && COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \\
        %(complete_var)s=bash_complete "$program" 2> /dev/null)
}
complete -o nosort -F %(complete_func)s syncd
"""

    def source(self) -> str:
        """Return the script. The local bash's version is not checked: another bash may source the script."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Join the words that bash splits: `--target=x` arrives as three words."""
        line, position = os.environ["COMP_WORDS"], int(os.environ["COMP_CWORD"])
        parts = line.split("\n") if "\n" in line else split_arg_string(line)
        parts = [*parts, ""][1 : position + 1]
        words = [""]
        kept = ""  # the part of the last word that bash does not replace
        after_break = True
        for part in parts:
            is_break = bool(part) and set(part) <= _BREAKS
            if not (after_break or is_break):
                words.append("")
            kept = words[-1] + (part if is_break else "")
            words[-1] += part
            after_break = is_break
        self._kept = kept.partition("=")[2] if kept.startswith("--") else kept
        *before, last = words
        return split_arg_string(" ".join(before)), "".join(split_arg_string(last))

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Omit the part that bash regards as a separate word, and keeps."""
        return f"{item.type},{item.value.removeprefix(self._kept)}"


class _Zsh(ZshComplete):
    """zsh 5."""

    source_template = """\
#compdef syncd
# zsh completion for syncd, made by `syncd completion zsh`
%(complete_func)s() {
    local type value help
    local -a response plain described
    (( $+commands[syncd] )) || return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) \\
        %(complete_var)s=zsh_complete syncd 2> /dev/null)}")
    [[ ${words[CURRENT]} != --*=* ]] || compset -P 1 '*='
    for type value help in "${response[@]}"; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files ;;
            plain) [[ $help == _ ]] && plain+=("$value") || described+=("$value:$help") ;;
        esac
    done
    (( ! $#described )) || _describe -V syncd described -U
    (( ! $#plain )) || compadd -U -V syncd -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s syncd
fi
"""

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return three lines."""
        return super().format_completion(_one_line(item))


class _Fish(FishComplete):
    """fish 3."""

    source_template = """\
# fish completion for syncd, made by `syncd completion fish`
function %(complete_func)s
    set -l option (string match -r -- '^--[^=]+=' (commandline -ct))
    set -q option[1]; or set option ''
    for line in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \\
        COMP_CWORD=(commandline -ct) syncd 2> /dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                printf '%%s\\n' $option(__fish_complete_directories "$parts[2]")
            case file
                printf '%%s\\n' $option(__fish_complete_path "$parts[2]")
            case plain
                printf '%%s\\n' $option$parts[2]
        end
    end
end
complete --command syncd --no-files --arguments '(%(complete_func)s)'
"""

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return one line."""
        return super().format_completion(_one_line(item))


__all__ = ["NEVER_RELEASED", "SOCKET", "STATE", "VARIABLE", "answer_shell", "holds", "runs", "script", "targets"]
