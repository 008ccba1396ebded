"""Serves the page to browsers on this machine, and nothing else."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "page_server"]

PAGE = Path(__file__).parent
"""The folder of the page; it is complete in itself, and opens without a server too."""
HOST = "127.0.0.1"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
"""What is served. Not from the system's table, which may be wrong: browsers refuse scripts of other types."""


def page_server(port: int = 0) -> ThreadingHTTPServer:
    """A server of the page on 127.0.0.1; ``serve_forever()`` runs it.

    Args:
        port: where it listens; a free port if 0.

    Raises:
        OSError: if the port is taken.

    Example:
        >>> with page_server() as server:
        ...     server.server_address[0]
        '127.0.0.1'
    """
    return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(PAGE)))


class _Handler(SimpleHTTPRequestHandler):
    """Files of the page alone: neither listings of folders nor the source beside them."""

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        if path.suffix not in TYPES or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def guess_type(self, path: Any) -> str:
        return f"{TYPES[Path(path).suffix or '.html']}; charset=utf-8"

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the terminal is for what the user has to know."""
