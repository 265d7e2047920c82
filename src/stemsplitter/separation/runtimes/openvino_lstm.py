"""LSTMs in OpenVINO graphs, in two forms with the same result."""

import numpy as np
import openvino as ov
from openvino import opset13 as op

from stemsplitter.separation.ops import Array, Tensor

# bounds of a loop over axis 1, forward and backward: start, stride, part size, end, axis
_DIRECTIONS = ((0, 1, 1, -1, 1), (-1, -1, 1, 0, 1))


def lstm_sequences(x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
    """Build :meth:`~stemsplitter.separation.ops.Ops.lstm` of two nodes, whose cells stay in single precision in bf16.

    The plugin keeps a second copy of the weights, and the gates of all tokens.
    """
    batch, tokens, hidden = _sizes(x, weight_state)
    state, lengths = _constant(np.zeros((batch, 1, hidden), np.float32)), op.constant(np.full(batch, tokens))

    def gates(weights: Array) -> Tensor:
        ordered = weights.reshape(4, hidden, -1)[[1, 0, 2, 3]]  # forget, input, cell, output
        return _constant(ordered.reshape(1, *weights.shape))

    # one node of both directions would be split by the plugin, which copies the weights once more
    outputs = []
    for number, direction in enumerate(("forward", "reverse")):
        weights = [gates(part[number]) for part in (weight_in, weight_state, bias)]
        y = op.lstm_sequence(x, state, state, lengths, *weights, hidden, direction).output(0)
        outputs.append(op.reshape(y, np.array([batch, tokens, hidden]), False))
    return op.concat(outputs, 2)


def lstm_loop(x: Tensor, weight_in: Array, weight_state: Array, bias: Array) -> Tensor:
    """Build :meth:`~stemsplitter.separation.ops.Ops.lstm` as one loop over the tokens, in both directions at once.

    It holds the weights once and the gates of two tokens, in the processor time of :func:`lstm_sequences`.
    """
    batch, _, hidden = _sizes(x, weight_state)
    loop, zero = op.tensor_iterator(), _constant(np.zeros((batch, 1, hidden), np.float32))
    cells = [
        _Cell(batch, np.concatenate([weight_in[number], weight_state[number]], axis=1), bias[number])
        for number in range(2)
    ]
    body = [result for cell in cells for result in cell.results]
    loop.set_function(ov.Model(body, [parameter for cell in cells for parameter in cell.inputs], "lstm"))
    for cell, direction in zip(cells, _DIRECTIONS, strict=True):
        token, *states = cell.inputs
        loop.set_sliced_input(token, x.output(0), *direction)
        for state, result in zip(states, cell.results, strict=True):
            loop.set_merged_input(state, zero.output(0), result.output(0))
    outputs = [
        loop.get_concatenated_slices(cell.results[0].output(0), *direction)
        for cell, direction in zip(cells, _DIRECTIONS, strict=True)
    ]
    return op.concat(outputs, 2)


class _Cell:
    """One step of one direction.

    Attributes:
        inputs: a token, the state and the cell before it.
        results: the state and the cell after it.
    """

    def __init__(self, batch: int, weight: Array, bias: Array) -> None:
        hidden = len(bias) // 4
        sizes = (weight.shape[1] - hidden, hidden, hidden)
        self.inputs = [op.parameter([batch, 1, size], np.float32) for size in sizes]
        token, state, cell = self.inputs
        # one product of token and state is faster than two that are added
        product = op.matmul(op.concat([token, state], 2), _constant(weight), False, True)
        gates = op.split(op.add(product, _constant(bias)), op.constant(np.int64(2)), 4)
        enter, forget, value, leave = (gates.output(number) for number in range(4))
        added = op.multiply(op.sigmoid(enter), op.tanh(value))
        cell = op.add(op.multiply(op.sigmoid(forget), cell), added)
        state = op.multiply(op.sigmoid(leave), op.tanh(cell))
        self.results = [op.result(state), op.result(cell)]


def _sizes(x: Tensor, weight_state: Array) -> tuple[int, int, int]:
    batch, tokens = (int(size) for size in list(x.get_output_shape(0))[:2])
    return batch, tokens, weight_state.shape[2]


def _constant(value: Array) -> Tensor:
    return op.constant(np.ascontiguousarray(value, dtype=np.float32))
