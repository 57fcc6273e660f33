"""Checkpoints that are damaged, missing, or all that is left: the right answer, or a loud stop."""

import json
import shutil
import unittest

import nats_client
import scenario
from checkpoint_case import PASSED_OVER, RESTORED, CheckpointRun, Directory
from cluster import Cluster, wait_for


def setUpModule():
    scenario.announce("checkpoints")


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x20
    path.write_bytes(content)


def files_of(manifest):
    """Paths of the files that a manifest names, the largest last."""
    named = json.loads(manifest.read_text().splitlines()[0])["files"]
    folder = manifest.parent.parent / "files"
    return sorted((folder / file["object"] for file in named), key=lambda path: path.stat().st_size)


class Spoiled(unittest.TestCase):
    """The worker and its folder are gone, and so is a part of the checkpoints."""

    def setUp(self):
        self.cluster = self.enterContext(Cluster())
        self.run_ = CheckpointRun(self.cluster, Directory(self.cluster), "lua")
        self.run_.start_worker("w1")
        self.run_.begin()
        self.run_.wait_running()
        for _ in range(2):
            self.run_.share(0.25)
            self.run_.wait_checkpoints()
        self.run_.lose("w1")

    def finish(self):
        self.run_.start_worker("w2")
        self.run_.finish_and_check()

    def newest(self):
        return [self.run_.store.manifests(partition)[-1] for partition in range(scenario.PARTITIONS)]

    def test_nothing(self):
        self.finish()
        self.assertEqual((self.run_.said("w2", RESTORED), self.run_.said("w2", PASSED_OVER)), (scenario.PARTITIONS, 0))

    def test_a_byte_of_the_newest_file(self):
        for manifest in self.newest():
            older = {path for other in self.run_.store.manifests() if other != manifest for path in files_of(other)}
            flip_byte(next(path for path in reversed(files_of(manifest)) if path not in older))
        self.finish()
        self.assertEqual((self.run_.said("w2", RESTORED), self.run_.said("w2", PASSED_OVER)), (scenario.PARTITIONS, scenario.PARTITIONS))

    def test_a_byte_of_every_file(self):
        for path in self.run_.store.path.glob("*/*/files/*"):
            flip_byte(path)
        self.finish()
        self.assertEqual(self.run_.said("w2", RESTORED), 0)

    def test_the_newest_manifest(self):
        for manifest in self.newest():
            manifest.unlink()
        self.finish()
        self.assertEqual(self.run_.said("w2", RESTORED), scenario.PARTITIONS)

    def test_a_byte_of_the_newest_manifest(self):
        for manifest in self.newest():
            flip_byte(manifest)
        self.finish()
        self.assertEqual((self.run_.said("w2", RESTORED), self.run_.said("w2", PASSED_OVER)), (scenario.PARTITIONS, scenario.PARTITIONS))

    def test_the_newest_exchanged_with_another_partitions(self):
        first, second = self.newest()[:2]
        swapped = first.read_bytes()
        shutil.copy(second, first)
        second.write_bytes(swapped)
        self.finish()
        self.assertGreaterEqual(self.run_.said("w2", PASSED_OVER), 1)


class Purged(unittest.TestCase):
    """The beginning of the log is gone."""

    def begin(self, kind):
        self.cluster = self.enterContext(Cluster())
        self.run_ = CheckpointRun(self.cluster, Directory(self.cluster), kind)
        self.run_.start_worker("w1")
        self.run_.begin()
        self.run_.wait_running()
        self.run_.share(0.5)
        self.run_.wait_checkpoints()
        rows = self.run_.rows()
        self.run_.lose("w1")
        with nats_client.NatsClient(self.cluster.nats.url) as nats:
            for row in rows:
                stream = f"mr-{self.run_.name}-{row['segment']}-{row['partition']}"
                nats.api(f"STREAM.PURGE.{stream}", {"seq": row["checkpoint_offset"]})  # keeps the last one

    def checkpoints_are_enough(self, kind):
        self.begin(kind)
        self.run_.start_worker("w2")
        self.run_.feed.finish()
        self.cluster.wait_state(self.run_.name, "completed")
        self.run_.check(logs=False)

    def test_a_checkpoint_is_enough(self):
        self.checkpoints_are_enough("native")

    def test_checkpoints_are_enough_for_two_segments(self):
        self.checkpoints_are_enough("native-2")

    def test_without_a_checkpoint_that_partition_stops_loudly(self):
        self.begin("native")
        shutil.rmtree(self.run_.store.manifests(2)[0].parent)
        self.run_.start_worker("w2")

        def stopped():
            rows = {row["partition"]: row for row in self.run_.rows()}
            others = {row["state"] for partition, row in rows.items() if partition != 2}
            return rows[2]["state"] == "stopped" and others == {"running"} and rows[2]["reason"]
        self.assertIn("what came before is gone", wait_for(stopped, "partition 2 stops, the others run"))


class StateOnDisk(unittest.TestCase):
    def test_that_is_damaged_is_replaced_by_the_checkpoint(self):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster))
            run.begin_with_worker("w1")
            run.store_share(0.5)
            cluster.kill_worker("w1")
            for current in (cluster.folder / "w1").glob("*/*/CURRENT"):
                current.unlink()
            run.start_worker("w1")
            run.finish_and_check()
            self.assertEqual(run.said("w1", RESTORED), scenario.PARTITIONS)

    def test_that_is_newer_is_used(self):
        with Cluster() as cluster:
            run = CheckpointRun(cluster, Directory(cluster))
            run.begin_with_worker("w1")
            run.store_share(0.5)
            cluster.kill_worker("w1")
            run.start_worker("w1")
            run.finish_and_check()
            self.assertEqual(run.said("w1", RESTORED), 0)


if __name__ == "__main__":
    unittest.main()
