"""The target's present state: read whole, and compared with the last acknowledged state.

`reading.py` has the order of the steps, each a module of its own. `reconciling.py` then finds the drift.
Refuses to write to a target, and to treat a resource as gone without the target's proof.
"""
