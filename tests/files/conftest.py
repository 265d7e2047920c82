"""Fixtures for tests of files."""

import contextlib
from collections.abc import Callable

import pytest

from ..full_disk import limit_file_size


@pytest.fixture
def file_size_limit() -> Callable[[int], contextlib.AbstractContextManager[None]]:
    return limit_file_size
