"""Print constraints from pip's installation report: `python pin.py report.json`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HEADER = """\
# Every package that `.[all,test]` brings, at the version that the tests were run with. Made by
# `make constraints`: pip resolves from scratch (Python {python}, Linux, torch's CPU build) and
# .ci/pin.py writes the result. Where torch's CUDA build is taken, its nvidia packages follow
# from torch's own pins."""


def constraints(report: dict) -> str:
    """Return a pin for every package of the report, but for the project itself.

    The part of a version after `+` names a build (`2.13.0+cpu`), which another machine may lack.
    """
    own = {"tuner-studies"}
    packages = (item["metadata"] for item in report["install"])
    pins = {
        re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"].partition("+")[0]
        for package in packages
    }
    header = HEADER.format(python=report["environment"]["python_version"])
    return "\n".join([header, *(f"{n}=={v}" for n, v in sorted(pins.items()) if n not in own)])


if __name__ == "__main__":
    print(constraints(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
