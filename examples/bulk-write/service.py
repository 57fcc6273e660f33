"""An index of products that takes lists of changes: all of a list or nothing, and each change once, whoever sends it again."""

import http.server
import json
import random
import sys
import threading

LOCK = threading.Lock()
VERSIONS = {}  # of each product
TAKEN = {}  # changes, with the version that each of them made


def take(change):
    if change["change"] not in TAKEN:
        VERSIONS[change["product"]] = TAKEN[change["change"]] = VERSIONS.get(change["product"], 0) + 1
    return {"version": TAKEN[change["change"]]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        changes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        mood = random.random()
        if any(change["cents"] < 0 for change in changes):
            return self.answer(400, {"error": "a price below zero"})
        if mood < 0.1:
            return self.answer(503, {"error": "busy"})
        with LOCK:
            versions = [take(change) for change in changes]
        return self.answer(200, versions) if mood < 0.9 else self.answer(503, {"error": "taken, and then out of breath"})

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
