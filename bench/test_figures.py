"""How figures are read off measurements, and contenders compared by them."""
import json
import unittest

from comparison import beside, costs, of_shorter_codes, rates, ratios, share_of_disk, summary
from figures import at_recall, key_of, medians


class Figures(unittest.TestCase):
    ROWS = [
        {"recall10": 0.90, "qps": 1000, "reads": 2.0},
        {"recall10": 0.98, "qps": 600, "reads": 4.0},
        {"recall10": 1.00, "qps": 200, "reads": 8.0},
    ]

    def test_a_figure_at_a_recall_lies_between_the_settings_around_it(self):
        self.assertAlmostEqual(at_recall(self.ROWS, 0.99), 400)
        self.assertAlmostEqual(at_recall(self.ROWS, 0.99, "reads"), 6)
        self.assertAlmostEqual(at_recall(self.ROWS, 0.92), 900)
        self.assertAlmostEqual(at_recall(self.ROWS, 0.98), 600)

    def test_a_setting_that_another_one_beats_in_both_counts_for_nothing(self):
        beaten = [*self.ROWS, {"recall10": 0.975, "qps": 300, "reads": 40.0}]
        self.assertAlmostEqual(at_recall(beaten, 0.97), at_recall(self.ROWS, 0.97))
        self.assertAlmostEqual(at_recall(beaten, 0.99, "reads"), 6)

    def test_nothing_is_made_up_outside_of_what_was_measured(self):
        self.assertIsNone(at_recall(self.ROWS[:2], 0.99))
        self.assertEqual(at_recall(self.ROWS, 0.5), 1000)
        self.assertIsNone(at_recall([], 0.9))
        self.assertIsNone(at_recall([{"recall10": 1.0, "qps": 5}], 0.9, "reads"))

    def test_rows_of_rounds_meet_by_contender_and_effort(self):
        def row(qps, **more):
            return {"engine": "similis", "tier": "large", "scores": "exact", "target": 0.99, "reach": 0, "doubt": 0,
                    "recall10": 0.99, "qps": qps, **more}
        rounds = [[row(100), {"engine": "hnswlib", "effort": 40, "recall10": 0.97, "qps": 70}, {"engine": "similis", "build_s": 3}],
                  [row(300)], [row(200)]]
        table = medians(rounds)
        self.assertEqual([r["qps"] for r in table["similis exact"]], [200])
        self.assertEqual([r["qps"] for r in table["hnswlib"]], [70])
        self.assertEqual(set(table), {"similis exact", "hnswlib"})
        self.assertEqual(key_of(row(1, tier="small"))[0], "similis small codes, exact")
        self.assertEqual(key_of({"engine": "diskannpy", "nodes_cached": 9, "L": 50}), ("DiskANN, 9 nodes cached", 50))


def measured(*settings, **more):
    """Rows of recall, queries a second and reads."""
    return [{"recall10": recall, "qps": qps, "reads": reads, **more} for recall, qps, reads in settings]


