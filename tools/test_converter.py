import collections
import io
import os
import pickle
import struct
import sys
import types
import unittest
from array import array

import convert_efficientnet_lite
import efficientnet_lite
import onnx_writer
import pth_reader

# As much of PyTorch as pickling by reference needs.
torch = types.ModuleType("torch")
torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
torch._utils = types.ModuleType("torch._utils")


def _rebuild_tensor_v2():
    raise AssertionError("only referred to")


_rebuild_tensor_v2.__module__ = "torch._utils"
torch._utils._rebuild_tensor_v2 = _rebuild_tensor_v2


class StoredTensor:
    def __init__(self, offset, shape, stride):
        self.arguments = (torch.FloatStorage(), offset, shape, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, torch.FloatStorage):
            return ("storage", torch.FloatStorage, "key0", "cpu", 6, None)
        return None


def checkpoint(weights, stored_values=6):
    """A file as PyTorch < 1.6 writes it: the dictionary `weights` over one storage that holds 0, 1, 2 ..."""
    out = io.BytesIO()
    for part in (pth_reader.MAGIC, 1001, {"little_endian": True}):
        pickle.dump(part, out, protocol=2)
    sys.modules.update({"torch": torch, "torch._utils": torch._utils})
    try:
        Pickler(out, protocol=2).dump(weights)
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    pickle.dump(["key0"], out, protocol=2)
    out.write(struct.pack(f"<q{stored_values}f", 6, *range(stored_values)))
    out.seek(0)
    return out


class Reader(unittest.TestCase):
    def test_tensors_come_in_c_order_whatever_their_strides(self):
        weights = pth_reader.read_weights(checkpoint({
            "plain": StoredTensor(0, (2, 3), (3, 1)),
            "transposed": StoredTensor(0, (3, 2), (1, 3)),
            "part": StoredTensor(4, (2,), (1,)),
            "scalar": StoredTensor(5, (), ()),
        }))
        self.assertEqual(weights["plain"], ((2, 3), array("f", [0, 1, 2, 3, 4, 5])))
        self.assertEqual(weights["transposed"], ((3, 2), array("f", [0, 3, 1, 4, 2, 5])))
        self.assertEqual(weights["part"].values, array("f", [4, 5]))
        self.assertEqual(weights["scalar"].values, array("f", [5]))

    def test_a_file_cannot_run_code(self):
        with self.assertRaisesRegex(pickle.UnpicklingError, "system does not belong"):
            pth_reader.read_weights(checkpoint({"evil": os.system}))

    def test_damaged_files_are_refused(self):
        for what, file, expected in [
            ("ends early", checkpoint({"w": StoredTensor(0, (6,), (1,))}, stored_values=5), "ends early"),
            ("out of bounds", checkpoint({"w": StoredTensor(3, (6,), (1,))}), "beyond its storage"),
            ("something else", io.BytesIO(pickle.dumps(7)), "not a PyTorch checkpoint"),
        ]:
            with self.subTest(what), self.assertRaisesRegex(ValueError, expected):
                pth_reader.read_weights(file)


def decode(message):
    """(field, value) of each field of a protobuf message; value is a number or bytes."""
    fields, position = [], 0

    def varint():
        nonlocal position
        number = shift = 0
        while True:
            byte = message[position]
            position += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while position < len(message):
        field, kind = divmod(varint(), 8)
        value = varint()
        if kind == 2:
            value, position = message[position : position + value], position + value
        fields.append((field, value))
    return fields


def only(fields, wanted):
    return [value for field, value in fields if field == wanted]


