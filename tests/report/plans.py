"""One plan that has everything a plan can have, and the plans and runs of any kind that a property needs."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.foreign import ForeignMember, as_part
from syncd.core.model import Evidence, Kind, State
from syncd.core.plan import Action, Change, Estimate, Held, Outcome, Plan, Result, Run, Trouble

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WORK_MAIL = 'emails[type eq "work"].value'

CREATE = Change(
    Action.CREATE_USER, "1001", "ada@x.org", {}, {"userName": "ada@x.org"}, "new in the source", State.ACTIVE, "00ff"
)
INVITE = Change(
    Action.CREATE_USER,
    "1002",
    "bob@y.org",
    {},
    {"userName": "bob@y.org"},
    "new in the source, external domain",
    State.PENDING,
)
LINK_AGAIN = Change(
    Action.ADOPT_USER,
    "1003",
    "cy@x.org",
    {"userName": "cy@x.org", "externalId": "1003", "active": True},
    {"userName": "cy@x.org", "externalId": "1003", "active": True},
    "its account carries our externalId",
    State.ACTIVE,
    resource="u-3",
)
TAKE_OVER = Change(
    Action.ADOPT_USER,
    "1004",
    "dee@x.org",
    {"userName": "dee@x.org", "title": "Chief", "externalId": None, "active": True},
    {"userName": "dee@x.org", "title": "Engineer", "externalId": "1004", "active": True},
    "has an account with this userName",
    State.ACTIVE,
    resource="u-4",
)
REHIRE = Change(
    Action.ADOPT_USER,
    "2005",
    "eve@x.org",
    {"userName": "eve@x.org", "externalId": "1005", "active": False},
    {"userName": "eve@x.org", "externalId": "2005", "active": True},
    "hired again? its userName was that of 1005, who left",
    State.ACTIVE,
    resource="u-5",
)
RENAME = Change(
    Action.UPDATE_USER,
    "1006",
    "fay.new@x.org",
    {"userName": "fay@x.org", WORK_MAIL: "fay@x.org"},
    {"userName": "fay.new@x.org", WORK_MAIL: "fay.new@x.org"},
    "renamed in the source (was fay@x.org)",
    State.ACTIVE,
)
LEAVE = Change(
    Action.DEACTIVATE_USER,
    "1007",
    "gil@x.org",
    {"active": True},
    {"active": False},
    "gone from the source",
    State.DEACTIVATED,
)
STAY = Change(
    Action.DEACTIVATE_USER,
    "1008",
    "hal@x.org",
    {"active": True},
    {"active": False},
    "disabled in the source",
    State.DEACTIVATED,
)
ADOPT_GROUP = Change(
    Action.ADOPT_GROUP,
    "g1",
    "Design",
    {"displayName": "design", "members": ["1001", "1003"]},
    {"displayName": "Design"},
    "a group of this name is there",
    resource="gr-1",
)
JOIN = Change.of_members(Action.ADD_MEMBERS, "g2", "Sales", [f"10{n:02}" for n in range(1, 11)], ["g1"])
PART = Change.of_members(Action.REMOVE_MEMBERS, "g2", "Sales", ["1007"], [])

STRANGERS = (ForeignMember("n-1", "stranger@elsewhere.example"), ForeignMember("n-2", "Natives", Kind.GROUP))


def _drift(
    class_: DriftClass,
    name: str,
    expected: dict[str, object],
    found: dict[str, object],
    reaction: Reaction = Reaction.ENFORCE,
) -> Drift:
    kind = Kind.USER if class_.value.startswith("user") else Kind.GROUP
    return Drift(class_, kind, f"k-{name}", name, expected, found, reaction)


DRIFT = (
    _drift(DriftClass.USER_DELETED, "ida@x.org", {"userName": "ida@x.org", "active": True}, {}),
    _drift(DriftClass.USER_ACTIVATION, "joe@x.org", {"active": True}, {"active": False}),
    _drift(DriftClass.USER_ATTRIBUTES, "kim@x.org", {"title": "Chief"}, {"title": "Clerk"}, Reaction.REPORT),
    _drift(DriftClass.USER_ATTRIBUTES, "leo@x.org", {"title": "Chief"}, {"title": None}, Reaction.REPORT),
    _drift(DriftClass.GROUP_DELETED, "Ops", {"displayName": "Ops"}, {}, Reaction.REPORT),
    _drift(DriftClass.GROUP_RENAMED, "Legal", {"displayName": "Legal"}, {"displayName": "Law"}),
    _drift(DriftClass.MEMBER_ADDED, "Sales", {}, {"members": ["1009"], "groups": ["g3"]}),
    _drift(DriftClass.MEMBER_REMOVED, "Sales", {"members": ["1001"]}, {}, Reaction.REPORT),
    _drift(DriftClass.FOREIGN_MEMBER, "Sales", {}, as_part(STRANGERS)),
)
HELD = (
    Held(LEAVE, "deactivate", "41 of 100 people would be deactivated; the limit is 10 %"),
    Held(PART, "deactivate", "41 of 100 people would be deactivated; the limit is 10 %"),
    Held(REHIRE, "rehire", "the account of 1005, who left, has this userName"),
)
REJECTED = (Held(STAY, "rejected", "rejected by ada on 2026-11-21 09:00 UTC"),)
PROBLEMS = (
    Trouble("1010", "no value for userName", "people.csv:11"),
    Trouble("", "ragged row", "groups.csv:2", "group"),
    Trouble("", "totalResults is 41, and 40 users were listed", "lucid", "target"),
)
EVIDENCE = Evidence("people.csv, groups.csv", 120, 3, 210, 2, 0.42)
PLAN = Plan(
    target="lucid",
    kind="resync",
    created=NOON,
    base_serial=12,
    changes=(CREATE, INVITE, LINK_AGAIN, TAKE_OVER, RENAME, ADOPT_GROUP, JOIN),
    held=HELD,
    rejected=REJECTED,
    drift=DRIFT,
    accepted=("1011", "1012"),
    problems=PROBLEMS,
    estimate=Estimate(9, 0.9),
    managed=100,
    evidence=EVIDENCE,
)
RUN = Run(
    7,
    PLAN,
    NOON,
    (
        Outcome(CREATE, Result.APPLIED, 201),
        Outcome(TAKE_OVER, Result.REFUSED, 0, "the plan expected title Chief, and it is Boss now"),
        Outcome(RENAME, Result.FAILED, 400, "userName is reserved"),
        Outcome(JOIN, Result.SKIPPED, 0, "the group was not made"),
    ),
    9,
    1.25,
    reads=2,
)

# -- any plan ----------------------------------------------------------------------------------------

_texts = st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["\x1b[2J", "a\u202eb", "[bold]x[/bold]", "x\ny"]))
_values = st.one_of(st.none(), st.booleans(), _texts, st.lists(_texts.map(lambda text: {"value": text}), max_size=2))
_flats = st.dictionaries(st.sampled_from(["userName", "title", "active", "externalId", WORK_MAIL]), _values, max_size=3)
_keys = st.lists(_texts, min_size=1, max_size=4, unique=True)
_strangers = st.lists(
    st.builds(ForeignMember, _texts, _texts, st.sampled_from(Kind)),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each.id,
)
_MEMBERSHIP = (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS)
_resources = [action for action in Action if action not in _MEMBERSHIP]
changes = st.one_of(
    st.builds(
        Change,
        st.sampled_from(_resources),
        _texts,
        _texts,
        _flats,
        _flats,
        _texts,
        st.none() | st.sampled_from(State),
        st.just(""),
        _texts,
    ),
    st.builds(Change.of_members, st.sampled_from(_MEMBERSHIP), _texts, _texts, _keys, st.just([])),
    st.builds(Change.of_foreign, _texts, _texts, _strangers),
)
_held = st.builds(Held, changes, _texts, _texts)
_members = st.fixed_dictionaries({"members": _keys})
drifts = st.one_of(
    st.builds(
        Drift,
        st.sampled_from([each for each in DriftClass if "member" not in each.value]),
        st.sampled_from(Kind),
        _texts,
        _texts,
        _flats,
        _flats,
        st.sampled_from(Reaction),
    ),
    st.builds(
        Drift,
        st.sampled_from([DriftClass.MEMBER_ADDED, DriftClass.MEMBER_REMOVED]),
        st.just(Kind.GROUP),
        _texts,
        _texts,
        _members,
        _members,
        st.sampled_from(Reaction),
    ),
    st.builds(
        Drift,
        st.just(DriftClass.FOREIGN_MEMBER),
        st.just(Kind.GROUP),
        _texts,
        _texts,
        st.just({}),
        st.builds(as_part, _strangers),
        st.sampled_from(Reaction),
    ),
)
_problems = st.builds(Trouble, _texts, _texts, _texts, st.sampled_from(["user", "group", "target"]))
plans = st.builds(
    Plan,
    target=_texts,
    kind=st.sampled_from(["sync", "resync", "user"]),
    created=st.just(NOON),
    base_serial=st.just(1),
    changes=st.lists(changes, max_size=5).map(tuple),
    held=st.lists(_held, max_size=5).map(tuple),
    rejected=st.lists(_held, max_size=3).map(tuple),
    drift=st.lists(drifts, max_size=5).map(tuple),
    accepted=st.lists(_texts, max_size=3).map(tuple),
    problems=st.lists(_problems, max_size=3).map(tuple),
    evidence=st.none() | st.just(EVIDENCE),
)
