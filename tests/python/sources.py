"""Where servers read from and publish to: an object store, and a web server that takes its time."""

from __future__ import annotations

import io
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from binary import Binary


class ObjectStore:
    """An S3-compatible store with these buckets, as a process: that of the Rust tests."""

    def __init__(self, binary: Binary, *buckets: str) -> None:
        """It is built with the other tests, and mostly lies beside the binary that is tested."""
        program = binary.path.with_name("object-store")
        if not program.exists():
            program = Path(__file__).resolve().parents[2] / "target/debug/object-store"
        self._process = subprocess.Popen([str(program), *buckets], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.variables: dict[str, str] = json.loads(self._process.stdout.readline())
        """Of the environment of its clients."""

    def stop(self) -> None:
        """Ends it, with all that is in it."""
        self._process.communicate()


class SlowImages:
    """A dataset of small images, `list.jsonl`, on a web server. Each takes `seconds` until nobody waits any more."""

    def __init__(self, images: int, seconds: float) -> None:
        """Serves until it is stopped."""
        self.hurry = threading.Event()
        rows = "".join(f'{{"path": "{index}.png"}}\n' for index in range(images)).encode()
        hurry = self.hurry

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.removeprefix("/")
                if name == "list.jsonl":
                    return self.answer(rows)
                hurry.wait(seconds)
                return self.answer(png(int(name.removesuffix(".png"))))

            do_HEAD = do_GET

            def answer(self, whole: bytes) -> None:
                """All of it, or the range that was asked for."""
                start, end = 0, len(whole)
                asked = self.headers.get("Range")
                if asked is not None:
                    first, _, last = asked.removeprefix("bytes=").partition("-")
                    start, end = int(first), min(int(last) + 1, end)
                self.send_response(200 if asked is None else 206)
                self.send_header("ETag", '"unchanged"')
                self.send_header("Content-Length", str(end - start))
                if asked is not None:
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(whole)}")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(whole[start:end])

            def log_message(self, *_: object) -> None:
                """Into no log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def prefix(self) -> str:
        """What all its URLs begin with."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    @property
    def source(self) -> str:
        """Of a job."""
        return f"{self.prefix}list.jsonl"

    def stop(self) -> None:
        """Answers what was asked, and no more."""
        self.hurry.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def png(number: int) -> bytes:
    """A picture like no other number's."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 7 * number % 256)).save(file, "PNG")
    return file.getvalue()
