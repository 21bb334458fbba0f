"""Users as hypothesis makes them."""

from __future__ import annotations

from hypothesis import strategies as st

from syncd.core.model import Flat

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"{ENTERPRISE}:manager"
WORK = 'emails[type eq "work"]'
HOME = 'emails[type eq "home"]'
_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_address = st.text("abcxyz", min_size=1, max_size=6).map(lambda name: f"{name}@example.com")
_SIMPLE = [
    "externalId",
    "displayName",
    "title",
    "nickName",
    "name.givenName",
    "name.familyName",
    f"{ENTERPRISE}:department",
    f"{ENTERPRISE}:division",
    MANAGER,
    'addresses[type eq "work"].locality',
    'addresses[type eq "work"].postalCode',
]
_ELEMENTS = [WORK, HOME, 'phoneNumbers[type eq "mobile"]']


@st.composite
def flats(draw: st.DrawFn) -> Flat:
    """A user as a mapping may give them: a userName, and elements of lists only with their value."""
    flat: Flat = {"userName": draw(_text)}
    flat |= draw(st.dictionaries(st.sampled_from(_SIMPLE), _text))
    for element in draw(st.sets(st.sampled_from(_ELEMENTS))):
        flat[f"{element}.value"] = draw(_address if element.startswith("emails") else _text)
        if draw(st.booleans()):
            flat[f"{element}.display"] = draw(_text)
    if f"{WORK}.value" in flat and draw(st.booleans()):
        flat[f"{WORK}.primary"] = True
    if roles := draw(st.lists(_text, unique=True, max_size=3)):
        flat["roles"] = [{"value": role} for role in roles]
    flat["active"] = draw(st.booleans())
    return flat
