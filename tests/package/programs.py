"""Running programs whose failure is the test's."""

import subprocess


def run(*command, timeout=300, **options):
    """What it says; an AssertionError with all of it when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} exited with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout
