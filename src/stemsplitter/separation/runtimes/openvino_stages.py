"""Networks of which named layers are computed in single precision and the others in half precision.

The plugin computes a compiled model in one precision. So the graph is divided where the precision changes, and each
part is compiled by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openvino as ov
from openvino import opset13 as op

Value = tuple[str, int]  # an output of a node: the node's name and the index
_SEPARATOR = "/"


@dataclass(frozen=True)
class Stage:
    """A part of a graph.

    Attributes:
        model: the part.
        exact: it is computed in single precision.
        inputs: the values that it reads: outputs of stages before it, or inputs of the network.
        outputs: the values that it computes for stages after it, or outputs of the network.
    """

    model: ov.Model
    exact: bool
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


def name_layers(model: ov.Model, layers: Sequence[tuple[str, int, int]]) -> None:
    """Name the nodes of layers after them, so that the names are saved with the graph.

    ``layers`` has the name of each layer and the range of the :func:`number` of its nodes.
    """
    for node in model.get_ops():
        for name, start, stop in layers:
            if start <= number(node) < stop:
                node.set_friendly_name(f"{name}{_SEPARATOR}{node.get_name()}")


def number(node: Any) -> int:
    """Return the number of a node; nodes are numbered as they are made."""
    return int(node.get_name().rpartition("_")[2])


def is_in(layers: Sequence[str]) -> Callable[[Any], bool]:
    """Return a function that tells nodes of these layers from others."""
    return lambda node: node.get_friendly_name().partition(_SEPARATOR)[0] in layers


def split(model: ov.Model, is_exact: Callable[[Any], bool]) -> list[Stage]:
    """Divide a graph into stages, to be computed in order; the graph is taken apart.

    The inputs of the network are the values ``("", 0)``, ``("", 1)``, …; its outputs are ``outputs`` of the last stage
    that computes them, see :func:`output_values`.
    """
    inputs = {node.get_name(): ("", index) for index, node in enumerate(model.get_parameters())}
    nodes = {node.get_name(): node for node in model.get_ordered_ops() if not _is_edge(node)}
    stages: dict[str, int] = {}  # odd stages are exact
    for name, node in nodes.items():
        stage = max(
            (stages.get(source.get_node().get_name(), 0) for source in node.input_values()), default=0
        )
        stages[name] = stage + (stage % 2 != is_exact(node))
    read: dict[int, dict[Value, Any]] = {stage: {} for stage in sorted({*stages.values()})}
    computed: dict[int, dict[Value, Any]] = {stage: {} for stage in read}
    for value in output_values(model):
        computed[stages[value[0]]][value] = nodes[value[0]].output(value[1])
    edges = [(name, port, port.get_source_output()) for name, node in nodes.items() for port in node.inputs()]
    for name, port, source in edges:
        origin, here = source.get_node().get_name(), stages[name]
        value = inputs.get(origin, (origin, source.get_index()))
        if origin in nodes and stages[origin] != here:
            computed[stages[origin]][value] = source
        elif origin not in inputs:
            continue
        if value not in read[here]:
            read[here][value] = op.parameter(source.get_shape(), source.get_element_type())
        port.replace_source_output(read[here][value].output(0))
    return [
        Stage(
            ov.Model([op.result(output) for output in computed[stage].values()], list(read[stage].values())),
            bool(stage % 2),
            tuple(read[stage]),
            tuple(computed[stage]),
        )
        for stage in read
    ]


def output_values(model: ov.Model) -> tuple[Value, ...]:
    """Return the values that are the outputs of a network; call it before :func:`split`."""
    sources = [result.input_value(0) for result in model.get_results()]
    return tuple((source.get_node().get_name(), source.get_index()) for source in sources)


def _is_edge(node: Any) -> bool:
    """Return True for a node that computes nothing."""
    return node.get_type_name() in ("Constant", "Parameter", "Result")
