"""Write a large, always equal set of CSV files: people, groups with heavy-tailed sizes, memberships.

    python tests/bench/make_csv.py DIR --users 100000 --memberships 1000000 --groups 5000

The files have the columns of the samples. About every twentieth name is not ASCII, every fiftieth person is
disabled, every twentieth has an address in another mail domain.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

FIRST = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Ken", "Margaret", "Niklaus"]
LAST = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Perlman", "Thompson", "Hamilton", "Wirth"]
NOT_ASCII = ["Žofie Černá", "Łukasz Wójcik", "李 小龍", "Søren Ångström", "Ayşe Öztürk"]
DEPARTMENTS = ["Engineering", "Design", "Sales", "Finance", "Operations", "Contractors"]
TITLES = ["Engineer", "Designer", "Account manager", "Controller", "Director, Operations", "Analyst"]


def make_csv(
    folder: Path, users: int, memberships: int, groups: int, *, seed: int = 7, shuffled: bool = False
) -> tuple[Path, Path, Path]:
    """Write people.csv, groups.csv and members.csv, and return their paths in this order.

    Equal arguments make equal bytes. Memberships are in the order of the groups unless `shuffled`.
    Raises ValueError for more memberships than there can be.
    """
    if memberships > users * groups:
        raise ValueError(f"{groups} groups of {users} people have room for {users * groups} memberships")
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "people.csv", folder / "groups.csv", folder / "members.csv"
    chance = random.Random(seed)
    header = "employee_id,status,mail,first,last,display,preferred,title,department,manager_id"
    _write(paths[0], header, (_person(number, chance) for number in range(users)))
    names = (f"g{number},{chance.choice(DEPARTMENTS)} {number}" for number in range(groups))
    _write(paths[1], "id,name", names)
    rows = [
        f"g{group},{_key(user)}"
        for group, size in enumerate(group_sizes(users, memberships, groups))
        for user in chance.sample(range(users), size)
    ]
    if shuffled:
        chance.shuffle(rows)
    _write(paths[2], "group,member", iter(rows))
    return paths


def group_sizes(users: int, memberships: int, groups: int) -> list[int]:
    """Return sizes that add up to `memberships`, none above `users`, falling with 1/rank (Zipf's law)."""
    weights = [1 / rank for rank in range(1, groups + 1)]
    below = [*accumulate(reversed(weights))][::-1]
    sizes, left = [], memberships
    for weight, weights_left in zip(weights, below, strict=True):
        size = min(users, round(left * weight / weights_left))
        sizes.append(size)
        left -= size
    for rank, size in enumerate(sizes):
        more = min(left, users - size)
        sizes[rank] += more
        left -= more
    return sizes


def _key(number: int) -> str:
    return f"E{100_000 + number}"


def _person(number: int, chance: random.Random) -> str:
    if number % 20 == 19:
        first, last = NOT_ASCII[number // 20 % len(NOT_ASCII)].split(" ")
    else:
        first, last = chance.choice(FIRST), chance.choice(LAST)
    status = "disabled" if number % 50 == 49 else "active"
    domain = "partner.example.net" if number % 20 == 7 else "example.com"
    preferred = first[:2] if number % 7 == 0 else ""
    title = chance.choice(TITLES)
    manager = _key(number // 10) if number else ""
    cells = (
        _key(number),
        status,
        f"user{number}@{domain}",
        first,
        last,
        f"{first} {last}",
        preferred,
        f'"{title}"' if "," in title else title,
        chance.choice(DEPARTMENTS),
        manager,
    )
    return ",".join(cells)


def _write(path: Path, header: str, rows: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(header + "\n")
        file.writelines(row + "\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write people.csv, groups.csv and members.csv for measuring.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--memberships", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--shuffled", action="store_true", help="memberships in no order, not group by group")
    arguments = parser.parse_args()
    for path in make_csv(
        arguments.folder,
        arguments.users,
        arguments.memberships,
        arguments.groups,
        seed=arguments.seed,
        shuffled=arguments.shuffled,
    ):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
