"""`drawgrad playground`: the page to play with, in the browser."""

from __future__ import annotations

import errno
import threading
import webbrowser

import click

from drawgrad.cli.wording import UserError
from drawgrad.playground import page_server

__all__ = ["playground"]

PORT = 8017


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, metavar="N",
    help="where it listens on this machine; 0 takes any free port",
)  # fmt: skip
@click.option("--browser/--no-browser", default=True, help="open the page, or only say where it is")
def playground(port: int, browser: bool) -> None:
    """Turn the temperature and see what it does: the page to play with, in the browser.

    The page draws exactly what the library draws for the same seed. It is served to this machine alone, until Ctrl-C.
    """
    try:
        server = page_server(port)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        reason = "is taken" if error.errno == errno.EADDRINUSE else "is reserved for the system"
        raise UserError(
            "playground", f"--port {port} {reason}; choose another, or --port 0 for any free one"
        ) from error
    with server:
        address = f"http://127.0.0.1:{server.server_port}/"
        click.echo(f"{address}  (Ctrl-C ends it)")
        if browser:
            # Beside the server: a browser in the terminal ends when its user does.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        server.serve_forever()
