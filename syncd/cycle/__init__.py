"""One sync and one full resync. `sync.py` reads from top to bottom; every other module is one of its steps.

Owns the order: recover, observe, gather, plan, gate, push, record. Reading a source, judging a
difference, sending a request and identifying the caller belong to other packages. The caller holds the lease.
"""
