"""A job's life as commands direct it, and what each command's exit code says."""

import json
import os
import subprocess
import unittest

import scenario
from cluster import BIN, coordinator, free_port, wait_for
from command_case import (CANNOT_CONNECT, DONE, FAILED, INTERRUPTED, JOB_FAILED, NO_SUCH_THING, RECORDS, TIMED_OUT, USAGE, CommandCase)


class LifecycleTest(CommandCase):
    def test_pause_resume_cancel_delete(self):
        run = scenario.LedgerRun(self.cluster, "native", "life", records=4000)
        run.begin()
        run.share(0.2)
        self.cluster.wait_records("life", 1)
        some_key = next(iter(run.counts))
        self.assertIn("count", wait_for(lambda: self.cluster.try_run("state", "get", "life", some_key).stdout, "the owner answers"))

        self.cluster.run("pause", "life")
        self.assertEqual(self.cluster.status("life")["state"], "paused")
        wait_for(lambda: all(row["state"] == "paused" for row in self.cluster.json("partitions", "life")), "all rest")
        before = self.cluster.status("life")["records_in"]
        run.share(0.4)
        self.assertEqual(self.cluster.status("life")["records_in"], before)

        self.cluster.run("resume", "life")
        self.cluster.wait_records("life", run.feed.written)
        self.cluster.run("cancel", "life")
        self.assertEqual(self.cluster.status("life")["state"], "cancelled")
        self.assert_fails(FAILED, "resume", "life")
        self.assert_fails(USAGE, "delete", "life")
        run.feed.close()
        self.cluster.run("delete", "life", "--yes")
        self.assert_fails(NO_SUCH_THING, "status", "life")
        self.assertNotIn("life", [row["job"] for row in self.cluster.json("jobs")])

    def test_a_deleted_job_can_be_submitted_again(self):
        job_file = self.write_job("again")
        for _ in range(2):
            self.cluster.run("submit", job_file, "--input", self.input_file, "--wait")
            self.assertEqual(len(self.cluster.results("again")), RECORDS - 1)
            self.cluster.run("delete", "again", "--yes")


class ExitCodeTest(CommandCase):
    def test_no_such_job(self):
        for command in (["status"], ["partitions"], ["results"], ["pause"], ["verify"], ["dead-letters", "list"], ["state", "scan"]):
            with self.subTest(command=command):
                self.assertIn("nobody", self.assert_fails(NO_SUCH_THING, *command, "nobody"))
        self.assert_fails(NO_SUCH_THING, "delete", "nobody", "--yes")

    def test_a_failed_job(self):
        job_file = self.write_job("failing", on_error="fail")
        done = self.cluster.try_run("submit", job_file, "--input", self.input_file, "--wait")
        self.assertEqual(done.returncode, JOB_FAILED, done.stderr)
        status = self.cluster.status("failing")
        self.assertEqual(status["state"], "failed")
        self.assertIn("a bad record", status["reason"])

    def test_timed_out(self):
        job_file = self.write_job("endless")
        with subprocess.Popen([str(BIN / "coordinator"), "submit", str(job_file), "--input", "-", "--timeout", "500ms"],
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "NATS_URL": self.cluster.nats.url}) as submit:
            submit.stdin.write('{"k":"a","seq":1}\n')
            submit.stdin.flush()
            self.assertEqual(submit.wait(60), TIMED_OUT)
            self.assertEqual(len(submit.stderr.read().splitlines()), 1)

    def test_cannot_connect(self):
        nowhere = {"NATS_URL": f"nats://127.0.0.1:{free_port()}"}
        self.assert_fails(CANNOT_CONNECT, "jobs", environment=nowhere)
        self.assert_fails(CANNOT_CONNECT, "submit", self.job_file, "--input", self.input_file, environment=nowhere)

    def test_interrupted(self):
        run = scenario.LedgerRun(self.cluster, "native", "followed", records=200)
        run.begin()
        following = self.cluster.start("results", "followed", "--follow")
        run.share(0.5)
        wait_for(lambda: '"key"' in following.log.read_text(), "results are followed")
        following.signal(2)
        self.assertEqual(following.child.wait(30), INTERRUPTED)
        run.finish_and_check()

    def test_usage(self):
        self.assertIn("did you mean `status`", self.assert_fails(USAGE, "statsu"))
        self.assertIn("watsh", self.assert_fails(USAGE, "status", "done", "--watsh"))
        self.assert_fails(USAGE, "status")
        self.assert_fails(USAGE, "status", "done", "-o", "yaml")
        self.assert_fails(USAGE, "results", "done", "--partition", "99")

    def test_help_has_an_example(self):
        names = [line.split()[0] for line in coordinator("--help").stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
        for name in names:
            with self.subTest(command=name):
                said = coordinator(name, "--help")
                self.assertEqual(said.returncode, DONE)
                self.assertIn("Example", said.stdout)
        worker = subprocess.run([str(BIN / "worker"), "--help"], capture_output=True, text=True)
        self.assertIn("Example", worker.stdout)

    def test_completion(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.cluster.run("completion", shell).stdout
            self.assertIn("partitions", script)
        subprocess.run(["bash", "-n"], input=self.cluster.run("completion", "bash").stdout, text=True, check=True)
        self.assert_fails(USAGE, "completion", "tcsh")

    def test_doctor(self):
        found = self.cluster.try_run("doctor", "--data", self.cluster.folder, "-o", "json")
        self.assertIn(found.returncode, (DONE, FAILED))
        for finding in json.loads(found.stdout):
            self.assertIn("what", finding)
        self.assertEqual(self.cluster.try_run("doctor", environment={"NATS_URL": f"nats://127.0.0.1:{free_port()}"}).returncode,
                         CANNOT_CONNECT)

    def test_a_reader_that_leaves_early(self):
        piped = subprocess.run(f"'{BIN}/coordinator' results done | head -n 1", shell=True, capture_output=True, text=True,
                               env={"NATS_URL": self.cluster.nats.url})
        self.assertEqual(len(piped.stdout.splitlines()), 1)
        self.assertEqual(piped.stderr, "")


if __name__ == "__main__":
    unittest.main()
