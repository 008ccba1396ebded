"""`drawgrad playground` says where the page is, opens it, and ends in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path
from urllib.request import urlopen

import pytest

from drawgrad.cli import main

ROOT = Path(__file__).parents[2]


def test_it_serves_the_page_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "drawgrad", "playground", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        address = line.split()[0]
        assert line == f"{address}  (Ctrl-C ends it)\n"
        with urlopen(address) as answer:
            assert b"drawgrad playground" in answer.read()
        os.kill(run.pid, signal.SIGINT)
        out, error = run.communicate(timeout=600)
    assert (run.returncode, out, error) == (130, "", "drawgrad playground: interrupted\n")


def test_it_opens_the_browser(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened = []

    def note(address: str) -> bool:
        opened.append(address)
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    assert main(["playground", "--port", "0"]) == 130
    assert opened == [capsys.readouterr().out.split()[0]]


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["playground", "--port", str(port), "--no-browser"]) == 2
    line = f"drawgrad playground: --port {port} is taken; choose another, or --port 0 for any free one\n"
    assert capsys.readouterr().err == line
