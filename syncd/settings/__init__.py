"""The configuration: its keys and what they may be, errors in words, and the working parts that are built from it."""

from __future__ import annotations

from syncd.settings.configuration import (
    DEFAULT_FILE,
    ENVIRONMENT_PREFIX,
    CsvSettings,
    LdapSettings,
    Settings,
    load,
)

__all__ = ["DEFAULT_FILE", "ENVIRONMENT_PREFIX", "CsvSettings", "LdapSettings", "Settings", "load"]
