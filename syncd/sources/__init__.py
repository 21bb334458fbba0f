"""Sources: one file each, one line in the table of `open_source`, one subclass of the contract tests."""
