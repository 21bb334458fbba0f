"""The endpoint contract against real servers, each a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.contract.endpoint_contract import Endpoint, EndpointContract
from tests.sandbox.process import Sandbox
from tests.servers.slapd import free_port


class SandboxEndpoint(EndpointContract):
    """The sandbox, playing the profile of the subclass."""

    settings: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        with Sandbox(self.profile, settings=self.settings) as sandbox:
            yield Endpoint(sandbox.base_url, sandbox.token)


class TestGeneric(SandboxEndpoint):
    pass


class TestLucidLink(SandboxEndpoint):
    profile = "lucidlink"


class TestLucidLinkWithSuffix(SandboxEndpoint):
    """Where the API's displayName carries the mark that LucidLink shows to people."""

    profile = "lucidlink"
    suffix = " (SCIM)"
    settings: ClassVar[dict[str, str]] = {"suffix-in-api": "yes"}


class TestLucidContent(SandboxEndpoint):
    profile = "lucid-content"
    emails = "emails"
    lists_deactivated = False


class TestLucidAdmin(SandboxEndpoint):
    profile = "lucid-admin"
    emails = "emails"
    lists_deactivated = False


class TestScim2Server(EndpointContract):
    """PyPI's scim2-server as it comes: written by others, strict about the RFCs."""

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        port = str(free_port())
        command = [sys.executable, "-m", "scim2_server.testserver.cli", "--port", port, "--bearer-token", "secret"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            yield Endpoint(found[0], "secret")
        finally:
            process.terminate()
            process.communicate()
