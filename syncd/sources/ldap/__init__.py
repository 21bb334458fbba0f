"""The LDAP source: OpenLDAP, Active Directory, 389 DS, and POSIX accounts in any of them.

options, presets                       the keys of the configuration; kinds of directory
filters, names, ber, entries           the forms that LDAP gives to things
connect, connection, session, answers  one server
pull, lookup, waiting, source          the reading

Nothing is imported here: ldap3 is slow to import, and options.py is read with every configuration.
"""
