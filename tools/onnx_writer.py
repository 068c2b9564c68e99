"""Writes an ONNX model: just the messages and fields of onnx.proto that a graph of float tensors needs.

The bytes depend on nothing but what is asked for, so that a model made on any machine has the same SHA-256.
"""

import sys
from array import array

IR_VERSION = 8
OPSET = 17
FLOAT = 1  # TensorProto.DataType
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 2, 7  # AttributeProto.AttributeType


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _int(field, number):
    return _varint(field << 3) + _varint(number)


def _bytes(field, content):
    if isinstance(content, str):
        content = content.encode()
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _little_endian(values):
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


class Graph:
    """Collects nodes and weights in order; every value is named by the caller."""

    def __init__(self, name):
        self._name = name
        self._nodes = []
        self._weights = []
        self._inputs = []
        self._outputs = []

    def weight(self, name, shape, values):
        """A constant: `values` is an array of floats in C order."""
        dims = b"".join(_int(1, size) for size in shape)
        raw = _bytes(9, _little_endian(values))
        self._weights.append(_bytes(5, dims + _int(2, FLOAT) + _bytes(8, name) + raw))
        return name

    def node(self, op, inputs, output, **attributes):
        """One operator; integers and lists of integers are its attributes."""
        message = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(3, output) + _bytes(4, op)
        for name, value in attributes.items():
            if isinstance(value, int):
                encoded, kind = _int(3, value), ATTRIBUTE_INT
            else:
                encoded, kind = b"".join(_int(8, number) for number in value), ATTRIBUTE_INTS
            message += _bytes(5, _bytes(1, name) + encoded + _int(20, kind))
        self._nodes.append(_bytes(1, message))
        return output

    def input(self, name, shape):
        self._inputs.append(_bytes(11, self._value_info(name, shape)))

    def output(self, name, shape):
        self._outputs.append(_bytes(12, self._value_info(name, shape)))

    @staticmethod
    def _value_info(name, shape):
        """A word instead of a number in the shape is a size that each call chooses."""
        dims = b"".join(_bytes(1, _bytes(2, d) if isinstance(d, str) else _int(1, d)) for d in shape)
        return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, FLOAT) + _bytes(2, dims)))

    def model(self, producer):
        """The bytes of the finished model."""
        graph = b"".join(self._nodes) + _bytes(2, self._name)
        graph += b"".join(self._weights + self._inputs + self._outputs)
        opset = _bytes(8, _bytes(1, "") + _int(2, OPSET))
        return _int(1, IR_VERSION) + _bytes(2, producer) + _bytes(7, graph) + opset
