"""Plans of the sizes that reports are read in, made up of many like changes with a few among them that aren't."""

from __future__ import annotations

from syncd.core.context import Context, GroupSize, LimitUse, Person
from syncd.core.model import Evidence, State
from syncd.core.plan import Action, Change, Estimate, Held, Outcome, Plan, Result, Run, Trouble, ordered
from syncd.core.schema import ENTERPRISE_SCHEMA
from tests.report.plans import NOON, WORK_MAIL

DEPARTMENT = f"{ENTERPRISE_SCHEMA}:department"
_GIVEN = ("Ada", "Grace", "Emma", "Noor", "Li", "José", "Zoë", "Priya", "Omar", "Yuki", "Björn")
_FAMILY = ("Lovelace", "Hopper", "Schröder", "Haddad", "Chen", "García", "Müller", "Patel", "Åkesson")
_DEPARTMENTS = ("Engineering", "Support", "Finance", "Legal", "Marketing")


def _name(number: int) -> tuple[str, str, str]:
    given, family = _GIVEN[number % len(_GIVEN)], _FAMILY[number // 3 % len(_FAMILY)]
    return given, family, f"{given}.{family}{number}@example.com".lower()


def many(changes: int, managed: int = 2480) -> Plan:
    """Return a plan of about so many changes: a tenth new people, a few leavers and renames, else one reorganisation.

    Four stand out: a title that is emptied, somebody new without a department, one from outside, a group that loses
    nine of its fourteen members.
    """
    made: list[Change] = []
    people: dict[str, Person] = {}
    leavers, arrivals, renames = max(1, changes // 40), max(1, changes // 10), max(1, changes // 100)
    for number in range(leavers):
        *_, mail = _name(number)
        people[key := f"l{number}"] = Person(mail, _DEPARTMENTS[number % 5], ("On call", "VPN"))
        off = Change(
            Action.DEACTIVATE_USER,
            key,
            mail,
            {"active": True},
            {"active": False},
            "disabled in the source",
            State.DEACTIVATED,
        )
        made.append(off)
    for number in range(arrivals):
        given, family, mail = _name(number + 1000)
        external = number == 1
        mail = mail.replace("example.com", "partner.example") if external else mail
        after = {"userName": mail, "displayName": f"{given} {family}", WORK_MAIL: mail, "active": True}
        if number != 2:
            after[DEPARTMENT] = _DEPARTMENTS[number % 5]
        state = State.PENDING if external else State.ACTIVE
        made.append(Change(Action.CREATE_USER, f"n{number}", mail, {}, after, "new in the source", state))
    for number in range(renames):
        given, _, mail = _name(number + 2000)
        new = f"{given}.berg{number}@example.com".lower()
        people[key := f"r{number}"] = Person(mail, _DEPARTMENTS[number % 5])
        before, after = {"userName": mail, WORK_MAIL: mail}, {"userName": new, WORK_MAIL: new}
        made.append(
            Change(Action.UPDATE_USER, key, new, before, after, f"renamed in the source (was {mail})", State.ACTIVE)
        )
    for number in range(changes - len(made) - 2):
        *_, mail = _name(number + 3000)
        people[key := f"u{number}"] = Person(mail, "Sales")
        if number == 7:
            difference = {"title": "Head of Payments"}, {"title": None}
        elif number % 12 == 0:
            difference = {"title": "Engineer"}, {"title": "Senior Engineer"}
        else:
            difference = {DEPARTMENT: "Sales"}, {DEPARTMENT: "Revenue"}
        (path,) = difference[0]
        reason = f"{path.rpartition(':')[2]} changed in the source"
        made.append(Change(Action.UPDATE_USER, key, mail, *difference, reason, State.ACTIVE))
    going = [f"l{number}" for number in range(min(leavers, 5))] + [f"u{number}" for number in range(4)]
    made.append(Change.of_members(Action.REMOVE_MEMBERS, "g1", "On call", going, []))
    made.append(Change.of_members(Action.ADD_MEMBERS, "g2", "All staff", [f"n{n}" for n in range(arrivals)], []))
    limits = (
        LimitUse("deactivate", leavers, managed, min(50, managed // 10), 10, 50),
        LimitUse("delete_group", 0, 41, 5, None, 5),
        LimitUse("remove_members", 9, managed, managed // 5, 20),
        LimitUse("rename", renames, managed, managed // 5, 20),
        LimitUse("adopt", 0, managed, 0, always=True),
    )
    return Plan(
        target="lucid-content",
        kind="sync",
        created=NOON,
        base_serial=412,
        changes=ordered(made),
        problems=(Trouble("p1", "no value for userName", "people.csv:811"),),
        estimate=Estimate(len(made) + 4, len(made) / 10),
        managed=managed,
        evidence=Evidence("people.csv, groups.csv", managed + arrivals - leavers, 41, 9120, 1, 0.6),
        context=Context(41, limits, people, {"g1": GroupSize("On call", 14), "g2": GroupSize("All staff", 2400)}),
    )


def withheld(plan: Plan) -> Plan:
    """Return the plan with its deactivations held."""
    leaving = [change for change in plan.changes if change.action is Action.DEACTIVATE_USER]
    reason = f"{len(leaving)} of {plan.managed} people would be deactivated; the limit is 5"
    rest = tuple(change for change in plan.changes if change.action is not Action.DEACTIVATE_USER)
    limits = (LimitUse("deactivate", len(leaving), plan.managed, 5, None, 5), *plan.context.limits[1:])
    context = Context(plan.context.managed_groups, limits, plan.context.people, plan.context.groups)
    held = tuple(Held(change, "deactivate", reason) for change in leaving)
    return Plan(
        plan.target, plan.kind, plan.created, plan.base_serial, rest, held, problems=plan.problems,
        estimate=plan.estimate, managed=plan.managed, evidence=plan.evidence, context=context,
    )  # fmt: skip


def carried_out(plan: Plan) -> Run:
    """Return a run of the plan in which every hundredth change failed, and one of them each was refused and skipped."""
    taken = "uniqueness: User 1234 can not be created because the email already exists"
    outcomes = []
    for number, change in enumerate(plan.changes):
        outcome = Outcome(change, Result.APPLIED, 200)
        if number % 100 == 40:
            outcome = Outcome(change, Result.FAILED, 409, taken)
        elif number == 60:
            outcome = Outcome(change, Result.REFUSED, 0, "the plan expected title Engineer, and it is Boss now")
        elif number == 61:
            outcome = Outcome(change, Result.SKIPPED, 0, "an earlier change of the same person did not succeed")
        outcomes.append(outcome)
    return Run(318, plan, plan.created, tuple(outcomes), 340, 41.7, "", 7, 12.4, 21)


NOTHING = Plan("lucid-content", "sync", NOON, 412, (), managed=2480)
