import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from harness import pattern
from programs import run

BUILD = pathlib.Path(os.environ["SIMILIS_BUILD_DIR"])
EXPECTED = """
usr/bin/similis
usr/libexec/similis/similis-worker
usr/libexec/similis/similis-unpack
usr/lib/similis/libopenvino.so.2641
usr/lib/similis/libopenvino_intel_cpu_plugin.so
usr/share/similis/models/efficientnet-lite0/1.0/model.onnx
usr/share/similis/models/efficientnet-lite0/1.0/card.toml
usr/share/similis/models/efficientnet-lite0/1.0/labels.txt
usr/share/similis/models/efficientnet-lite0/1.0/LICENSE
usr/share/similis/cards/efficientnet-lite2.toml
usr/share/similis/web/index.html
usr/share/similis/licenses/notices.txt
usr/share/man/man1/similis.1
usr/share/bash-completion/completions/similis
usr/share/zsh/vendor-completions/_similis
usr/share/fish/vendor_completions.d/similis.fish
""".split()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="similis-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", cls.folder / "out")
        (cls.deb,) = (cls.folder / "out").glob("*.deb")
        cls.root = cls.folder / "root"
        run("dpkg-deb", "-x", cls.deb, cls.root)

    def similis(self, *arguments):
        """The unpacked program, as on a machine that has never seen this repository."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        return run(self.root / "usr/bin/similis", *arguments, env=environment, cwd=home)

    def test_files_are_where_they_belong(self):
        self.assertEqual([name for name in EXPECTED if not (self.root / name).is_file()], [])
        top = {path.relative_to(self.root / "usr").parts[0] for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual(top, {"bin", "lib", "libexec", "share"})
        for name in EXPECTED[:5]:
            dynamic = run("readelf", "-d", self.root / name)
            for path in re.findall(r"(?:RPATH|RUNPATH).*\[(.*)\]", dynamic):
                self.assertTrue(path.startswith("$ORIGIN"), f"{name}: {path}")

    def test_it_depends_on_debian_packages_and_ships_the_rest(self):
        depends = run("dpkg-deb", "-f", self.deb, "Depends")
        for package in ("libvips42", "libsqlite3-0", "libc6"):
            self.assertIn(package, depends)
        for shipped in ("tbb", "hwloc", "openvino", "python", "node"):
            self.assertNotIn(shipped, depends)
        libraries = run("ldd", self.root / "usr/bin/similis")
        self.assertNotIn("not found", libraries)
        self.assertRegex(libraries, rf"libopenvino.so.2641 => {re.escape(str(self.root))}/usr/(bin/../)?lib/similis/")

    def test_it_indexes_and_finds_pictures(self):
        self.assertRegex(self.similis("--version"), r"\d+\.\d+\.\d+")
        pictures = self.folder / "pictures"
        pictures.mkdir()
        for seed in range(3):
            pattern(pictures / f"p{seed}.png", seed)
        self.similis("index", pictures)
        answer = json.loads(self.similis("search", pictures / "p1.png", "--json"))
        self.assertEqual(answer["hits"][0]["name"], "p1.png")
        self.assertIn("OpenVINO", self.similis("licenses"))


if __name__ == "__main__":
    unittest.main()
