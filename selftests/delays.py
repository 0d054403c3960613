#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A stage with a known delay: `delays.py DIR NAME CHUNKS DELAY`. Writes CHUNKS times 64 KiB, or
with 0 copies its input to its output until it ends, and sleeps DELAY seconds before each write.
Makes the file DIR/NAME, and begins when there is DIR/go: how long it takes to start counts for
nothing."""

import os
import sys
import time

CHUNK = 65536


def write_all(data):
    while data:
        data = data[os.write(1, data):]


def main():
    there, name = sys.argv[1:3]
    left, delay = int(sys.argv[3]), float(sys.argv[4])
    copies = not left
    with open(os.path.join(there, name), "w", encoding="ascii"):
        pass
    while not os.path.exists(os.path.join(there, "go")):
        time.sleep(0.01)
    while copies or left:
        data = os.read(0, CHUNK) if copies else bytes(CHUNK)
        if not data:
            break
        if delay:
            time.sleep(delay)
        write_all(data)
        left -= 1


if __name__ == "__main__":
    main()
