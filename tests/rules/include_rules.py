"""Which room includes what, against the table in include_rules.toml."""

import pathlib
import re
import tomllib

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Headers of libc, the compiler and the kernel, beyond the C++ standard library's (which have no suffix).
SYSTEM = re.compile(
    r"(sys|linux|netinet|arpa|net|asm)/[\w/]+\.h|(aio|arm_neon|dirent|dlfcn|errno|fcntl|ftw|glob|immintrin|malloc|netdb"
    r"|nmmintrin|poll|pthread|pwd|sched|signal|spawn|stdlib|string|termios|time|unistd|wchar|x86intrin)\.h"
)
STANDARD = re.compile(r"[a-z0-9_]+")


class Rules:
    def __init__(self, table):
        self._rooms = table["room"]
        self._third_party = table["third_party"]

    @classmethod
    def load(cls, path):
        return cls(tomllib.loads(path.read_text()))

    def violations(self, src):
        """One line for each #include below the folder `src` that the table does not allow."""
        found = []
        for path in sorted(src.rglob("*")):
            if path.suffix in (".h", ".cc"):
                name = path.relative_to(src)
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    if include := INCLUDE.match(line):
                        if reason := self._refusal(name, src, include[1] == '"', include[2]):
                            found.append(f"src/{name}:{number}: {include[2]}: {reason}")
        return found

    def _refusal(self, name, src, quoted, header):
        room, allowed = self._room_of(name)
        if room is None:
            return "this folder is in no room of include_rules.toml"
        is_test = name.stem.endswith(("_test", "_bench")) or name.stem.startswith("test_")
        if quoted:
            if not (src / header).is_file():
                return "quoted includes are paths from src/"
            top = header.split("/")[0]
            if top in ("base", room.split("/")[0]) or is_test:
                return None
            if any(entry in ("*", header) or header.startswith(entry + "/") for entry in allowed.get("rooms", [])):
                return None
            return f"{room} may not include this"
        if STANDARD.fullmatch(header) or SYSTEM.fullmatch(header):
            return None
        for library, prefixes in self._third_party.items():
            if any(header == prefix or prefix.endswith("/") and header.startswith(prefix) for prefix in prefixes):
                if library in allowed.get("third_party", []) or is_test and library == "gtest":
                    return None
                return f"{room} may not use {library}"
        return "a library that include_rules.toml does not know"

    def _room_of(self, name):
        folder = name.parent
        while folder != pathlib.PurePath("."):
            if str(folder) in self._rooms:
                return str(folder), self._rooms[str(folder)]
            folder = folder.parent
        return None, {}
