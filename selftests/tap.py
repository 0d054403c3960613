# SPDX-License-Identifier: GPL-2.0
"""TAP for tests in Python."""


class Tap:
    """Results, numbered as they come."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, name, problems):
        self.count += 1
        if problems:
            self.failed += 1
        print(("not ok" if problems else "ok"), self.count, name)
        for problem in problems:
            print("#", problem)

    def equal(self, name, what, want, got):
        """Compares two sets, or anything else."""
        problems = []
        if isinstance(want, set):
            problems += ["missing %s: %s" % (what, x) for x in sorted(want - got, key=str)]
            problems += ["unknown %s: %s" % (what, x) for x in sorted(got - want, key=str)]
        elif want != got:
            problems = ["%s: want %r" % (what, want), "got %r" % (got,)]
        self.result(name, problems)

    def skip(self, name, why):
        self.count += 1
        print("ok", self.count, name, "# SKIP", why)

    def done(self):
        print("1..%d" % self.count)
        return 1 if self.failed or not self.count else 0