class Writer(unittest.TestCase):
    def test_messages_are_as_onnx_proto_numbers_them(self):
        graph = onnx_writer.Graph("g")
        graph.weight("w", [2, 1], array("f", [1.5, -2]))
        graph.node("Conv", ["x", "w"], "y", group=1, pads=[0, 300])
        graph.input("x", ["N", 1])
        graph.output("y", ["N", 2])
        model = decode(graph.model("me"))
        self.assertEqual([only(model, field) for field in (1, 2)], [[onnx_writer.IR_VERSION], [b"me"]])
        self.assertEqual(only(decode(*only(model, 8)), 2), [onnx_writer.OPSET])
        parts = decode(*only(model, 7))
        node = decode(*only(parts, 1))
        self.assertEqual([only(node, field) for field in (1, 2, 4)], [[b"x", b"w"], [b"y"], [b"Conv"]])
        self.assertEqual(
            [decode(attribute) for attribute in only(node, 5)],
            [[(1, b"group"), (3, 1), (20, 2)], [(1, b"pads"), (8, 0), (8, 300), (20, 7)]],
        )
        weight = decode(*only(parts, 5))
        self.assertEqual(weight, [(1, 2), (1, 1), (2, 1), (8, b"w"), (9, struct.pack("<2f", 1.5, -2))])
        tensor = decode(*only(decode(*only(decode(*only(parts, 11)), 2)), 1))
        self.assertEqual(only(tensor, 1), [1])
        dims = [decode(dim) for dim in only(decode(*only(tensor, 2)), 1)]
        self.assertEqual(dims, [[(2, b"N")], [(1, 1)]])


class Network(unittest.TestCase):
    def conv(self, size, kernel, stride):
        tensor = lambda *values: pth_reader.Tensor((len(values),), array("f", values))
        weights = {
            "c.weight": pth_reader.Tensor((2, 1, kernel, kernel), array("f", [1] * kernel**2 + [2] * kernel**2)),
            "n.weight": tensor(4, 8), "n.bias": tensor(0.5, 0), "n.running_mean": tensor(3, 1),
            "n.running_var": tensor(4 - 1e-3, 16 - 1e-3),
        }
        graph = onnx_writer.Graph("g")
        _, out_size = efficientnet_lite._Builder(weights, graph).conv("x", size, "c", "n", stride, relu6=False)
        parts = decode(*only(decode(graph.model("")), 7))
        attributes = [decode(a) for a in only(decode(*only(parts, 1)), 5)]
        pads = [only(a, 8) for a in attributes if only(a, 1) == [b"pads"]]
        values = {only(decode(w), 8)[0]: only(decode(w), 9)[0] for w in only(parts, 5)}
        return out_size, pads[0], values

    def test_padding_is_same_upper(self):
        self.assertEqual(self.conv(224, 3, 2)[:2], (112, [0, 0, 1, 1]))
        self.assertEqual(self.conv(65, 3, 2)[:2], (33, [1, 1, 1, 1]))
        self.assertEqual(self.conv(56, 5, 2)[:2], (28, [1, 1, 2, 2]))
        self.assertEqual(self.conv(14, 5, 1)[:2], (14, [2, 2, 2, 2]))

    def test_batch_normalisation_is_folded_in(self):
        values = self.conv(8, 1, 1)[2]
        for name, expected in [(b"c.weight", [2, 4]), (b"c.bias", [0.5 - 6, -2])]:
            for got, wanted in zip(struct.unpack("<2f", values[name]), expected, strict=True):
                self.assertAlmostEqual(got, wanted, places=5)


class ClassNames(unittest.TestCase):
    def test_first_synonym_unless_another_class_has_it(self):
        synonyms = {str(i): f"thing {i}, object {i}" for i in range(1000)}
        curated = [f"curated {i}" for i in range(1000)]
        synonyms["134"] = synonyms["517"] = "crane"
        synonyms["638"], synonyms["639"] = "maillot", "maillot, tank suit"
        names = convert_efficientnet_lite.class_names(synonyms, curated)
        self.assertEqual(names[7], "thing 7")
        self.assertEqual((names[134], names[517]), ("curated 134", "curated 517"))
        self.assertEqual((names[638], names[639]), ("maillot", "maillot, tank suit"))

    def test_another_number_of_names_is_refused(self):
        with self.assertRaisesRegex(ValueError, "1000 different"):
            convert_efficientnet_lite.class_names({"0": "cat"}, ["cat"])


if __name__ == "__main__":
    unittest.main()
