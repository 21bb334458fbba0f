"""A package index on loopback (PEP 503): the locked file of each package, and a newer one that breaks on import.

The newer releases stand for those of the years to come: within the ranges of pyproject.toml, and not to be trusted.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import ssl
import threading
import zipfile
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, Self

BROKEN: Final = "a newer release, broken on purpose"


def normalized(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_newer(locked: Path, folder: Path) -> Path:
    """Write the next release of a wheel: the same demands, the same modules, each raising as it is imported."""
    name, version, *_ = locked.name.split("-")
    head, last = re.match(r"((?:\d+\.)*)(\d+)", version).groups()  # type: ignore[union-attr]
    newer = f"{head}{int(last) + 1000}"
    made = folder / f"{name}-{newer}-py3-none-any.whl"
    with zipfile.ZipFile(locked) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        [metadata] = [each for each in old.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each)]
        information = f"{name}-{newer}.dist-info"
        text = old.read(metadata).decode()
        files = {
            f"{information}/METADATA": re.sub(r"(?m)^Version: .*$", f"Version: {newer}", text, count=1),
            f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: syncd\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        tops = {each.split("/")[0] for each in old.namelist()}
        for top in sorted(each for each in tops if not each.endswith((".dist-info", ".data", ".pth", ".libs"))):
            files[f"{top.split('.')[0]}/__init__.py"] = f"raise ImportError({name + ': ' + BROKEN!r})\n"
        record = ""
        for path, content in files.items():
            new.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(content.encode())}\n"
        new.writestr(f"{information}/RECORD", f"{record}{information}/RECORD,,\n")
    return made


class Index:
    """Serves wheels from folders; a context manager. `asked`: the paths of what was fetched."""

    def __init__(self, *folders: Path, tls: ssl.SSLContext | None = None) -> None:
        self.files = {file.name: file for folder in folders for file in folder.glob("*.whl")}
        self.asked: set[str] = set()
        names: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            names[normalized(file.split("-")[0])].append(file)
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = self.path.strip("/").split("/")
                index.asked.add(parts[-1])
                if parts[0] == "files" and parts[-1] in index.files:
                    self._answer(index.files[parts[-1]].read_bytes(), "application/octet-stream")
                elif parts[0] == "simple" and len(parts) == 2 and parts[1] in names:
                    page = "".join(f'<a href="/files/{html.escape(each)}">{each}</a>\n' for each in names[parts[1]])
                    self._answer(f"<!DOCTYPE html><html><body>{page}</body></html>".encode(), "text/html")
                else:
                    self.send_error(404)

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 (the name is http.server's)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}/simple"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
