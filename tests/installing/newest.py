"""Find the dependency whose newest permitted version breaks syncd."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def blame(
    found: Mapping[str, str],
    locked: Mapping[str, str],
    works_with: Callable[[str, str], bool],
) -> str:
    """Say in words which of the newer packages is at fault. Each is put back alone to see whether that mends it.

    `found`: what is installed and fails. `works_with(name, version)`: whether it works with that one put back.
    """
    newer = {name: version for name, version in sorted(found.items()) if version != locked.get(name, version)}
    if not newer:
        return "it fails with the locked versions: no dependency is newer"
    guilty = [name for name in newer if works_with(name, locked[name])]
    if guilty:
        said = " or ".join(f"{name} {newer[name]} (it works with {locked[name]})" for name in guilty)
        return f"broken by {said}: narrow its range in pyproject.toml, or follow the change"
    said = ", ".join(f"{name} {version} (locked: {locked[name]})" for name, version in newer.items())
    return f"broken by more than one of the newer packages: {said}"
