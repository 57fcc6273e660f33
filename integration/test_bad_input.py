"""Job files and input that are wrong in every way: one clear line, the right exit code, and nothing changed."""

import gzip
import json
import subprocess
import unittest

import nats_client
import scenario
from cluster import BIN, Cluster
from command_case import DONE, NO_SUCH_THING, USAGE, assert_one_line

GOOD_JOB = """\
name: good
source: {format: jsonl, max_record: 1KiB}
key: k
partitions: 2
stages:
  - aggregate: {n: count()}
commit: {interval: 50ms}
"""
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi"))

# What is wrong with the file, the file, and what the message must hold.
BAD_JOBS = [
    ("a typo in a stage", GOOD_JOB.replace("aggregate", "agregate"), "did you mean `aggregate`?"),
    ("a typo at the top", GOOD_JOB.replace("partitions", "partitons"), "did you mean `partitions`?"),
    ("a typo in a function", GOOD_JOB.replace("count()", "cuont()"), "count"),
    ("a number that is text", GOOD_JOB.replace("partitions: 2", "partitions: many"), "partitions"),
    ("a list that is text", GOOD_JOB.replace("stages:\n  - aggregate: {n: count()}", "stages: aggregate"), "stages"),
    ("a number beyond its range", GOOD_JOB.replace("partitions: 2", "partitions: 0"), "partitions"),
    ("a duration without a unit", GOOD_JOB.replace("50ms", "50"), "interval"),
    ("no name", GOOD_JOB.replace("name: good\n", ""), "name"),
    ("no key", GOOD_JOB.replace("key: k\n", ""), "key"),
    ("no stages", GOOD_JOB[:GOOD_JOB.index("stages")], "stages"),
    ("a stage that this version lacks", GOOD_JOB.replace("aggregate: {n: count()}", "window: {tumbling: 1h}"), "window"),
    ("Lua that does not parse", GOOD_JOB.replace("aggregate: {n: count()}", "filter: 'r.delay >'"), "filter"),
    ("no YAML", "name: [unclosed\n", ":"),
    ("a tab", GOOD_JOB.replace("  - aggregate", "\t- aggregate"), ":"),
    ("a key twice", GOOD_JOB + "name: other\n", "name"),
    ("an empty file", "", "job"),
    ("ten megabytes of nothing", b"\0" * (10 << 20), "1.0 MiB"),
    ("ten megabytes of noise", bytes(range(256)) * (10 << 12), "1.0 MiB"),
    ("a YAML bomb", GOOD_JOB + BOMB, ":"),
    ("no UTF-8", GOOD_JOB.encode() + b"# \xff\xfe\n", ":"),
]
BAD_NAMES = ["..", "../etc", "a/b", "a b", "a.b", "käse", "", "x" * 65, "*", ">", "$JS", "a\nb"]


def setUpModule():
    scenario.announce("bad input")


class BadJobFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster())
        cls.input_file = cls.cluster.write("input.jsonl", '{"k":"a"}\n')
        cls.good_file = cls.cluster.write("good.yaml", GOOD_JOB)

    def everything(self):
        """What the broker holds: the jobs and the streams by name."""
        with nats_client.NatsClient(self.cluster.nats.url) as nats:
            streams = sorted(name for name in nats.stream_names() if not name.startswith("KV_"))
        return [row["job"] for row in self.cluster.json("jobs")], streams

    def assert_refused(self, code, *arguments, **options):
        before = self.everything()
        done = self.cluster.try_run(*arguments, **options)
        assert_one_line(self, done, code)
        self.assertEqual(self.everything(), before, "something was changed")
        return done.stderr

    def test_job_files(self):
        for what, text, expected in BAD_JOBS:
            with self.subTest(what):
                bad = self.cluster.write("bad.yaml", text)
                said = self.assert_refused(USAGE, "submit", bad, "--input", self.input_file)
                self.assertIn(expected, said)
                self.assertIn(str(bad), said)
                assert_one_line(self, self.cluster.try_run("check", bad), USAGE)

    def test_message_names_file_line_and_column(self):
        bad = self.cluster.write("place.yaml", GOOD_JOB.replace("aggregate", "agregate"))
        self.assertIn(f"{bad}:6:5", self.assert_refused(USAGE, "submit", bad, "--input", self.input_file))

    def test_flags_that_are_wrong_are_told_with_their_source(self):
        config = self.cluster.write("mill.conf", "# ours\noutput = json\nlog-level = loud\n")
        self.assertIn(f"{config}:3: log-level: ", self.assert_refused(USAGE, "jobs", "--config", config))
        said = self.assert_refused(USAGE, "jobs", environment={"MILLRACE_LOG_LEVEL": "loud"})
        self.assertIn('MILLRACE_LOG_LEVEL: "loud"', said)

    def test_addresses_to_listen_on_that_are_none(self):
        nats = ["--nats", self.cluster.nats.url]
        for command in ([BIN / "worker", "--data", self.cluster.folder / "none"], [BIN / "coordinator", "serve"]):
            done = subprocess.run([*map(str, command), *nats, "--http", "foo"], capture_output=True, text=True, timeout=60)
            assert_one_line(self, done, USAGE)
            self.assertIn('--http: "foo"', done.stderr)

    def test_commands_that_there_are_not(self):
        self.assertIn("no command", self.assert_refused(USAGE))
        self.assertIn("did you mean `status`", self.assert_refused(USAGE, "staus"))

    def test_job_names(self):
        for name in BAD_NAMES:
            with self.subTest(name=name):
                quoted = self.cluster.write("named.yaml", GOOD_JOB.replace("name: good", f"name: {json.dumps(name)}"))
                self.assert_refused(USAGE, "submit", quoted, "--input", self.input_file)
                if name:
                    self.assert_refused(USAGE, "submit", self.good_file, "--input", self.input_file, "--name", name)
                    self.assert_refused(NO_SUCH_THING, "status", name)

    def test_names_on_the_command_line_that_are_flags_or_nothing(self):
        for name in (["--name", ""], ["--name="], ["--name", "--wait"], ["--name", "-x"]):
            with self.subTest(name=name):
                self.assert_refused(USAGE, "submit", self.good_file, "--input", self.input_file, *name)

    def test_addresses_that_are_none(self):
        for address in ("foo", "http://127.0.0.1:1", "nats://", "nats://h:no", ":4222"):
            with self.subTest(address=address):
                assert_one_line(self, self.cluster.try_run("jobs", "--nats", address), USAGE)

    def test_lua_that_does_not_parse_is_told_with_its_place(self):
        bad = self.cluster.write("lua.yaml", GOOD_JOB.replace("aggregate: {n: count()}", "filter: 'r.delay >'"))
        for command in (["check", bad], ["submit", bad, "--input", self.input_file]):
            self.assertIn(f"{bad}:6:5: ", self.assert_refused(USAGE, *command))

    def test_files_that_are_not_there(self):
        self.assert_refused(USAGE, "submit", "no-such-job.yaml", "--input", self.input_file)
        self.assertIn("no-such-input.jsonl", self.assert_refused(USAGE, "submit", self.good_file, "--input", "no-such-input.jsonl"))
        self.assert_refused(USAGE, "submit", self.good_file)

    def test_csv_headers_that_lack_a_column(self):
        job = self.cluster.write("columns.yaml", GOOD_JOB.replace("jsonl", "csv"))
        good = self.cluster.write("good.csv", "k,x\na,1\n")
        bad = self.cluster.write("bad.csv", "key,x\na,1\n")
        for inputs in (["--input", bad], ["--input", good, "--input", bad]):
            with self.subTest(inputs):
                said = self.assert_refused(USAGE, "submit", job, *inputs)
                self.assertIn(f"{bad}:1: CSV header: there is no column `k`", said)

    def test_flags(self):
        for flags in (["--inptu", self.input_file], ["--timeout", "soon"], ["--set", "partitions"], ["--set", "partitons=3"],
                      ["--input", "-", "--input", "-"], ["--wait=perhaps"]):
            with self.subTest(flags=flags):
                arguments = flags if "--input" in flags else ["--input", self.input_file, *flags]
                self.assert_refused(USAGE, "submit", self.good_file, *arguments)


