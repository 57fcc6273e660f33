"""The checker checked: each seeded defect has one scenario that a healthy build passes and in which the defect is caught.

    defect                       scenario                                                   caught by
    commit_before_ack            killed after a commit, its outputs still in the link       ledger: outputs missing
    offset_outside_state_write   killed between the state's write and the offset's          ledger: counted twice
    labels_ignored               a frame of the input put into its stream a second time     ledger: counted twice
    the two above                likewise, between two segments                             the same
    replay_from_offset_plus_2    killed, then started again                                 no end, and ledger: outputs missing
    fencing_off                  records flow                                               streams: stands where nobody expected it
    epoch_not_raised             killed, then started again                                 streams: epochs do not rise
    dirty_set_lost_at_swap       slow acknowledgements, killed, then started again          ledger: a state of the past
"""

import unittest

import ledger
import nats_client
import proxy
import scenario
import stream_check
from cluster import Cluster, wait_for

RESULT_APPEND = b"Millrace: 1 r "
STUCK_SECONDS = 10  # a job that should end within a second or two


def setUpModule():
    scenario.announce("defects")


class Scenarios:
    """Each is run with and without the defect, and raises what the checkers raise."""

    def __init__(self, cluster, defect, kind="native"):
        self.cluster = cluster
        self.defect = defect
        # So many keys that most are not touched again soon: what is lost of them shows.
        self.run = scenario.LedgerRun(cluster, kind, keys=scenario.RECORDS // 5)
        self.run.begin()

    def feed_until_committed(self, part):
        self.run.share(part)
        wait_for(lambda: all(row["committed_offset"] == row["end"] for row in self.cluster.json("partitions", self.run.name)),
                 "all is committed")

    def finish(self):
        self.run.feed.finish()
        try:
            self.cluster.wait_state(self.run.name, "completed", STUCK_SECONDS if self.defect else 120)
        finally:
            self.run.check()

    def killed_after_commit_with_outputs_in_the_link(self):
        with proxy.Proxy(self.cluster.nats.port) as link:
            link.hold_from(RESULT_APPEND)
            worker = self.cluster.start_worker("w1", nats=link.url, defect=self.defect, failpoint="after_commit")
            self.run.share(0.3)
            wait_for(lambda: link.held(RESULT_APPEND) > 0, "outputs are in the link")
            if self.defect:
                self.cluster.wait_killed_by_itself("w1", "after_commit")
            self.run.share(0.1)
            worker.kill()
            link.cut()
        self.cluster.start_worker("w1")
        self.finish()

    def killed_in_commit(self):
        self.cluster.start_worker("w1", defect=self.defect, failpoint="in_commit:60")
        self.run.wait_running()
        self.run.feed_until_killed("w1", "in_commit")
        self.cluster.start_worker("w1")
        self.finish()

    def frame_sent_twice(self):
        self.cluster.start_worker("w1", defect=self.defect)
        self.feed_until_committed(0.5)
        with nats_client.NatsClient(self.cluster.nats.url) as nats:
            segment = 1 if ledger.has_two_segments(self.run.kind) else 0
            stream, subject = f"mr-{self.run.name}-{segment}-0", f"mr.{self.run.name}.{segment}.0"
            _, headers, payload = next(m for m in nats.messages(stream) if int(m[1]["Millrace"].split()[-1]) > 0)
            nats.publish(subject, payload, {"Millrace": headers["Millrace"]})
        self.finish()

    def killed_and_started_again(self):
        self.cluster.start_worker("w1", defect=self.defect)
        self.feed_until_committed(0.3)
        self.cluster.kill_worker("w1")
        self.run.share(0.3)
        self.cluster.start_worker("w1", defect=self.defect)
        self.finish()

    def killed_with_slow_acknowledgements(self):
        with proxy.Proxy(self.cluster.nats.port) as link:
            self.cluster.start_worker("w1", nats=link.url, defect=self.defect)
            self.run.wait_running()
            link.delay(proxy.TO_CLIENT, 0.1)  # a commit waits so long for its outputs, while records go on
            self.feed_until_committed(0.5)
            self.cluster.kill_worker("w1")
        self.cluster.start_worker("w1")
        self.finish()


class DefectsAreCaught(unittest.TestCase):
    def check(self, defect, play, caught_by, kind="native"):
        with self.subTest("healthy"), Cluster() as cluster:
            play(Scenarios(cluster, None, kind))
        with self.subTest(defect), Cluster() as cluster:
            with self.assertRaises(caught_by) as caught:
                play(Scenarios(cluster, defect, kind))
            print(f"{defect}: {caught.exception}")

    def test_commit_before_ack(self):
        self.check("commit_before_ack", Scenarios.killed_after_commit_with_outputs_in_the_link, ledger.LedgerError)

    def test_offset_outside_state_write(self):
        self.check("offset_outside_state_write", Scenarios.killed_in_commit, ledger.LedgerError)

    def test_labels_ignored(self):
        self.check("labels_ignored", Scenarios.frame_sent_twice, ledger.LedgerError)

    def test_commit_before_ack_of_what_crosses(self):
        self.check("commit_before_ack", Scenarios.killed_after_commit_with_outputs_in_the_link, ledger.LedgerError, "native-2")

    def test_labels_ignored_of_what_crosses(self):
        self.check("labels_ignored", Scenarios.frame_sent_twice, ledger.LedgerError, "native-2")

    def test_replay_from_offset_plus_2(self):
        self.check("replay_from_offset_plus_2", Scenarios.killed_and_started_again, ledger.LedgerError)

    def test_fencing_off(self):
        self.check("fencing_off", Scenarios.killed_and_started_again, stream_check.StreamError)

    def test_epoch_not_raised(self):
        self.check("epoch_not_raised", Scenarios.killed_and_started_again, stream_check.StreamError)

    def test_dirty_set_lost_at_swap(self):
        self.check("dirty_set_lost_at_swap", Scenarios.killed_with_slow_acknowledgements, ledger.LedgerError)


if __name__ == "__main__":
    unittest.main()
