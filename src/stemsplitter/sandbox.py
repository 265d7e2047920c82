"""Restrictions of the child processes that read untrusted files.

A child is started with :func:`environment`, which holds no secret, and calls :func:`restrict` before it reads anything.
Everywhere it has limits on memory, files and core dumps. On Linux, on x86-64 and AArch64, the kernel also refuses it
Internet sockets, other programs, and looks into other processes (seccomp-BPF, see ``man 2 seccomp``), for good and for
all of its threads.
"""

import ctypes
import errno
import logging
import os
import platform
import resource
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

# what Python, the dynamic linker, the libraries of numbers and those of GPUs read; nothing of the server's
_NAMES = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONWARNINGS",
    "LD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "STEMSPLITTER_CACHE_DIR",
    "STEMSPLITTER_OFFLINE",
)
_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_", "KMP_", "OV_", "CUDA_", "NVIDIA_", "PYTORCH_", "MALLOC_")

_log = logging.getLogger(__name__)

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_ALL_THREADS = 1
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EACCES
# offsets in struct seccomp_data
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


@dataclass(frozen=True)
class _Abi:
    """Numbers of system calls on a machine."""

    architecture: int
    seccomp: int
    socket: int
    refused: tuple[int, ...]  # execve, execveat, ptrace, process_vm_readv, process_vm_writev


_ABIS = {
    "x86_64": _Abi(0xC000003E, 317, 41, (59, 322, 101, 310, 311)),
    "aarch64": _Abi(0xC00000B7, 277, 198, (221, 281, 117, 270, 271)),
}
# calls of the x32 ABI have this bit in their number, and the same architecture
_X32 = 0x40000000


def environment(source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of ``source`` that a child process may have."""
    return {name: value for name, value in source.items() if name in _NAMES or name.startswith(_PREFIXES)}


def restrict(
    *, memory_bytes: int, file_bytes: int, open_files: int, address_space_bytes: int | None = None
) -> bool:
    """Restrict this process, for good.

    Args:
        memory_bytes: private memory that the process may have; beyond it, allocations fail.
        file_bytes: size of the largest file that it may write.
        open_files: files that it may have open at a time.
        address_space_bytes: address space that it may have, mapped files included; None for no limit.

    Returns:
        Whether the kernel refuses it the Internet and other programs, too.
    """
    _limit(resource.RLIMIT_DATA, memory_bytes)
    if address_space_bytes is not None:
        _limit(resource.RLIMIT_AS, address_space_bytes)
    _limit(resource.RLIMIT_FSIZE, file_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, open_files)
    return sys.platform == "linux" and _filter_system_calls()


def _limit(kind: int, value: int) -> None:
    """Lower a limit, the one that the process could raise again, too."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _filter_system_calls() -> bool:
    abi = _ABIS.get(platform.machine())
    if abi is None:
        return False
    program = _program(abi)
    instructions = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    filter_ = Program(len(program) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and (
        libc.syscall(abi.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(filter_)) == 0
    ):
        return True
    _log.info("no system call filter: %s", os.strerror(ctypes.get_errno()))
    return False


def _program(abi: _Abi) -> bytes:
    """Return the BPF program: Internet sockets and the refused calls fail with EACCES, all else goes on."""
    code: list[tuple[int, int, int, int]] = []  # operation, jump if true, jump if false, operand
    load, jump_equal, jump_at_least, end = 0x20, 0x15, 0x35, 0x06
    domains = (int(socket.AF_INET), int(socket.AF_INET6))
    checks = len(abi.refused) + 2 + len(domains)  # instructions after the number is known to be of this ABI
    code.append((load, 0, 0, _ARCHITECTURE))
    code.append((jump_equal, 0, checks + 3, abi.architecture))  # to the refusal: calls of another ABI
    code.append((load, 0, 0, _NUMBER))
    code.append((jump_at_least, checks + 1, 0, _X32))
    for position, number in enumerate(abi.refused):
        code.append((jump_equal, checks - position, 0, number))
    code.append((jump_equal, 0, len(domains) + 1, abi.socket))
    code.append((load, 0, 0, _FIRST_ARGUMENT))
    for position, domain in enumerate(domains):
        code.append((jump_equal, len(domains) - position, 0, domain))
    code.append((end, 0, 0, _ALLOW))
    code.append((end, 0, 0, _REFUSE))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
