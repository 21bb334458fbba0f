"""The SCIM client (RFC 7643, RFC 7644): requests by construction, answers with every doubt that real endpoints earn."""
