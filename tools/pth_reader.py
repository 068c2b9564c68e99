"""Reads the weights of a PyTorch checkpoint in the format used before PyTorch 1.6, without PyTorch.

Such a file is a row of pickles (magic number, protocol, system facts, the object, the list of storage keys)
followed by the storages: an int64 count and the little-endian values of each, in the order of the keys. Tensors in
the object point into a storage by key, offset, size and stride. Only the few names that a dictionary of float and
integer tensors needs are unpickled; any other one is refused, so a file can't run code.
"""

import collections
import math
import pickle
import struct
import sys
from array import array

MAGIC = 0x1950A86A20F9469CFC6C
TYPE_CODES = {"FloatStorage": "f", "LongStorage": "q"}

Tensor = collections.namedtuple("Tensor", "shape values")
_View = collections.namedtuple("_View", "key offset shape stride")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.type_codes = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, stride, *_: _View(key, offset, shape, stride)
        if module == "torch" and name in TYPE_CODES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a file of weights")

    def persistent_load(self, pid):
        _, storage_type, key, *_ = pid
        self.type_codes[key] = TYPE_CODES[storage_type]
        return key


def read_weights(file):
    """The tensors of an open checkpoint by name, each with its shape and its values as a flat array in C order."""
    if pickle.load(file) != MAGIC:
        raise ValueError("not a PyTorch checkpoint of the format before 1.6")
    pickle.load(file)
    if not pickle.load(file)["little_endian"]:
        raise ValueError("the checkpoint is big-endian")
    unpickler = _Unpickler(file)
    views = unpickler.load()

    storages = {}
    for key in pickle.load(file):
        (count,) = struct.unpack("<q", file.read(8))
        values = array(unpickler.type_codes[key])
        values.frombytes(file.read(count * values.itemsize))
        if len(values) != count:
            raise ValueError("the checkpoint ends early")
        if sys.byteorder == "big":
            values.byteswap()
        storages[key] = values
    return {name: Tensor(view.shape, _in_c_order(view, storages[view.key])) for name, view in views.items()}


def _in_c_order(view, storage):
    """Copies a view out of its storage; transposed tensors are saved with the strides of their origin."""
    out = array(storage.typecode)

    def copy(offset, axis):
        if axis == len(view.shape):
            out.append(storage[offset])
        elif axis == len(view.shape) - 1:
            size, stride = view.shape[axis], view.stride[axis]
            out.extend(storage[offset : offset + (size - 1) * stride + 1 : stride])
        else:
            for i in range(view.shape[axis]):
                copy(offset + i * view.stride[axis], axis + 1)

    copy(view.offset, 0)
    if len(out) != math.prod(view.shape):
        raise ValueError("a tensor reaches beyond its storage")
    return out
