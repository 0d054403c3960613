#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds what documentation says of tests against the module and the tests.

docs/testing.md: every errno that the module's sources name is in the table of errors,
and the other way round; each test named there looks for it; each test belongs to a
promise. SECURITY.md: every boundary names its tests, every attempt its result. That
the lines are executed is what vm-test/coverage sees to. TAP on standard output; needs
neither kernel nor build.
"""
import glob
import os
import re
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# How sources name what user space sees otherwise: a call is begun again, or EINTR.
SEEN_AS = {"ERESTARTSYS": "EINTR"}
# What no source need name: it comes from waiting that can be interrupted.
FROM_WAITING = {"EINTR"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def section(text, title):
    """What is below a heading of the second level."""
    found = re.search(r"^## %s$(.*?)(?=^## |\Z)" % re.escape(title), text, re.M | re.S)
    return found.group(1) if found else ""


def table(text):
    """The rows of the first table there, without its head."""
    rows = re.findall(r"^\|(.*)\|\s*$", text, re.M)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows[2:]]


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def code(path):
    return re.sub(r"/\*.*?\*/", " ", read(path), flags=re.S)


def tests():
    """What is in the list of tests, by name without suffix, and its source."""
    found = {}
    for name in re.findall(r"^(\w+)\s+\d+\s", read("selftests/tests"), re.M):
        path = glob.glob(os.path.join(ROOT, "selftests", name + ".*"))
        found[re.sub(r"_test$", "", name)] = read(path[0]) if path else ""
    return found


def results():
    """FIXTURE.TEST of all tests in C."""
    found = set()
    for path in glob.glob(os.path.join(ROOT, "selftests/*_test.c")):
        found.update("%s.%s" % pair for pair in
                     re.findall(r"^\s*TEST_F(?:_TIMEOUT)?\((\w+), (\w+)", read(path), re.M))
    return found


def is_lane(name):
    return name.replace("vm-test/trust ", "") in re.findall(r"^lane_(\w+)\(\)", read("vm-test/trust"), re.M)


def errors_of(path):
    return {SEEN_AS.get(e, e) for e in re.findall(r"-(E[A-Z]+[0-9A-Z]*)\b", code(path))}


def check_errors(tap, known):
    """The table of errors: by rows, and by files."""
    named, odd, unseen, unknown = {}, [], [], []
    for operation, files, errors in table(section(read("docs/testing.md"), "Errors and who sees them")):
        files = ["kmod/" + f for f in quoted(files)]
        for part in errors.split(";"):
            head, _, rest = part.partition(":")
            for error in re.findall(r"\bE[A-Z0-9]+\b", head):
                for f in files:
                    named.setdefault(f, set()).add(error)
                if error not in FROM_WAITING and not any(error in errors_of(f) for f in files):
                    odd.append("%s: %s is in none of its files" % (operation, error))
                for test in quoted(rest):
                    # Fault injection has names of its own for the errors it allows.
                    wanted = r"\bE?%s\b" % error[1:]
                    if test not in known:
                        unknown.append("%s: no test '%s'" % (operation, test))
                    elif not re.search(wanted, known[test]):
                        unseen.append("%s: %s does not look for %s" % (operation, test, error))
                if not rest.strip():
                    odd.append("%s: %s has neither test nor reason" % (operation, error))
    missing = []
    for path in sorted(glob.glob(os.path.join(ROOT, "kmod/*.[ch]"))):
        path = os.path.relpath(path, ROOT)
        missing += ["%s: %s" % (path, e) for e in sorted(errors_of(path) - named.get(path, set()))]
    tap.result("errors: all that the module's sources name are in the table", missing)
    tap.result("errors: all that the table has are in the sources it names", odd)
    tap.result("errors: the tests that are named exist", unknown)
    tap.result("errors: the tests that are named look for them", unseen)


def check_promises(tap, known):
    named = set()
    for row in table(section(read("docs/testing.md"), "Promises and tests")):
        named.update(quoted(row[1]))
    measured = {n for n in named if "/" in n and glob.glob(os.path.join(ROOT, n + ".*"))}
    tap.equal("promises: each test belongs to one, and exists", "test", set(known), named - measured)


def check_security(tap, known):
    text = read("SECURITY.md")
    problems = []
    for item in re.split(r"^- ", section(text, "What is a boundary"), flags=re.M)[1:]:
        title = item.split("**")[1] if "**" in item else item[:30]
        tested = re.search(r"Tests?:\s(.*)", item, re.S)
        if not tested:
            problems.append("'%s' names no test" % title)
            continue
        problems += ["'%s': no test '%s'" % (title, n) for n in quoted(tested.group(1))
                     if n not in known and not is_lane(n)]
    tap.result("security: each boundary names its tests", problems)

    problems = []
    there = results()
    for row in table(section(text, "What a hostile container tries")):
        names = quoted(row[-1])
        if not names:
            problems.append("'%s' has no result" % row[0])
        for name in names:
            parts = name.split(".")
            if len(parts) > 1:
                # With a variant in between: stuck.*.holds_nobody_up.
                ok = "%s.%s" % (parts[0], parts[-1]) in there or \
                    parts[-1] == "*" and any(t.startswith(parts[0] + ".") for t in there)
            else:
                ok = re.sub(r"_test$", "", name) in known or is_lane(name)
            if not ok:
                problems.append("'%s': there is no %s" % (row[0], name))
    tap.result("security: the result of each attempt exists", problems)


def check_points(tap):
    """Each operation has a row, as vm-test/fault writes them, and their sums are told."""
    there = set()
    for path in glob.glob(os.path.join(ROOT, "selftests/fault_*_test.c")):
        test = re.sub(r"_test\.c$", "", os.path.basename(path))
        operations = re.findall(r"^OPERATION\((\w+),", read(path), re.M)
        there.update((test, operation) for operation in operations or ["loading"])
    text = read("docs/fault-points.md")
    rows = [[cell.strip("`") for cell in row] for row in table(text)]
    tap.equal("points: each operation has a row", "operation", there, {(r[0], r[1]) for r in rows})
    told = "%d operations, %d points, of which %d let the operation fail." % (
        len(rows), sum(int(r[2]) for r in rows), sum(int(r[3]) for r in rows))
    tap.result("points: their sums", [] if told in text else ["they are: " + told])


def main():
    print("TAP version 13")
    tap = Tap()
    known = tests()
    check_errors(tap, known)
    check_promises(tap, known)
    check_security(tap, known)
    check_points(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
