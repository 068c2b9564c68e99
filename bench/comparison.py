"""What bench/compare_diskann says of what it measured: similis beside the others."""
import math
import statistics
from dataclasses import dataclass

from figures import RECALLS, at_recall

HNSW = ("hnswlib", "faiss HNSW")
FIGURES = (("qps", "queries/s", 9, 0), ("p50_us", "p50 us", 7, 0), ("p99_us", "p99 us", 7, 0), ("reads", "reads", 6, 1), ("bytes", "bytes", 8, 0))


@dataclass(frozen=True)
class Ratio:
    """Queries a second by another contender's, at a recall."""
    recall: float
    times: float

    def __str__(self):
        return f"{self.times:.1f} x" + (f" at {self.recall:.4f}" if self.recall not in RECALLS else "")


def beside(table, ours, others, recall):
    """How many times as many queries a second `ours` answers as the fastest contender whose name begins with one of `others`:
    at the recall, or where none of them comes so far, at the highest that one does. None where `ours` does not come there."""
    rows = [rows for name, rows in table.items() if name.startswith(others)]
    if not rows:
        return None
    recall = min(recall, max(row["recall10"] for some in rows for row in some))
    rates = [rate for some in rows if (rate := at_recall(some, recall))]
    rate = at_recall(table[ours], recall)
    return Ratio(recall, rate / max(rates)) if rate else None


def cell(value, width, digits):
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"


def rates(table, resident):
    """Lines: queries a second of each contender at each recall, and its memory; `resident` has that of those whose rows do not."""
    yield f"{'contender':34} {'best':>7}" + "".join(f" {'at ' + str(r):>9}" for r in RECALLS) + "   queries/s      MB"
    for contender, rows in table.items():
        megabytes = max((row["rss_mb"] for row in rows if "rss_mb" in row), default=resident.get(contender))
        yield (f"{contender:34} {max(row['recall10'] for row in rows):7.4f} "
               + " ".join(cell(at_recall(rows, recall), 9, 0) for recall in RECALLS) + " " + cell(megabytes, 19, 0))


def costs(table):
    """Lines: what a query costs at the recalls that a contender reaches."""
    yield f"{'contender':34} {'recall':>7} " + " ".join(f"{title:>{width}}" for _, title, width, _ in FIGURES)
    for contender, rows in table.items():
        for recall in (r for r in RECALLS if at_recall(rows, r)):
            cells = (cell(at_recall(rows, recall, figure), width, digits) for figure, _, width, digits in FIGURES)
            yield f"{contender:34} {recall:7} " + " ".join(cells)


def ratios(table):
    """Lines: similis' queries a second by those of the others. A recall stands where that asked for is reached by none of them."""
    others = {name: (name,) for name in table if name.startswith("DiskANN")} | {"best HNSW in memory": HNSW}
    yield f"{'queries/s of':34} {'by those of':28}" + "".join(f" {'at ' + str(r):>16}" for r in RECALLS)
    for ours in (name for name in table if name.startswith("similis")):
        for title, names in others.items():
            found = (beside(table, ours, names, recall) for recall in RECALLS)
            yield f"{ours:34} {title:28}" + "".join(f" {'-' if ratio is None else str(ratio):>16}" for ratio in found)


def rounded(value, digits):
    return None if value is None or math.isnan(value) else round(value, digits)


def times(ratio):
    return None if ratio is None or ratio.recall != 0.99 else round(ratio.times, 2)


def summary(table, yardstick):
    """The figures at 0.99 by which one run is told from another; None where it is not reached."""
    bounded, exact = table["similis bounded"], table["similis exact"]
    return {
        "recall": max(row["recall10"] for row in bounded),
        "qps_ratio_at_0.99": times(beside(table, "similis bounded", (yardstick,), 0.99)),
        "reads_at_0.99": rounded(at_recall(bounded, 0.99, "reads"), 2),
        "hnsw_ratio_at_0.99": times(beside(table, "similis bounded", HNSW, 0.99)),
        "memory_mb": rounded(at_recall(bounded, 0.99, "rss_mb"), 1),
        "memory_mb_at_most": max(row["rss_mb"] for row in bounded),
        "qps_ratio_at_0.99_exact": times(beside(table, "similis exact", (yardstick,), 0.99)),
        "reads_at_0.99_exact": rounded(at_recall(exact, 0.99, "reads"), 2),
        "memory_mb_exact": rounded(at_recall(exact, 0.99, "rss_mb"), 1),
    }


def of_shorter_codes(table, tier, yardstick):
    """The same of bounded searches with the codes of a tier."""
    ours = f"similis {tier} codes, bounded"
    return {
        "codes": tier,
        "qps_ratio_at_0.99": times(beside(table, ours, (yardstick,), 0.99)),
        "hnsw_ratio_at_0.99": times(beside(table, ours, HNSW, 0.99)),
        "reads_at_0.99": rounded(at_recall(table[ours], 0.99, "reads"), 2),
        "memory_mb": rounded(at_recall(table[ours], 0.99, "rss_mb"), 1),
    }


def share_of_disk(table, rounds):
    """Exact searches a second at 0.99, by what the disk's random reads a second (measured in the rounds) give at 12 and 13 each."""
    measured = [row["disk_reads_per_s"] for lines in rounds for row in lines if "disk_reads_per_s" in row]
    rate = at_recall(table["similis exact"], 0.99)
    if not measured or not rate:
        return None
    disk = statistics.median(measured)
    return {"disk_reads_per_s": disk, "exact_qps_at_0.99": round(rate), "share_of_disk_by_12": round(rate * 12 / disk, 2),
            "share_of_disk_by_13": round(rate * 13 / disk, 2)}
