"""Joining with a table: exact on both sides of an update of the table, whoever dies meanwhile."""

import json
import unittest

import feed
import scenario
from cluster import Cluster, wait_for
from command_case import FAILED, USAGE, assert_one_line

KEYS = 10
RECORDS = 6000
ROWS = 4000  # several messages of the table's stream
JOB = """\
name: prices
source: {format: jsonl}
key: k
partitions: 4
stages:
  - lookup: {table: prices.csv, key: item, by: r.item, as: price}
  - map: {seq: r.seq, price: r.price and r.price.cents, table: r.price and r.price.table}
  - keyed: {lua: 'state.n = (state.n or 0) + 1; emit({n = state.n, seq = r.seq, price = r.price, table = r.table})'}
commit: {interval: 50ms}
"""


def table(number, rows=ROWS):
    """In each table an item costs something else."""
    filler = "x" * 150
    return "item,cents,table,filler\n" + "".join(f"item-{i},{i * 10 + number},{number},{filler}\n" for i in range(rows))


def record(number):
    return json.dumps({"k": f"k{number % KEYS}", "seq": number, "item": f"item-{number * 7 % (ROWS + 50)}"}) + "\n"


class LookupTest(unittest.TestCase):
    def begin(self, workers=("w1", "w2")):
        scenario.announce(self.id())
        self.cluster = self.enterContext(Cluster(workers=workers))
        self.job = self.cluster.write("prices.yaml", JOB)
        self.cluster.write("prices.csv", table(1))

    def check_answer(self, tables):
        """Every record once, joined with the row of one of the tables; for each key the tables come in order."""
        results, newest = {}, {}
        for result in self.cluster.results("prices"):
            value, key = result["value"], result["key"]
            results.setdefault(key, []).append((value["n"], value["seq"]))
            row = value["seq"] * 7 % (ROWS + 50)
            if row >= ROWS:
                self.assertNotIn("price", {name for name, there in value.items() if there is not None}, result)
                continue
            self.assertEqual(value["price"], row * 10 + value["table"], result)
            self.assertGreaterEqual(value["table"], newest.get(key, tables[0]), f"an old table behind a new one: {result}")
            newest[key] = value["table"]
        expected = {}
        for number in range(RECORDS):
            rows = expected.setdefault(f"k{number % KEYS}", [])
            rows.append((len(rows) + 1, number))
        self.assertEqual(results, expected)
        self.assertEqual(set(newest.values()), {tables[-1]}, "the last table came too late for some key")
        self.assertIn("differences   0", self.cluster.run("verify", "prices").stdout)

    def test_tables_change_under_load_while_workers_die(self):
        self.begin()
        fed = feed.Feed(self.cluster, self.job, [record(i) for i in range(RECORDS)])
        for number, victim in ((2, "w1"), (3, "w2")):
            fed.write(RECORDS // 3)
            self.cluster.wait_records("prices", fed.written)
            self.cluster.write("prices.csv", table(number))
            self.cluster.run("update", self.job, "--no-wait")
            self.cluster.restart_worker(victim)
        fed.finish()
        self.cluster.wait_state("prices", "completed")
        self.check_answer(tables=[1, 2, 3])
        # Where nobody has it in memory: from the broker alone.
        replayed = self.cluster.run("replay", "prices", "--partition", "0", "--to", "3").stderr
        self.assertIn("replayed offsets 1 to", replayed)

    def test_a_submit_that_dies_while_it_puts_the_table_goes_on(self):
        self.begin(workers=["w1"])
        self.cluster.write("in.jsonl", "".join(record(i) for i in range(RECORDS)))
        submit = ("submit", self.job, "--input", self.cluster.folder / "in.jsonl")
        died = self.cluster.try_run(*submit, environment={"MILLRACE_FAILPOINT": "after_table_chunk:2"})
        self.assertLess(died.returncode, 0)
        wait_for(lambda: "table prices.csv is not in stream" in self.cluster.status("prices")["reason"], "the table is waited for")
        self.cluster.run(*submit, "--wait")
        self.check_answer(tables=[1])

    def test_a_copy_has_the_table_and_needs_the_job_no_more(self):
        self.begin(workers=["w1"])
        self.cluster.write("in.jsonl", "".join(record(i) for i in range(RECORDS)))
        self.cluster.run("submit", self.job, "--input", self.cluster.folder / "in.jsonl", "--wait")
        self.cluster.run("copy", "prices", "again", "--partitions", "2", "--wait")
        self.cluster.run("delete", "prices", "--yes")
        self.cluster.restart_worker("w1")
        self.assertIn("differences   0", self.cluster.run("verify", "again").stdout)
        self.assertEqual(len(self.cluster.results("again")), RECORDS)

    def test_what_is_wrong_with_a_table_is_one_line(self):
        self.begin(workers=[])
        self.cluster.write("prices.csv", "item,cents\na,1\na,2\n")
        twice = self.cluster.try_run("check", self.job)
        assert_one_line(self, twice, USAGE)
        self.assertIn("prices.yaml:6:5: prices.csv:3: the key `a` a second time, after line 2", twice.stderr)
        (self.cluster.folder / "prices.csv").unlink()
        missing = self.cluster.try_run("check", self.job)
        assert_one_line(self, missing, USAGE)
        self.assertIn("prices.csv — No such file or directory — a table lies beside its job file", missing.stderr)
        self.cluster.write("prices.csv", "item,cents\n" + "".join(f"{i},{'9' * 1000}\n" for i in range(70000)))
        large = self.cluster.try_run("submit", self.job, "--input", "-")
        assert_one_line(self, large, USAGE)
        self.assertIn("table prices.csv is larger than 64.0 MiB", large.stderr)

    def test_another_table_is_another_job_to_submit_and_new_code_to_update(self):
        self.begin(workers=["w1"])
        input_file = self.cluster.write("in.jsonl", "".join(record(i) for i in range(100)))
        self.cluster.run("submit", self.job, "--input", input_file, "--wait")
        self.cluster.run("submit", self.job, "--input", input_file, "--wait")
        self.cluster.write("prices.csv", table(2))
        other = self.cluster.try_run("submit", self.job, "--input", input_file)
        assert_one_line(self, other, FAILED)
        self.assertIn("`prices.csv` was `sha256 ", other.stderr)


if __name__ == "__main__":
    unittest.main()
