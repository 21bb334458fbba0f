"""Calls to what an administrator names: a webhook that is posted to, or a command that is run.

Owns how such a call is made and how its failure is told. When it is made, and what follows, is decided by the callers.
"""
