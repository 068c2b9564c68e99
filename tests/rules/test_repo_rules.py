import unittest

import repo_rules
from tracked_files import REPO, tracked


class RepoRules(unittest.TestCase):
    def test_tracked_files_keep_to_the_rules(self):
        names = tracked()
        self.assertGreater(len(names), 50)
        found = [problem for name in names for problem in repo_rules.problems(name, (REPO / name).read_bytes())]
        self.assertEqual(found, [])

    def test_each_kind_of_problem_is_found(self):
        for name, content, expected in [
            ("src/a.cc", b"int a;\n", []),
            ("model.onnx", b"\x08\xff\xfe", ["model.onnx: not text"]),
            ("docs/page.png", b"\x89PNG", []),
            ("docs/big.png", b"\x89" * 700_000, ["docs/big.png: 700000 bytes"]),
            ("src/a.cc", b"\n" * 601, ["src/a.cc: 601 lines; split it where it holds two ideas"]),
            ("src/a.cc", b"// FIX" b"ME\n", ["src/a.cc:1: unfinished: FIX" "ME"]),
            ("src/a.h", b"int a;", ["src/a.h: the last line does not end"]),
            ("run", b"cd /ro" b"ot/x\n", ["run:1: names /ro" "ot"]),
            ("docs/a.md", b"see ~/pictures/a and build/root\n", []),
        ]:
            with self.subTest(name=name, expected=expected):
                self.assertEqual(repo_rules.problems(name, content), expected)


if __name__ == "__main__":
    unittest.main()
