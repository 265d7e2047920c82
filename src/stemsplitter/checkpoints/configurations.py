"""Reads the YAML files that configure networks of Music-Source-Separation-Training (MSST), as plain values."""

from pathlib import Path
from typing import Any

import yaml

from stemsplitter.errors import ModelError

MAX_BYTES = 64 << 10  # published files have at most 10 kB


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads plain values and the tuples of Python; creates no other object, and refuses aliases.

    Aliases let a small file describe data of exponential size.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.construct_yaml_seq)


def read_configuration(path: Path) -> dict[str, Any]:
    """Read a mapping of plain values; ModelError if the file is anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ModelError(
                f"The configuration {path} has more than {MAX_BYTES} bytes: choose another file."
            )
        value = yaml.load(data, _Loader)  # a subclass of the safe loader
    except OSError as error:
        raise ModelError(
            f"The configuration {path} cannot be read: check its name and permissions."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, LookupError) as error:
        raise ModelError(
            f"The configuration {path} is damaged or has more than plain values: choose the YAML file that was "
            "published with the checkpoint."
        ) from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ModelError(f"The configuration {path} is not a list of settings: choose another file.")
    return value
