#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stage that signs each line with a secret that other stages of the program cannot read.

faasctl exec WORKFLOW sign -- examples/stage.py KEYFILE. If it raises, its stream is aborted: the
next stage never takes half of the lines for all.
"""
import hmac
import sys

import faasin


@faasin.stage(isolation="keys")
def sign(lines, signed):
    """Copies lines, each behind its HMAC. The key stays in private memory."""
    with open(sys.argv[1], "rb", buffering=0) as file, faasin.private(64) as memory:
        with memoryview(memory) as key:
            size = file.readinto(key)
            for line in lines:
                # hmac keeps what it makes of the key in ordinary memory while it works.
                signed.write(hmac.digest(key[:size], line, "sha256").hex().encode() + b" " + line)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: stage.py KEYFILE")
    sign()
