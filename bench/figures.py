"""What the scripts beside this share: running a program that prints figures as JSON lines, and reading them."""
import json
import pathlib
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[1]
CACHE = pathlib.Path.home() / ".cache/similis/compare"
RECALLS = (0.95, 0.99, 0.999)


def say(text):
    print(text, file=sys.stderr, flush=True)


def program(path, target):
    """A program of the release build."""
    found = REPO / "build/release" / path
    if not found.exists():
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {found} is missing. Build it: cmake --build --preset release --target {target}")
    return found


def lines_of(command):
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def manifold(folder, rows, dimensions, intrinsic):
    """The folder, with base.npy, query.npy and truth.npy of the generator."""
    if not (folder / "truth.npy").exists():
        maker = program("bench/similis_manifold", "similis_manifold")
        say(f"making {rows} x {dimensions} vectors of intrinsic dimension {intrinsic}")
        sizes = ["--rows", rows, "--dimensions", dimensions, "--intrinsic", intrinsic]
        subprocess.run([str(c) for c in [maker, folder, *sizes]], check=True)
    return folder


def key_of(row):
    """The contender that a row belongs to, and the effort."""
    if row["engine"] == "similis":
        codes = "" if row["tier"] == "large" else row["tier"] + " codes, "
        return f"similis {codes}{row['scores']}", (row["target"], row["reach"], row["doubt"])
    if row["engine"] == "diskannpy":
        return f"DiskANN, {row['nodes_cached']} nodes cached", row["L"]
    return row["engine"], row["effort"]


def median_row(rows):
    return {k: statistics.median(r[k] for r in rows) for k, v in rows[0].items() if isinstance(v, (int, float))}


def medians(rounds):
    """contender -> the medians of the figures at each effort."""
    seen = {}
    for row in (row for lines in rounds for row in lines if "recall10" in row):
        contender, effort = key_of(row)
        seen.setdefault(contender, {}).setdefault(effort, []).append(row)
    return {contender: [median_row(rows) for rows in efforts.values()] for contender, efforts in seen.items()}


def at_recall(rows, recall, figure="qps"):
    """The figure at a recall, between the two settings of the upper envelope around it; None when none reaches it."""
    front, best = [], -1
    for row in sorted(rows, key=lambda r: (-r["recall10"], -r["qps"])):
        if row["qps"] > best:
            best = row["qps"]
            front.append(row)
    above = [r for r in front if r["recall10"] >= recall]
    if not above:
        return None
    above = min(above, key=lambda r: r["recall10"])
    below = [r for r in front if r["recall10"] < recall]
    if not below or figure not in above:
        return above.get(figure)
    below = max(below, key=lambda r: r["recall10"])
    share = (recall - below["recall10"]) / (above["recall10"] - below["recall10"])
    return below[figure] * (1 - share) + above[figure] * share
