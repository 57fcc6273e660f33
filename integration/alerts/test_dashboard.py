"""Each panel of the dashboard shows something, where that is going on."""

import json
import pathlib
import shutil
import signal
import tempfile
import unittest

import watched
from watched import Watched, wait_for

import feed
import handlers
import proxy
from checkpoint_case import INTERVAL, RESTORED
from http_service import Answer, Service

HANDLER_PROGRAM = pathlib.Path(handlers.__file__).with_name("handler_programs.py")
RECORDS = 200_000  # more than flow until the end
JOB = """\
name: sums
source: {{format: jsonl}}
key: user
partitions: 8
stages:
  - filter: 'r.i % 7 == 0 and error("a bad record") or true'
    on_error: retry
    retry: {{attempts: 2, backoff: 1ms..2ms}}
  - filter: 'r.i % 11 == 0 and error("another one") or true'
    on_error: skip
  - aggregate: {{n: count()}}
commit: {{interval: 500ms}}
sink: {{http: '{service}'}}
"""
ASKS = """\
name: asks
source: {{format: jsonl}}
key: user
partitions: 2
stages:
  - keyed: {{remote: 'ipc://{sockets}/{{worker}}.sock'}}
    name: asked
"""


class Dashboard(unittest.TestCase):
    def start_worker(self, name, nats=None):
        self.cluster.start_worker(name, nats=nats, flags=["--checkpoints", f"file://{self.store}", "--checkpoint-interval", INTERVAL])
        self.cluster.wait_ready(name)

    def test_each_panel_shows_what_goes_on(self):
        sockets = self.enterContext(tempfile.TemporaryDirectory(prefix="mr-"))  # a path that is short enough for sockets
        service = self.enterContext(Service(lambda request: Answer(200)))
        self.cluster = cluster = self.enterContext(Watched())
        self.store = cluster.folder / "checkpoints"
        link = self.enterContext(proxy.Proxy(cluster.nats.port))
        sums = feed.Feed(cluster, cluster.write("sums.yaml", JOB.format(service=service.url)),
                         [json.dumps({"user": f"u{i % 100}", "i": i}) + "\n" for i in range(RECORDS)])
        sums.write(1000)
        asks = feed.Feed(cluster, cluster.write("asks.yaml", ASKS.format(sockets=sockets)),
                         [json.dumps({"user": "a", "seq": i}) + "\n" for i in range(10)])
        asks.write(10)
        cluster.wait_value('sum(millrace_lag_records{job="sums"})', lambda waiting: waiting > 0, "records wait")

        with sums.flowing():
            self.start_worker("worker-0", nats=link.url)
            self.handlers_come(sockets)
            self.start_worker("worker-1")
            cluster.wait_owned("sums", "worker-0", "worker-1")
            self.nothing_is_acknowledged(link)
            self.a_worker_is_held_up()
            self.the_store_refuses()
            self.a_worker_is_lost_with_its_disk()
            self.expect_all_shown()

    def handlers_come(self, sockets):
        self.cluster.wait_value("sum(millrace_handler_waiting)", lambda calls: calls > 0, "calls wait")
        self.cluster.others.append(handlers.serve(HANDLER_PROGRAM, f"ipc://{sockets}/*.sock", self.cluster.folder / "handlers.log"))
        self.cluster.wait_value("sum(millrace_handlers)", lambda there: there > 0, "handlers are there")

    def nothing_is_acknowledged(self, link):
        """What goes to NATS is held, and what came from there is worked on."""
        link.hold(proxy.TO_SERVER)
        self.cluster.wait_value("sum(millrace_inflight)", lambda messages: messages > 0, "messages are in flight")
        link.release()

    def a_worker_is_held_up(self):
        self.cluster.wait_ready("worker-0", "worker-1")
        self.cluster.wait_owned("sums", "worker-1")
        self.cluster.workers["worker-1"].signal(signal.SIGSTOP)
        wait_for(lambda: "worker-1" not in self.cluster.owners("sums"), "others own its partitions")
        self.cluster.workers["worker-1"].signal(signal.SIGCONT)
        self.cluster.wait_value("sum(millrace_fenced_total)", lambda fenced: fenced > 0, "it was fenced")

    def the_store_refuses(self):
        aside = self.store.with_name("aside")
        self.store.rename(aside)
        self.store.write_text("")
        self.cluster.wait_value("sum(millrace_checkpoint_failures_total)", lambda failures: failures > 0, "a checkpoint failed")
        self.store.unlink()
        aside.rename(self.store)

    def a_worker_is_lost_with_its_disk(self):
        self.cluster.wait_owned("sums", "worker-1")
        self.cluster.kill_worker("worker-0")
        shutil.rmtree(self.cluster.folder / "worker-0")
        wait_for(lambda: RESTORED in self.cluster.workers["worker-1"].log.read_text(), "the other one restores a checkpoint")

    def expect_all_shown(self):
        """Each question has had an answer above 0 since the beginning."""
        dark = watched.questions()
        self.assertGreater(len(dark), 20)

        def all_shown():
            dark[:] = [(panel, asked) for panel, asked in dark if not (self.cluster.prometheus.most(asked) or 0) > 0]
            return not dark

        try:
            wait_for(all_shown, "all panels show something", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {dark}") from error


if __name__ == "__main__":
    unittest.main()
