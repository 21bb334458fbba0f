"""External people: domains are compared as in the DNS."""

from __future__ import annotations

import pytest

from syncd.core.mapping import EntryUnusable, ascii_domain
from tests.world import domains


@pytest.mark.parametrize(
    ("patterns", "address", "external"),
    [
        # Nobody is external where no domain is verified.
        ((), "ada@anywhere.example", False),
        ((), "no address at all", False),
        (("example.com",), "ada@example.com", False),
        (("example.com",), "Ada@EXAMPLE.Com", False),
        (("EXAMPLE.com",), "ada@example.com", False),
        (("example.com",), "ada@example.com.", False),
        (("example.com",), "ada@example.org", True),
        # A name that merely ends or begins alike is another domain.
        (("example.com",), "ada@badexample.com", True),
        (("example.com",), "ada@example.com.evil.example", True),
        (("example.com",), "ada@eu.example.com", True),
        # An at sign in the local part decides nothing: the last one does.
        (("example.com",), '"ada@example.com"@evil.example', True),
        (("*.example.com",), "ada@eu.example.com", False),
        (("*.example.com",), "ada@a.b.example.com", False),
        (("*.example.com",), "ada@example.com", True),
        (("*.example.com",), "ada@badexample.com", True),
        (("*.example.com",), "ada@.example.com", None),
        (("example.com", "*.example.com"), "ada@example.com", False),
        (("example.com", "*.example.com"), "ada@eu.example.com", False),
        (("example.com", "example.org"), "ada@example.org", False),
        # Internationalised names are equal in either form.
        (("bücher.example",), "ada@xn--bcher-kva.example", False),
        (("xn--bcher-kva.example",), "ada@BÜCHER.example", False),
        (("*.bücher.example",), "ada@eu.xn--bcher-kva.example", False),
        (("straße.example",), "ada@strasse.example", True),
        (("example.com",), "ada@ex\u0430mple.com", True),
        (("example.com",), "ada@ｅｘａｍｐｌｅ.com", False),
        # What has no domain is no outsider, but a fault.
        (("example.com",), "ada", None),
        (("example.com",), "ada@", None),
        (("example.com",), "@example.com", None),
        (("example.com",), "", None),
        (("example.com",), "ada@exa mple.com", None),
        (("example.com",), "ada@example..com", None),
        (("example.com",), "ada@" + "x" * 64 + ".com", None),
        (("example.com",), "ada@my_host.com", None),
    ],
)
def test_who_is_external(patterns: tuple[str, ...], address: str, external: bool | None) -> None:
    if external is None:
        with pytest.raises(EntryUnusable, match="has no domain that could be compared"):
            domains(*patterns).is_external(address)
    else:
        assert domains(*patterns).is_external(address) is external


@pytest.mark.parametrize("pattern", ["", "*.", "*", "exa mple.com", "*.*.example.com", "http://example.com", "a@b.c"])
def test_what_is_no_domain_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        domains(pattern)


def test_a_domain_has_one_spelling() -> None:
    assert ascii_domain(" BÜCHER.Example. ") == "xn--bcher-kva.example"
