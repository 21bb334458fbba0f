"""Whether a target still is the place that its links belong to: looks at linked resources, and writes nothing."""
