"""Templates: the effect of each filter, refused templates, and access to names alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.templates import FILTERS, AmbiguousValues, Template, TemplateError

ADA = {
    "mail": ["Ada.Lovelace@Example.COM", "ada@home.example"],
    "first": ["Ada"],
    "last": ["Lovelace"],
    "name": [" Zoë Ångström "],
    "phone": ["+49 (30) 123-45"],
    "teams": ["red", "green", "blue"],
    "rooms": ["1", "2"],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{first}", "Ada"),
        ("{ first }", "Ada"),
        ("{first} {last}", "Ada Lovelace"),
        ("{mail}", "Ada.Lovelace@Example.COM"),
        ("{mail|lower}", "ada.lovelace@example.com"),
        ("{first|upper}", "ADA"),
        ("{mail|lower|title}", "Ada.Lovelace@Example.Com"),
        ("{name|strip}", "Zoë Ångström"),
        ("{name|ascii|strip}", "Zoe Angstrom"),
        ("{phone|digits}", "493012345"),
        ("{mail|local}", "Ada.Lovelace"),
        ("{mail|domain|lower}", "example.com"),
        ("{first|local}", "Ada"),
        ("{first|domain}", ""),
        ("{mail|last}", "ada@home.example"),
        ("{mail|first}", "Ada.Lovelace@Example.COM"),
        ("{teams|join:, }", "red, green, blue"),
        ("{nick|default:none}", "none"),
        ("{first|default:none}", "Ada"),
        ("{first|remove:d}", "Aa"),
        ("{first|prefix:Dr. }", "Dr. Ada"),
        ("{first|suffix: (ext)}", "Ada (ext)"),
        ("{nick|prefix:Dr. }", ""),
        ("{last|truncate:4}", "Love"),
        ("{last|truncate:99}", "Lovelace"),
        ("{first|suffix:\\:x}", "Ada\\:x"),
        ("{first|suffix:a:b}", "Adaa:b"),
        ("constant", "constant"),
        ("", ""),
        ("{{first}}", "{first}"),
        ("{{{first}}}", "{Ada}"),
        ("100 %, {first}", "100 %, Ada"),
        # What is made of absent attributes alone is nothing, whatever stands around it.
        ("Dr. {nick}", ""),
        ("{nick}-{other}", ""),
        ("{first} {nick}", "Ada"),
        ("{nick} {last}", "Lovelace"),
    ],
)
def test_the_first_value_of_each_attribute_is_filled_in(template: str, text: str) -> None:
    assert Template(template).first(ADA) == text


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("{mail|lower}", ["ada.lovelace@example.com", "ada@home.example"]),
        ("{teams|first}", ["red"]),
        ("{teams|join:+}", ["red+green+blue"]),
        # An attribute with one value goes with each of several.
        ("{first}-{teams}", ["Ada-red", "Ada-green", "Ada-blue"]),
        ("{mail|domain}:{rooms}", ["Example.COM:1", "home.example:2"]),
        ("{nick}{rooms}", ["1", "2"]),
        ("constant", ["constant"]),
        ("{nick}", []),
        ("x{nick}", []),
    ],
)
def test_every_value_is_filled_in_where_several_are_wanted(template: str, texts: list[str]) -> None:
    assert Template(template).all(ADA) == texts


def test_two_attributes_with_unequally_many_values_are_not_paired() -> None:
    with pytest.raises(AmbiguousValues, match="have 2 and 3 values"):
        Template("{rooms}-{teams}").all(ADA)


def test_nfc_brings_letters_of_two_characters_together() -> None:
    assert Template("{name|nfc}").first({"name": ["Zoe\u0308"]}) == "Zo\u00eb"


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("x", set()),
        ("{a}{b|lower}{a}", {"a", "b"}),
        ("{first name}", {"first name"}),
        ("{{a}}", set()),
    ],
)
def test_a_template_knows_the_attributes_it_reads(template: str, names: set[str]) -> None:
    assert Template(template).attributes == names


@pytest.mark.parametrize(
    "hostile",
    [
        "{0.__class__}",
        "{__class__}",
        "{first.__class__.__mro__}",
        "{first[0]}",
        "{first!r}",
        "{first:>10}",
        "{0}",
        "{items}",
        "{attributes}",
    ],
)
def test_a_template_reaches_nothing_but_attributes_of_that_very_name(hostile: str) -> None:
    name = hostile[1:-1]
    template = Template(hostile)
    assert template.attributes == {name}
    assert template.first(ADA) == ""
    assert template.first({name: ["the attribute of that name"]}) == "the attribute of that name"


def test_braces_in_a_value_are_text() -> None:
    assert Template("{first}!").first({"first": ["{last}"], "last": ["x"]}) == "{last}!"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{first", "a lone `{` at character 1; write `{{` to mean it"),
        ("x}y", "a lone `}` at character 2; write `}}` to mean it"),
        ("{a{b}", "a lone `{` at character 1"),
        ("{}", "names no attribute"),
        ("{ |lower}", "names no attribute"),
        ("{a|lowr}", "no filter is called `lowr`; did you mean `lower`?"),
        ("{a|qqqq}", "no filter is called `qqqq`; there are lower, upper"),
        ("{a|}", "no filter is called ``"),
        ("{a|lower:x}", "the filter `lower` takes nothing after a colon"),
        ("{a|prefix}", "the filter `prefix` needs a text, as in `prefix:x`"),
        ("{a|join:}", "the filter `join` needs a text"),
        ("{a|truncate}", "`truncate` needs a number"),
        ("{a|truncate:0}", "`truncate` needs a number"),
        ("{a|truncate:-1}", "`truncate` needs a number"),
        ("{a|truncate:x}", "`truncate` needs a number"),
    ],
)
def test_what_is_no_template_is_refused_with_the_place(template: str, said: str) -> None:
    with pytest.raises(TemplateError) as refused:
        Template(template)
    assert said in str(refused.value)
    assert template in str(refused.value)


def test_every_filter_is_tried_above() -> None:
    tried = (
        "lower upper title strip ascii nfc digits local domain first last default join remove prefix suffix truncate"
    )
    assert set(FILTERS) == set(tried.split())


@given(st.text(), st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.text(max_size=5), min_size=1)))
def test_any_text_is_a_template_or_refused_and_never_anything_else(text: str, attributes: dict[str, list[str]]) -> None:
    try:
        template = Template(text)
    except TemplateError:
        return
    assert isinstance(template.first(attributes), str)


@given(st.text())
def test_doubled_braces_make_any_text_a_constant(text: str) -> None:
    template = Template(text.replace("{", "{{").replace("}", "}}"))
    assert template.attributes == frozenset()
    assert template.first({}) == text.strip()
