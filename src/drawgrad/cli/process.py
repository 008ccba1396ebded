"""The program's process: how it writes, and how a signal ends it in one line, whatever it is in the middle of.

A signal does not raise an exception. One that comes up in an import, a destructor or a callback from C is lost there,
or told as another mistake, and the program runs on. Instead the handler writes the line and ends the process. Nothing
needs to be tidied up first, because the process may be killed as well: files appear whole or not at all, what is half
done is begun again, and workers end with the process.

This module loads nothing that takes long: until :func:`begin` has run, Python itself answers to signals.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["begin", "end", "stop_when_interrupted", "when_interrupted"]

PLAIN = {"±": "+-", "²": "^2", "×": "x", "µ": "u", "τ": "tau", "…": "...", "→": "->", "▼": "v", "━": "-", "•": "*"}
"""What stands for characters that a terminal cannot show."""
CLEAR = b"\r\x1b[2K\x1b[?25h"
"""Clears the line of a terminal, and shows the cursor that a progress display has hidden."""

_lines: list[Callable[[], str]] = [lambda: "drawgrad: interrupted"]
_code: int | None = None


def begin() -> None:
    """From now on, Ctrl-C and SIGTERM end the process in one line, and no character is too much for a terminal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # What runs in the background of a script ignores interrupts.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _die)
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # By lines, so that what was said before a signal is not lost with the process.
            stream.reconfigure(errors="plain", line_buffering=True)
    # The first hook to be registered is the last one to run.
    atexit.register(_leave)


def end(code: int) -> None:
    """Leave with this code once Python has run the exit hooks of the libraries.

    What the interpreter does after them takes a while when torch is loaded, and loses signals.
    """
    global _code
    _code = code


def _leave() -> None:
    if _code is not None:
        os._exit(_code)


@contextlib.contextmanager
def when_interrupted(command: str, message: Callable[[], str]) -> Iterator[None]:
    """Say something if a signal ends the process meanwhile, or a KeyboardInterrupt where :func:`begin` has not run.

    Args:
        command: The name of the command; empty for the program itself.
        message: Makes the line, as of then.

    Raises:
        UserError: With the line, instead of KeyboardInterrupt.
    """
    _lines.append(lambda: f"{f'drawgrad {command}'.rstrip()}: {message()}")
    try:
        yield
    except KeyboardInterrupt as error:
        from drawgrad.cli.wording import UserError

        raise UserError(command, message(), code=130) from error
    finally:
        _lines.pop()


@contextlib.contextmanager
def stop_when_interrupted() -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C was pressed, for what can stop by itself at a good moment.

    Pressed again, or if what should have stopped went on to its end, it is an interrupt as it always was.
    """
    pressed = False

    if threading.current_thread() is not threading.main_thread():
        # Others neither see signals nor may say what happens to them.
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    except BaseException:
        signal.signal(signal.SIGINT, before)
        raise
    signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def _die(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    try:
        line = _lines[-1]()
    except Exception:
        line = _lines[0]()
    if number == signal.SIGTERM:
        line = line.replace("interrupted", "terminated", 1)
    # Past Python's own buffers, which the signal may have come in the middle of.
    with contextlib.suppress(OSError):
        if os.isatty(1):
            os.write(1, CLEAR)
        os.write(2, f"{line}\n".encode(getattr(sys.stderr, "encoding", None) or "utf-8", errors="plain"))
    os._exit(128 + number)


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in text), error.end
