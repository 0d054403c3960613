#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks a file of `faasctl trace`: `chrome_trace.py FILE`. Prints, one a line,
what is wrong with it as a trace and, without errors, sums for the caller:

    blocked STAGE in|out NS     time in slices of that name
    instant STAGE NAME: TEXT    instants of streams
    arrow STAGE STAGE NUMBER    hand-offs
    bottleneck STAGE            a stage that the file says the others wait for
    other KEY VALUE             what the file says of itself
"""

import collections
import json
import sys


def ns(event):
    return round(event["ts"] * 1000)


class Trace:
    def __init__(self, path):
        self.problems = []
        with open(path, encoding="utf-8") as f:
            self.data = json.load(f)
        self.stages = {}
        self.threads = {}
        self.blocked = collections.Counter()
        self.arrows = collections.Counter()
        self.instants = []
        for event in self.data["traceEvents"]:
            self.name(event)
        self.slices()
        self.flows()

    def name(self, event):
        if event["ph"] != "M":
            return
        if event["name"] == "process_name":
            self.stages[event["pid"]] = event["args"]["name"]
        elif event["name"] == "thread_name":
            self.threads[event["pid"], event["tid"]] = event["args"]["name"]

    def problem(self, what, event):
        self.problems.append("%s: %s" % (what, json.dumps(event)))

    def slices(self):
        """Slices nest, each B has its E, time does not run back on any track."""
        last, stacks = {}, collections.defaultdict(list)
        for event in self.data["traceEvents"]:
            if event["ph"] == "M":
                continue
            track = event["pid"], event["tid"]
            if event["pid"] and track not in self.threads:
                self.problem("a track without a name", event)
            if event["ts"] < last.get(track, 0):
                self.problem("time runs back", event)
            last[track] = event["ts"]
            if event["ph"] == "B":
                if stacks[track]:
                    self.problem("a task does two things at once", event)
                stacks[track].append(event)
            elif event["ph"] == "E":
                if not stacks[track]:
                    self.problem("E without B", event)
                    continue
                begin = stacks[track].pop()
                if begin["name"].startswith("blocked"):
                    key = self.stages[event["pid"]], "out" if "output" in begin["name"] else "in"
                    self.blocked[key] += ns(event) - ns(begin)
            elif event["ph"] in "sf":
                if not stacks[track]:
                    self.problem("an arrow that touches no slice", event)
            elif event["ph"] == "i":
                self.instants.append(event)
            else:
                self.problem("unknown", event)
        for stack in stacks.values():
            for event in stack:
                self.problem("B without E", event)

    def flows(self):
        """Each arrow has a beginning and an end, in this order."""
        begun = {}
        for event in self.data["traceEvents"]:
            if event["ph"] == "s":
                if event["id"] in begun:
                    self.problem("an arrow begins twice", event)
                begun[event["id"]] = event
            elif event["ph"] == "f":
                start = begun.pop(event["id"], None)
                if not start or start["ts"] > event["ts"] or event.get("bp") != "e":
                    self.problem("an arrow without a beginning", event)
                else:
                    self.arrows[self.stages[start["pid"]], self.stages[event["pid"]]] += 1
        for event in begun.values():
            self.problem("an arrow without an end", event)


def main():
    trace = Trace(sys.argv[1])
    if trace.problems:
        print("\n".join(trace.problems))
        return 1
    for (stage, side), time in sorted(trace.blocked.items()):
        print("blocked %s %s %d" % (stage, side, time))
    for event in trace.instants:
        print("instant %s %s: %s" % (trace.stages.get(event["pid"], "-"), event["name"],
                                     event.get("args", {}).get("text", "")))
    for (source, destination), count in sorted(trace.arrows.items()):
        print("arrow %s %s %d" % (source, destination, count))
    for stage in trace.data["otherData"]["bottlenecks"]:
        print("bottleneck %s" % stage["stage"])
    for key, value in trace.data["otherData"].items():
        print("other %s %s" % (key, json.dumps(value)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
