"""What holds for every test: examples are drawn anew for new code, and are the same for the same code.

A search for new ones: `pytest --hypothesis-profile=search`.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", settings.get_profile("default"))
settings.load_profile("repeatable")
