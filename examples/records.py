#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file from stage to stage in records, without copying it between them.

In one stage `records.py send <file`, in the other `records.py receive >file`. The link needs
room: faasctl link --capacity 8M WORKFLOW STAGE STAGE.
"""
import sys

import faasin


def send(source):
    """The kernel reads the file straight into the link's memory."""
    size = faasin.output.window_size() // 4
    while True:
        with faasin.output.alloc(size) as extent:
            count = source.readinto(extent)
            if not count:
                return
            extent.trim(count)
            faasin.output.send(extent)


def receive(sink):
    """And writes it from there."""
    for record in faasin.input.records():
        sink.write(record)


if __name__ == "__main__":
    if sys.argv[1:] == ["send"]:
        send(open(0, "rb", buffering=0))
    elif sys.argv[1:] == ["receive"]:
        receive(open(1, "wb"))
    else:
        sys.exit("Usage: records.py send|receive")
