"""An endpoint and an administrator for every test here, as the tests of the commands have them."""

from tests.system.conftest import _sandbox, admin, sandbox

__all__ = ["_sandbox", "admin", "sandbox"]
