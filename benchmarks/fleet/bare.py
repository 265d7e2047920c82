"""A minimal FastAPI application that returns a constant, on a given port, with the API's server settings."""

import sys

import uvicorn
from fastapi import FastAPI

from stemsplitter.processes.api import KEEP_ALIVE_S

app = FastAPI()


@app.get("/constant")
async def constant() -> dict[str, object]:
    """Return the constant."""
    return {"success": True, "data": {"status": "queued", "progress": 0}}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
