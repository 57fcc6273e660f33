"""`coordinator top`: the cluster at a glance, for scripts, for a pipe and on a terminal."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import unittest

from cluster import BIN
from command_case import DONE, INTERRUPTED, RECORDS, USAGE, CommandCase

WAIT_SECONDS = 60


class Terminal:
    """`top` on a terminal of its own."""

    def __init__(self, cluster):
        self.ours, theirs = pty.openpty()
        self.theirs = theirs
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen([BIN / "coordinator", "top", "--interval", "100ms", "--nats", cluster.nats.url],
                                        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
        self.shown = b""

    def wait_for(self, text):
        while text not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], WAIT_SECONDS)
            assert ready, self.shown
            self.shown += os.read(self.ours, 65536)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


class TopTest(CommandCase):
    def test_as_json_a_document_a_line(self):
        lines = self.cluster.run("top", "--looks", "2", "--interval", "200ms", "-o", "json").stdout.splitlines()
        self.assertEqual(len(lines), 2)
        view = json.loads(lines[1])
        job, = view["jobs"]
        self.assertEqual([job[f] for f in ("job", "state", "records_in", "in_per_second", "dead_letters")],
                         ["done", "completed", RECORDS, 0, 1])
        self.assertEqual([(row["name"], row["state"]) for row in view["workers"]], [("w1", "ready")])
        self.assertEqual(view["partitions"], [])

    def test_a_pipe_gets_plain_text(self):
        text = self.cluster.run("top", "--looks", "1").stdout
        self.assertNotIn("\x1b", text)
        for shown in ("WORKER", "w1", "JOB", "done", "completed"):
            self.assertIn(shown, text)

    def test_on_a_terminal_until_q(self):
        with Terminal(self.cluster) as top:
            top.wait_for(b"\x1b[?1049h")
            top.wait_for(b"completed")
            os.write(top.ours, b"q")
            top.wait_for(b"\x1b[?1049l")
            self.assertEqual(top.process.wait(WAIT_SECONDS), DONE)
            self.assertEqual(termios.tcgetattr(top.theirs), top.before)

    def test_ctrl_c_gives_the_terminal_back(self):
        with Terminal(self.cluster) as top:
            top.wait_for(b"completed")
            top.process.send_signal(signal.SIGINT)
            top.wait_for(b"\x1b[?1049l")
            self.assertEqual(top.process.wait(WAIT_SECONDS), INTERRUPTED)
            self.assertEqual(termios.tcgetattr(top.theirs), top.before)

    def test_refuses_what_makes_no_sense(self):
        self.assertIn("--interval", self.assert_fails(USAGE, "top", "--interval", "1ms"))
        self.assertIn("--looks", self.assert_fails(USAGE, "top", "--looks", "0"))


if __name__ == "__main__":
    unittest.main()
