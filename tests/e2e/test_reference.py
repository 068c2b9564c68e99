"""Embeddings of the program against the same model through a reference written in numpy (reference.py).

Needs the Python of tests/requirements.txt.
"""

import json
import random
import tarfile
import unittest
import urllib.request
from os import environ
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from harness import Similis
from reference import Reference, leave_one_out

CALTECH = Path(environ.get("SIMILIS_SHARED_DIR", "")) / "datasets/caltech101.tar"


def picture(path, seed, size, mode="RGB", **options):
    """Shapes on a gradient; each seed another."""
    rng = random.Random(seed)
    width, height = size
    image = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", [image, image.rotate(180), image.rotate(90).resize(size)])
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, reach = rng.randrange(width), rng.randrange(height), rng.randrange(4, max(8, min(size) // 3))
        shape = rng.choice([draw.ellipse, draw.rectangle])
        shape((x - reach, y - reach, x + reach, y + reach), fill=tuple(rng.randrange(256) for _ in range(3)))
    image = image.convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.radial_gradient("L").resize(size))
    image.save(path, **options)
    return path


class Asks(Similis):
    def post(self, path, body):
        request = urllib.request.Request(f"{self.address}/api/v1/{path}", json.dumps(body).encode(),
                                         {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def images(self):
        """All of the collection's pictures, by their paths."""
        out, cursor = {}, ""
        while cursor is not None:
            request = urllib.request.Request(
                f"{self.address}/api/v1/collections/pictures/images?limit=1000" + (f"&cursor={cursor}" if cursor else ""),
                headers={"Authorization": f"Bearer {self.token}"})
            with urllib.request.urlopen(request, timeout=60) as answer:
                page = json.load(answer)
            out.update({image["path"]: image["id"] for image in page["images"]})
            cursor = page["next_cursor"]
        return out


class Generated(Asks):
    def test_embeddings_are_those_of_the_reference(self):
        sizes = [(224, 224), (300, 200), (200, 300), (64, 48), (31, 400), (1200, 900), (640, 480)]
        paths = [picture(self.pictures / f"{i}.png", i, size) for i, size in enumerate(sizes)]
        paths += [picture(self.pictures / "alpha.png", 20, (320, 240), "RGBA"),
                  picture(self.pictures / "gray.png", 21, (320, 240), "L"),
                  picture(self.pictures / "lossless.webp", 22, (320, 240), lossless=True),
                  picture(self.pictures / "photo.jpg", 23, (400, 300), quality=95, subsampling=0),
                  picture(self.pictures / "large.jpg", 24, (2400, 1800), quality=95)]
        self.index()
        _, self.address, self.token = self.serve()
        ids = self.images()
        for path, expected in zip(paths, Reference().embed(paths)):
            with self.subTest(path.name):
                hits = self.post("collections/pictures/search", {"vector": expected.tolist(), "k": 2})["hits"]
                self.assertEqual(hits[0]["id"], ids[str(path)])
                # Large JPEGs are decoded at a fraction of their size.
                self.assertGreaterEqual(hits[0]["score"], 0.995 if path.name == "large.jpg" else 0.999)
                self.assertLess(hits[1]["score"], 0.99)


class Caltech(Asks):
    def test_leave_one_out_is_that_of_the_reference(self):
        with tarfile.open(CALTECH) as tar:
            names = sorted(m.name for m in tar if m.isfile() and "BACKGROUND" not in m.name)
            classes = {}
            for name in names:
                classes.setdefault(name.split("/")[-2], []).append(name)
            chosen = {name for members in classes.values() for name in members[:12]}
            tar.extractall(self.pictures, members=[m for m in tar if m.name in chosen])  # Debian's Python has no filters
        job = self.index()
        self.assertEqual((job["counters"]["ready"], job["counters"]["failed"]), (101 * 12, 0))
        _, self.address, self.token = self.serve()
        ids = self.images()
        paths = sorted(ids)
        labels = [Path(path).parent.name for path in paths]
        label_of = {ids[path]: label for path, label in zip(paths, labels)}
        first, precisions = [], []
        for path, label in zip(paths, labels):
            answer = self.post("collections/pictures/search",
                               {"image_id": ids[path], "k": 1000, "exclude_self": True})
            relevant = np.array([label_of[hit["id"]] == label for hit in answer["hits"]])
            precision = np.cumsum(relevant) / np.arange(1, len(relevant) + 1)
            first.append(relevant[0])
            precisions.append((precision * relevant).sum() / 11)
        p_at_1, mean_ap = np.mean(first), np.mean(precisions)
        expected_p, expected_ap = leave_one_out(Reference().embed(paths), labels)
        print(f"P@1 {p_at_1:.4f}, of the reference {expected_p:.4f}; mAP {mean_ap:.4f}, {expected_ap:.4f}")
        self.assertLessEqual(abs(p_at_1 - expected_p), 0.01)
        self.assertLessEqual(abs(mean_ap - expected_ap), 0.01)


if __name__ == "__main__":
    unittest.main()
