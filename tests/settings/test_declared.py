"""A field that is declared once is a key of the configuration, with its type, its checks and its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from syncd.core.model import Source
from syncd.settings.build.secrets import Secrets
from syncd.settings.declared import keys_of
from syncd.settings.sources import SourceSettings
from syncd.sources.options import Options, Reveal


@dataclass(frozen=True, slots=True)
class ShelfOptions(Options):
    """A kind of source that there isn't."""

    place: Path
    code: Reveal | None = None
    size: Annotated[int, Field(ge=1)] = 7
    wait: timedelta = timedelta(seconds=5)
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def contradiction(cls, name: str, known: Mapping[str, Any]) -> str:
        return "is more than `size`" if name == "wait" and known["wait"].seconds > known.get("size", 60) else ""

    def source(self) -> Source:
        raise NotImplementedError


@keys_of(ShelfOptions)
class ShelfSettings(SourceSettings):
    """Its table."""

    type: Literal["shelf"]


def options(folder: Path, **given: Any) -> Options:
    table = ShelfSettings.model_validate({"type": "shelf", "place": "here.txt"} | given)
    return table.options(folder, Secrets(folder / "syncd.toml").password)


def problems(**given: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        ShelfSettings.model_validate({"type": "shelf"} | given)
    return {str(each["loc"][0]): each["msg"] for each in caught.value.errors()}


def test_what_is_not_given_has_the_default_of_the_field(tmp_path: Path) -> None:
    assert options(tmp_path) == ShelfOptions(tmp_path / "here.txt")


def test_what_is_given_arrives_as_the_field_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = options(tmp_path, code={"env": "CODE"}, size=20, wait="10s", labels={"a": "b"})
    assert isinstance(given, ShelfOptions)
    assert (given.size, given.wait, given.labels) == (20, timedelta(seconds=10), {"a": "b"})
    assert given.code is not None
    monkeypatch.setenv("CODE", "1234")
    assert given.code() == "1234"


def test_the_checks_of_the_field_are_those_of_the_key() -> None:
    found = problems(size=0, wait="0s", code="1234", shelf=True)
    assert list(found) == ["place", "code", "size", "wait", "shelf"]
    assert found["wait"] == "Value error, `0s` is not longer than 0s"
    assert found["code"].startswith("a secret is named here, not written")


def test_what_contradicts_itself_is_said_beside_all_else_that_is_wrong() -> None:
    assert problems(place="here.txt", size=4) == {"wait": "Value error, is more than `size`"}
    assert list(problems(size=4)) == ["place", "wait"]
    assert list(problems(place="here.txt", size=0)) == ["size"]