class BadLines(unittest.TestCase):
    """Lines that are no records are dead letters that say why; all others count."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=["w1"]))

    def feed(self, name, data, job=GOOD_JOB):
        """Submits the bytes; returns {key: count} and the dead letters' errors in order."""
        job_file = self.cluster.write(f"{name}.yaml", job)
        input_file = self.cluster.write(f"{name}.input", data)
        done = self.cluster.run("submit", job_file, "--input", input_file, "--name", name, "--wait")
        self.assertEqual(done.returncode, DONE)
        counts = {line["key"]: line["value"]["n"] for line in self.cluster.results(name, "--latest")}
        return counts, [letter["error"] for letter in self.cluster.json("dead-letters", "list", name)]

    def test_lines_that_are_no_records(self):
        long = b'{"k":"a","x":"' + b"y" * 2000 + b'"}\n'
        counts, errors = self.feed("lines", b'{"k":"a"}\n{"x":1}\n{"k":"a"\nnot json\n\xff\xfe{"k":"b"}\n{"k":null}\n[1]\n' + long +
                                   b'{"k":"b\xff"}\n{"k":"a"}')
        self.assertEqual(counts, {"a": 2})
        self.assertEqual(len(errors), 8, errors)
        self.assertIn("field `k` is null", " ".join(errors))
        self.assertIn("max_record", " ".join(errors))

    def test_keys_that_hold_what_a_terminal_obeys_stay_in_their_rows(self):
        self.feed("escapes", b'{"k":"x\\ny\\u001b[31m"}\n')
        rows = self.cluster.run("state", "scan", "escapes", "-o", "table").stdout
        self.assertEqual(len(rows.splitlines()), 2)
        self.assertIn("x\\ny\\x1b[31m", rows)

    def test_empty_input(self):
        self.assertEqual(self.feed("empty", b""), ({}, []))

    def test_empty_lines_and_carriage_returns(self):
        self.assertEqual(self.feed("crlf", b'{"k":"a"}\r\n\r\n\n{"k":"a"}\r\n{"k":"b"}\r'), ({"a": 2, "b": 1}, []))

    def test_gzip(self):
        self.assertEqual(self.feed("zipped", gzip.compress(b'{"k":"a"}\n' * 3)), ({"a": 3}, []))

    def test_gzip_cut_off_fails_and_says_so(self):
        data = gzip.compress(b'{"k":"a"}\n' * 50)[:-12]
        job_file = self.cluster.write("cut.yaml", GOOD_JOB)
        input_file = self.cluster.write("cut.gz", data)
        done = self.cluster.try_run("submit", job_file, "--input", input_file, "--name", "cut")
        self.assertNotEqual(done.returncode, DONE)
        self.assertIn("cut.gz", done.stderr)
        self.assertIn("coordinator delete cut", done.stderr)

    def test_a_result_that_is_too_large_for_a_message(self):
        job = GOOD_JOB.replace("aggregate: {n: count()}", "keyed: {lua: 'emit({n = r.n, x = (\"x\"):rep(r.n)})'}")
        counts, errors = self.feed("large", b'{"k":"a","n":2000000}\n{"k":"b","n":1000000}\n{"k":"c","n":1048000}\n{"k":"d","n":1}\n', job)
        self.assertEqual(counts, {"b": 1000000, "d": 1})
        self.assertEqual(len(errors), 2, errors)
        self.assertIn("over the limit", errors[0])

    def test_csv(self):
        job = GOOD_JOB.replace("jsonl", "csv")
        counts, errors = self.feed("csv", b'k,x\r\na,1\r\n"a",2\r\n"b\nc",3\r\nd\r\n', job)
        self.assertEqual(counts["a"], 2)
        self.assertGreater(len(errors), 0)

    def test_every_line_is_bad(self):
        counts, errors = self.feed("allbad", b"nonsense\n" * 300)
        self.assertEqual((counts, len(errors)), ({}, 300))


if __name__ == "__main__":
    unittest.main()
