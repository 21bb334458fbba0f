"""The LDAP source.

options                                what is to be read; presets
filters, names, ber, entries           the forms that LDAP gives to things
connect, connection, session, answers  one server
pull, waiting, source                  the reading
"""

from syncd.sources.ldap.options import PRESETS, LdapOptions, Preset
from syncd.sources.ldap.source import LdapSource

__all__ = ["PRESETS", "LdapOptions", "LdapSource", "Preset"]
