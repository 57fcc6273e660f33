"""Input fed by hand: records flow exactly while a test wants them to."""

import contextlib
import os
import subprocess
import threading
import time

import cluster as clusters

CHUNK_RECORDS = 100
MOST_CHUNKS = 2000  # of a long input: its chunks are larger
FLOW_RECORDS = 40  # of a steady flow, each of its pauses
FLOW_PAUSE_SECONDS = 0.05
PAUSE_SECONDS = 0.025  # beyond ingest's linger: a chunk becomes frames of its own, not a part of large ones


class Feed:
    """`coordinator submit --input -`, written piece by piece. A submit that dies is left dead until `resume`."""

    def __init__(self, cluster, job_file, lines, flags=()):
        self.cluster = cluster
        self.arguments = ["submit", job_file, "--input", "-", *flags]
        self.lines = lines
        self.chunk_records = max(CHUNK_RECORDS, len(lines) // MOST_CHUNKS)
        self.written = 0
        self.submit = None
        self.resume()

    def resume(self, failpoint=None):
        """Submits again, from the first record up to where the feed was: what is fed already must not count twice."""
        environment = {**os.environ, "NATS_URL": self.cluster.nats.url}
        if failpoint:
            environment["MILLRACE_FAILPOINT"] = failpoint
        self.close()
        with open(self.cluster.folder / "submit.log", "ab") as log:
            self.submit = subprocess.Popen([str(clusters.BIN / "coordinator"), *map(str, self.arguments)],
                                           stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        self.cluster.others.append(self)
        self._put(self.lines[:self.written])

    def _put(self, lines):
        try:
            self.submit.stdin.write("".join(lines).encode())
            self.submit.stdin.flush()
        except BrokenPipeError:
            pass  # it died; the next resume writes all of it again

    def write(self, records):
        """The next records, in chunks that come one after the other."""
        end = min(self.written + records, len(self.lines))
        while self.written < end:
            chunk = self.lines[self.written:min(self.written + self.chunk_records, end)]
            self.written += len(chunk)
            self._put(chunk)
            time.sleep(PAUSE_SECONDS)

    @contextlib.contextmanager
    def flowing(self):
        """Records flow all the time, from a thread of their own; at the end some must be left."""
        over = threading.Event()

        def flow():
            while not over.wait(FLOW_PAUSE_SECONDS):
                self.write(FLOW_RECORDS)

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        if self.written >= len(self.lines):
            raise AssertionError(f"{len(self.lines)} records were too few: they ran out before it was done")

    def finish(self):
        """The rest, then the end of the input."""
        self.write(len(self.lines) - self.written)
        self.submit.stdin.close()
        code = self.submit.wait(clusters.WAIT_SECONDS)
        if code != 0:
            raise AssertionError(f"submit exited with {code}: {(self.cluster.folder / 'submit.log').read_text()}")

    def close(self):
        if self.submit is None:
            return
        if self.submit.poll() is None:
            self.submit.kill()
        self.submit.wait()
        try:
            self.submit.stdin.close()
        except BrokenPipeError:
            pass

    # What the cluster ends its other processes with.
    def running(self):
        return self.submit.poll() is None

    def signal(self, number):
        self.submit.send_signal(number)

    def kill(self):
        self.close()
