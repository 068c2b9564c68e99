import pathlib
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    """Names of the repository's files; of an archive without git, of all files outside what set-up makes."""
    git = ["git", "-c", f"safe.directory={REPO}", "ls-files", "-z", "--", *patterns]
    if (REPO / ".git").exists():
        names = subprocess.run(git, cwd=REPO, check=True, capture_output=True, text=True).stdout.split("\0")
    else:
        made = {"build", "demo", "node_modules", "dist", "__pycache__"}
        paths = [path.relative_to(REPO) for path in REPO.rglob("*") if not made & set(path.relative_to(REPO).parts)]
        names = sorted(str(path) for path in paths if not patterns or any(matches(path, p) for p in patterns))
    return [name for name in names if name and (REPO / name).is_file()]


def matches(path, pattern):
    """As git's pathspecs do: the star also stands for folders."""
    folder, _, name = pattern.rpartition("/")
    return str(path).startswith(folder + "/" if folder else "") and path.match(name)
