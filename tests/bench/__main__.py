"""`make bench`: the performance figures, as ratios within one run, medians of three.

A ratio holds on any machine, slow or busy; a time does not. Each line names its reference figure and its limit.
Ends with exit code 1 when a figure exceeds its limit.

    python -m tests.bench [quiet|help|ldap|push|memory|report …]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from statistics import median
from typing import Final

from tests.bench import figures
from tests.bench.report_page import report

_FIGURES: Final[dict[str, Callable[[], Iterable[figures.Figure]]]] = {
    "quiet": figures.quiet,
    "help": figures.help_,
    "ldap": figures.ldap,
    "push": figures.push,
    "memory": figures.memory,
    "report": report,
}


def main() -> int:
    chosen = sys.argv[1:] or list(_FIGURES)
    unknown = [name for name in chosen if name not in _FIGURES]
    if unknown:
        print(f"no figure is called {unknown[0]}; there are {', '.join(_FIGURES)}", file=sys.stderr)
        return 64
    over = 0
    for name in chosen:
        for figure in _FIGURES[name]():
            value = median(figure.values)
            mark = "ok" if value <= figure.limit else "OVER"
            over += mark == "OVER"
            values = ", ".join(f"{each:.2f}" for each in figure.values)
            print(
                f"{mark:4}  {value:8.2f} {figure.unit:2} at most {figure.limit:<6g} {figure.what} ({values})",
                flush=True,
            )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
