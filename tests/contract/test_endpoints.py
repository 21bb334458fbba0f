"""The endpoint contract against real servers, each a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.contract.endpoint_contract import Endpoint, EndpointContract, HidingEndpoint
from tests.sandbox.process import Sandbox
from tests.servers import others


class SandboxEndpoint(EndpointContract):
    """The sandbox, playing the profile of the subclass."""

    settings: ClassVar[dict[str, str]] = {}
    reader: ClassVar[type[Endpoint]] = Endpoint

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        with Sandbox(self.profile, settings=self.settings) as sandbox:
            yield self.reader(sandbox.base_url, sandbox.token)


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


class TestAwsIdentityCenter(SandboxEndpoint):
    """Where groups hide their members, and PATCH is the only way to change them."""

    profile = "aws-identity-center"
    reader = HidingEndpoint
    required = """
        displayName = "{first} {last}"
        'emails[type eq "work"].primary' = true
    """


class TestOktaStyle(SandboxEndpoint):
    """Where every change is a PUT of the whole resource."""

    profile = "okta-style"


class TestScim2Server(EndpointContract):
    """PyPI's scim2-server as it comes: written by others, strict about the RFCs."""

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        with others.scim2_server() as endpoint:
            yield endpoint


class TestScimmy(EndpointContract):
    """npm's scimmy-routers: no Location, addresses without a host, ETags that If-Match ignores, 204 where a PATCH
    changes nothing, a member twice when added twice, and always the first page of 20."""

    overrides = "answers_updates = true"

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        with others.scimmy() as endpoint:
            yield endpoint


class TestDjangoScim(EndpointContract):
    """PyPI's django-scim2: of PATCH it knows `replace` of a few attributes, and lists of members to add or remove; all
    else is 501. A PUT leaves members as they are. A filter that it doesn't know finds nothing. A user and a group may
    have the same id. Errors give their status as a number."""

    emails = "emails"
    """It keeps one address, without a type."""
    extras = ()
    """It keeps nothing but name and address, and drops the rest without a word."""
    overrides = 'member_removal = "values"\nanswers_updates = true'

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        with others.django_scim() as endpoint:
            yield endpoint
