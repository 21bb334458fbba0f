"""The configuration: its keys and their types, errors in words, and the working parts that are built from it.

Owns the TOML file and the environment. The keys of a source are declared by that source, and the overrides of a
profile by the profile; every other key is declared here. Reads no secret before it is used, and no source or target.
"""

from __future__ import annotations

from syncd.settings.configuration import Settings
from syncd.settings.environment import PREFIX as ENVIRONMENT_PREFIX
from syncd.settings.loading import DEFAULT_FILE, load
from syncd.settings.sources import CsvSettings, LdapSettings

__all__ = ["DEFAULT_FILE", "ENVIRONMENT_PREFIX", "CsvSettings", "LdapSettings", "Settings", "load"]
