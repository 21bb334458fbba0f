"""A local SCIM 2.0 service provider for rehearsals: real HTTP, state in SQLite, the people's side and faults.

Owns everything behind `syncd sandbox`. Refuses to be imported by any other part of syncd but the command line,
and imports nothing of syncd but the core and the error tree: the sandbox must never share a mistake with the client.
"""
