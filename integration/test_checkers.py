"""The checkers find what they are there for, and the proxy does what it is told: without a cluster."""

import socket
import unittest

import ledger
import proxy
import stream_check
from cluster import wait_for


def result(key, count, total, offset, index=0, partition=0):
    return {"key": key, "value": {"count": count, "sum": total, "last": count}, "partition": partition, "offset": offset, "index": index}


GOOD = [result("a", 1, 1, 1), result("b", 1, 1, 1, 1), result("a", 2, 3, 2)]


class LedgerCheckTest(unittest.TestCase):
    def test_what_is_right_passes(self):
        self.assertEqual(ledger.check_results(GOOD, {"a": 2, "b": 1}, "native"), 3)

    def test_what_is_wrong_does_not(self):
        for what, results, counts in [
                ("one missing at the end", GOOD[:-1], {"a": 2, "b": 1}),
                ("one missing before", GOOD[1:], {"a": 2, "b": 1}),
                ("one twice", [*GOOD, GOOD[-1]], {"a": 2, "b": 1}),
                ("one twice under a label of its own", [*GOOD, result("a", 2, 3, 3)], {"a": 2, "b": 1}),
                ("counted twice", [*GOOD[:-1], result("a", 3, 6, 2)], {"a": 2, "b": 1}),
                ("swapped", [GOOD[2], GOOD[1], GOOD[0]], {"a": 2, "b": 1}),
                ("of no input", GOOD, {"a": 2})]:
            with self.subTest(what), self.assertRaises(ledger.LedgerError):
                ledger.check_results(results, counts, "native")


def message(sequence, kind, epoch, prev, upto, expected=None):
    return sequence, {"Millrace": f"1 {kind} u 0.0 {epoch} {prev} {upto} 0",
                      "Nats-Expected-Last-Sequence": str(sequence - 1 if expected is None else expected)}, b""


class StreamCheckTest(unittest.TestCase):
    def test_what_is_right_passes(self):
        seen = stream_check.check_stream("s", [
            message(1, "e", 1, "0.0", "0.0"), message(2, "r", 1, "0.0", "3.0"), message(3, "e", 2, "3.0", "3.0"),
            message(4, "r", 1, "3.0", "5.0"), message(5, "r", 2, "3.0", "4.0"), message(6, "z", 2, "4.0", "4.0")])
        self.assertEqual((seen["messages"], seen["epochs"], seen["zombies"]), (6, 2, 1))

    def test_what_landed_behind_a_late_append_comes_again(self):
        overtaken = [message(1, "e", 1, "0.0", "0.0"), message(2, "e", 2, "0.0", "0.0"), message(3, "r", 1, "0.0", "2.0"),
                     message(4, "r", 2, "3.0", "4.0"), message(5, "r", 2, "4.0", "5.0")]
        again = [message(6, "r", 2, "0.0", "3.0"), message(7, "r", 2, "3.0", "5.0"), message(8, "r", 1, "2.0", "3.0")]
        seen = stream_check.check_stream("s", overtaken + again)
        self.assertEqual((seen["zombies"], seen["ahead"]), (2, 2))
        with self.assertRaises(stream_check.StreamError):
            stream_check.check_stream("s", overtaken)

    def test_what_is_wrong_does_not(self):
        first = message(1, "e", 1, "0.0", "0.0")
        for what, messages in [
                ("an epoch twice", [first, message(2, "e", 1, "0.0", "0.0")]),
                ("where nobody expected it", [first, message(2, "r", 1, "0.0", "1.0", expected=0)]),
                ("a gap", [first, message(2, "r", 1, "1.0", "2.0")]),
                ("a gap behind a late append that was passed over", [first, message(2, "e", 2, "0.0", "0.0"), message(3, "r", 1, "0.0", "1.0"),
                                                                     message(4, "r", 2, "0.0", "1.0"), message(5, "r", 2, "2.0", "3.0")]),
                ("an overlap", [first, message(2, "r", 1, "0.0", "2.0"), message(3, "r", 1, "1.0", "3.0")]),
                ("a stranger", [first, (2, {}, b"")])]:
            with self.subTest(what), self.assertRaises(stream_check.StreamError):
                stream_check.check_stream("s", messages)


class CrossingCheckTest(unittest.TestCase):
    def check(self, *messages):
        return stream_check.check_crossing("s", messages, ["0.0"])

    def test_what_is_sent_again_or_late_is_no_fault(self):
        seen = self.check(message(1, "e", 1, "0.0", "0.0"), message(2, "r", 1, "0.0", "3.0"), message(3, "r", 1, "0.0", "3.0"),
                          message(4, "r", 1, "5.0", "6.0"), message(5, "e", 2, "0.0", "0.0"), message(6, "r", 1, "3.0", "4.0"),
                          message(7, "r", 2, "2.0", "6.0"), message(8, "z", 2, "6.0", "6.0"))
        self.assertEqual((seen["again"], seen["zombies"]), (1, 1))

    def test_what_is_missing_or_comes_behind_the_end_is(self):
        for what, messages in [
                ("no end", [message(1, "r", 1, "0.0", "3.0")]),
                ("a gap that stays", [message(1, "r", 1, "1.0", "3.0"), message(2, "z", 1, "3.0", "3.0")]),
                ("behind the end", [message(1, "z", 1, "0.0", "0.0"), message(2, "r", 1, "0.0", "3.0")])]:
            with self.subTest(what), self.assertRaises(stream_check.StreamError):
                self.check(*messages)

    def test_nobody_else_writes_there(self):
        with self.assertRaises(stream_check.StreamError):
            stream_check.check_crossing("s", [message(1, "r", 1, "0.0", "3.0")], ["0.1"])


class ProxyTest(unittest.TestCase):
    """Between a client and a server of this test."""

    def setUp(self):
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.link = self.enterContext(proxy.Proxy(listener.getsockname()[1]))
        self.client = self.enterContext(socket.create_connection(("127.0.0.1", int(self.link.url.rsplit(":", 1)[1]))))
        self.server, _ = listener.accept()
        self.addCleanup(self.server.close)
        self.client.settimeout(10)
        self.server.settimeout(10)

    def test_passes_both_ways(self):
        self.client.sendall(b"ping")
        self.assertEqual(self.server.recv(10), b"ping")
        self.server.sendall(b"pong")
        self.assertEqual(self.client.recv(10), b"pong")

    def test_holds_one_direction_and_lets_go_in_order(self):
        self.link.hold(proxy.TO_SERVER)
        self.client.sendall(b"one two ")
        wait_for(lambda: self.link.held(b"two") == 1, "it is held")
        self.server.sendall(b"pong")
        self.assertEqual(self.client.recv(10), b"pong")
        self.link.release(0.5)
        self.assertEqual(self.server.recv(10), b"one ")
        self.link.release()
        self.assertEqual(self.server.recv(10), b"two ")
        self.client.sendall(b"three")
        self.assertEqual(self.server.recv(10), b"three")

    def test_holds_from_a_needle_on(self):
        self.link.hold_from(b"!")
        self.client.sendall(b"before")
        self.assertEqual(self.server.recv(10), b"before")
        self.client.sendall(b"now!")
        wait_for(lambda: self.link.held(b"!") == 1, "it is held")
        self.link.cut()
        self.assertEqual(self.server.recv(10), b"")

    def test_counts_what_passes(self):
        self.link.count(proxy.TO_CLIENT, b"x")
        self.server.sendall(b"axbx")
        self.assertEqual(self.client.recv(10), b"axbx")
        self.assertEqual(self.link.counted(b"x"), 2)


if __name__ == "__main__":
    unittest.main()
