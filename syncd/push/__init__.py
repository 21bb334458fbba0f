"""Carries out a plan at one target: phase by phase, the intent on disk before each write, the outcome after it.

Owns every write to a target, the gate that each write passes, the meaning of an answer (applied, failed, unclear), and
the recovery of changes that earlier runs left open. Refuses to write to a resource that is neither linked nor created
or adopted by the change itself. Decides nothing: the plan has the changes, and says which of them may run.
"""
