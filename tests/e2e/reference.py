"""The default model's way from a picture to its embedding, written a second time with Pillow, numpy and OpenVINO's Python:
what the program's own way is held against. Follows the model's card (docs/models.md)."""

import os
import tomllib
from pathlib import Path

import numpy as np
import openvino
from PIL import Image, ImageOps

BUILD = Path(__file__).resolve().parents[2] / "build"


def axis_weights(size_in, size_out):
    """size_out x size_in: the mean over each pixel's extent when reducing, linear interpolation when enlarging."""
    weights = np.zeros((size_out, size_in))
    scale = size_in / size_out
    for out in range(size_out):
        if scale >= 1:
            begin, end = out * scale, (out + 1) * scale
            for pixel in range(int(begin), min(size_in, int(np.ceil(end)))):
                weights[out, pixel] = min(end, pixel + 1) - max(begin, pixel)
        else:
            centre = (out + 0.5) * scale - 0.5
            left = int(np.floor(centre))
            for pixel, weight in ((left, left + 1 - centre), (left + 1, centre - left)):
                weights[out, min(max(pixel, 0), size_in - 1)] += weight
    return weights / weights.sum(axis=1, keepdims=True)


class Reference:
    """Embeddings of the default model, f32, L2-normalised: rows of 1280."""

    def __init__(self):
        models = os.environ.get("SIMILIS_MODELS_DIR") or BUILD / "share/similis/models"
        folder = sorted((Path(models) / "efficientnet-lite0").iterdir())[-1]
        card = tomllib.loads((folder / "card.toml").read_text())
        if (card["input"]["fit"], card["input"]["filter"], card["output"]["pooling"]) != ("stretch", "area", "none"):
            raise NotImplementedError("the card asks for steps that this reference does not have")
        self.width, self.height = card["input"]["width"], card["input"]["height"]
        self.mean, self.std = np.array(card["input"]["mean"]), np.array(card["input"]["std"])
        self.output = card["output"]["embedding"]
        self.model = openvino.Core().compile_model(folder / "model.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def tensor(self, path):
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
        rgb = np.asarray(Image.alpha_composite(white, upright).convert("RGB"), dtype=np.float64)
        rows = axis_weights(rgb.shape[0], self.height)
        columns = axis_weights(rgb.shape[1], self.width)
        small = np.einsum("yi,ijc,xj->yxc", rows, rgb, columns, optimize=True)
        small = np.floor(small + 0.5)  # pixels have eight bits
        return ((small / 255 - self.mean) / self.std).transpose(2, 0, 1)[None].astype(np.float32)

    def embed(self, paths):
        out = np.stack([self.model([self.tensor(path)])[self.output].ravel() for path in paths])
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def leave_one_out(embeddings, classes):
    """P@1 and mAP over all other rows, as the published evaluations of retrieval on class labels do."""
    classes = np.asarray(classes)
    scores = embeddings @ embeddings.T
    np.fill_diagonal(scores, -2)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    relevant = classes[order] == classes[:, None]
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return relevant[:, 0].mean(), ((precision * relevant).sum(axis=1) / relevant.sum(axis=1)).mean()
