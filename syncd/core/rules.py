"""Rules in CEL, the Common Expression Language: `active`, `scope` and `{ cel = … }` in a mapping.

A rule sees the attributes of one source entry: each by its name as a string (its first value, or "" where the
entry lacks it), and `attrs`, the map of all values as lists. It can't see anything else.
"""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from types import ModuleType
from typing import Any

# The package imports its own interactive shell, and a terminal toolkit with that: a third of the time to start.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402

from syncd.core.model import Attributes  # noqa: E402

# cel-go's extension libraries as far as they don't shadow functions of the core (`lists` redefines `contains`).
_LIBRARIES = ("core", "strings", "math", "sets")
_EXTENSIONS = {name: function for library in _LIBRARIES for name, function in cel.stdlib.EXTENSIONS[library].items()}
_NATIVE = frozenset(
    "contains size has all exists exists_one map filter startsWith endsWith matches int uint double string bytes "
    "timestamp duration type dyn getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours "
    "getMinutes getSeconds getMilliseconds optional of none ofNonZeroValue orValue or value hasValue".split()
)
_BOUND = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*(\w+)\s*,")
_INDEXED = re.compile(r"""\battrs\[\s*(?:"([^"\\]+)"|'([^'\\]+)')\s*\]""")
_INTERNAL = re.compile(r'^Other\w*\(ParseError \{.*?msg: "([^"]*)".*')
_LINE = 120
"""Characters of a line that is worth pointing into."""
_NAMESPACES = {name.partition(".")[0] for name in _EXTENSIONS if "." in name}


class RuleError(ValueError):
    """An expression that can't be compiled, or refers to a function that is not there."""


class RuleFailed(ValueError):
    """An expression that could not be evaluated for one entry."""


class Rule:
    """A compiled rule. `attributes` holds the names that it refers to, none when it uses all (`attrs`)."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise RuleError(_readable(str(error))) from None
        bound = set(_BOUND.findall(text))
        variables = [name for name in self._program.variables() if name not in bound]
        functions = set(self._program.functions())
        _refuse_unknown(functions)
        self._uses_attrs = "attrs" in variables
        self._names = [name for name in variables if name != "attrs" and name not in _NAMESPACES]
        self._indexed = [double or single for double, single in _INDEXED.findall(text)]
        self.attributes = None if self._uses_attrs else frozenset(self._names)
        self._context: cel.Context | None = None
        if functions & {name.rpartition(".")[2] for name in _EXTENSIONS} or functions & set(_EXTENSIONS):
            self._context = cel.Context()
            cel.stdlib.add_stdlib_to_context(self._context, list(_LIBRARIES))

    def evaluate(self, attributes: Attributes) -> Any:
        """Return the rule's value for one entry. Raises RuleFailed."""
        values: dict[str, Any] = {name: (attributes.get(name) or ("",))[0] for name in self._names}
        if self._uses_attrs:
            values["attrs"] = {name: [] for name in self._indexed} | attributes
        try:
            if self._context is None:
                return self._program.execute(values)
            self._context.update(values)
            return self._program.execute(self._context)
        except Exception as error:  # the binding raises TypeError, ValueError, KeyError and RuntimeError alike
            raise RuleFailed(f"`{self.text}`: {str(error).splitlines()[0].partition('. ')[0]}") from None

    def holds(self, attributes: Attributes) -> bool:
        """Return whether the rule is true for one entry. Raises RuleFailed, also when it is neither true nor false."""
        value = self.evaluate(attributes)
        if not isinstance(value, bool):
            raise RuleFailed(f"`{self.text}` gave {value!r}, which is neither true nor false")
        return value


def _readable(message: str) -> str:
    """Return the parser's message and position, without its preamble."""
    lines = [line for line in message.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if "<input>:" in line), 0)
    found = re.search(r"<input>:(\d+):(\d+): (?:Syntax error: )?(.*)", lines[first])
    if found is None:
        return message
    pointed = [line for line in lines[first + 1 : first + 3] if line.startswith("|") and len(line) < _LINE]
    detail = _INTERNAL.sub(r"\1", found[3].partition(" expecting {")[0])
    return "\n".join([f"not valid CEL at character {found[2]}: {detail}", *(f"      {line}" for line in pointed)])


def _refuse_unknown(functions: set[str]) -> None:
    extensions = {name.rpartition(".")[2] for name in _EXTENSIONS} | set(_EXTENSIONS)
    known = _NATIVE | extensions
    for name in sorted(functions):
        if name[0].isalpha() and name not in known:
            nearest = get_close_matches(name, known, n=1)
            raise RuleError(f"CEL has no function `{name}`" + (f"; did you mean `{nearest[0]}`?" if nearest else ""))
