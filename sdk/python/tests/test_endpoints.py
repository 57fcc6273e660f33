from __future__ import annotations

import socket
import tempfile
import unittest
from pathlib import Path

from millrace.endpoints import Endpoints


class EndpointsTest(unittest.TestCase):
    def test_a_pattern_finds_sockets_and_nothing_else(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "fraud-file.sock").touch()
            endpoints = Endpoints([f"ipc://{folder}/fraud-*.sock", "tcp://127.0.0.1:7001"])
            self.assertEqual(endpoints.look(), ["tcp://127.0.0.1:7001"])
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(f"{folder}/fraud-w1.sock")
                self.assertEqual(endpoints.look(), [f"ipc://{folder}/fraud-w1.sock", "tcp://127.0.0.1:7001"])

    def test_a_fixed_endpoint_is_there_before_its_worker(self) -> None:
        self.assertEqual(Endpoints(["ipc:///run/none.sock"]).look(), ["ipc:///run/none.sock"])

    def test_what_is_no_endpoint_is_refused(self) -> None:
        wrong = ["", "nats://a:1", "tcp://a", "tcp://a:0", "tcp://a:65536", "tcp://a:1/b", "ipc://relative"]
        for endpoint in [*wrong, "ipc:///" + "x" * 107, "inproc://a"]:
            with self.subTest(endpoint), self.assertRaises(ValueError):
                Endpoints([endpoint])

    def test_names_and_both_kinds_of_address_are_endpoints(self) -> None:
        given = ["tcp://127.0.0.1:7001", "tcp://[::1]:7001", "tcp://worker-0.workers:7001"]
        self.assertEqual(Endpoints(given).look(), sorted(given))
