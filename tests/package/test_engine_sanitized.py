"""The engine's tests under a sanitizer (SIMILIS_SANITIZE), in a build of their own that is kept."""

import os
import pathlib
import subprocess
import unittest

from programs import run

SOURCE = pathlib.Path(os.environ["SIMILIS_SOURCE_DIR"])
SANITIZE = os.environ["SIMILIS_SANITIZE"]
BUILD = SOURCE / "build" / ("engine-" + SANITIZE.replace(",", "-"))


class EngineSanitized(unittest.TestCase):
    def test_nothing_is_found(self):
        run("cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DSIMILIS_ENGINE_ONLY=ON", "-DSIMILIS_TESTS=ON",
            f"-DSIMILIS_SANITIZE={SANITIZE}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-Og -g1")
        run("cmake", "--build", BUILD, "--target", "similis_engine_test", timeout=1200)
        program = BUILD / "src/engine/similis_engine_test"
        wanted = os.environ["SIMILIS_TESTS_RUN"]
        for pattern in wanted.split("-")[0].split(":"):
            if pattern:
                self.assertIn("  ", run(program, "--gtest_list_tests", f"--gtest_filter={pattern}"), pattern)
        options = os.environ | {"TSAN_OPTIONS": "halt_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1", "SIMILIS_CRASH_SEEDS": "20"}
        # Where the kernel lays memory out at random far and wide, GCC 12's thread sanitizer does not start.
        still = ["setarch", "-R"] if subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode == 0 else []
        done = subprocess.run([*still, program, "--gtest_filter=" + wanted, "--gtest_brief=1"],
                              env=options, capture_output=True, text=True, timeout=1200)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-6000:])
        self.assertIn("[  PASSED  ]", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
