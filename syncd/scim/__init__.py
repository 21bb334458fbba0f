"""The SCIM client (RFC 7643, RFC 7644): sends only valid requests, and verifies every answer."""
