"""The networks of DeepFilterNet3 on OpenVINO as one graph, with the states of its layers as inputs and outputs."""

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from stemsplitter.errors import ModelError
from stemsplitter.separation.runtimes.openvino_core import UNPINNED, new_core

Array = npt.NDArray[Any]
States = dict[str, Array]

CONTEXT = 2  # frames before a chunk that the convolutions of the encoder read
_DECODERS = ("erb_dec", "df_dec")
_PAST = (
    64,
    4,
    96,
)  # channels, frames and bins before a chunk that the convolutions of the second decoder read


class Networks:
    """The networks of DeepFilterNet3 (Schröter et al., INTERSPEECH 2023), for chunks of any length and channel count.

    In the published graphs, the recurrent layers start at zero and the convolutions pad the past with zeros. Here the
    states are inputs and outputs, and the caller passes the past frames, so that chunks give what the whole would.
    The encoder and both decoders are one graph, whose layers pass their results on without a change of layout.

    Args:
        weights: the archive of the three ONNX files.
        threads: of the CPU, by default all.

    Raises:
        ModelError: the archive is not that of DeepFilterNet3.
    """

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        core = new_core()
        # half precision on some processors would be audible
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or 0, **UNPINNED}
        try:
            self._compiled = core.compile_model(_joined(core, _read(weights)), "CPU", options)
        except (OSError, KeyError, ValueError, tarfile.TarError, RuntimeError) as error:
            raise ModelError(f"{weights.name} cannot be loaded as DeepFilterNet3: pull it again.") from error
        # Kept for reuse: OpenVINO ends the process where a request follows a dropped one with another shape.
        self._idle: list[ov.InferRequest] = []

    def initial(self) -> States:
        """Return the states of one channel at the start of a stream; several channels are along the first axis."""
        ports = ((port.get_any_name(), port.get_partial_shape()) for port in self._compiled.inputs)
        return {
            name: np.zeros((1, *(length.get_length() for length in list(shape)[1:])), np.float32)
            for name, shape in ports
            if name.startswith("state")
        }

    def run(self, bands: Array, bins: Array, states: States) -> tuple[Array, Array]:
        """Run a chunk of ``T`` frames and update the states.

        Args:
            bands: levels ``[C, 1, T + 2, 32]``.
            bins: real and imaginary parts ``[C, 2, T + 2, 96]``.
            states: of the same stream.

        Returns:
            The gains of the bands ``[C, 1, T, 32]``, and the filters of the lowest bins ``[C, T, 96, 10]``: for each of
            five frames, real and imaginary part.
        """
        request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
        try:
            request.infer(
                {"feat_erb": bands, "feat_spec": bins, **states}, share_inputs=True, share_outputs=True
            )
            states.update({name: request.get_tensor(f"next_{name}").data.copy() for name in states})
            return request.get_tensor("m").data.copy(), request.get_tensor("coefs").data.copy()
        finally:
            self._idle.append(request)


def _read(weights: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(weights) as archive:
        for name in ("enc", *_DECODERS):
            file = archive.extractfile(f"tmp/export/{name}.onnx")
            assert file is not None
            found[name] = file.read()
    return found


def _joined(core: ov.Core, files: dict[str, bytes]) -> ov.Model:
    """Join the encoder and the decoders. The states are inputs ``state_…`` and outputs ``next_state_…``."""
    graphs = {name: core.read_model(BytesIO(data)) for name, data in files.items()}
    parameters: list[Any] = graphs["enc"].get_parameters()
    results: list[Any] = []

    def add_state(name: str, shape: list[int]) -> Any:
        parameter = op.parameter(ov.PartialShape([-1, *shape]), np.float32)
        parameter.output(0).set_names({name})
        parameters.append(parameter)
        return parameter.output(0)

    def add_result(name: str, value: Any) -> None:
        result = op.result(value)
        result.output(0).set_names({name})
        results.append(result)

    for network, graph in graphs.items():
        for node in graph.get_ordered_ops():
            if node.get_type_name() == "Pad":  # of the past
                node.output(0).replace(node.input_value(0))
            elif node.get_type_name() == "GRUSequence":
                name = f"state_{network}_{node.get_friendly_name()}"
                node.input(1).replace_source_output(add_state(name, list(node.input(1).get_shape())[1:]))
                add_result(f"next_{name}", node.output(1))
    encoded = {
        name: port.get_node().input_value(0) for port in graphs["enc"].outputs for name in port.get_names()
    }
    past = add_state("state_past", list(_PAST))
    encoded["c0"] = op.concat([past, encoded["c0"]], 2).output(0)
    ends = [
        np.array([number]) for number in (-_PAST[1], np.iinfo(np.int64).max, 1, 2)
    ]  # start, stop, step, axis
    add_result("next_state_past", op.slice(encoded["c0"], *ends).output(0))
    for decoder, output in zip(_DECODERS, ("m", "coefs"), strict=True):
        for parameter in graphs[decoder].get_parameters():
            (name,) = parameter.output(0).get_names() & encoded.keys()
            parameter.output(0).replace(encoded[name])
        add_result(output, graphs[decoder].output(output).get_node().input_value(0))
    model = ov.Model(results, parameters, "DeepFilterNet3")
    model.reshape({port: ov.PartialShape([-1, *list(port.get_partial_shape())[1:]]) for port in model.inputs})
    return model
