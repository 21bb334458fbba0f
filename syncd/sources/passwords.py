"""Attributes that hold passwords, hashes of passwords, keys or recovery codes. Pure.

No such attribute ever leaves the reading of an entry: a source's entries are mapped, reported, and kept in the state
file. A server shows such attributes to a privileged account.
"""

from __future__ import annotations

from typing import Final

from syncd.core.model import Wanted
from syncd.errors import SourceMismatch

_NAMES: Final = frozenset(
    # RFC 4519, RFC 3112, RFC 2798, RFC 2307; policies of OpenLDAP and 389 DS; and the first by its OID.
    "userpassword 2.5.4.35 password passwd authpassword userpkcs12 pwdhistory passwordhistory shadowpassword "
    "nsds5replicacredentials nsmultiplexorcredentials olcrootpw oathsecret oathhotptoken oathtotptoken "
    # Active Directory [MS-ADA1], [MS-ADA3], and LAPS.
    "unicodepwd dbcspwd ntpwdhistory lmpwdhistory supplementalcredentials unixuserpassword mssfu30password "
    "msds-managedpassword msds-credential ms-mcs-admpwd ms-mcs-admpwdhistory mslaps-password "
    "mslaps-encryptedpassword mslaps-encryptedpasswordhistory mslaps-encrypteddsrmpassword "
    "mslaps-encrypteddsrmpasswordhistory msfve-recoverypassword msfve-keypackage "
    "mspkiaccountcredentials mspkidpapimasterkeys mspki-credentialroamingtokens "
    "trustauthincoming trustauthoutgoing initialauthincoming initialauthoutgoing currentvalue priorvalue "
    # Samba, Kerberos, FreeIPA, eDirectory.
    "sambantpassword sambalmpassword sambapasswordhistory sambacleartextpassword sambapreviouscleartextpassword "
    "krbprincipalkey krbpwdhistory krbmkey krb5key ipanthash ipatokenotpkey ipatokenradiussecret "
    "nspmpassword nspmdistributionpassword nspmpasswordkey sasloginsecret sasloginsecretkey".split()
)
_ENDINGS: Final = ("password", "passwd", "pwd", "passphrase", "secret")


def holds_passwords(name: str) -> bool:
    """Return whether an attribute of that name is known to hold passwords or the like; options (`;x`) don't matter."""
    return name.partition(";")[0].casefold() in _NAMES


def demand_no_passwords(source: str, wanted: Wanted) -> None:
    """Raise SourceMismatch where a mapping or a rule names an attribute that holds passwords."""
    named = (wanted.user or frozenset()) | (wanted.group or frozenset())
    refused = ", ".join(f"`{name}`" for name in sorted(named) if holds_passwords(name))
    if refused:
        raise SourceMismatch(
            source,
            f"{refused}: what holds passwords or keys is never read",
            hint="take it out of the mapping or the rule; no target is ever sent one",
        )


def sounds_like_a_password(name: str) -> bool:
    """Return whether an attribute is known to hold passwords, or has a name that suggests so (`wifiPassword`)."""
    return holds_passwords(name) or name.partition(";")[0].casefold().endswith(_ENDINGS)
