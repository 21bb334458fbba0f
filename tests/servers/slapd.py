"""A real OpenLDAP server on loopback, in the foreground: ready when it answers, stopped when it is left."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import ldap3

from tests.servers.ldif import BASE, PASSWORD, READER
from tests.servers.tls import Certificate

ADMIN = f"cn=admin,{BASE}"
ADMIN_PASSWORD = "all-mighty 2"
_START_SECONDS = 60
_UNLIMITED = "size.soft=unlimited size.hard=unlimited size.prtotal=unlimited time=unlimited"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/lib/openldap:/usr/bin")
    assert found, f"{name} is needed for this test: install OpenLDAP's server (Debian: slapd, ldap-utils)"
    return found


class Slapd:
    """One server with one database, filled from LDIF. A context manager.

    `READER` may read everything but passwords, within `limits` and as far as `access` lets; `ADMIN` may do anything.
    `database` and `top` are further lines of slapd.conf(5), in the database's part and before it.
    """

    def __init__(
        self,
        folder: Path,
        ldif: Iterable[str],
        *,
        schemas: Iterable[str] = (),
        limits: str = _UNLIMITED,
        access: str = "",
        database: str = "",
        top: str = "",
        certificate: Certificate | None = None,
    ) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._certificate = certificate
        (folder / "db").mkdir(parents=True)
        self._configuration = folder / "slapd.conf"
        files = ["core", "cosine", "inetorgperson", *schemas]
        tls = ""
        if certificate is not None:
            tls = f"TLSCertificateFile {certificate.certificate}\nTLSCertificateKeyFile {certificate.key}\n"
        self._configuration.write_text(
            "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in files)
            + f"""\
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
threads 4
sizelimit 500
{tls}{top}
database mdb
suffix "{BASE}"
rootdn "{ADMIN}"
rootpw "{ADMIN_PASSWORD}"
directory {folder}/db
maxsize 1073741824
dbnosync
index objectClass,entryUUID,member,uid eq
limits dn.exact="{READER}" {limits}
{access}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{READER}" read by * none
{database}
"""
        )
        loaded = subprocess.run(
            [_program("slapadd"), "-q", "-f", str(self._configuration)],
            input="".join(ldif).encode(),
            capture_output=True,
            check=False,
        )
        assert loaded.returncode == 0, loaded.stderr.decode()
        self.port, self.tls_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        urls = f"ldap://127.0.0.1:{self.port}/"
        if self._certificate is not None:
            urls += f" ldaps://127.0.0.1:{self.tls_port}/"
        # Goes down with us, even if we are killed. `none`: the log holds what is logged in any case.
        command = ["setpriv", "--pdeathsig", "KILL", _program("slapd"), "-h", urls]
        log = self.folder / "slapd.log"
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [*command, "-f", str(self._configuration), "-d", "none"], stdout=subprocess.DEVNULL, stderr=stderr
            )
        # It says nothing at the moment when it begins to listen: asking is the only way to know.
        deadline = monotonic() + _START_SECONDS
        while not _listens(self.port):
            ended = self._process.poll()
            assert ended is None, f"slapd did not start (it ended with {ended}):\n{log.read_text()}"
            assert monotonic() < deadline, f"slapd does not answer:\n{log.read_text()}"
            sleep(0.005)

    def stop(self) -> None:
        """Stop it, if it is running, and wait for its end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Kill it in the midst of whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_START_SECONDS)
        self._process = None

    def administrator(self) -> Any:
        """Return a connection that may do anything, and raises whatever goes wrong."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        return ldap3.Connection(server, ADMIN, ADMIN_PASSWORD, auto_bind=True, check_names=False, raise_exceptions=True)


__all__ = ["ADMIN", "ADMIN_PASSWORD", "PASSWORD", "READER", "Slapd", "free_port"]
