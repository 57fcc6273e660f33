"""`coordinator dev`: a cluster of one command that looks after its children and leaves nothing behind; and the demo on it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from cluster import BIN, NATS_SERVER, coordinator, wait_for

DEMO = pathlib.Path(__file__).resolve().parent / "demo.py"


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


class DevTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-test-")))
        (self.folder / "tmp").mkdir()
        self.log = self.folder / "dev.log"

    @contextlib.contextmanager
    def dev(self, *flags):
        """A cluster that is ready; yields the process and what it said."""
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp"),
                       "PATH": f"{os.environ.get('PATH', '')}:{pathlib.Path(NATS_SERVER).parent}"}
        with open(self.log, "wb") as log:
            process = subprocess.Popen([str(BIN / "coordinator"), "dev", "--nats-port", "0", "--http", "127.0.0.1:0", "--json-ready",
                                        *flags], stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            line = process.stdout.readline()
            self.assertTrue(line, self.log.read_text())
            yield process, json.loads(line)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(60)
            process.stdout.close()

    def pids(self, ready):
        return [worker["pid"] for worker in ready["workers"]] + [ready["coordinator"]["pid"], ready["nats_server"]["pid"]]

    def test_ready_line_names_all_that_listens(self):
        with self.dev("--workers", "3") as (_, ready):
            self.assertEqual([worker["name"] for worker in ready["workers"]], ["worker-1", "worker-2", "worker-3"])
            for pid in self.pids(ready):
                self.assertTrue(is_alive(pid))
            jobs = coordinator("jobs", "--nats", ready["nats"], "-o", "json")
            self.assertEqual((jobs.returncode, json.loads(jobs.stdout)), (0, []))

    def test_killed_worker_is_started_again_and_said_so(self):
        with self.dev() as (_, ready):
            victim = ready["workers"][0]
            os.kill(victim["pid"], signal.SIGKILL)

            def again():
                rows = json.loads(coordinator("workers", "--nats", ready["nats"], "-o", "json").stdout or "[]")
                return [row for row in rows if row["name"] == victim["name"] and row["pid"] != victim["pid"] and row["state"] == "ready"]
            row, = wait_for(again, "the worker is back")
            said = self.log.read_text()
            self.assertIn(f"{victim['name']} (pid {victim['pid']})", said)
            self.assertIn(f"started again as pid {row['pid']}", said)

    def test_interrupt_leaves_no_process_and_no_folder(self):
        with self.dev() as (process, ready):
            self.assertEqual(len(list((self.folder / "tmp").iterdir())), 1)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 0, self.log.read_text())
            for pid in self.pids(ready):
                self.assertFalse(is_alive(pid))
            self.assertEqual(list((self.folder / "tmp").iterdir()), [])

    def test_own_folder_is_kept_and_gone_on_with(self):
        data = self.folder / "data"
        job = self.folder / "job.yaml"
        job.write_text("name: kept\nsource: {format: jsonl}\nkey: k\npartitions: 2\nstages: [{aggregate: {n: count()}}]\n")
        lines = self.folder / "lines.jsonl"
        lines.write_text('{"k":"a"}\n' * 10)
        for _ in range(2):
            with self.dev("--data", str(data)) as (_, ready):
                submit = coordinator("submit", job, "--input", lines, "--wait", "--nats", ready["nats"])
                self.assertEqual(submit.returncode, 0, submit.stderr)
        self.assertIn("nothing to do", submit.stderr)


class DemoTest(unittest.TestCase):
    def test_demo_ends_with_the_right_answer(self):
        done = subprocess.run([sys.executable, str(DEMO), "--bin", str(BIN)], capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("nothing lost, nothing doubled", done.stdout)


if __name__ == "__main__":
    unittest.main()