class Comparison(unittest.TestCase):
    YARDSTICK = "DiskANN, 13000 "
    TABLE = {
        "similis bounded": measured((0.98, 4000, 2), (1, 2000, 4), rss_mb=70.0),
        "similis exact": measured((0.98, 1000, 11), (1, 800, 13), rss_mb=72.0),
        "similis small codes, bounded": measured((0.98, 900, 5), (1, 700, 7), rss_mb=50.0),
        "DiskANN, 13000 nodes cached": measured((0.9, 300, 20), (0.992, 100, 40)),
        "DiskANN, 0 nodes cached": measured((0.9, 280, 20), (0.996, 90, 44)),
        "hnswlib M32": measured((0.98, 1000, 0), (0.998, 400, 0)),
        "faiss HNSW32": measured((0.98, 1100, 0), (0.995, 600, 0)),
    }

    def test_a_ratio_is_of_rates_at_one_recall(self):
        ratio = beside(self.TABLE, "similis bounded", ("DiskANN, 0 ",), 0.95)
        self.assertEqual(ratio.recall, 0.95)
        # Below what was measured of ours its fastest row counts.
        self.assertAlmostEqual(ratio.times, 4000 / (280 - 190 * 50 / 96))
        self.assertEqual(str(ratio), "22.1 x")

    def test_of_several_the_fastest_at_that_recall_counts(self):
        ratio = beside(self.TABLE, "similis bounded", ("hnswlib", "faiss HNSW"), 0.99)
        self.assertAlmostEqual(ratio.times, 3000 / (1100 - 500 * 10 / 15))

    def test_what_none_reaches_is_compared_where_the_last_of_them_ends(self):
        ratio = beside(self.TABLE, "similis bounded", ("hnswlib", "faiss HNSW"), 0.999)
        self.assertEqual(ratio.recall, 0.998)
        self.assertAlmostEqual(ratio.times, 2200 / 400)
        self.assertEqual(str(ratio), "5.5 x at 0.9980")

    def test_there_is_no_ratio_where_ours_does_not_come(self):
        table = {**self.TABLE, "similis bounded": measured((0.9, 4000, 2))}
        self.assertIsNone(beside(table, "similis bounded", ("hnswlib",), 0.99))
        self.assertIsNone(beside(table, "similis bounded", ("another",), 0.99))

    def test_the_summary_has_the_figures_at_a_recall_of_99_percent(self):
        said = summary(self.TABLE, self.YARDSTICK)
        self.assertEqual(said, {
            "recall": 1, "qps_ratio_at_0.99": round(3000 / (300 - 200 * 90 / 92), 2), "reads_at_0.99": 3,
            "hnsw_ratio_at_0.99": 3.91, "memory_mb": 70, "memory_mb_at_most": 70,
            "qps_ratio_at_0.99_exact": round(900 / (300 - 200 * 90 / 92), 2), "reads_at_0.99_exact": 12, "memory_mb_exact": 72,
        })
        self.assertEqual(of_shorter_codes(self.TABLE, "small", self.YARDSTICK)["reads_at_0.99"], 6)
        rounds = [[{"disk_reads_per_s": 8_000}], [{"disk_reads_per_s": 14_000}, {"recall10": 1}], [{"disk_reads_per_s": 10_000}]]
        self.assertEqual(share_of_disk(self.TABLE, rounds), {"disk_reads_per_s": 10_000, "exact_qps_at_0.99": 900,
                                                             "share_of_disk_by_12": 1.08, "share_of_disk_by_13": 1.17})

    def test_what_is_not_reached_is_said_to_be_none(self):
        low = measured((0.97, 4000, 2), rss_mb=70.0)
        table = {**self.TABLE, "similis bounded": low, "similis exact": low, "similis small codes, bounded": low}
        said = summary(table, self.YARDSTICK)
        self.assertEqual([key for key, value in said.items() if value is not None], ["recall", "memory_mb_at_most"])
        self.assertEqual(set(of_shorter_codes(table, "small", self.YARDSTICK).values()), {"small", None})
        self.assertIsNone(share_of_disk(table, [[{"disk_reads_per_s": 10_000}]]))
        # A ratio at another recall than 0.99 is none at it.
        table = {**self.TABLE, "DiskANN, 13000 nodes cached": measured((0.9, 300, 20))}
        self.assertIsNone(summary(table, self.YARDSTICK)["qps_ratio_at_0.99"])
        json.dumps(said)

    def test_tables_have_a_line_for_each_contender_and_recall_it_reaches(self):
        lines = list(rates(self.TABLE, {"hnswlib M32": 532}))
        self.assertEqual(len(lines), 1 + len(self.TABLE))
        self.assertEqual(lines[1].split(), ["similis", "bounded", "1.0000", "4000", "3000", "2100", "70"])
        self.assertEqual(lines[6].split(), ["hnswlib", "M32", "0.9980", "1000", "667", "-", "532"])
        self.assertEqual(lines[7].split()[-1], "-")
        reached = [line.split()[-6] for line in costs(self.TABLE) if line.startswith("hnswlib")]
        self.assertEqual(reached, ["0.95", "0.99"])
        lines = list(ratios(self.TABLE))
        self.assertEqual(len(lines), 1 + 3 * 3)
        self.assertEqual([len(line) for line in lines], [len(lines[0])] * len(lines))
        self.assertTrue(lines[3].startswith("similis bounded") and lines[3].endswith("3.9 x  5.5 x at 0.9980"), lines[3])


if __name__ == "__main__":
    unittest.main()
