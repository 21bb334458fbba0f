"""Source against snapshot, one target at a time, ending in a Plan.

Owns the steps from entries to a plan: people, absence, addresses, managers, groups and members, policy, estimate.
`compare.py` runs the steps in this order; each step is a module with one function or small class. `plan.py` then
makes the Plan. The core decides which changes follow from a difference; `observe/` reads targets.
Refuses to write: sends no request to a target, and only reads the snapshot. Updates to the snapshot are returned as a
value.
"""
