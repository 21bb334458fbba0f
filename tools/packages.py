"""Tell tools/lib.sh about the lock and the network. Standard library alone: it runs before anything is installed.

`pin NAME`: print NAME from uv.lock as a requirement with its hashes, for pip.
`network`: print the network's settings (index, certificates, proxy, …) as shell exports, in uv's words and in pip's.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parents[1] / "uv.lock"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def pin(name: str) -> str:
    """Return `name` as a line of a requirements file: the locked version, the hash of each wheel."""
    with LOCK.open("rb") as lock:
        packages = tomllib.load(lock)["package"]
    [package] = [package for package in packages if package["name"] == name]
    hashes = " ".join(f"--hash={wheel['hash']}" for wheel in package["wheels"])
    return f"{name}=={package['version']} {hashes}"


#  pip's setting        uv's variable, and the older name that it still reads
NAMES: Final = {
    "index-url": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "find-links": ("UV_FIND_LINKS",),
    "no-index": ("UV_NO_INDEX",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "proxy": ("ALL_PROXY", "HTTPS_PROXY", "https_proxy", "all_proxy"),
    "timeout": ("UV_HTTP_TIMEOUT",),
}


def network(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set, so that uv follows pip's settings and pip follows uv's.

    `pip`: pip's settings as `pip config list` names them (`global.cert`, `install.find-links`, `:env:.index-url`).
    Nothing that is set already is changed.
    """
    found = {}
    for setting, names in NAMES.items():
        for_uv = next((environment[name] for name in names if environment.get(name)), "")
        told = (pip.get(f"{section}.{setting}") for section in (":env:", "install", "global"))
        for_pip = next((value for value in told if value), "")
        if for_pip and not for_uv:
            if value := _for_uv(setting, for_pip):
                found[names[0]] = value
        elif for_uv and not for_pip:
            found[f"PIP_{setting.upper().replace('-', '_')}"] = _for_pip(for_uv)
    if "SSL_CERT_FILE" not in found and not environment.get("SSL_CERT_FILE") and CERTIFICATES.is_file():
        # Certificates that an administrator added to the system count, as they do for Debian's pip.
        found["SSL_CERT_FILE"] = str(CERTIFICATES)
    return found


def _for_uv(setting: str, value: str) -> str:
    if setting == "no-index":
        return "" if value.lower() in ("0", "false", "no", "off") else "1"
    if setting == "timeout":
        return str(round(float(value)))
    if setting == "find-links":
        # pip passes over a folder that isn't there; uv stops.
        return ",".join(each for each in value.split() if "://" in each or Path(each).expanduser().exists())
    if setting in ("extra-index-url", "trusted-host"):
        return " ".join(value.split())
    return value


def _for_pip(value: str) -> str:
    """A list's commas become blanks; an index's name (`name=https://…`) goes."""
    return re.sub(r"(^|\s)[\w-]+=(?=\w+://)", r"\1", value.replace(",", " "))


def _pip_settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        settings[key.replace(":env:.default-timeout", ":env:.timeout")] = str(ast.literal_eval(value))
    return settings


if __name__ == "__main__":
    if sys.argv[1] == "pin":
        print(pin(sys.argv[2]))
    else:
        for name, value in network(_pip_settings(), os.environ).items():
            print(f"export {name}={shlex.quote(value)}")
