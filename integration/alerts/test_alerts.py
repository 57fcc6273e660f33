"""Each alert of the chart fired by what it is about, and over when that is mended."""

import contextlib
import json
import pathlib
import signal
import tempfile
import time
import unittest

import watched
from watched import Watched, wait_for

import feed
import handlers
from checkpoint_case import INTERVAL
from cluster import NatsServer
from http_service import Answer, Service

HANDLER_PROGRAM = pathlib.Path(handlers.__file__).with_name("handler_programs.py")
PARTITIONS = 2
JOB = """\
name: sums
source: {{format: jsonl}}
key: user
partitions: {partitions}
stages:
  - filter: 'r.bad and error("a bad record") or true'
  - aggregate: {{n: count()}}
commit: {{interval: 50ms}}
{more}
"""


def lines(count, **more):
    return [json.dumps({"user": f"u{i % 20}", **more}) + "\n" for i in range(count)]


class Alerts(unittest.TestCase):
    def begin(self, *workers, **options):
        self.cluster = self.enterContext(Watched(**options))
        self.prometheus = self.cluster.prometheus
        for name in workers:
            self.cluster.start_worker(name)
        if workers:
            self.cluster.wait_ready(*workers)
        self.cluster.wait_value("sum(millrace_leader)", lambda leaders: leaders == 1, "one leads")
        return self.cluster

    def feed(self, of, more="", first=1):
        """The job, with so many of these records in it."""
        job = self.cluster.write("sums.yaml", JOB.format(partitions=PARTITIONS, more=more))
        fed = feed.Feed(self.cluster, job, of)
        fed.write(first)
        wait_for(lambda: self.cluster.try_run("status", "sums").returncode == 0, "the job is there")
        return fed


class TheCluster(Alerts):
    def test_no_coordinator(self):
        cluster = self.begin()
        cluster.wait_resolved("MillraceNothingLeads")
        cluster.coordinator.kill()
        cluster.wait_firing("MillraceNothingLeads", severity="critical")
        cluster.coordinator = cluster.start_coordinator()
        cluster.wait_resolved("MillraceNothingLeads")

    def test_nats_is_away(self):
        cluster = self.begin("worker-0", "worker-1")
        cluster.wait_resolved("MillraceNothingLeads")
        cluster.nats.kill()
        cluster.wait_firing("MillraceNothingLeads")
        cluster.nats.start()
        cluster.wait_resolved("MillraceNothingLeads")

    def test_coordinators_of_one_release_talk_to_different_nats(self):
        cluster = self.begin()
        other = NatsServer(cluster.folder / "other")
        self.addCleanup(other.kill)
        stray = cluster.start_coordinator(pod="coordinator-1", nats=other.url)
        cluster.others.append(stray)
        cluster.wait_firing("MillraceSeveralLead")
        stray.kill()
        cluster.wait_resolved("MillraceSeveralLead")

    def test_a_worker_is_killed(self):
        cluster = self.begin("worker-0", "worker-1")
        cluster.wait_value('max(millrace_workers{state="ready"})', lambda ready: ready == 2, "both are ready")
        cluster.wait_resolved("MillraceTooFewWorkers")
        cluster.kill_worker("worker-1")
        cluster.wait_firing("MillraceWorkerLost")
        cluster.wait_firing("MillraceTooFewWorkers")
        cluster.restart_worker("worker-1")
        cluster.wait_resolved("MillraceWorkerLost", "MillraceTooFewWorkers")

    def test_a_worker_is_held_up_for_longer_than_its_lease(self):
        cluster = self.begin("worker-0", "worker-1")
        self.feed(lines(100), first=100)
        cluster.wait_owned("sums", "worker-0", "worker-1")
        cluster.wait_value("sum(millrace_fenced_total)", lambda fenced: fenced == 0, "nobody is fenced")
        cluster.workers["worker-1"].signal(signal.SIGSTOP)
        wait_for(lambda: set(cluster.owners("sums")) == {"worker-0"}, "the other owns all")
        cluster.workers["worker-1"].signal(signal.SIGCONT)
        cluster.wait_firing("MillraceFenced", pod="lake-millrace-worker-1")
        cluster.wait_resolved("MillraceFenced")


