#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Splices pages through a link into a pipe, and looks at them when the link is gone.

pipe_holder.py OUT IN says "held", waits for a line, and fails if the pipe holds
anything but what was written.
"""

import fcntl
import os
import sys

SIZE = 65536
PAGE = 4096


def splice(source, target, count):
    """Splices all of it."""
    while count:
        count -= os.splice(source, target, count)


def pipe():
    """A pipe with room for all of it."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, 4 * SIZE)
    return ends


def main(out, into):
    data = bytes(i % 251 for i in range(2 * SIZE + PAGE))
    feed, held = pipe(), pipe()
    out = os.open(out, os.O_WRONLY)
    into = os.open(into, os.O_RDONLY)
    # Pages of the link's own, pages that it was given, and one of a block of many.
    os.write(out, data[:SIZE])
    os.write(feed[1], data[SIZE : 2 * SIZE])
    splice(feed[0], out, SIZE)
    os.write(out, data[2 * SIZE :])
    splice(into, held[1], len(data))
    os.close(out)
    os.close(into)
    print("held", flush=True)
    sys.stdin.readline()
    back = b""
    while len(back) < len(data):
        back += os.read(held[0], len(data))
    return 0 if back == data else "the pipe holds something else"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
