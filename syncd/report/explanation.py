"""The reasons for the state of one user or group: a verdict in a sentence, then its grounds, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo

from rich.text import Text

from syncd.core.model import Json, Kind
from syncd.report.moments import localized
from syncd.report.text import visible


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the grounds, in sentences for people and as facts for programs."""

    name: str
    """The key in JSON."""
    heading: str
    sentences: tuple[str, ...]
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one user or group at one target."""

    target: str
    kind: Kind
    key: str
    name: str
    verdict: str
    parts: tuple[Part, ...]

    def to_json(self) -> dict[str, Json]:
        head = {
            "target": self.target,
            "kind": self.kind.value,
            "key": self.key,
            "name": self.name,
            "verdict": self.verdict,
        }
        parts = {
            part.name: {**part.facts, "heading": part.heading, "sentences": list(part.sentences)} for part in self.parts
        }
        return head | parts

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Explanation:
        """Read the output of `to_json`."""
        parts = [
            Part(name, part["heading"], tuple(part["sentences"]), part)
            for name, part in data.items()
            if isinstance(part, dict)
        ]
        return cls(data["target"], Kind(data["kind"]), data["key"], data["name"], data["verdict"], tuple(parts))

    def lines(self, zone: tzinfo = UTC) -> Iterator[Text]:
        """Yield the explanation line by line, text from outside escaped; moments in sentences are shown in `zone`."""
        yield Text(visible(localized(self.verdict, zone)), style="bold")
        for part in self.parts:
            yield Text(visible(part.heading), style="cyan")
            for sentence in part.sentences:
                yield Text(f"  {visible(localized(sentence, zone))}")


__all__ = ["Explanation", "Part"]
