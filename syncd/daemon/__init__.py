"""The daemon: runs cycles on schedule and on request, answers commands, and lets people be told what is wrong.

It owns what begins when: alarms, the queue, one thread for each cycle, reload and shutdown. It refuses two cycles of
one target, callers that the kernel does not vouch for, and a configuration with a fault. A cycle itself, and what an
operation answers, are the same functions that the commands call. `service.py` is where to begin.
"""
