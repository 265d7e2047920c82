"""Full disks, simulated by a limit on the size of files."""

import contextlib
import resource
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Make writes beyond ``size`` bytes of a file fail with EFBIG, as they fail with ENOSPC on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
