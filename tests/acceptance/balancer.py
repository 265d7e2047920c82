"""A TCP load balancer in front of several ports."""

import itertools
import select
import socket
import socketserver
import threading
from contextlib import suppress

BLOCK_BYTES = 1 << 16


class Balancer(socketserver.ThreadingTCPServer):
    """Forwards each connection to the next port in turn that accepts it."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, targets: list[int]) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.targets = targets
        self.turn = itertools.cycle(range(len(targets)))
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop accepting connections."""
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Balancer)
        first = next(self.server.turn)
        for port in self.server.targets[first:] + self.server.targets[:first]:
            with suppress(OSError):  # the process has ended
                with socket.create_connection(("127.0.0.1", port)) as target:
                    self._forward(target)
                return

    def _forward(self, target: socket.socket) -> None:
        other = {self.request: target, target: self.request}
        with suppress(OSError):  # one end has disconnected
            while True:
                for end in select.select(list(other), [], [])[0]:
                    data = end.recv(BLOCK_BYTES)
                    if not data:
                        return
                    other[end].sendall(data)
