"""Carries out a plan at one target: phase by phase, the intent on disk before each write, the outcome after it.

It owns every write to a target, and the gate that each of them passes; what an answer means (applied, failed, unclear,
looked at); and what earlier runs left open. It refuses to write to what is neither linked nor created or taken over by
the change itself. It decides nothing: which changes there are, and which of them may run, the plan says.
"""