class Jobs(Alerts):
    def test_nobody_works_and_records_wait(self):
        cluster = self.begin()
        self.feed(lines(100), first=100)
        cluster.wait_firing("MillraceJobLateFast", job="sums", severity="critical")
        cluster.wait_firing("MillraceJobLateSlow", job="sums", severity="warning")
        cluster.start_worker("worker-0")
        cluster.wait_resolved("MillraceJobLateFast", "MillraceJobLateSlow")

    def test_a_job_fails(self):
        cluster = self.begin("worker-0")
        fed = self.feed(lines(10) + lines(1, bad=True), "on_error: fail", first=10)
        cluster.wait_value('max(millrace_jobs{state="failed"})', lambda failed: failed == 0, "no job has failed")
        fed.write(1)
        cluster.wait_firing("MillraceJobFailed", severity="critical")
        cluster.run("delete", "sums", "--yes")
        cluster.wait_resolved("MillraceJobFailed")

    def test_a_record_cannot_be_handled(self):
        cluster = self.begin("worker-0")
        fed = self.feed(lines(10) + lines(1, bad=True), first=10)
        cluster.wait_value("sum(millrace_dead_letters_total)", lambda dead: dead == 0, "none is dead")
        fed.write(1)
        cluster.wait_firing("MillraceDeadLetters", job="sums")
        cluster.wait_resolved("MillraceDeadLetters")

    def test_records_cannot_be_handled_before_anybody_looks(self):
        """Prometheus never sees the counter at 0: it comes with the job."""
        cluster = self.begin()
        self.feed(lines(1, bad=True) * 5, first=5)
        cluster.start_worker("worker-0")
        cluster.wait_firing("MillraceDeadLetters", job="sums")
        panel = next(asked for _, asked in watched.questions() if "millrace_dead_letters_total" in asked)
        cluster.wait_value(panel, lambda dead: dead == 5, "the dashboard shows all of them")
        cluster.wait_resolved("MillraceDeadLetters")

    def test_a_takeover_makes_no_new_dead_letters(self):
        cluster = self.begin("worker-0")
        self.feed(lines(1, bad=True) * 5, first=5)
        cluster.wait_firing("MillraceDeadLetters", job="sums")
        cluster.wait_resolved("MillraceDeadLetters")
        since = time.time()
        cluster.kill_worker("worker-0")
        cluster.start_worker("worker-1")
        taken = 'sum(millrace_dead_letters_total{pod=~".*-worker-1"})'
        cluster.wait_value(taken, lambda dead: dead == 5, "the other one has the partitions")
        cluster.wait_value(f"count_over_time({taken}[3s:250ms])", lambda looks: looks == 12, "the alert has looked back to before it")
        self.assertFalse(self.prometheus.fired_since("MillraceDeadLetters", since))


class Stages(Alerts):
    def test_no_handlers(self):
        cluster = self.begin("worker-0")
        sockets = self.enterContext(tempfile.TemporaryDirectory(prefix="mr-"))  # a path that is short enough for sockets
        job = cluster.write("asks.yaml", f"name: asks\nsource: {{format: jsonl}}\nkey: user\npartitions: {PARTITIONS}\nstages:\n"
                                         f"  - keyed: {{ remote: 'ipc://{sockets}/{{worker}}.sock' }}\n    name: asked\n")
        feed.Feed(cluster, job, [json.dumps({"user": "a", "seq": i}) + "\n" for i in range(10)]).write(10)
        cluster.wait_firing("MillraceHandlersMissing", job="asks", stage="asked")
        cluster.others.append(handlers.serve(HANDLER_PROGRAM, f"ipc://{sockets}/*.sock", cluster.folder / "handlers.log"))
        cluster.wait_resolved("MillraceHandlersMissing")

    @contextlib.contextmanager
    def unusable(self, folder):
        """A file in its place: not even root writes into that."""
        aside = folder.with_name("aside")
        folder.rename(aside)
        folder.write_text("")
        try:
            yield
        finally:
            folder.unlink()
            aside.rename(folder)

    def test_the_store_of_checkpoints_refuses(self):
        cluster = self.begin()
        store = cluster.folder / "checkpoints"
        cluster.start_worker("worker-0", flags=["--checkpoints", f"file://{store}", "--checkpoint-interval", INTERVAL])
        fed = self.feed(lines(100), first=50)
        wait_for(lambda: any(row["checkpoint_offset"] for row in cluster.json("partitions", "sums")), "a checkpoint is stored")
        with self.unusable(store):
            fed.write(50)
            cluster.wait_firing("MillraceCheckpointsFail", pod="lake-millrace-worker-0")
        cluster.wait_resolved("MillraceCheckpointsFail")

    def test_a_service_takes_no_results(self):
        refused = []
        with Service(lambda request: Answer(503 if refused else 200)) as service:
            cluster = self.begin("worker-0")
            fed = self.feed(lines(100), f"sink: {{ http: '{service.url}' }}", first=50)
            cluster.wait_value("sum(millrace_sink_records_total)", lambda out: out >= 50, "results are brought out")
            refused.append(True)
            fed.write(50)
            cluster.wait_firing("MillraceSinkStands", job="sums")
            refused.clear()
            cluster.wait_resolved("MillraceSinkStands")

    def test_the_file_of_results_cannot_be_written(self):
        """From the beginning: nothing was ever brought out, and no counter says so."""
        cluster = self.begin("worker-0")
        folder = cluster.folder / "results"
        folder.mkdir()
        with self.unusable(folder):
            self.feed(lines(50), f"sink: {{ file: '{folder}/sums.jsonl' }}", first=50)
            cluster.wait_firing("MillraceSinkStands", job="sums")
        cluster.wait_resolved("MillraceSinkStands")


class AllOfThem(unittest.TestCase):
    def test_promtool_takes_the_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            done = watched.check_rules(pathlib.Path(folder))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_each_alert_is_fired_here(self):
        text = pathlib.Path(__file__).read_text()
        for alert in watched.alerts():
            self.assertIn(f'wait_firing("{alert}"', text)
            self.assertRegex(text, rf'wait_resolved\(.*"{alert}"')


if __name__ == "__main__":
    unittest.main()
