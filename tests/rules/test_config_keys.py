"""Every key of the configuration does something: what it sets is read outside the configuration itself, and what the
resource plan works out of keys is read outside the plan."""

import re
import unittest

from tracked_files import REPO

READERS = [p for p in sorted((REPO / "src").rglob("*.cc")) + sorted((REPO / "src").rglob("*.h"))
           if not p.name.endswith("_test.cc")]


def text_without(*left_out):
    return "\n".join(p.read_text() for p in READERS if str(p.relative_to(REPO)) not in left_out)


def unread_slots(keys, readers):
    """The members that keys set and nobody reads."""
    slots = re.findall(r"return &s\.([a-z_.]+);", keys)
    assert len(slots) == len(re.findall(r"\(Settings& s\) -> Slot", keys))
    return [slot for slot in slots if not re.search(r"\w\." + re.escape(slot) + r"\b", readers)]


class ConfigKeys(unittest.TestCase):
    def test_every_key_has_a_reader(self):
        keys = (REPO / "src/config/keys.cc").read_text()
        self.assertEqual(unread_slots(keys, text_without("src/config/keys.cc", "src/config/settings.h")), [])

    def test_everything_planned_is_used(self):
        plan = (REPO / "src/config/resource_plan.h").read_text()
        body = plan[plan.index("struct ResourcePlan {"):plan.index("\n};")]
        members = re.findall(r"^  std::int64_t (\w+) = ", body, re.MULTILINE)
        self.assertGreater(len(members), 5)
        readers = text_without("src/config/resource_plan.h", "src/config/resource_plan.cc")
        self.assertEqual([m for m in members if not re.search(r"plan\." + m + r"\b", readers)], [])

    def test_an_unread_key_is_found(self):
        keys = "[](Settings& s) -> Slot { return &s.a.used; } [](Settings& s) -> Slot { return &s.a.unused; }"
        self.assertEqual(unread_slots(keys, "int x = settings.a.used;"), ["a.unused"])


if __name__ == "__main__":
    unittest.main()
