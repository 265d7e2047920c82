"""Stem Splitter: take a song apart into vocals, drums, bass, guitar, piano and the rest."""

import sys

__version__ = "0.1.0"

# OpenVINO tells its makers of each import, over the network, from a forked process that may hang. Where this
# package of its own is missing, it does not; so it is missing here, before anything imports OpenVINO.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
