"""Invariant 12: any text of the source arrives unchanged, is looked up unchanged, and harms no terminal."""

from __future__ import annotations

import tempfile
import unicodedata
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from syncd.report.text import plan_lines, render
from tests.invariants.service import Service
from tests.invariants.world import Person, World, described

HOSTILE = [
    '"; drop',
    'a" or userName pr or userName eq "',
    "back\\slash",
    "*)(uid=*",
    "+(plus) &amp=?#%2B",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egro.elpmaxe@ada",
    "<script>alert(1)</script>",
    "| pipe ` tick",
    "=cmd|' /C calc'!A0",
    "{mail} {0.__class__}",
    "\u0000nul"[1:],
    "İstanbul ß ﬁ",
    "\u2066isolate\u2069",
]
texts = st.sampled_from(HOSTILE) | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
)


@given(name=texts, group=texts, local=texts)
@example(name=HOSTILE[5], group=HOSTILE[1], local=HOSTILE[1])
@example(name=HOSTILE[6], group=HOSTILE[6], local=HOSTILE[4])
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_12_source_text_is_hostile(service: Service, name: str, group: str, local: str) -> None:
    with tempfile.TemporaryDirectory() as folder, World(service, Path(folder), verified=False) as world:
        world.source.people["1"] = Person("ada@example.com", name, boss="2")
        world.source.people["2"] = Person(f"{local}@example.com", "Two")
        world.source.groups["g"] = group
        world.source.members = {("g", "1")}
        world.write_source()
        planned = world.plan()
        shown = render(plan_lines(planned.plan), width=200)
        # Terminals obey control and bidi characters: none may be shown as it is.
        obeyed = [each for each in shown if unicodedata.category(each) in ("Cc", "Cf") and each != "\n"]
        assert not obeyed, obeyed
        world.cycle()
        world.converge()
        there = {user.attributes.get("externalId"): user for user in world.sight().users.values()}
        troubled = {problem.key for problem in world.plan(full=True).plan.problems}
        for key, person in world.source.people.items():
            if key not in troubled:
                assert there[key].name.casefold() == person.mail.strip().casefold()
                assert there[key].attributes.get("displayName", "").strip() == person.name.strip()
        assert {each.name.strip() for each in world.sight().groups.values()} <= {group.strip()}
        # The state file lost, everybody is found by what the text says, and nobody by what it might be taken for.
        before = world.links()
        world.lose_state()
        event = world.cycle(full=True)
        assert event.plan is not None
        assert not event.writes, described(event.plan)
        assert world.links() == before
