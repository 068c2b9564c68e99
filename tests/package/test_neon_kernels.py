"""The kernels of 64-bit ARM, compiled for it and compared with the scalar ones by an emulated processor."""

import os
import pathlib
import shutil
import tempfile
import unittest

from programs import run

SOURCE = pathlib.Path(os.environ["SIMILIS_SOURCE_DIR"])
GOOGLETEST = pathlib.Path("/usr/src/googletest/googletest")
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE / 'src'}", f"-I{GOOGLETEST / 'include'}", f"-I{GOOGLETEST}"]


class NeonKernels(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="similis-neon-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def compile(self, source):
        made = self.folder / (source.name + ".o")
        compiler = ["ccache"] if shutil.which("ccache") else []
        run(*compiler, "aarch64-linux-gnu-g++-12", *FLAGS, "-O2", "-c", source, "-o", made)
        return made

    def test_they_agree_with_the_scalar_ones(self):
        sources = [*sorted((SOURCE / "src/engine/simd").glob("*.cc")), SOURCE / "src/base/log.cc",
                   GOOGLETEST / "src/gtest-all.cc", GOOGLETEST / "src/gtest_main.cc"]
        program = self.folder / "kernels_test"
        run("aarch64-linux-gnu-g++-12", "-static", *[self.compile(source) for source in sources], "-o", program)
        # The one left out starts itself anew, as a program of this machine.
        said = run("qemu-aarch64-static", program, "--gtest_filter=-*AreThoseTheEnvironmentAsksFor")
        self.assertIn("CodesAgreeWithScalar/neon", said)
        self.assertIn("[  PASSED  ]", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
