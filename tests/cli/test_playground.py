"""`drawgrad playground` says where the page is, opens it, and ends in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
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


def test_it_opens_the_browser(tmp_path: Path) -> None:
    """In a process of its own, which the interrupt ends."""
    note = tmp_path / "browser"
    note.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n')
    note.chmod(0o755)
    command = [sys.executable, "-m", "drawgrad", "playground", "--port", "0"]
    environment = {**os.environ, "BROWSER": f"{note} %s"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        address = run.stdout.readline().split()[0]
        deadline = time.monotonic() + 300
        while not (tmp_path / "opened").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGINT)
        run.communicate(timeout=600)
    assert (tmp_path / "opened").read_text() == address


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["playground", "--port", str(port), "--no-browser"]) == 2
    line = f"drawgrad playground: --port {port} is taken; choose another, or --port 0 for any free one\n"
    assert capsys.readouterr().err == line
