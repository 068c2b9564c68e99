import json
import os
import pathlib
import re
import subprocess
import tomllib
import unittest

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SIMILIS_BUILD_DIR", REPO / "build" / "dev"))
COMPONENTS = tomllib.loads((REPO / "packaging/licenses.toml").read_text())["component"]
PROGRAMS = ("similis", "similis-worker", "similis-unpack")


def listed(key):
    values = [component[key] for component in COMPONENTS if key in component]
    return {name for value in values for name in (value if isinstance(value, list) else [value])}


def needed(program):
    """Shared libraries that a program asks for itself."""
    done = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True)
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout))


def loaded(program):
    """Shared libraries that come with them."""
    done = subprocess.run(["ldd", program], check=True, capture_output=True, text=True)
    return set(re.findall(r"^\s*(?:\S*/)?(\S+?)(?: =>| \()", done.stdout, re.MULTILINE))


class Licenses(unittest.TestCase):
    def test_every_linked_library_has_an_entry(self):
        programs = [BUILD / name for name in PROGRAMS if (BUILD / name).exists()]
        self.assertTrue(programs, f"no program in {BUILD}")
        for program in programs:
            self.assertEqual(needed(program) - listed("sonames"), set(), program.name)

    def test_every_library_of_headers_has_an_entry(self):
        rules = tomllib.loads((pathlib.Path(__file__).with_name("include_rules.toml")).read_text())
        not_shipped = {"gtest", "sanitizer"}  # tests, and builds for them
        self.assertEqual(set(rules["third_party"]) - not_shipped - listed("headers"), set())

    def test_everything_pinned_for_set_up_has_an_entry(self):
        pinned = set()
        for path in (REPO / "scripts/setup/pins").glob("*.txt"):
            pinned.update(re.findall(r"^([\w-]+)==", path.read_text(), re.MULTILINE))
        self.assertGreater(len(pinned), 2)
        self.assertEqual(pinned - listed("pins"), set())

    def test_everything_the_page_depends_on_has_an_entry(self):
        package = REPO / "web/package.json"
        dependencies = set(json.loads(package.read_text())["dependencies"])
        self.assertEqual(dependencies - listed("npm"), set())

    def test_the_demo_pictures_have_an_entry(self):
        demo = (REPO / "scripts/setup/demo.sh").read_text()
        self.assertIn("package=tuxpaint-stamps-default\n", demo)
        self.assertIn("Tux Paint stamps", {component["name"] for component in COMPONENTS})

    def test_nothing_gpl_is_linked_into_similis(self):
        for component in COMPONENTS:
            if needed(BUILD / "similis") & set(component.get("sonames", [])):
                for licence in re.split(r" (?:AND|OR) ", component["licence"]):
                    self.assertFalse(re.fullmatch(r"A?GPL-[^ ]*", licence), component["name"])

    def test_decoders_stay_in_the_worker(self):
        # Behind libvips are Poppler and x265 (GPL), and code that hostile files attack.
        libraries = loaded(BUILD / "similis")
        self.assertIn("libstdc++.so.6", libraries)
        decoders = {name for name in libraries if re.match(r"lib(vips|poppler|x265|heif|Magick|jxl|tiff)", name)}
        self.assertEqual(decoders, set())


if __name__ == "__main__":
    unittest.main()
