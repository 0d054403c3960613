# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a stage that a file has: faasctl exec WORKFLOW STAGE -- python3 -m faasin FILE[:NAME]."""
import runpy
import sys

from faasin import Stage


def main(arguments):
    if len(arguments) != 1:
        print("Usage: python3 -m faasin FILE[:NAME]", file=sys.stderr)
        return 2
    path, colon, name = arguments[0].rpartition(":")
    if not colon:
        path, name = name, ""
    stages = {n: s for n, s in runpy.run_path(path).items() if isinstance(s, Stage)}
    if not name and len(stages) == 1:
        name, = stages
    if name not in stages:
        print("faasin: %s: name one of its stages: %s" % (path, ", ".join(stages) or "there is none"),
              file=sys.stderr)
        return 2
    stages[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
