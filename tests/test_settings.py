"""An invalid setting is refused at startup with its name and the allowed values."""

import pytest

from stemsplitter.errors import SettingsError
from stemsplitter.settings import load_settings


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_valid_device_is_accepted(device: str) -> None:
    assert load_settings(device=device).device == device


@pytest.mark.parametrize("device", ["gpu", "CPU", "cuda:", "cuda:x", "cpu:0", ""])
def test_invalid_device_is_refused(device: str) -> None:
    with pytest.raises(SettingsError, match=r"^STEMSPLITTER_DEVICE is .*: must be auto, cpu, cuda"):
        load_settings(device=device)
