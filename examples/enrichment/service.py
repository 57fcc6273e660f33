"""A service that knows customers. It loses its patience now and then, as services do."""

import http.server
import json
import random
import sys

CUSTOMERS = {"ann": {"name": "Ann Archer", "tier": "gold"}, "bob": {"name": "Bob Baker", "tier": "basic"},
             "eve": {"name": "Eve Éluard", "tier": "silver"}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        customer = CUSTOMERS.get(self.path.removeprefix("/customers/"))
        busy = random.random() < 0.2
        self.send_response(503 if busy else 200 if customer else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(customer or {"error": "no such customer"}).encode())

    def log_message(self, *_arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
