"""The command, as a child of the supervisor: it ends in good order when its parent is gone.

The parent holds the other end of standard input. When the parent dies, however it dies, the input ends.
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
    # not sys.stdin.read: it would hold a lock that the end of Python waits for
    while os.read(sys.stdin.fileno(), 1 << 10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
