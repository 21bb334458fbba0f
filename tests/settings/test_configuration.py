"""The configuration: valid files, every refused fault with its message, environment and paths."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.cli import cli
from syncd.compare.rules import TargetRules
from syncd.core.drift import DriftClass, Reaction
from syncd.core.groups import Nesting
from syncd.core.policy import Class, Limit
from syncd.errors import ConfigurationError
from syncd.settings import DEFAULT_FILE, CsvSettings, LdapSettings, load
from syncd.settings.build import Setup, compile_settings, read
from syncd.settings.secrets import Secret
from syncd.settings.sources import KINDS
from syncd.settings.target import DriftSettings
from tests.configurations import LDAP, MAPPING, SECRET, SMALLEST, SOURCE, TARGET, faults, loaded

ONE_OF_THE_KINDS = " or ".join(f'type = "{kind}"' for kind in KINDS)
EXAMPLES = Path(__file__).parents[2] / "config"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


# -- what loads --------------------------------------------------------------------------------------

CSV_CONFIGURATION = r"""
state = "/var/lib/syncd/syncd.db"

[source]
type = "csv"
users = "people.csv"
key = "employee_id"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"

[mapping.user]
userName = "{mail|lower}"
externalId = "{employee_id}"
"name.givenName" = "{first}"
"name.familyName" = "{last}"
displayName = ["{display}", "{first} {last}"]
'emails[type eq "work"].value' = "{mail|lower}"
title = "{title}"
nickName = { cel = 'preferred != "" ? preferred : first' }
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = "{department}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{manager_id}"

[[target]]
name = "lucid-content"
profile = "generic"
base_url = "https://users.lucid.app/scim/v2"
token = { credential = "lucid-token" }
verified_domains = ["example.com", "*.example.com"]
scope = 'department != "Contractors"'
groups = ["Engineering", "Design*"]
missing_grace = "24h"
delete_after = "never"
rate = 10
concurrency = 8

[target.limits]
deactivate = { percent = 10, count = 50, from = 20 }
delete_group = { count = 5 }
remove_members = { percent = 20, from = 20 }

[target.drift]
default = "enforce"
user_attributes = "report"

[schedule]
sync = "*/15 * * * *"
resync = "17 2 * * *"
jitter = "30s"
timezone = "Europe/Berlin"

