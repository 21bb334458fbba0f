"""Source against snapshot: people, groups, addresses, who vanished; ends in a Plan. Writes nothing to a target."""
