"""Field docstrings: the text below the fields of a module's classes, which Python does not keep at run time."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path
from types import ModuleType


def below_fields(*modules: ModuleType) -> dict[tuple[str, str], str]:
    """Return the text below each field of each class, on one line, by class and field."""
    found = {}
    for module in modules:
        for class_ in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body:
            for field, text in pairwise(class_.body) if isinstance(class_, ast.ClassDef) else ():
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr)
                ):
                    found[class_.name, field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found
