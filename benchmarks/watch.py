"""``python -m benchmarks.watch COMMAND…``: run a command, then print its CPU time and peak memory."""

import resource
import subprocess
import sys


def main() -> None:
    """Run the command and print its usage; exit with its status."""
    code = subprocess.run(sys.argv[1:], check=False).returncode
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"usage {usage.ru_utime + usage.ru_stime:.2f} {usage.ru_maxrss / 1024:.0f}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
