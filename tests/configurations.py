"""Small valid configurations, and faulty ones with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import Settings, load

SECRET = "s3cr3t-never-to-be-seen"

SOURCE = """
[source]
type = "csv"
users = "people.csv"
key = "employee_id"
"""
MAPPING = """
[mapping.user]
userName = "{mail|lower}"
"""
TARGET = """
[[target]]
name = "lucid"
base_url = "https://scim.example.com/v2"
token = { env = "LUCID_TOKEN" }
"""
SMALLEST = SOURCE + MAPPING + TARGET
LDAP = """
[source]
type = "ldap"
urls = ["ldaps://dc1.example.com"]
base_dn = "dc=example,dc=com"
"""


def loaded(file: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Write a configuration and load it."""
    file.write_text(text, encoding="utf-8")
    return load(file, environment or {})


def faults(file: Path, text: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is wrong with a configuration, by key."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(file, text, environment)
    found = {fault.key: fault.problem for fault in caught.value.faults}
    assert len(found) == len(caught.value.faults), "two faults of one key"
    return found
