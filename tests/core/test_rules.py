"""Rules in CEL: the visible attributes, the permitted functions, and the errors of faulty rules."""

from __future__ import annotations

import pytest

from syncd.core.model import Attributes
from syncd.core.rules import Rule, RuleError, RuleFailed

ADA = {"status": ["active"], "mail": ["ada@example.com", "countess@example.org"], "department": ["R&D"], "age": ["36"]}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('status == "active"', True),
        ('status == "left"', False),
        ('department in ["Sales", "R&D"]', True),
        ('department != "Contractors" && mail.endsWith("@example.com")', True),
        ("int(age) >= 18", True),
        ('mail.matches("^[a-z]+@example[.]com$")', True),
        # An attribute is its first value; all of them are in `attrs`.
        ('mail == "ada@example.com"', True),
        ('"countess@example.org" in attrs["mail"]', True),
        ('attrs["mail"].exists(m, m.endsWith(".org"))', True),
        ("attrs['mail'].all(m, m.endsWith('.org'))", False),
        ('size(attrs["mail"]) == 2', True),
        ('"mail" in attrs', True),
        # What the entry lacks is the empty string, and an empty list in `attrs`.
        ('nickname == ""', True),
        ('nickname != ""', False),
        ("!nickname.startsWith('x')", True),
        ('size(attrs["nickname"]) == 0', True),
        ('attrs["nickname"].exists(n, n == "x")', False),
        ('mail.lowerAscii() == "ada@example.com"', True),
        ("math.greatest(1, 2) == 2", True),
        ("true", True),
    ],
)
def test_a_rule_sees_the_attributes_of_one_entry(rule: str, holds: bool) -> None:
    assert Rule(rule).holds(ADA) is holds


def test_an_attribute_without_values_is_the_empty_string_too() -> None:
    assert Rule('mail == ""').holds({"mail": []})


def test_nothing_of_one_entry_is_seen_by_the_next() -> None:
    plain, extended = Rule('mail == ""'), Rule('mail.lowerAscii() == ""')
    for rule in (plain, extended):
        assert not rule.holds(ADA)
        assert rule.holds({})


@pytest.mark.parametrize(
    ("rule", "attributes"),
    [
        ("true", frozenset()),
        ('status == "active" && mail != ""', {"status", "mail"}),
        ('mail.lowerAscii() == "x"', {"mail"}),
        ("math.greatest(int(age), 1) == 1", {"age"}),
        ('attrs["mail"].exists(m, m == status)', None),
        ("size(attrs) > 3", None),
    ],
)
def test_a_rule_knows_the_attributes_it_reads(rule: str, attributes: frozenset[str] | None) -> None:
    assert Rule(rule).attributes == attributes


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("stat us", "not valid CEL at character 6: "),
        ("size(mail) >", "not valid CEL at character 13: "),
        ("", "not valid CEL at character 1: "),
        ("(" * 200, "not valid CEL at character 97: Recursion limit of 96 exceeded"),
        ('status = "active"', "not valid CEL at character 8: "),
        ('lowr(mail) == "x"', "CEL has no function `lowr`"),
        ('mail.startWith("x")', "CEL has no function `startWith`; did you mean `startsWith`?"),
        ('mail.lowerAsci() == "x"', "CEL has no function `lowerAsci`; did you mean `lowerAscii`?"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_place(rule: str, said: str) -> None:
    with pytest.raises(RuleError) as refused:
        Rule(rule)
    assert said in str(refused.value)


def test_the_error_of_a_rule_points_at_the_character() -> None:
    with pytest.raises(RuleError) as refused:
        Rule('status == "a" &&& mail')
    _, text, pointer = str(refused.value).splitlines()
    assert text.strip() == '| status == "a" &&& mail'
    assert text[pointer.index("^")] == "&"
    assert pointer.index("^") - text.index("s") == 16


@pytest.mark.parametrize(
    ("rule", "attributes", "said"),
    [
        ("mail", ADA, "gave 'ada@example.com', which is neither true nor false"),
        ("1", ADA, "gave 1, which is neither true nor false"),
        ("null", ADA, "gave None, which is neither true nor false"),
        ("int(department) > 1", ADA, "`int(department) > 1`: "),
        ("mail + 1 == mail", ADA, "`mail + 1 == mail`: "),
        ("1 / 0 == 1", {}, "`1 / 0 == 1`: "),
        ('attrs["mail"][7] == "x"', ADA, '`attrs["mail"][7] == "x"`: '),
    ],
)
def test_a_rule_that_gives_no_answer_fails_for_that_entry(rule: str, attributes: Attributes, said: str) -> None:
    with pytest.raises(RuleFailed) as failed:
        Rule(rule).holds(attributes)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)
