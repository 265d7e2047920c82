"""Receive webhooks and verify their signatures: STEMSPLITTER_WEBHOOK_SECRET=whsec_… python receive_webhook.py.

Uses the package `standardwebhooks`, which checks `webhook-id`, `webhook-timestamp` and `webhook-signature`.
docs/webhooks.md has receivers without dependencies, also for Node.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = os.environ["STEMSPLITTER_WEBHOOK_SECRET"]
MAX_BODY = 1 << 20

processed: set[str] = set()  # use a unique key in your database: this one is lost when the program ends


class Receiver(BaseHTTPRequestHandler):
    timeout = 15

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY:
            self.respond(413)
            return
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            event = Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError:
            self.respond(401)
            return
        # an event can arrive more than once, always with the same id
        if headers["webhook-id"] not in processed:
            data = event["data"]
            stems = ", ".join(data.get("stems") or ())
            print(event["event"], data["id"], stems, flush=True)
            processed.add(headers["webhook-id"])
        self.respond(204)

    def respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()
