"""The invariants that are asked after every run: one state machine each, all with the same life."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.invariants import laws
from tests.invariants.life import Life, live
from tests.invariants.service import Service


def test_01_native_is_never_written(service: Service) -> None:
    class Natives(Life):
        laws = (laws.native_is_never_written,)

    live(Natives, service)


def test_02_nobody_is_removed_without_proof_of_absence(service: Service) -> None:
    class Leavers(Life):
        laws = (laws.nobody_is_removed_without_proof,)

    live(Leavers, service)


def test_06_the_plan_tells_the_truth(service: Service) -> None:
    class Plans(Life):
        laws = (laws.the_plan_tells_the_truth,)

    live(Plans, service)


def test_07_pending_is_respected(service: Service) -> None:
    class Outsiders(Life):
        laws = (laws.pending_is_respected,)
        outsiders = True

    live(Outsiders, service)


def test_10_secrets_stay_secret(service: Service) -> None:
    class Secrets(Life):
        laws = (laws.secrets_stay_secret,)

        @rule(title=st.sampled_from(["Chief", "Intern"]))
        def the_service_tells_tales(self, title: str) -> None:
            """What it is asked for comes back in its error, the token with it."""
            self.service.tells_tales = True
            for person in self.world.source.people.values():
                person.title = title
            self.world.cycle()
            self.service.tells_tales = False

    live(Secrets, service)


def test_11_order_is_kept(service: Service) -> None:
    class Order(Life):
        laws = (laws.order_is_kept,)

    live(Order, service)
