"""syncd keeps SCIM 2.0 targets in step with one source: LDAP, Active Directory or CSV."""

__version__ = "0.1.0"
