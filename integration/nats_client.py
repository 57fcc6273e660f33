"""A small NATS client: what tests do to streams behind Millrace's back."""

import base64
import json
import socket
import urllib.parse


class NatsClient:
    """Requests, publishes with headers, and JetStream's own API. One request at a time."""

    def __init__(self, url):
        where = urllib.parse.urlparse(url)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "headers": True, "lang": "python", "version": "1"}
        if where.username:
            options |= {"user": where.username, "pass": where.password}
        self.socket.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\nSUB _INBOX.tests 1\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def request(self, subject, payload=b"", headers=None):
        """The answer as JSON."""
        head = b""
        if headers:
            head = b"NATS/1.0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()) + b"\r\n"
            self.socket.sendall(f"HPUB {subject} _INBOX.tests {len(head)} {len(head) + len(payload)}\r\n".encode())
        else:
            self.socket.sendall(f"PUB {subject} _INBOX.tests {len(payload)}\r\n".encode())
        self.socket.sendall(head + payload + b"\r\n")
        while True:
            line = self.lines.readline().split()
            if not line or line[0] == b"-ERR":
                raise ConnectionError(b" ".join(line).decode() or "connection closed")
            if line[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line[0] in (b"MSG", b"HMSG"):
                body = self.lines.read(int(line[-1]) + 2)
                if line[0] == b"HMSG":
                    raise ConnectionError(f"{subject}: {body[:40]!r}")
                return json.loads(body)

    def api(self, call, body=None):
        answer = self.request(f"$JS.API.{call}", json.dumps(body).encode() if body else b"")
        if "error" in answer:
            raise LookupError(f"{call}: {answer['error']['description']}")
        return answer

    def publish(self, subject, payload, headers=None):
        """Into a stream; returns the sequence."""
        answer = self.request(subject, payload, headers)
        if "error" in answer:
            raise LookupError(f"{subject}: {answer['error']['description']}")
        return answer["seq"]

    def stored(self, stream, sequence):
        """A stored message as the server tells it; None where there is none any more."""
        try:
            return self.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})["message"]
        except LookupError:
            return None

    @staticmethod
    def headers_of(stored):
        headers = {}
        for line in base64.b64decode(stored.get("hdrs", "")).decode().split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name] = value.strip()
        return headers

    def message(self, stream, sequence):
        """(headers, payload) of a stored message; None where there is none any more."""
        stored = self.stored(stream, sequence)
        return stored and (self.headers_of(stored), base64.b64decode(stored.get("data", "")))

    def last_sequence(self, stream):
        return self.api(f"STREAM.INFO.{stream}")["state"]["last_seq"]

    def messages(self, stream):
        """(sequence, headers, payload) of all that the stream holds now."""
        for sequence in range(1, self.last_sequence(stream) + 1):
            found = self.message(stream, sequence)
            if found:
                yield sequence, *found

    def stream_names(self):
        return self.api("STREAM.NAMES").get("streams") or []
