"""What the page computes, asked in Node: its scripts are run in the order in which the page loads them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from drawgrad.playground import PAGE

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node on the path: install Node.js to run the page's scripts")
MODEL = re.findall(r'<script src="(js/model/[\w-]+\.js)">', (PAGE / "index.html").read_text())
"""The scripts that compute; those that draw need a browser."""

PLAIN = """
const plain = (value) => {
  if (typeof value === "bigint") return String(value);
  if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, plain(of)]));
};
"""


def computed(expression: str) -> Any:
    """The value of an expression in JavaScript that speaks of the page's modules; numbers keep all their digits."""
    assert NODE is not None
    source = "\n".join((PAGE / name).read_text() for name in MODEL)
    program = f"{source}\n{PLAIN}\nprocess.stdout.write(JSON.stringify(plain({expression})));"
    run = subprocess.run([NODE, "-"], input=program, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
