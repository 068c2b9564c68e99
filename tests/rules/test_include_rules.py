import pathlib
import tempfile
import unittest

from include_rules import Rules

REPO = pathlib.Path(__file__).resolve().parents[2]
RULES = Rules.load(pathlib.Path(__file__).with_name("include_rules.toml"))


class IncludeRules(unittest.TestCase):
    def test_sources_keep_to_the_table(self):
        self.assertEqual(RULES.violations(REPO / "src"), [])

    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            src = pathlib.Path(folder) / "src"
            for name, content in files.items():
                (src / name).parent.mkdir(parents=True, exist_ok=True)
                (src / name).write_text(content)
            return RULES.violations(src)

    def test_allowed_includes_pass(self):
        self.assertEqual(
            self.check({
                "base/error.h": "#include <string>\n",
                "core/ids.h": '#include "base/error.h"\n#include <sys/stat.h>\n',
                "engine/index.h": "",
                "stores/vector/vector_store.h": "",
                "stores/vector/embedded/store.cc": '#include "engine/index.h"\n#include "stores/vector/vector_store.h"\n',
                "core/ids_test.cc": '#include <gtest/gtest.h>\n#include "engine/index.h"\n',
            }),
            [],
        )

    def test_each_kind_of_violation_is_found(self):
        found = self.check({
            "core/ids.h": "",
            "engine/index.h": '#include "core/ids.h"\n',
            "engine/storage/wal.h": "",
            "stores/vector/embedded/store.cc": '#include "engine/storage/wal.h"\n',
            "services/query.cc": '#include "stores/vector/embedded/store.h"\n#include <nlohmann/json.hpp>\n',
            "stores/vector/embedded/store.h": "",
            "http/server.cc": "#include <curl/curl.h>\n",
            "core/row.cc": '#include "ids.h"\n',
            "attic/old.cc": "#include <string>\n",
        })
        self.assertEqual(
            found,
            [
                "src/attic/old.cc:1: string: this folder is in no room of include_rules.toml",
                "src/core/row.cc:1: ids.h: quoted includes are paths from src/",
                "src/engine/index.h:1: core/ids.h: engine may not include this",
                "src/http/server.cc:1: curl/curl.h: a library that include_rules.toml does not know",
                "src/services/query.cc:1: stores/vector/embedded/store.h: services may not include this",
                "src/services/query.cc:2: nlohmann/json.hpp: services may not use json",
                "src/stores/vector/embedded/store.cc:1: engine/storage/wal.h: stores/vector/embedded may not include this",
            ],
        )


if __name__ == "__main__":
    unittest.main()
