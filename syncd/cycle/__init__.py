"""One cycle from top to bottom: planning, sync, and the jobs that people and the schedule ask for."""
