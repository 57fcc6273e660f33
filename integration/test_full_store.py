"""A JetStream store without room: what is said of it, and that a job can still be removed."""

import unittest

import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, assert_one_line

JOB = "name: {name}\nkey: user\npartitions: 2\nstages:\n  - map: r\n"
STORE = "jetstream { max_file_store: 12MB }\n"
RECORDS_THAT_FILL_IT = 12000


def lines(count):
    return "".join(f'{{"user":"u{i % 7}","x":"{"y" * 900}"}}\n' for i in range(count))


class FullStore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scenario.announce(cls.__name__)

    def test_a_job_that_runs_is_deleted_and_the_next_one_has_room(self):
        with Cluster(workers=["w1"], nats_config=STORE) as cluster:
            job = cluster.write("full.yaml", JOB.format(name="full"))
            cluster.run("submit", job, "--input", cluster.write("full.jsonl", lines(RECORDS_THAT_FILL_IT)))
            wait_for(lambda: "doctor" in cluster.status("full")["reason"], "status says that nothing goes on")
            refused = cluster.try_run("cancel", "full")
            assert_one_line(self, refused, FAILED)
            self.assertIn("no room left", refused.stderr)
            cluster.run("delete", "full", "--yes", "--timeout", "60s")
            small = cluster.write("small.yaml", JOB.format(name="small"))
            cluster.run("submit", small, "--input", cluster.write("small.jsonl", lines(100)), "--wait", "--timeout", "60s")
            self.assertEqual(len(cluster.results("small")), 100)


if __name__ == "__main__":
    unittest.main()
