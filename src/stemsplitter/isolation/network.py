"""The networks of DeepFilterNet3 on OpenVINO, with the states of their recurrent layers as inputs and outputs."""

import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from stemsplitter.errors import ModelError
from stemsplitter.separation.runtimes.openvino import new_core

Array = npt.NDArray[Any]
States = dict[str, Array]

CONTEXT = {"enc": 2, "df_dec": 4}  # frames before a chunk that the convolutions of a network read
_NAMES = ("enc", "erb_dec", "df_dec")


class Networks:
    """The three networks of DeepFilterNet3 (Schröter et al., INTERSPEECH 2023), for chunks of any length.

    In the published graphs, the recurrent layers start at zero and the convolutions pad the past with zeros. Here the
    states are inputs and outputs, and the caller passes the past frames, so that chunks give what the whole would.

    Args:
        weights: the archive of the three ONNX files.
        threads: of the CPU, by default all.

    Raises:
        ModelError: the archive is not that of DeepFilterNet3.
    """

    def __init__(self, weights: Path, threads: int | None = None) -> None:
        core = new_core()
        # half precision on some processors would be audible
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or 0}
        try:
            graphs = {
                name: _stateful(core.read_model(BytesIO(data))) for name, data in _read(weights).items()
            }
            self._compiled = {
                name: core.compile_model(graph, "CPU", options) for name, graph in graphs.items()
            }
        except (OSError, KeyError, tarfile.TarError, RuntimeError) as error:
            raise ModelError(f"{weights.name} cannot be loaded as DeepFilterNet3: pull it again.") from error

    def initial(self) -> States:
        """Return the states at the start of a stream, by ``NETWORK.state0`` and so on."""
        return {
            f"{name}.{port}": np.zeros(network.input(port).shape, np.float32)
            for name, network in self._compiled.items()
            for port in _ports(network)
        }

    def run(self, name: str, inputs: Mapping[str, Array], states: States) -> dict[str, Array]:
        """Run ``enc``, ``erb_dec`` or ``df_dec`` on a chunk, and update its states; return the outputs by name."""
        network = self._compiled[name]
        ports = _ports(network)
        request = network.create_infer_request()
        request.infer({**inputs, **{port: states[f"{name}.{port}"] for port in ports}})
        outputs = {each: np.array(request.get_tensor(each).data) for each in _outputs(network)}
        for port in ports:
            states[f"{name}.{port}"] = outputs.pop(port.replace("state", "next"))
        return outputs


def _read(weights: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(weights) as archive:
        for name in _NAMES:
            file = archive.extractfile(f"tmp/export/{name}.onnx")
            assert file is not None
            found[name] = file.read()
    return found


def _stateful(graph: Any) -> Any:
    """Replace the zero states of recurrent layers by inputs, and the padding of the past by nothing."""
    parameters: list[Any] = []
    results: list[Any] = []
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Pad":
            node.output(0).replace(node.input_value(0))
        elif node.get_type_name() == "GRUSequence":
            number = len(parameters)
            shape = node.input(1).get_shape()
            parameter = op.parameter(shape, np.float32, name=f"state{number}")
            parameter.output(0).set_names({f"state{number}"})
            node.input(1).replace_source_output(parameter.output(0))
            node.output(1).add_names({f"next{number}"})
            parameters.append(parameter)
            results.append(op.result(node.output(1)))
    graph.add_parameters(parameters)
    graph.add_results(results)
    graph.validate_nodes_and_infer_types()
    return graph


def _ports(network: ov.CompiledModel) -> list[str]:
    names = (name for port in network.inputs for name in port.get_names())
    return sorted(name for name in names if name.startswith("state"))


def _outputs(network: ov.CompiledModel) -> list[str]:
    return [min(port.get_names(), key=len) for port in network.outputs]
