"""The example client reads the very bytes that the C++ tests write (tests/common/frame/golden)."""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "clients"))
import read_results  # noqa: E402

UID = "9f86d081884c7d65"


def golden(name):
    return bytes.fromhex((ROOT / "tests/common/frame/golden" / f"{name}.hex").read_text())


def header(kind, epoch, prev, upto, uid=UID):
    return f"1 {kind} {uid} 0.3 {epoch} {prev} {upto} 3"


def labels(messages):
    return [(r["offset"], r["index"]) for r in read_results.accepted(messages, UID)]


class ReadResultsTest(unittest.TestCase):
    def test_records_of_a_result_frame(self):
        self.assertEqual(list(read_results.records(golden("results"))), [
            {"key": "ATL", "value": {"flights": 7, "last": "MIA"}, "offset": 17, "index": 2,
             "time": "2001-01-01T08:10:00Z"},
            {"key": "JFK", "value": [-70000, 0.5, None, True], "offset": 17, "index": 3,
             "time": "2001-01-01T08:09:59Z"},
            {"key": "\ufffd", "value": {"value_base64": "AP4="}, "offset": 300, "index": 0},
        ])
        self.assertEqual([r["value"] for r in read_results.records(golden("data"))], ["v"])
        self.assertEqual(list(read_results.records(golden("end"))), [])

    def test_every_bit_flip_is_refused(self):
        good = golden("results")
        for bit in range(8 * len(good)):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            with self.assertRaises(ValueError):
                list(read_results.records(bytes(bad)))

    def test_numbers_and_containers_of_each_width(self):
        for packed, value in ((b"\xcc\xff", 255), (b"\xd1\xff\x7f", -129), (b"\xff", -1), (b"\x7f", 127),
                              (b"\xcf" + b"\xff" * 8, 2**64 - 1), (b"\xca\x3f\xc0\x00\x00", 1.5),
                              (b"\x82\xa1a\x01\xa1b\x90", {"a": 1, "b": []}), (b"\xdc\x00\x01\xc3", [True]),
                              (b"\xd9\x03abc", "abc"), (b"\xde\x00\x01\xa1k\xc0", {"k": None})):
            self.assertEqual(read_results.unpack(packed, 0), (value, len(packed)))

    def test_duplicates_gaps_zombies_and_foreign_jobs_are_dropped(self):
        frame = golden("results")
        once = [(17, 2), (17, 3), (300, 0)]
        taken = (header("r", 2, "17.0", "301.0"), frame)
        first = (header("e", 2, "0.0", "0.0"), golden("end"))
        lead = (header("r", 2, "0.0", "17.0"), golden("end"))
        self.assertEqual(labels([first, lead, taken]), once)
        self.assertEqual(labels([first, lead, taken, taken]), once, "a duplicate")
        self.assertEqual(labels([first, taken, lead, taken]), once, "after a gap it comes again")
        self.assertEqual(labels([first, lead, (header("r", 1, "17.0", "301.0"), frame)]), [], "a zombie's")
        self.assertEqual(labels([first, lead, (header("r", 9, "17.0", "301.0", "0" * 16), frame)]), [], "foreign")

    def test_overlap_gives_only_what_lies_beyond_the_mark(self):
        lead = (header("r", 1, "0.0", "17.3"), golden("end"))
        overlapping = (header("r", 2, "17.0", "301.0"), golden("results"))
        self.assertEqual(labels([lead, overlapping]), [(17, 3), (300, 0)])


if __name__ == "__main__":
    unittest.main()
