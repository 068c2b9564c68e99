"""The engine without the product: built, installed, and used by its example through its CMake package."""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

from programs import run

SOURCE = pathlib.Path(os.environ["SIMILIS_SOURCE_DIR"])
TYPE = os.environ["SIMILIS_BUILD_TYPE"]


class EnginePackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="similis-engine-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        build, cls.prefix = cls.folder / "build", cls.folder / "prefix"
        run("cmake", "-S", SOURCE, "-B", build, "-G", "Ninja", "-DSIMILIS_ENGINE_ONLY=ON", "-DSIMILIS_TESTS=ON",
            f"-DCMAKE_BUILD_TYPE={TYPE}", f"-DCMAKE_INSTALL_PREFIX={cls.prefix}",
            "-DCMAKE_CXX_FLAGS_DEBUG=-Og -g1", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenVINO=ON")
        run("cmake", "--build", build, timeout=800)
        run("cmake", "--install", build)

    def test_its_tests_run_without_the_product(self):
        said = run("ctest", "--test-dir", self.folder / "build", "-R", "^(Frame|Code|Manifest|Verify|IndexTest|Wal)", "--no-tests=error",
                   "--output-on-failure")
        self.assertIn("100% tests passed", said)

    def test_the_public_header_brings_all_it_includes(self):
        include = self.prefix / "include/similis"
        headers = {str(path.relative_to(include)) for path in include.rglob("*.h")}
        self.assertIn("engine/index.h", headers)
        for header in headers:
            for name in re.findall(r'#include "(.*)"', (include / header).read_text()):
                self.assertIn(name, headers, header)

    def test_the_example_finds_the_package_and_its_neighbours(self):
        example = self.folder / "example"
        run("cmake", "-S", SOURCE / "src/engine/example", "-B", example, "-G", "Ninja",
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_BUILD_TYPE={TYPE}")
        run("cmake", "--build", example)
        hits = run(example / "engine_example", self.folder / "vectors.idx").splitlines()
        self.assertEqual(hits[0], "1 1.000")
        self.assertEqual(len(hits), 3)
        for name, value in (("SIMILIS_SIMD", "scalar"), ("SIMILIS_READS", "pool")):
            again = run(example / "engine_example", self.folder / f"{value}.idx", env=os.environ | {name: value})
            self.assertEqual(again.splitlines(), hits, name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
