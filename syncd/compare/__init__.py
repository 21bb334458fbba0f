"""Source against snapshot, one target at a time, ending in a Plan.

Owns the steps from entries to a plan: people, absence, addresses, managers, groups and members, policy, estimate.
`compare.py` runs the steps in this order; each step is a module with one function or small class. `plan.py` then
makes the Plan. What a single difference means is decided in the core, and how a target is read in `observe/`.
Refuses to write: a target is never asked, and the snapshot is only read. The updates to it are returned as a value.
"""
