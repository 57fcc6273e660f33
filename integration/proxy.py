"""A small TCP proxy between one process and NATS: held, let go late, delayed, cut, each direction by itself."""

import collections
import selectors
import socket
import threading
import time

READ_BYTES = 1 << 16
TURN_SECONDS = 0.01
TO_SERVER, TO_CLIENT = "to_server", "to_client"


class _Pipe:
    """One direction of one connection. Bytes in `held` wait with the time at which they may go."""

    def __init__(self, source, target, direction):
        self.source, self.target, self.direction = source, target, direction
        self.held = collections.deque()
        self.is_held = False
        self.open = True


class Proxy:
    """Listens on a port of its own. Its thread owns the sockets; `_lock` guards the pipes and the settings."""

    def __init__(self, server_port):
        self._server_port = server_port
        self._lock = threading.Lock()
        self._pipes = []
        self._holding = {TO_SERVER: False, TO_CLIENT: False}
        self._delay_seconds = {TO_SERVER: 0.0, TO_CLIENT: 0.0}
        self._hold_from = None
        self._counts = collections.Counter()
        self._counted = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._thread.join()
        self.cut()
        self._listener.close()
        self._selector.close()

    # --- what tests do

    def hold(self, direction):
        """Keeps everything of that direction, on all connections."""
        with self._lock:
            self._holding[direction] = True

    def hold_from(self, needle):
        """Keeps what goes to the server on a connection from the first piece on that holds `needle`."""
        with self._lock:
            self._hold_from = needle

    def release(self, part=1.0):
        """Lets that part of the held bytes go; all of it ends the holding."""
        with self._lock:
            if part == 1.0:
                self._holding = dict.fromkeys(self._holding, False)
                self._hold_from = None
            for pipe in self._pipes:
                if part == 1.0:
                    pipe.is_held = False
                data = b"".join(piece for _, piece in pipe.held)
                size = int(len(data) * part)
                pipe.held.clear()
                if data[size:]:
                    pipe.held.append((0.0, data[size:]))
                self._send(pipe, data[:size])

    def delay(self, direction, seconds):
        with self._lock:
            self._delay_seconds[direction] = seconds

    def cut(self):
        """Closes every connection; what was held is lost."""
        with self._lock:
            for pipe in self._pipes:
                self._close(pipe)
            self._pipes.clear()

    def held(self, needle):
        """How often `needle` is in what is held."""
        with self._lock:
            return sum(b"".join(piece for _, piece in pipe.held).count(needle) for pipe in self._pipes)

    def count(self, direction, needle):
        """Counts from now on how often `needle` passes in that direction (or is held): see `counted`."""
        with self._lock:
            self._counted[needle] = direction

    def counted(self, needle):
        with self._lock:
            return self._counts[needle]

    # --- the thread

    def _run(self):
        while not self._stopping:
            for key, _ in self._selector.select(TURN_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.data)
            self._let_go_due()

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        with self._lock:
            for source, target, direction in ((client, server, TO_SERVER), (server, client, TO_CLIENT)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pipe = _Pipe(source, target, direction)
                self._pipes.append(pipe)
                self._selector.register(source, selectors.EVENT_READ, pipe)

    def _read(self, pipe):
        with self._lock:
            if not pipe.open:
                return
            try:
                data = pipe.source.recv(READ_BYTES)
            except OSError:
                data = b""
            if not data:
                for other in [p for p in self._pipes if p.source in (pipe.source, pipe.target)]:
                    self._close(other)
                    self._pipes.remove(other)
                return
            self._note(pipe, data)
            if pipe.is_held or self._holding[pipe.direction] or pipe.held or self._delay_seconds[pipe.direction] > 0:
                pipe.held.append((time.monotonic() + self._delay_seconds[pipe.direction], data))
            else:
                self._send(pipe, data)

    def _note(self, pipe, data):
        for needle, direction in self._counted.items():
            if direction == pipe.direction:
                self._counts[needle] += data.count(needle)
        if pipe.direction == TO_SERVER and self._hold_from and self._hold_from in data:
            pipe.is_held = True

    def _let_go_due(self):
        now = time.monotonic()
        with self._lock:
            for pipe in self._pipes:
                if pipe.is_held or self._holding[pipe.direction]:
                    continue
                while pipe.held and pipe.held[0][0] <= now:
                    waiting = len(pipe.held)
                    self._send(pipe, pipe.held.popleft()[1])
                    if len(pipe.held) == waiting:
                        break

    def _send(self, pipe, data):
        """Never waits for a target that does not read (it may be stopped): the rest is sent in a later turn."""
        if not pipe.open or not data:
            return
        try:
            sent = pipe.target.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(pipe)
            return
        if sent < len(data):
            pipe.held.appendleft((0.0, data[sent:]))

    def _close(self, pipe):
        if not pipe.open:
            return
        pipe.open = False
        try:
            self._selector.unregister(pipe.source)
        except (KeyError, ValueError):
            pass
        pipe.source.close()
