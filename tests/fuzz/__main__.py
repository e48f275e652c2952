"""Fuzz what takes bytes from the network: ``python -m tests.fuzz sse`` (or ``wire``).

It needs ``pip install atheris``, which has wheels for Linux alone and is therefore no dependency of anything. Options
are libFuzzer's own: ``-max_total_time=60`` ends it after a minute, ``-runs=100000`` after that many runs, ``-help=1``
lists them all. A folder among them is its corpus, read and added to; without one it is kept where temporary files are,
as is what breaks a promise, which is printed too: give the file of a finding to run it alone.

It begins with the example messages of the documents. ``test_targets.py`` runs the same targets without atheris.
"""

import importlib
import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in ("sse", "wire"):
        sys.exit("usage: python -m tests.fuzz sse|wire [folder] [-max_total_time=60] [libFuzzer's other options]")
    program, name, *options = sys.argv
    # Not a plain import: type checkers run where it is not installed.
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["littlebits_async"]):
        target = importlib.import_module(f"tests.fuzz.{name}")

    work = Path(tempfile.gettempdir()) / f"littlebits-fuzz-{name}"
    seeds = work / "corpus"
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.SEEDS):
        (seeds / f"seed-{number}").write_bytes(seed)
    names = {
        name for seed in target.SEEDS for name in re.findall(rb"^[a-z-]+:|(?<=\")\w+(?=\"\s*:)", seed, re.MULTILINE)
    }
    dictionary = work / "names"
    dictionary.write_bytes(b"".join(b'"%b"\n' % name for name in sorted(names)))

    defaults = [f"-artifact_prefix={work}/", f"-dict={dictionary}", "-timeout=10"]
    # libFuzzer adds to the first folder: the user's own, where there is one. With a file it runs nothing else.
    corpus = [] if any(Path(option).is_file() for option in options) else [str(seeds)]
    logging.disable()
    atheris.Setup([program, *defaults, *options, *corpus], target.check)
    atheris.Fuzz()


main()
