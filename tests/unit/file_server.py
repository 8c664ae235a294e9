"""A web server on this machine for tests of downloads: a few files, and transfers that break off."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class FileServer(ThreadingHTTPServer):
    """Serves ``files``, bytes by path.

    ``asked`` has the paths that were asked for. Of files whose path contains ``truncated``, where that is not
    empty, half is sent.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.asked, self.truncated = dict(files), [], ""
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.files.get(unquote(self.path))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if self.path.endswith("/"):
            self.send_header("Content-Type", "text/html")  # pip reads no other list of files
        self.end_headers()
        cut = self.server.truncated and self.server.truncated in self.path
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    """Run a server for the files in a thread of its own."""
    with FileServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
