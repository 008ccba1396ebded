"""Addresses of the web that texts name are found, and one that is silent is told; nobody is asked here."""

from __future__ import annotations

import re

import pytest

from tools.links import ADDRESS, addresses, main


def test_addresses_end_where_they_end() -> None:
    text = "See (https://a.org/b_c), [d](http://e.net/f#g). And https://h.io/i."
    assert ADDRESS.findall(text) == ["https://a.org/b_c", "http://e.net/f#g", "https://h.io/i"]


def test_they_are_those_of_public_hosts() -> None:
    hosts = [address.split("/")[2] for address in addresses()]
    assert hosts
    assert [host for host in hosts if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}", host)] == []


def test_one_that_is_silent_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    gone = next(iter(addresses()))
    assert main(lambda address: address != gone) == 1
    assert gone in capsys.readouterr().err
    assert main(lambda address: True) == 0
