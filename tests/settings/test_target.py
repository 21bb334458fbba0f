"""One target of the configuration: its connection, and its differences from its profile."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from syncd.core.room import Room
from syncd.errors import ConfigurationError
from syncd.scim.profiles import NAMES, PROFILES, Profile
from syncd.settings.build import Target, compile_settings
from syncd.settings.target import ProfileOverrides
from tests.configurations import SECRET, SMALLEST, faults, loaded

OVERRIDES = "[target.profile_overrides]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


def compiled(file: Path, text: str) -> Target:
    """Load a configuration of one target, with something behind its table."""
    (target,) = compile_settings(loaded(file, text), file).targets
    return target


def test_how_a_target_is_reached_is_what_it_says_and_otherwise_straight_and_in_a_minute(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = compiled(file, SMALLEST)
    assert (target.timeout, target.proxy, target.proxy_auth, target.http2, target.drain) == (60.0, "", None, True, 20.0)
    text = SMALLEST + 'timeout = "1m30s"\nproxy = "http://proxy.example.com:3128/"\nhttp2 = false\n'
    text += 'proxy_auth = { env = "PROXY_AUTH" }'
    target = compiled(file, 'drain = "0s"\n' + text)
    assert (target.timeout, target.proxy, target.http2, target.drain) == (
        90.0,
        "http://proxy.example.com:3128",
        False,
        0.0,
    )
    assert target.proxy_auth is not None
    monkeypatch.setenv("PROXY_AUTH", f"syncd:{SECRET}")
    assert target.proxy_auth().get_secret_value() == f"syncd:{SECRET}"


@pytest.mark.parametrize("written", [SECRET, f":{SECRET}", "syncd:", f"syncd:{SECRET}\nsyncd"])
def test_what_is_no_user_and_password_is_refused_without_repeating_it(
    file: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    target = compiled(file, SMALLEST + 'proxy = "https://p.example.com"\nproxy_auth = { env = "PROXY_AUTH" }')
    monkeypatch.setenv("PROXY_AUTH", written)
    assert target.proxy_auth is not None
    with pytest.raises(ConfigurationError, match=r"target\[lucid\]\.proxy_auth.*user:password") as caught:
        target.proxy_auth()
    assert SECRET not in str(caught.value)


def test_overlapping_groups_are_refused_where_they_mean_nothing(file: Path) -> None:
    text = SMALLEST + 'overlapping_groups = ["All users"]\n'
    assert faults(file, text) == {
        "target[lucid].overlapping_groups": "with the profile `generic` people can be in any number of groups: "
        "leave it out (it applies to lucid-admin, or where profile_overrides say one_group_per_user = true)"
    }
    admin = compile_settings(loaded(file, text + 'profile = "lucid-admin"\n'), file)
    assert admin.targets[0].rules.overlapping_groups == ("All users",)


def test_the_default_group_is_refused_where_it_means_nothing(file: Path) -> None:
    text = SMALLEST + 'default_group = "All users"\n'
    (key,) = faults(file, text)
    assert key == "target[lucid].default_group"
    room = compiled(file, text + 'overlapping_groups = ["Guests"]\nprofile = "lucid-admin"\n').rules.room
    assert room == Room(one_group=True, default_group="All users", shared=("Guests",))


# -- in what an endpoint differs from its profile ----------------------------------------------------


OVERRIDDEN = [field.name for field in fields(Profile) if field.name not in NAMES]


def test_every_value_of_a_profile_can_be_overridden_and_nothing_else() -> None:
    assert list(ProfileOverrides.model_fields) == OVERRIDDEN


def test_the_values_of_every_profile_are_ones_that_an_override_may_have() -> None:
    for profile in PROFILES.values():
        values = {name: value for name, value in asdict(profile).items() if name not in NAMES and value is not None}
        plain = replace(profile, name="generic", integration="", group_kind="")
        assert ProfileOverrides.model_validate(values).put_over(PROFILES["generic"]) == plain


EVERY_OVERRIDE = """
patch = true
put_groups = false
patch_paths = false
member_removal = "values"
member_type = true
group_members_required = true
groups_restored = true
members_per_patch = 20
body_bytes = 1000
etags = true
bulk = true
group_external_id = false
group_emptied_first = true
group_rename = false
deletes = "nothing"
delete_moves_content = true
one_group_per_user = true
leaves_first = true
subgroups = false
sibling = "lucid-admin"
members_read = "filter"
answers_updates = false
shows_active = false
paging = "single"
page_size = 1
user_filters = ["userName", "groups.value"]
group_filters = []
group_name_case = true
group_suffix = " (ours)"
sso_removal = true
adopt_by_email = true
pending_by_endpoint = true
pending_memberships = false
withdrawn_by_delete = false
requests_per_second = 0.5
reads_per_second = 2
user_writes_per_second = 0.25
group_writes_per_second = 3
burst = 7
"""


def test_every_override_goes_before_the_profile_and_nothing_else_changes(file: Path) -> None:
    assert compiled(file, SMALLEST + OVERRIDES).rules.profile == PROFILES["generic"]
    rules = compiled(file, SMALLEST + OVERRIDES + EVERY_OVERRIDE).rules
    assert asdict(rules.profile) == {
        "name": "generic",
        "patch": True,
        "put_groups": False,
        "patch_paths": False,
        "member_removal": "values",
        "member_type": True,
        "group_members_required": True,
        "members_per_patch": 20,
        "body_bytes": 1000,
        "etags": True,
        "bulk": True,
        "group_external_id": False,
        "group_emptied_first": True,
        "groups_restored": True,
        "group_rename": False,
        "deletes": "nothing",
        "delete_moves_content": True,
        "one_group_per_user": True,
        "leaves_first": True,
        "subgroups": False,
        "sibling": "lucid-admin",
        "integration": "",
        "group_kind": "",
        "members_read": "filter",
        "answers_updates": False,
        "shows_active": False,
        "paging": "single",
        "page_size": 1,
        "user_filters": ("userName", "groups.value"),
        "group_filters": (),
        "group_name_case": True,
        "group_suffix": " (ours)",
        "adopt_by_email": True,
        "pending_by_endpoint": True,
        "pending_memberships": False,
        "withdrawn_by_delete": False,
        "sso_removal": True,
        "requests_per_second": 0.5,
        "reads_per_second": 2.0,
        "user_writes_per_second": 0.25,
        "group_writes_per_second": 3.0,
        "burst": 7,
    }
    assert rules.rate == 0.5


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_override_makes_the_next_run_compare_again(file: Path, name: str) -> None:
    (line,) = [line for line in EVERY_OVERRIDE.splitlines() if line.startswith(f"{name} = ")]
    if name == "withdrawn_by_delete":
        line = "withdrawn_by_delete = true"
    if name == "answers_updates":
        line = "answers_updates = true"
    if name == "sso_removal":
        line += "\npending_by_endpoint = true"
    if name == "leaves_first":
        line += "\none_group_per_user = true"
    if name == "burst":
        line += "\nuser_writes_per_second = 1"
    plain, other = compiled(file, SMALLEST).rules, compiled(file, SMALLEST + OVERRIDES + line).rules
    assert plain.plan_mark(b"source", 1) != other.plan_mark(b"source", 1)


def test_an_override_can_say_no_and_nothing(file: Path) -> None:
    text = SMALLEST + 'profile = "lucidlink"\n' + OVERRIDES + 'group_suffix = ""\nadopt_by_email = false\n'
    profile = compiled(file, text).rules.profile
    assert (profile.name, profile.group_suffix, profile.adopt_by_email) == ("lucidlink", "", False)
    assert profile.pending_by_endpoint


def test_an_override_can_come_from_the_environment(file: Path) -> None:
    settings = loaded(
        file,
        SMALLEST,
        {
            "SYNCD__TARGET__LUCID__PROFILE_OVERRIDES__PATCH": "false",
            "SYNCD__TARGET__LUCID__PROFILE_OVERRIDES__USER_FILTERS": '["userName"]',
        },
    )
    assert settings.target[0].profile_overrides == ProfileOverrides(patch=False, user_filters=("userName",))


WRONG: dict[str, tuple[str, str]] = {
    "pach = true": ("pach", "no such key; did you mean `patch`?"),
    'patch = "sometimes"': ("patch", "true or false is wanted"),
    'deletes = "delete"': ("deletes", 'must be "deletes", "deactivates" or "nothing"; did you mean `deletes`?'),
    "members_per_patch = 0": ("members_per_patch", "at least 1 is wanted"),
    "body_bytes = 999": ("body_bytes", "at least 1000 is wanted"),
    "page_size = 0": ("page_size", "at least 1 is wanted"),
    "burst = 0": ("burst", "at least 1 is wanted"),
    "requests_per_second = 0": ("requests_per_second", "more than 0 is wanted"),
    "reads_per_second = -1": ("reads_per_second", "more than 0 is wanted"),
    "user_writes_per_second = 10001": ("user_writes_per_second", "at most 10000 is wanted"),
    'group_writes_per_second = "fast"': ("group_writes_per_second", "a number is wanted"),
    'user_filters = "userName"': ("user_filters", 'a list is wanted: ["…", "…"]'),
    'user_filters = ["username"]': (
        "user_filters[0]",
        'must be "userName", "externalId", "emails.value", "groups.value" or "id"; did you mean `userName`?',
    ),
    'group_filters = ["displayName", "groups.value"]': (
        "group_filters[1]",
        'must be "displayName", "externalId" or "id"',
    ),
}


@pytest.mark.parametrize("line", WRONG)
def test_an_override_that_is_none_is_refused_with_what_is_wanted(file: Path, line: str) -> None:
    key, problem = WRONG[line]
    assert faults(file, SMALLEST + OVERRIDES + line) == {f"target[lucid].profile_overrides.{key}": problem}


@pytest.mark.parametrize(
    ("profile", "lines", "problem"),
    [
        (
            "generic",
            "patch = false\nput_groups = false",
            "patch = false and put_groups = false: groups could never be changed",
        ),
        (
            "aws-identity-center",  # which says put_groups = false itself
            "patch = false",
            "patch = false and put_groups = false: groups could never be changed",
        ),
        (
            "lucid-content",
            'members_read = "filter"',
            'members_read = "filter" asks for users by groups.value, and `user_filters` doesn\'t name it',
        ),
        (
            "generic",
            'members_read = "filter"\nuser_filters = []',
            'members_read = "filter" asks for users by groups.value, and `user_filters` doesn\'t name it',
        ),
        (
            "slack",
            "withdrawn_by_delete = true",
            'withdrawn_by_delete = true and deletes = "deactivates": DELETE would withdraw nothing',
        ),
        (
            "generic",
            "sso_removal = true",
            "sso_removal = true and pending_by_endpoint = false: syncd would switch off who is pending then",
        ),
        (
            "generic",
            "leaves_first = true",
            "leaves_first = true and one_group_per_user = false: users can be in any number of groups",
        ),
        (
            "generic",
            "burst = 2",
            "`burst` means nothing without user_writes_per_second or group_writes_per_second",
        ),
    ],
)
def test_overrides_that_contradict_each_other_or_the_profile_are_refused(
    file: Path, profile: str, lines: str, problem: str
) -> None:
    text = SMALLEST + f'profile = "{profile}"\n' + OVERRIDES + lines
    assert faults(file, text) == {"target[lucid].profile_overrides": problem}


def test_no_profile_contradicts_itself() -> None:
    assert {name: profile.contradictions() for name, profile in PROFILES.items()} == {name: [] for name in PROFILES}


def test_a_rate_is_said_once(file: Path) -> None:
    text = SMALLEST + "rate = 5\n" + OVERRIDES + "requests_per_second = 5\n"
    problem = "says the same as `profile_overrides.requests_per_second`: give one of the two"
    assert faults(file, text) == {"target[lucid].rate": problem}


@pytest.mark.parametrize(
    ("profile", "overrides", "does"),
    [
        ("slack", "", "only switches the account off"),
        ("generic", 'deletes = "deactivates"', "only switches the account off"),
        ("generic", 'deletes = "nothing"', "does nothing"),
    ],
)
def test_deleting_is_refused_where_nobody_can_be_deleted(file: Path, profile: str, overrides: str, does: str) -> None:
    text = SMALLEST + f'delete_after = "90d"\nprofile = "{profile}"\n' + OVERRIDES + overrides
    problem = f"accounts can't be deleted there: DELETE {does} (profile `{profile}`); leave it out"
    assert faults(file, text) == {"target[lucid].delete_after": problem}
    compiled(file, text.replace('"90d"', '"never"'))


def test_an_override_that_is_wrong_itself_is_all_that_is_said(file: Path) -> None:
    text = SMALLEST + 'delete_after = "90d"\n' + OVERRIDES + 'deletes = "nothing at all"'
    assert list(faults(file, text)) == ["target[lucid].profile_overrides.deletes"]
