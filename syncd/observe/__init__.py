"""The target as it is now: read whole, and compared with what it last acknowledged.

`reading.py` reads from top to bottom: its steps are modules of their own. `reconciling.py` then says in what the target
differs. Refuses to write to a target, and to take anything for gone that a target does not prove to be gone.
"""
