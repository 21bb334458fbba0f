"""Sources of people and groups, one module or package for each kind, read as a stream of entries.

options    how a source declares its keys of the configuration

A source knows no target, no snapshot and no configuration file. A reading is complete or raises; a partial reading
is never returned as a complete one.
"""
