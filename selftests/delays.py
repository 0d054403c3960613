#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A stage with a known delay: `delays.py DIR NAME CHUNKS DELAY`. Writes CHUNKS times 64 KiB, or
with 0 copies its input to its output until it ends, and sleeps DELAY seconds before each write.
Makes the file DIR/NAME, and begins when there is DIR/go: how long it takes to start counts for
nothing. At its end DIR/NAME.times has what it saw itself: how many nanoseconds it was in its
reads (in) and writes (out), and how many there were."""

import os
import sys
import time

CHUNK = 65536


class Side:
    """Calls, timed from outside."""

    def __init__(self, function):
        self.function = function
        self.ns = self.calls = 0

    def __call__(self, *words):
        begun = time.monotonic_ns()
        result = self.function(*words)
        self.ns += time.monotonic_ns() - begun
        self.calls += 1
        return result


READ, WRITE = Side(os.read), Side(os.write)


def write_all(data):
    while data:
        data = data[WRITE(1, data):]


def main():
    there, name = sys.argv[1:3]
    left, delay = int(sys.argv[3]), float(sys.argv[4])
    copies = not left
    with open(os.path.join(there, name), "w", encoding="ascii"):
        pass
    while not os.path.exists(os.path.join(there, "go")):
        time.sleep(0.01)
    while copies or left:
        data = READ(0, CHUNK) if copies else bytes(CHUNK)
        if not data:
            break
        if delay:
            time.sleep(delay)
        write_all(data)
        left -= 1
    with open(os.path.join(there, name + ".times"), "w", encoding="ascii") as f:
        f.write("in %d %d\nout %d %d\n" % (READ.ns, READ.calls, WRITE.ns, WRITE.calls))


if __name__ == "__main__":
    main()
