"""The target as it is now: read whole, and compared with what it last acknowledged. Never writes to a target."""
