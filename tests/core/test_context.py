"""The context of a plan: it survives saving and reading, and a plan without a context is read as before."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from syncd.core.context import Context, GroupSize, LimitUse, Person
from syncd.core.digest import fingerprint
from syncd.core.plan import Plan, dump
from tests.report.plans import PLAN

CONTEXT = Context(
    41,
    (LimitUse("deactivate", 41, 100, 10, percent=10, count=50), LimitUse("adopt", 0, 100, 0, always=True)),
    {"1007": Person("gil@x.org", "Sales", ("Design", "VPN")), "1008": Person("hal@x.org")},
    {"g2": GroupSize("Sales", 12)},
)


def test_the_context_of_a_plan_comes_back_from_a_file() -> None:
    plan = replace(PLAN, context=CONTEXT)
    saved = orjson.loads(dump(plan.to_json()))
    assert saved["context"] == {
        "managed_groups": 41,
        "limits": [
            {
                "limit": "deactivate",
                "affected": 41,
                "managed": 100,
                "most": 10,
                "percent": 10,
                "count": 50,
                "always": False,
            },
            {
                "limit": "adopt",
                "affected": 0,
                "managed": 100,
                "most": 0,
                "percent": None,
                "count": None,
                "always": True,
            },
        ],
        "people": {
            "1007": {"name": "gil@x.org", "department": "Sales", "groups": ["Design", "VPN"]},
            "1008": {"name": "hal@x.org"},
        },
        "groups": {"g2": {"name": "Sales", "members": 12}},
    }
    assert Plan.from_json(saved, "plan.json") == plan


def test_a_plan_saved_without_a_context_is_read_and_written_as_it_was() -> None:
    data = PLAN.to_json()
    assert "context" not in data
    again = Plan.from_json(orjson.loads(dump(data)), "plan.json")
    assert again.context == Context()
    assert again.to_json() == data


@pytest.mark.parametrize("context", [{}, {"managed_groups": 1}, {"limits": 3}, "x", [1]])
def test_a_context_that_is_none_is_refused(context: object) -> None:
    data = {name: value for name, value in PLAN.to_json().items() if name != "fingerprint"}
    if context:
        data["context"] = context
        with pytest.raises((KeyError, TypeError, ValueError)):
            Plan.trusted(data)
    else:
        assert Plan.trusted(data | {"fingerprint": fingerprint(data).hex()}).context == Context()


@pytest.mark.parametrize(
    ("use", "exceeded"),
    [
        (LimitUse("deactivate", 10, 100, 10), False),
        (LimitUse("deactivate", 11, 100, 10), True),
        (LimitUse("deactivate", 11, 100, None), False),
        (LimitUse("adopt", 1, 100, 0, always=True), False),
    ],
)
def test_a_limit_is_exceeded_by_more_than_it_lets_through(use: LimitUse, exceeded: bool) -> None:
    assert use.exceeded is exceeded


def test_a_plan_cut_down_to_one_person_keeps_what_is_about_them() -> None:
    assert CONTEXT.only({"1008"}, {"g9"}) == Context(41, (), {"1008": Person("hal@x.org")}, {})
