"""Carrying out a plan: the gate, users, groups, members, collisions, recovery, shutdown."""
