"""The daemon: runs cycles on schedule and on request, answers commands, and sends notices of problems.

Owns the start of each cycle: alarms, the queue, one thread for each cycle, reload and shutdown. Refuses two concurrent
cycles of one target, callers that the kernel does not identify, and a faulty configuration. Cycles and operations are
the same functions that the commands call. Begin reading at `service.py`.
"""
