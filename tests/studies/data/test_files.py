"""Files from a folder, and downloads from a server of our own with every failure that a network has to offer."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from drawgrad.studies.data import files
from drawgrad.studies.data.files import DataError, RemoteFile, load_file

CONTENT = b"just these bytes" * 1000


def parse(content: bytes, expected: str) -> str:
    if content.decode() != expected:
        raise DataError(f"it holds {len(content)} bytes, but {len(expected)} were expected")
    return content.decode()


class _Handler(BaseHTTPRequestHandler):
    """Serves the content in ways that the path names."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        match self.path.rsplit("/", 1)[-1]:
            case "good":
                self._send(CONTENT, len(CONTENT))
            case "gzipped":
                body = gzip.compress(CONTENT)
                self._send(body, len(body))
            case "corrupted":
                self._send(CONTENT[:-1] + b"!", len(CONTENT))
            case "cut":
                self._send(CONTENT[: len(CONTENT) // 2], len(CONTENT))
                self.connection.shutdown(socket.SHUT_RDWR)
            case _:
                self.send_error(404)

    def _send(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def remote(server: ThreadingHTTPServer, *names: str) -> RemoteFile:
    urls = tuple(f"http://127.0.0.1:{server.server_port}/{name}" for name in names)
    return RemoteFile("set/file.txt", urls, CONTENT.decode())


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["good", "gzipped"])
def test_a_download_is_kept_and_not_repeated(server, cache, name):
    file = remote(server, name)
    assert load_file(file, parse) == CONTENT.decode()
    assert load_file(file, parse) == CONTENT.decode()
    assert server.asked == [f"/{name}"]
    assert everything(cache) == ["set/file.txt"]


@pytest.mark.parametrize("name", ["corrupted", "cut", "absent"])
def test_a_bad_answer_is_told_and_leaves_nothing_behind(server, cache, name):
    with pytest.raises(
        DataError, match=rf"^file.txt could not be downloaded \(.*/{name}: .*; try again, or give a data"
    ):
        load_file(remote(server, name), parse)
    assert everything(cache) == []
    assert list((cache / "set").iterdir()) == []


def test_the_next_mirror_is_asked(server, cache):
    assert load_file(remote(server, "absent", "cut", "corrupted", "good"), parse) == CONTENT.decode()
    assert server.asked == ["/absent", "/cut", "/corrupted", "/good"]
    assert everything(cache) == ["set/file.txt"]


def test_no_network_is_told(cache):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="could not be downloaded"):
        load_file(RemoteFile("set/file.txt", (f"http://127.0.0.1:{port}/",), ""), parse)
    assert everything(cache) == []


def test_a_damaged_file_in_the_cache_is_named_and_the_cure_works(server, cache):
    file = remote(server, "good")
    load_file(file, parse)
    path = cache / "set" / "file.txt"
    path.write_bytes(CONTENT[:100])
    with pytest.raises(DataError, match=f"^{path} is damaged: it holds 100 bytes.*; delete it to download it again"):
        load_file(file, parse)
    path.unlink()
    assert load_file(file, parse) == CONTENT.decode()


def test_a_folder_is_read_and_nothing_is_downloaded(server, cache, tmp_path):
    file = remote(server, "good")
    with pytest.raises(
        DataError, match=f"^{tmp_path}/set/file.txt is missing; put it there, or leave out the data folder"
    ):
        load_file(file, parse, tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.txt.gz").write_bytes(gzip.compress(CONTENT))
    assert load_file(file, parse, tmp_path) == CONTENT.decode()
    assert server.asked == []


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_is_told_in_one_line(damage, tmp_path):
    archive = gzip.compress(CONTENT)
    archive = archive[:-20] if damage == "cut" else archive[:-6] + b"\x00" + archive[-5:]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.txt").write_bytes(archive)
    with pytest.raises(DataError, match="is damaged: it cannot be read to its end") as error:
        load_file(RemoteFile("set/file.txt", (), ""), parse, tmp_path)
    assert "\n" not in str(error.value)


def test_the_cache_is_the_users_own_folder():
    assert files.cache_folder().name == "drawgrad"


@pytest.mark.parametrize("name", ["images.gz", "images.gz.gz", "images"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_is_found_packed_or_unpacked_under_either_name(name, packed, tmp_path):
    (tmp_path / name).write_bytes(gzip.compress(CONTENT) if packed else CONTENT)
    assert load_file(RemoteFile("images.gz", (), CONTENT.decode()), parse, tmp_path) == CONTENT.decode()


def test_a_folder_where_a_file_belongs_is_told(tmp_path):
    (tmp_path / "set" / "file.txt").mkdir(parents=True)
    with pytest.raises(DataError, match=f"^{tmp_path}/set/file.txt is no file; remove it and put the file there"):
        load_file(RemoteFile("set/file.txt", (), ""), parse, tmp_path)


def test_a_data_folder_that_is_a_file_holds_nothing(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DataError, match=f"^{tmp_path}/data/set/file.txt is missing; put it there"):
        load_file(RemoteFile("set/file.txt", ("http://nowhere",), ""), parse, tmp_path / "data")


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\); give another data folder"):
        load_file(RemoteFile("x" * 300, (), ""), parse, tmp_path)


def test_a_cache_that_cannot_be_written_is_told_with_a_cure(server, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file, in which nobody can make a folder, not even root")
    monkeypatch.setattr(files, "cache_folder", lambda: tmp_path / "home" / "cache")
    with pytest.raises(DataError, match=r"^the cache .*/home/cache/set cannot be written \(Not a directory\); give a"):
        load_file(remote(server, "good"), parse)
    assert server.asked == []


def test_a_full_disk_is_told(server, cache, monkeypatch):
    import pooch

    def full(self: object, url: str, path: str, pooch: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(DataError, match=r"could not be downloaded \(.*No space left on device\); try again, or"):
        load_file(remote(server, "good"), parse)
    assert everything(cache) == []
