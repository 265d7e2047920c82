"""The command as a child process of the supervisor: it shuts down when the supervisor exits.

The supervisor holds the other end of standard input, which reaches its end however the supervisor exits.
"""

import os
import signal
import sys
import threading


def main() -> None:
    """Run the command with the arguments of this process."""
    from stemsplitter.cli.main import main as command

    threading.Thread(target=_watch, name="lifeline", daemon=True).start()
    command()


def _watch() -> None:
    # sys.stdin.read would hold a lock that the interpreter waits for at exit
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
