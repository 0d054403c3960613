#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Run a command, and see that each write to its standard error is of whole lines: whole_lines.py COMMAND..."""

import os
import subprocess
import sys

MOST = 4096


def main():
    ours, theirs = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    with subprocess.Popen(sys.argv[1:], stderr=theirs):
        os.close(theirs)
        writes = list(iter(lambda: os.read(ours, MOST), b""))
    for text in writes:
        print(repr(text))
    return 0 if writes and all(text.endswith(b"\n") for text in writes) else 1


if __name__ == "__main__":
    sys.exit(main())
