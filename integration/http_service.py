"""A service over HTTP for tests, with a mind of its own: what it answers is a function, and all that it was asked is kept."""

import http.server
import socket
import struct
import threading


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.key = headers.get("Idempotency-Key")


class Answer:
    """`reset`: the connection is cut instead. `size`: so many bytes are sent in place of a body."""

    def __init__(self, status=200, body=b"", headers=(), reset=False, raw=None, size=0):
        self.status, self.body, self.headers, self.reset, self.raw, self.size = status, body, dict(headers), reset, raw, size


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:  # who asked was killed
            self.close_connection = True

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, self.headers, body)
        given = self.server.service.take(request)
        if given.reset:
            # Nothing is left to send: the peer sees a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif given.raw is not None:
            self.wfile.write(given.raw)
            self.close_connection = True
        else:
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(given.size or len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)
            self.pour(given.size)

    def pour(self, size):
        block = b"x" * (1 << 20)
        sent = 0
        while sent < size:
            self.wfile.write(block[:size - sent])
            sent += len(block)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Service:
    """Use as a context manager. `decide(request)` gives an Answer; it is called by several threads, and may take its time."""

    def __init__(self, decide):
        self.decide = decide
        self.requests = []
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.service = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def take(self, request):
        given = self.decide(request)
        with self.lock:
            request.answered = given.status if not given.reset else None
            self.requests.append(request)
        return given

    def seen(self):
        with self.lock:
            return list(self.requests)