[notify]
webhook = { url = "https://hooks.example.com/T0/B0?key=x" }
"""


def test_every_key_of_a_csv_configuration_means_what_it_says(file: Path) -> None:
    settings = loaded(file, CSV_CONFIGURATION)
    assert settings.state == Path("/var/lib/syncd/syncd.db")
    source = settings.source
    assert isinstance(source, CsvSettings)
    assert (source.users, source.key, source.active) == (Path("people.csv"), "employee_id", 'status == "active"')
    assert (source.groups, source.members, source.nested_groups) == (
        Path("groups.csv"),
        Path("members.csv"),
        Nesting.FLATTEN,
    )
    assert settings.mapping.user["displayName"] == ["{display}", "{first} {last}"]
    assert len(settings.mapping.user) == 10
    (target,) = settings.target
    assert (target.name, target.profile, target.base_url) == (
        "lucid-content",
        "generic",
        "https://users.lucid.app/scim/v2",
    )
    assert target.token.credential == "lucid-token"
    assert target.verified_domains == ["example.com", "*.example.com"]
    assert (target.scope, target.groups) == ('department != "Contractors"', ["Engineering", "Design*"])
    assert (target.missing_grace, target.delete_after) == (timedelta(hours=24), None)
    assert (target.rate, target.concurrency) == (10, 8)
    deactivate = target.limits[Class.DEACTIVATE]
    assert (deactivate.percent, deactivate.count, deactivate.base) == (10, 50, 20)
    assert target.limits[Class.DELETE_GROUP].count == 5
    assert (target.limits[Class.REMOVE_MEMBERS].percent, target.limits[Class.REMOVE_MEMBERS].count) == (20, None)
    assert (target.drift.default, target.drift.user_attributes, target.drift.group_renamed) == (
        "enforce",
        "report",
        None,
    )
    schedule = settings.schedule
    assert (schedule.sync, schedule.resync, schedule.jitter, schedule.timezone) == (
        "*/15 * * * *",
        "17 2 * * *",
        timedelta(seconds=30),
        "Europe/Berlin",
    )
    assert settings.notify.webhook is not None
    assert settings.notify.webhook.url == "https://hooks.example.com/T0/B0?key=x"


def test_every_key_of_an_ldap_configuration_means_what_it_says(file: Path) -> None:
    settings = loaded(
        file,
        """
        [source]
        type = "ldap"
        urls = ["ldaps://dc1.example.com", "ldaps://dc2.example.com"]
        start_tls = false
        ca_file = "/etc/syncd/ca.pem"
        bind_dn = "cn=syncd,ou=services,dc=example,dc=com"
        password = { credential = "ldap-password" }
        base_dn = "dc=example,dc=com"
        user_filter = "(objectClass=inetOrgPerson)"
        group_filter = "(objectClass=groupOfNames)"
        preset = "openldap"
        page_size = 1000
        nested_groups = "flatten"
        """
        + MAPPING
        + TARGET,
    )
    source = settings.source
    assert isinstance(source, LdapSettings)
    assert source.urls == ("ldaps://dc1.example.com", "ldaps://dc2.example.com")
    assert (source.start_tls, source.ca_file) == (False, Path("/etc/syncd/ca.pem"))
    assert source.bind_dn == "cn=syncd,ou=services,dc=example,dc=com"
    assert source.password is not None
    assert source.password.credential == "ldap-password"
    assert (source.base_dn, source.user_filter, source.group_filter) == (
        "dc=example,dc=com",
        "(objectClass=inetOrgPerson)",
        "(objectClass=groupOfNames)",
    )
    assert (source.preset, source.page_size, source.nested_groups) == ("openldap", 1000, Nesting.FLATTEN)


def test_the_smallest_configuration_has_safe_defaults(file: Path) -> None:
    settings = loaded(file, SMALLEST)
    (target,) = settings.target
    assert settings.state == Path("/var/lib/syncd/syncd.db")
    assert (target.profile, target.missing_grace, target.delete_after, target.drift.default) == (
        "generic",
        timedelta(hours=24),
        None,
        "enforce",
    )
    assert settings.schedule.sync == "15m"


def rules(file: Path, text: str) -> TargetRules:
    return compile_settings(loaded(file, SMALLEST + text), file).targets[0].rules


def test_people_who_are_protected_are_named_in_any_case(file: Path) -> None:
    assert rules(file, 'protect = ["Ada@Example.com", "1001", " Straße "]').protect == {
        "ada@example.com",
        "1001",
        "strasse",
    }
    assert rules(file, "").protect == frozenset()


def test_groups_are_taken_over_by_name_only_when_that_is_said(file: Path) -> None:
    assert rules(file, "").adopt_groups is False
    assert rules(file, "adopt_groups = true").adopt_groups is True


def test_accounts_are_deleted_only_when_that_is_said(file: Path) -> None:
    assert rules(file, "").delete_after is None
    assert rules(file, 'delete_after = "90d"').delete_after == timedelta(days=90)


def test_an_approval_is_good_for_a_day_unless_said_otherwise(file: Path) -> None:
    assert compile_settings(loaded(file, SMALLEST), file).targets[0].approval_lasts == timedelta(hours=24)
    longer = compile_settings(loaded(file, SMALLEST + 'approval_lasts = "1w"'), file)
    assert longer.targets[0].approval_lasts == timedelta(days=7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Limit(percent=10, count=50, base=20)),
        ('{ hold = "always" }', Limit(percent=10, count=50, base=20, always=True)),
        ('{ hold = "always", from = 5 }', Limit(percent=10, count=50, base=5, always=True)),
        ('{ hold = "always", count = 3 }', Limit(count=3, always=True)),
        ("{ percent = 5, from = 100 }", Limit(percent=5, base=100)),
    ],
)
def test_a_limit_is_what_it_says_and_otherwise_what_it_is_without_a_word(
    file: Path, text: str, expected: Limit
) -> None:
    found = rules(file, f"[target.limits]\ndeactivate = {text}\n" if text else "")
    assert found.policy.limits[Class.DEACTIVATE] == expected
    assert found.policy.limits[Class.DELETE_GROUP] == Limit(count=5)


def test_drift_is_put_back_unless_its_class_or_all_are_only_reported(file: Path) -> None:
    assert {rules(file, "").drift.to(each) for each in DriftClass} == {Reaction.ENFORCE}
    one = rules(file, '[target.drift]\nuser_attributes = "report"\n').drift
    assert [each for each in DriftClass if one.to(each) is Reaction.REPORT] == [DriftClass.USER_ATTRIBUTES]
    others = rules(file, '[target.drift]\ndefault = "report"\nmember_added = "enforce"\n').drift
    assert [each for each in DriftClass if others.to(each) is Reaction.ENFORCE] == [DriftClass.MEMBER_ADDED]


def test_every_class_of_drift_can_be_configured() -> None:
    assert set(DriftSettings.model_fields) == {"default", *(each.value for each in DriftClass)}


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_loads_and_compiles(example: Path) -> None:
    assert isinstance(read(example), Setup)


def test_there_is_an_example_for_every_kind_of_source() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.toml")} >= {
        "csv",
        "openldap",
        "active-directory",
        "389ds",
        "posix",
    }


def test_a_byte_order_mark_is_no_fault(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.encode())
    assert load(file, {}).target[0].name == "lucid"


# -- the file itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"state = \n", "not valid TOML: Invalid value (at line 1, column 9)"),
        (b'a = 1\nb = "x\n', "not valid TOML: Illegal character '\\n' (at line 2, column 7)"),
        (b"[source]\n[source]\n", "not valid TOML: Cannot declare ('source',) twice (at line 2, column 8)"),
        (b'a = 1\n# fine\nname = "Zo\xeb"\n', "line 3: not text in UTF-8 (byte 0xeb)"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(file: Path, content: bytes, problem: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    assert str(caught.value) == f"{file}: 1 fault; nothing was done\n  {problem}"


def test_a_missing_file_points_to_init(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory; `syncd init` writes one to start from"):
        load(file, {})


def test_a_file_of_this_folder_is_named_where_the_default_is_missing_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = tmp_path / "etc" / "syncd.toml"
    monkeypatch.setattr("syncd.settings.loading.DEFAULT_FILE", default)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="No such file or directory; `syncd init` writes one to start from"):
        load(default, {})
    (tmp_path / "syncd.toml").write_text(SMALLEST)
    with pytest.raises(ConfigurationError) as caught:
        load(default, {})
    assert str(caught.value) == (
        f"{default}: 1 fault; nothing was done\n"
        "  No such file or directory; there is a syncd.toml in this folder: `syncd -c syncd.toml …`"
    )
    with pytest.raises(ConfigurationError, match="`syncd init` writes one"):  # whoever names a file means that file
        load(tmp_path / "other.toml", {})


def test_the_commands_read_the_default_that_the_settings_know() -> None:
    command = cli.commands["check"]
    (option,) = [each for each in command.params if each.name == "config"]
    assert option.default == DEFAULT_FILE


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load(tmp_path, {})


def test_the_command_line_says_all_faults_without_a_traceback(file: Path) -> None:
    file.write_text(SMALLEST.replace("key", "kye") + "rte = 5\n")
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "plan", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"syncd: {file}: 3 faults; nothing was done\n"
        "  source.key: missing: it has no default\n"
        "  source.kye: no such key; did you mean `key`?\n"
        "  target[lucid].rte: no such key; did you mean `rate`?\n"
    )


# -- faults ------------------------------------------------------------------------------------------


def test_every_fault_is_said_at_once_with_its_key_and_the_nearest_known_one(file: Path) -> None:
    text = f"""
    stat = "x"
    state = 5
    _env_file = "x"
    [source]
    type = "csv"
    user = "people.csv"
    users = 7
    key = "id"
    active = 'status = "active"'
    members = "m.csv"
    delimiter = "|"
    nested_groups = "flat"
    [mapping.user]
    name.givenName = "{{first}}"
    displayName = ["{{a}}", 5]
    titel = "{{t}}"
    title = "{{t|uper}}"
    nickName = {{ cel = 'foo(x)' }}
    active = true
    [mapping.group]
    members = "{{x}}"
    [[target]]
    name = "a b"
    profile = "generik"
    base_url = "http://example.com"
    token = "{SECRET}"
    verified_domains = "example.com"
    groups = "x"
    protect = ["ada@example.com", " "]
    adopt_groups = "perhaps"
    approval_lasts = "0s"
    missing_grace = 24
    delete_after = "90x"
    rate = 0
    concurrency = "many"
    drifft = 1
    scope = 'a == '
    [target.limits]
    deactivat = {{ count = 1 }}
    deactivate = {{ percent = 200, cuont = 1 }}
    delete_group = {{}}
    [target.drift]
    default = "ignore"
    user_atributes = "report"
    [[target]]
    name = "two"
    base_url = "https://user:{SECRET}@example.com"
    token = {{ env = "{SECRET} " }}
    verified_domains = ["exa mple.com"]
    ca_file = 5
    [[target]]
    name = "three"
    token = {{ credential = "a", env = "B" }}
    missing_grace = "99999999999999w"
    [schedule]
    sync = "99 * * * *"
    resync = "0s"
    jitter = "1y"
    timezone = "Europe/Bern"
    [notify]
    webhook = {{ url = "http://hooks.example.com/{SECRET}" }}
    [notifi]
    """
    found = faults(file, text)
    scope = found.pop("target[a b].scope")
    assert scope.startswith("not valid CEL at character 6")
    active = found.pop("source.active")
    assert active.startswith("not valid CEL at character 8")
    assert found == {
        "stat": "no such key; did you mean `state`?",
        "state": "a path in quotes is wanted",
        "_env_file": "no such key",
        "source.user": "no such key; did you mean `users`?",
        "source.users": "a path in quotes is wanted",
        "source.members": "`groups` and `members` belong together: give both files, or neither",
        "source.delimiter": 'must be ",", ";" or "\\t"',
        "source.nested_groups": 'must be "flatten", "keep" or "ignore"; did you mean `flatten`?',
        "mapping.user.name": 'a path with a dot needs quotes: "name.givenName" = …',
        "mapping.user.displayName": 'wanted: a template "{mail}", a list of them, true or false, or { cel = "…" }',
        "mapping.user.titel": "the schema urn:ietf:params:scim:schemas:core:2.0:User has no attribute `titel`; "
        "did you mean `title`?",
        "mapping.user.title": "`{t|uper}`: no filter is called `uper`; did you mean `upper`?",
        "mapping.user.nickName": "CEL has no function `foo`; did you mean `floor`?",
        "mapping.user.active": "`active` can't be mapped: set by the source's `active` rule and the target's `scope`",
        "mapping.user.userName": "must be mapped: every SCIM user has one (RFC 7643 section 4.1.1)",
        "mapping.group.members": "`members` can't be mapped: written by syncd from the source's memberships",
        "target[a b].name": "letters, digits, `.`, `_` and `-` are wanted, a letter or digit first",
        "target[a b].profile": found["target[a b].profile"],
        "target[a b].base_url": "http:// would send the token in clear: use https://",
        "target[a b].token": 'a secret is named here, not written: { credential = "…" }, { env = "…" } or '
        '{ file = "…" }',
        "target[a b].verified_domains": 'a list is wanted: ["…", "…"]',
        "target[a b].groups": 'a list is wanted: ["…", "…"]',
        "target[a b].protect[1]": "a name is wanted, and this one is empty",
        "target[a b].adopt_groups": "true or false is wanted",
        "target[a b].approval_lasts": "`0s` is not longer than 0s",
        "target[a b].missing_grace": '`24` is not a duration such as "30s", "15m", "24h" or "90d"',
        "target[a b].delete_after": '`90x` is not a duration such as "30s", "15m", "24h" or "90d"',
        "target[a b].rate": "more than 0 is wanted",
        "target[a b].concurrency": "a whole number is wanted",
        "target[a b].drifft": "no such key; did you mean `drift`?",
        "target[a b].limits.deactivat": "no such key; did you mean `deactivate`?",
        "target[a b].limits.deactivate.percent": "at most 100 is wanted",
        "target[a b].limits.deactivate.cuont": "no such key; did you mean `count`?",
        "target[a b].limits.delete_group": 'give `percent`, `count` or both, or hold = "always"',
        "target[a b].drift.default": 'must be "enforce" or "report"',
        "target[a b].drift.user_atributes": "no such key; did you mean `user_attributes`?",
        "target[two].base_url": "an address without a user's name and password is wanted",
        "target[two].token.env": "the name of an environment variable is wanted: letters, digits and `_`",
        "target[two].verified_domains[0]": found["target[two].verified_domains[0]"],
        "target[two].ca_file": "a path in quotes is wanted",
        "target[three].base_url": "missing: it has no default",
        "target[three].token": 'name the secret one way: { credential = "…" }, { env = "…" } or { file = "…" }',
        "target[three].missing_grace": "`99999999999999w` is longer than a hundred years",
        "schedule.sync": "`99 * * * *`: `99` is not a minute of cron: 0 to 59, `*`, `*/2`, `1-5` or a list",
        "schedule.resync": '`0s` is neither cron ("*/15 * * * *") nor a duration ("15m")',
        "schedule.jitter": '`1y` is not a duration such as "30s", "15m", "24h" or "90d"',
        "schedule.timezone": '`Europe/Bern` is not a time zone such as "Europe/Berlin"',
        "notify.webhook.url": "http:// would send the notices in clear: use https://",
        "notifi": "no such key; did you mean `notify`?",
    }
    assert found["target[a b].profile"].startswith("no profile is called `generik`; did you mean `generic`?")
    assert found["target[two].verified_domains[0]"].startswith("'exa mple.com' is not a domain")
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            {
                "source": f"missing: a table [source] with {ONE_OF_THE_KINDS}",
                "mapping": 'missing: a table [mapping.user] with at least userName = "{mail}"',
                "target": "missing: at least one [[target]]",
            },
        ),
        (
            SOURCE + "[mapping]\n" + TARGET,
            {"mapping.user": 'missing: a table [mapping.user] with at least userName = "{mail}"'},
        ),
        (
            SOURCE + MAPPING + TARGET.replace("[[target]]", "[target]"),
            {"target": "write [[target]], with two brackets: there can be several"},
        ),
        ("target = []\n" + SOURCE + MAPPING, {"target": "at least one is wanted"}),
        (SMALLEST + TARGET, {"target": "2 targets are called `lucid`"}),
        (
            SMALLEST + TARGET + "rate = -1\n",
            {"target": "2 targets are called `lucid`", "target[lucid].rate": "more than 0 is wanted"},
        ),
        (SMALLEST.replace('type = "csv"\n', ""), {"source": f"needs {ONE_OF_THE_KINDS}"}),
        (SMALLEST.replace('"csv"', '"cvs"'), {"source.type": f"must be {ONE_OF_THE_KINDS.replace('type = ', '')}"}),
        ("source = 5\n" + MAPPING + TARGET, {"source": "a table is wanted"}),
        (
            SOURCE + TARGET + "[mapping]\nuser = 5\n",
            {"mapping.user": "a table is wanted: SCIM paths on the left, templates on the right"},
        ),
        (SMALLEST + 'ca_flie = "x"\n', {"target[lucid].ca_flie": "no such key; did you mean `ca_file`?"}),
        (SMALLEST + 'zzz = "x"\n', {"target[lucid].zzz": "no such key"}),
        (
            "drain = '11m'\n" + SMALLEST + "timeout = '0s'\nproxy = 'socks5://p.example.com'\n",
            {
                "drain": "between 0s and 10m is wanted",
                "target[lucid].timeout": "between 1s and 10m is wanted",
                "target[lucid].proxy": "not an address such as http://proxy.example.com:3128",
            },
        ),
        (
            SMALLEST + f"timeout = '601s'\nproxy = 'http://a:{SECRET}@p.example.com'\nproxy_auth = 'a:{SECRET}'\n",
            {
                "target[lucid].timeout": "between 1s and 10m is wanted",
                "target[lucid].proxy": (
                    "an address without a user's name and password is wanted: those come as `proxy_auth`"
                ),
                "target[lucid].proxy_auth": (
                    'a secret is named here, not written: { credential = "…" }, { env = "…" } or { file = "…" }'
                ),
            },
        ),
        (
            SMALLEST + "proxy = 'http://p.example.com/there'\n",
            {"target[lucid].proxy": "not an address such as http://proxy.example.com:3128"},
        ),
        (SMALLEST + "proxy_auth = { env = 'A' }\n", {"target[lucid].proxy_auth": "needs a `proxy` beside it"}),
        (
            SMALLEST + "[schedule]\nsynk = 1\n[notify.webhook]\nuri = 1\n",
            {
                "schedule.synk": "no such key; did you mean `sync`?",
                "notify.webhook.url": "missing: it has no default",
                "notify.webhook.uri": "no such key; did you mean `url`?",
            },
        ),
        (
            LDAP + "page_size = 0\npreset = 'edirectory'\nbase = 1\nconnect_timeout = '0s'\n" + MAPPING + TARGET,
            {
                "source.page_size": "at least 1 is wanted",
                "source.preset": 'must be "openldap", "ad", "389ds" or "posix"',
                "source.base": "no such key; did you mean `base_dn`?",
                "source.connect_timeout": "`0s` is not longer than 0s",
            },
        ),
    ],
)
def test_a_fault_is_said_as_an_administrator_reads_it(file: Path, text: str, expected: dict[str, str]) -> None:
    assert faults(file, text) == expected


# -- the environment ---------------------------------------------------------------------------------


def test_every_key_can_be_set_from_the_environment(file: Path) -> None:
    second = TARGET.replace('"lucid"', '"Second.One-2"')
    settings = loaded(
        file,
        SMALLEST + second,
        {
            "SYNCD__STATE": "/tmp/x.db",  # noqa: S108
            "SYNCD__SOURCE__KEY": "id",
            "SYNCD__SOURCE__NESTED_GROUPS": "keep",
            "SYNCD__MAPPING__USER__USERNAME": "{login}",
            "SYNCD__TARGET__LUCID__RATE": "2.5",
            "SYNCD__TARGET__0__CONCURRENCY": "3",
            "SYNCD__TARGET__SECOND_ONE_2__GROUPS": '["A", "B*"]',
            "SYNCD__TARGET__1__TOKEN": '{ file = "t" }',
            "SYNCD__TARGET__1__LIMITS__DEACTIVATE": "{ count = 1 }",
            "SYNCD__TARGET__1__DRIFT": '{"default": "report", "user_deleted": "enforce"}',
            "SYNCD__TARGET__2__NAME": "third",
            "SYNCD__TARGET__2__BASE_URL": "https://third.example.com/v2",
            "SYNCD__TARGET__2__TOKEN__ENV": "THIRD_TOKEN",
            "SYNCD__SCHEDULE__SYNC": "1h",
            "SYNCD_CONFIG": "not a key",
            "LUCID_TOKEN": "not a key either",
        },
    )
    assert settings.state == Path("/tmp/x.db")  # noqa: S108
    assert isinstance(settings.source, CsvSettings)
    assert (settings.source.key, settings.source.nested_groups) == ("id", Nesting.KEEP)
    assert settings.mapping.user == {"userName": "{login}"}
    assert (settings.target[0].rate, settings.target[0].concurrency) == (2.5, 3)
    assert settings.target[1].groups == ["A", "B*"]
    assert settings.target[1].token.file == Path("t")
    assert settings.target[1].limits[Class.DEACTIVATE].count == 1
    assert (settings.target[1].drift.default, settings.target[1].drift.user_deleted) == ("report", "enforce")
    assert (settings.target[2].name, settings.target[2].token.env) == ("third", "THIRD_TOKEN")
    assert settings.schedule.sync == "1h"


def test_another_way_to_a_secret_replaces_that_of_the_file(file: Path) -> None:
    settings = loaded(file, SMALLEST, {"SYNCD__TARGET__0__TOKEN__FILE": "elsewhere"})
    assert settings.target[0].token == Secret(file=Path("elsewhere"))
    two_ways = {"SYNCD__TARGET__0__TOKEN__FILE": "elsewhere", "SYNCD__TARGET__0__TOKEN__CREDENTIAL": "x"}
    assert list(faults(file, SMALLEST, two_ways)) == ["target[lucid].token"]


def test_a_file_needs_no_target_where_the_environment_has_one(file: Path) -> None:
    start = SMALLEST[: SMALLEST.index("[[target]]")]
    target = {
        "SYNCD__TARGET__0__NAME": "lucid",
        "SYNCD__TARGET__0__BASE_URL": "https://users.lucid.app/scim/v2",
        "SYNCD__TARGET__0__TOKEN__ENV": "LUCID_TOKEN",
    }
    assert [each.name for each in loaded(file, start, target).target] == ["lucid"]
    whole = json.dumps([{"name": "a", "base_url": "https://a.example.com", "token": {"env": "A"}}])
    assert [each.name for each in loaded(file, start, {"SYNCD__TARGET": whole}).target] == ["a"]


@pytest.mark.parametrize(
    ("name", "value", "key", "problem"),
    [
        (
            "SYNCD__SOURCE__KYE",
            "x",
            "source.kye (from SYNCD__SOURCE__KYE)",
            "no such key; did you mean `key`?",
        ),
        ("SYNCD__SHEDULE__SYNC", "1h", "shedule (from SYNCD__SHEDULE__SYNC)", "no such key; did you mean `schedule`?"),
        (
            "SYNCD__TARGET__LUCIT__RATE",
            "1",
            "SYNCD__TARGET__LUCIT__RATE",
            "no target is called `lucit`; did you mean `lucid`?",
        ),
        ("SYNCD__TARGET__2__RATE", "1", "SYNCD__TARGET__2__RATE", "no target is called `2`"),
        ("SYNCD__TARGET__LUCID", "x", "target[0] (from SYNCD__TARGET__LUCID)", "a table is wanted"),
        ("SYNCD__STATE__FILE", "x", "state (from SYNCD__STATE__FILE)", "a path in quotes is wanted"),
        ("SYNCD__SOURCE__KEY__X", "x", "SYNCD__SOURCE__KEY__X", "`source.key` is no table: `x` has no place in it"),
        (
            "SYNCD__MAPPING__USER__NICKNAME",
            '{ cell = "name" }',
            "mapping.user.nickname (from SYNCD__MAPPING__USER__NICKNAME)",
            "no such key in the table: `cell`; did you mean `cel`?",
        ),
        (
            "SYNCD__TARGET__LUCID__NAME__X",
            "x",
            "SYNCD__TARGET__LUCID__NAME__X",
            "`target.0.name` is no table: `x` has no place in it",
        ),
        (
            "SYNCD__TARGET__LUCID__CONCURRENCY",
            "many",
            "target[lucid].concurrency (from SYNCD__TARGET__LUCID__CONCURRENCY)",
            "a whole number is wanted",
        ),
        (
            "SYNCD__TARGET__LUCID__GROUPS",
            "[1, 2",
            "target[lucid].groups (from SYNCD__TARGET__LUCID__GROUPS)",
            'a list is wanted: ["…", "…"]',
        ),
        (
            "SYNCD__TARGET__LUCID__TOKEN",
            SECRET,
            "target[lucid].token (from SYNCD__TARGET__LUCID__TOKEN)",
            'a secret is named here, not written: { credential = "…" }, { env = "…" } or { file = "…" }',
        ),
        (
            "SYNCD__SOURCE__TYPE",
            "x",
            "source.type (from SYNCD__SOURCE__TYPE)",
            f"must be {ONE_OF_THE_KINDS.replace('type = ', '')}",
        ),
    ],
)
def test_a_variable_that_is_wrong_is_named(file: Path, name: str, value: str, key: str, problem: str) -> None:
    assert faults(file, SMALLEST, {name: value}) == {key: problem}
    assert SECRET not in key + problem


# -- where files are ---------------------------------------------------------------------------------


def test_relative_paths_are_relative_to_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "etc"
    folder.mkdir()
    monkeypatch.chdir(elsewhere)
    file = folder / "syncd.toml"
    text = 'state = "data/syncd.db"\n' + SMALLEST + 'ca_file = "ca.pem"\n'
    for given in (file, Path("../etc/syncd.toml")):
        setup = compile_settings(loaded(given, text), given)
        assert setup.state == folder / "data/syncd.db"
        assert setup.targets[0].ca_file == folder / "ca.pem"
        assert setup.source.name.endswith("people.csv")
    absolute = compile_settings(loaded(file, text.replace("data/syncd.db", "/var/lib/x.db")), file)
    assert absolute.state == Path("/var/lib/x.db")


def test_a_target_that_is_not_configured_is_refused_with_those_that_are(file: Path) -> None:
    setup = compile_settings(loaded(file, SMALLEST), file)
    assert [target.name for target in setup.chosen(None)] == ["lucid"]
    with pytest.raises(ConfigurationError, match="none is called `slack`; there are: lucid"):
        setup.chosen("slack")
