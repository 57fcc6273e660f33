"""Stages that decide which records pass, and branches: the right answer whoever dies, and again when the log is replayed."""

import json
import random
import unittest

import feed
from cluster import Cluster

SEED = 17
EVENTS = 3000
KEYS = 12
POINTS = ("after_step:3", "in_commit")  # a commit may be all that a partition needs for what is fed at once
JOB = """\
name: ways
source: {format: jsonl}
key: k
partitions: 4
stages:
  - dedupe: {by: r.id}
  - partition:
      - when: r.v % 3 == 0
        stages:
          - aggregate: {threes: count(), sum: sum(v)}
      - stages:
          - broadcast:
              - stages: []
              - stages:
                  - filter: r.v % 3 == 1
                  - keyed: {lua: 'state.ones = (state.ones or 0) + 1 emit({ones = state.ones})'}
  - map: {n: r.threes or r.ones or r.v, way: 'r.threes and "threes" or r.ones and "ones" or "all"'}
commit: {interval: 50ms}
"""
LIMITED = """\
name: limited
source: {{format: jsonl}}
key: k
partitions: {partitions}
stages:
  - aggregate: {{n: count()}}
  - rate_limit: {{rate: {rate}, burst: 5, per: {per}, excess: {excess}}}
commit: {{interval: 50ms}}
"""


def events():
    """Each comes once or twice, the second time later; keys and values from a seed."""
    source = random.Random(SEED)
    once = [{"k": f"k{source.randrange(KEYS)}", "id": i, "v": source.randrange(1000)} for i in range(EVENTS)]
    twice = [(i + source.randrange(300), event) for i, event in enumerate(once) if source.random() < 0.5]
    placed = sorted([*enumerate(once), *twice], key=lambda pair: pair[0])
    return [event for _, event in placed]


def answers(records):
    """The results of each key in order."""
    seen, threes, ones, outputs = set(), {}, {}, {}
    for record in records:
        key, value = record["k"], record["v"]
        if record["id"] in seen:
            continue
        seen.add(record["id"])
        mine = outputs.setdefault(key, [])
        if value % 3 == 0:
            threes[key] = threes.get(key, 0) + 1
            mine.append({"n": threes[key], "way": "threes"})
            continue
        mine.append({"n": value, "way": "all"})
        if value % 3 == 1:
            ones[key] = ones.get(key, 0) + 1
            mine.append({"n": ones[key], "way": "ones"})
    return outputs


class StagesCase(unittest.TestCase):
    def begin(self, workers):
        self.cluster = self.enterContext(Cluster(workers=workers))

    def by_key(self, job):
        outputs = {}
        for result in self.cluster.results(job):
            outputs.setdefault(result["key"], []).append(result["value"])
        return outputs

    def verify(self, job):
        self.assertIn("differences   0", self.cluster.run("verify", job).stdout)


class BranchesUnderKills(StagesCase):
    def test_each_event_goes_its_way_once(self):
        self.begin(["w1", "w2"])
        records = events()
        job = self.cluster.write("ways.yaml", JOB)
        source = feed.Feed(self.cluster, job, [json.dumps(record) + "\n" for record in records])
        share = len(records) // 8
        source.write(share)
        self.cluster.wait_records("ways", share)
        for point in POINTS:
            self.cluster.restart_worker("w1", failpoint=point)
            self.cluster.wait_ready("w1")
            self.cluster.wait_owned("ways", "w1")
            source.write(share)
            self.cluster.wait_killed_by_itself("w1", point)
            self.cluster.start_worker("w1")
            source.write(share)
            self.cluster.restart_worker("w2")
        source.finish()
        self.cluster.wait_state("ways", "completed")
        self.assertEqual(self.by_key("ways"), answers(records))
        self.verify("ways")
        self.assertIn('"ones"', self.cluster.run("state", "get", "ways", "k1").stdout)


class Limits(StagesCase):
    def limited(self, records, **settings):
        job = self.cluster.write("limited.yaml", LIMITED.format(**settings))
        return feed.Feed(self.cluster, job, [json.dumps({"k": f"k{i % 3}"}) + "\n" for i in range(records)])

    def test_what_is_dropped_is_counted_and_dropped_again_in_a_replay(self):
        self.begin(["w1"])
        self.limited(600, partitions=1, rate="1/h", per="key", excess="drop").finish()
        self.cluster.wait_state("limited", "completed")
        status = self.cluster.status("limited")
        self.assertEqual((status["records_out"], status["skipped"]), (15, 585))
        self.assertEqual({key: len(values) for key, values in self.by_key("limited").items()}, {"k0": 5, "k1": 5, "k2": 5})
        self.verify("limited")

    def test_what_is_over_the_rate_is_a_dead_letter(self):
        self.begin(["w1"])
        self.limited(60, partitions=1, rate="1/h", per="stage", excess="dead_letter").finish()
        self.cluster.wait_state("limited", "completed")
        self.assertEqual(self.cluster.status("limited")["dead_letters"], 55)
        letters = self.cluster.json("dead-letters", "list", "limited")
        self.assertEqual({letter["error"] for letter in letters}, {"over the rate of 1/h for the stage"})
        self.verify("limited")

    def test_what_waits_comes_later_and_once_whoever_dies(self):
        self.begin(["w1"])
        source = self.limited(60, partitions=1, rate="10/s", per="stage", excess="wait")
        source.write(60)
        self.cluster.wait_records("limited", 20)
        self.assertLess(self.cluster.status("limited")["records_in"], 60, "nothing waits")
        self.cluster.restart_worker("w1")
        source.finish()
        self.cluster.wait_state("limited", "completed")
        counts = [value["n"] for values in self.by_key("limited").values() for value in values]
        self.assertEqual(sorted(counts), sorted([*range(1, 21)] * 3))
        self.assertEqual(self.cluster.status("limited")["skipped"], 0)
        self.verify("limited")


if __name__ == "__main__":
    unittest.main()
