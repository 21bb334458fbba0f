"""An installation gives the locked versions, whatever newer releases an index has, however old pip is.

The newer releases break when they are imported, so `syncd check` is the proof that none of them came along.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installing.index import BROKEN, Index
from tests.installing.places import (
    ROOT,
    copy_of_the_project,
    installed,
    locked,
    locked_wheels,
    newer_wheels,
    python_with_an_old_pip,
    run,
    surroundings,
)
from tests.sandbox.process import Sandbox
from tests.servers.tls import Authority


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with Index(locked_wheels(), newer_wheels()) as index:
        yield index


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def trusted(authority: Authority) -> Iterator[Index]:
    """The index over TLS, with a certificate of the house's own authority."""
    issued = authority.issue("127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(issued.certificate, issued.key)
    with Index(locked_wheels(), newer_wheels(), tls=tls) as index:
        yield index


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with_an_old_pip(tmp_path_factory.mktemp("python"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_project(tmp_path_factory.mktemp("a clone"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def assert_locked_and_working(environment: Path, sandbox: Sandbox, folder: Path) -> None:
    """Every package has its locked version, and `syncd check` reaches a source and a target."""
    versions, wanted = installed(environment), locked()
    assert "pydantic" in versions
    assert {name: version for name, version in versions.items() if version != wanted.get(name)} == {}
    syncd = [environment / "bin/python", "-W", "ignore", "-m", "syncd"]
    plain = {"PATH": "/usr/bin:/bin", "SYNCD_TOKEN": sandbox.token, "PYTHONDONTWRITEBYTECODE": "1"}
    run([*syncd, "init", folder / "sync"], plain, folder)
    plain |= {"SYNCD__TARGET__SANDBOX__BASE_URL": sandbox.base_url, "SYNCD_CONFIG": str(folder / "sync/syncd.toml")}
    assert "ok" in run([*syncd, "check"], plain, folder)


def release(destination: Path) -> Path:
    return destination / (destination / "opt/syncd").readlink().relative_to("/")


def test_the_newer_releases_would_break_it(index: Index, python: Path, tmp_path: Path) -> None:
    """The trap is one: an old pip, asked for the same packages with their hashes, finds newer ones and refuses."""
    run([python, "-m", "venv", tmp_path / "venv"], surroundings(tmp_path))
    export = ["export", "--quiet", "--frozen", "--no-emit-project", "--no-default-groups", "--extra", "sandbox"]
    wanted = tmp_path / "wanted.txt"
    run([ROOT / ".venv/bin/uv", *export, "-o", wanted], surroundings(tmp_path))
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "install", "--require-hashes", "-r", wanted]
    refused = subprocess.run(
        pip, env=surroundings(tmp_path, PIP_INDEX_URL=index.url), capture_output=True, text=True, check=False
    )
    assert "all requirements must have their versions pinned with ==" in refused.stderr
    [pip_wheel] = newer_wheels().glob("structlog-*")
    run([*pip[:4], "--no-deps", pip_wheel], surroundings(tmp_path))
    broken = subprocess.run([*pip[:1], "-c", "import structlog"], capture_output=True, text=True, check=False)
    assert BROKEN in broken.stderr


def test_set_up_for_tests(index: Index, python: Path, project: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    environment = surroundings(tmp_path, PYTHON=str(python), PIP_INDEX_URL=index.url)
    run([project / "tools/setup", "test", tmp_path / "venv"], environment)
    assert_locked_and_working(tmp_path / "venv", sandbox, tmp_path)
    assert "hypothesis" in installed(tmp_path / "venv")


def test_install(index: Index, python: Path, project: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    environment = surroundings(tmp_path, PYTHON=str(python), PIP_INDEX_URL=index.url, DESTDIR=str(tmp_path / "root"))
    run([project / "tools/install"], environment)
    assert_locked_and_working(release(tmp_path / "root"), sandbox, tmp_path)
    assert not {"pip", "uv", "hatchling"} & set(installed(release(tmp_path / "root")))


def test_install_from_a_folder_of_wheels(python: Path, project: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    folders = f"{locked_wheels()} {newer_wheels()}"
    environment = surroundings(tmp_path, PYTHON=str(python), PIP_NO_INDEX="1", PIP_FIND_LINKS=folders)
    run([project / "tools/install"], environment | {"DESTDIR": str(tmp_path / "root")})
    assert_locked_and_working(release(tmp_path / "root"), sandbox, tmp_path)


# -- an index of the house's own, behind a certificate of its own --------------------------------------


def test_set_up_for_the_demo_as_pip_was_told(
    trusted: Index, authority: Authority, python: Path, project: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    told = {"PIP_INDEX_URL": trusted.url, "PIP_CERT": str(authority.file)}
    run([project / "tools/setup", "run", tmp_path / "venv"], surroundings(tmp_path, PYTHON=str(python), **told))
    assert_locked_and_working(tmp_path / "venv", sandbox, tmp_path)


def test_install_as_uv_was_told(
    trusted: Index, authority: Authority, python: Path, project: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    told = {"UV_INDEX_URL": trusted.url, "SSL_CERT_FILE": str(authority.file), "DESTDIR": str(tmp_path / "root")}
    run([project / "tools/install"], surroundings(tmp_path, PYTHON=str(python), **told))
    assert_locked_and_working(release(tmp_path / "root"), sandbox, tmp_path)


def test_a_package_as_the_configuration_of_pip_says(
    trusted: Index, authority: Authority, python: Path, project: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {trusted.url}\ncert = {authority.file}\n")
    told = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    run([project / "tools/deb"], surroundings(tmp_path, PYTHON=str(python), **told), project)
    [package] = project.glob("dist/syncd_*.deb")
    run(["dpkg-deb", "-x", package, tmp_path / "root"], surroundings(tmp_path))
    assert_locked_and_working(tmp_path / "root/usr/lib/syncd/release", sandbox, tmp_path)


def test_a_certificate_of_a_stranger_is_refused_and_said(
    trusted: Index, python: Path, project: Path, tmp_path: Path
) -> None:
    environment = surroundings(tmp_path, PYTHON=str(python), PIP_INDEX_URL=trusted.url, PIP_RETRIES="0")
    done = subprocess.run(
        [project / "tools/setup", "run", tmp_path / "venv"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is a package index within reach?" in done.stderr
