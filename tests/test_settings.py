"""A setting that cannot be meant is refused where the program starts, with its name and what is allowed."""

import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.settings import load_settings


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices(device: str) -> None:
    assert load_settings(device=device).device == device


@pytest.mark.parametrize("device", ["gpu", "CPU", "cuda:", "cuda:x", "cpu:0", ""])
def test_what_is_no_device(device: str) -> None:
    with pytest.raises(SettingsError, match=r"^STEMSPLITTER_DEVICE is .*: must be auto, cpu, cuda"):
        load_settings(device=device)
