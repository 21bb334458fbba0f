"""One sync and one full resync. `sync.py` reads from top to bottom; every other module is one of its steps.

Owns the order: recover, observe, gather, plan, gate, push, record. Refuses to know how a source is read, how a
difference is judged, how a request is sent and who asked: those have packages of their own. The caller holds the lease.
"""
