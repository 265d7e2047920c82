"""The HTTP server of the API process."""

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

from stemsplitter.processes.api import ACCEPTED_AT_ONCE, Server
from stemsplitter.processes.connections import ConnectionLimits

CLIENTS = 10 * ACCEPTED_AT_ONCE


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_m4_a_burst_of_connections_is_accepted_in_few_iterations_of_the_event_loop() -> None:
    """Accepted one by one, an honest connection waits for as many iterations as there are others before it; accepted
    all at once, the limit would close connections whose requests were not yet read."""
    limits = ConnectionLimits(6 * ACCEPTED_AT_ONCE, header_seconds=60, body_seconds=60)
    server = Server(app, limits, "127.0.0.1", 0)
    accepted: list[int] = []

    async def main() -> None:
        await server.startup()
        (listener,) = server.servers[0].sockets
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(listener.getsockname(), 60))
                for _ in range(CLIENTS)
            ]
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            while sum(accepted) < CLIENTS and len(accepted) < 10 * CLIENTS:
                before = server.server_state.total_requests
                await asyncio.sleep(0)
                accepted.append(server.server_state.total_requests - before)
            for client in clients:
                assert (await asyncio.to_thread(client.recv, 100)).startswith(b"HTTP/1.1 204")
        await server.shutdown()

    config = server.config
    config.lifespan = "off"
    config.load()
    server.lifespan = config.lifespan_class(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())
    assert len(accepted) < CLIENTS / 4
