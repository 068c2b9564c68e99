"""What measures goes on measuring: each program, on little data, prints lines that hold together."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from figures import medians

BUILD = pathlib.Path(os.environ["SIMILIS_BUILD_DIR"])


def lines_of(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"{command} exited with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Programs(unittest.TestCase):
    """Of a few vectors more than have no graph."""
    SIZES = ("--dimensions", 64, "--intrinsic", 8, "--queries", 40, "--rows")

    def test_filters(self):
        lines = lines_of(BUILD / "similis-bench", "filters", *self.SIZES, 9_000)
        self.assertEqual(len(lines), 8)
        for line in lines:
            self.assertEqual(line["full_pages"], 1, line)
            self.assertGreater(line["recall10"], 0.95, line)

    def test_writes(self):
        lines = lines_of(BUILD / "similis-bench", "writes", "--seconds", 1, *self.SIZES, 14_000)
        replaced = {line["state"]: line for line in lines if line["measured"] == "half of the rows replaced"}
        self.assertGreater(len(replaced), 1)
        for line in replaced.values():
            self.assertGreater(line["recall10"], 0.95, line)
        rates = [line["rows_per_s"] for line in lines if line["measured"] in ("insert", "delete")]
        self.assertEqual(len(rates), 4)
        self.assertGreater(min(rates), 0)
        self.assertEqual(sum("p99_ratio" in line for line in lines), 1)

    def test_table(self):
        lines = lines_of(BUILD / "similis-bench", "table", *self.SIZES, 9_000)
        self.assertEqual({line["scores"] for line in lines}, {"exact", "bounded"})
        for line in lines:
            self.assertGreater(line["qps"], 0)
            self.assertGreater(line["recall"], 50)

    def test_an_index_on_disk_and_its_opening(self):
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:  # /tmp may lie in memory
            data = pathlib.Path(scratch, "data")
            index = pathlib.Path(scratch, "index")
            lines_of(BUILD / "bench/similis_manifold", data, *self.SIZES, 9_000)
            disk = BUILD / "src/engine/similis_disk_bench"
            built = lines_of(disk, data, index, "build", "json")
            self.assertEqual([sorted(line) for line in built], [["engine", "write_s"], ["build_peak_mb", "build_s", "engine"]])
            self.assertGreater(built[1]["build_peak_mb"], 1)
            lines = lines_of(disk, data, index, "json", "large", "smallest")
            self.assertEqual(sum("disk_reads_per_s" in line for line in lines), 1)
            self.assertEqual([line["tier"] for line in lines if "cold_p99_us" in line], ["large", "smallest"])
            table = medians([lines])
            self.assertEqual(set(table), {"similis bounded", "similis exact", "similis smallest codes, bounded",
                                          "similis smallest codes, exact"})
            for contender, rows in table.items():
                self.assertGreater(max(row["recall10"] for row in rows), 0.98, contender)
            self.assertLess(min(row["reads"] for row in table["similis bounded"]),
                            min(row["reads"] for row in table["similis exact"]))
            opened = lines_of(BUILD / "src/engine/similis_opening_bench", index, 500)
            self.assertEqual([line["log_rows"] for line in opened], [0, 500])
            for line in opened:
                self.assertGreater(line["limit_s"], 0.4)
                self.assertGreater(line["bytes"], 0)
            self.assertEqual(sorted(f.name for f in pathlib.Path(scratch).iterdir()), ["data", "index"])


if __name__ == "__main__":
    unittest.main()
