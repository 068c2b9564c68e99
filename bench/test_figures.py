"""How figures are read off measurements."""
import unittest

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


if __name__ == "__main__":
    unittest.main()
