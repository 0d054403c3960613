#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Holds the six descriptions of the netlink family against each other.

kmod/faasin.yaml (for programs), kmod/uapi/faasin.h (for people and C), the
policies of kmod/policy.c with the operations of kmod/netlink*.c (what the kernel
takes), the attributes that kmod/reply.c and kmod/event.c send, what
docs/syzkaller/faasin.txt tells a fuzzer, and what the project's own makes requests of
(fuzz/uapi/mutation.c). Ioctls likewise. TAP on standard output. Needs no kernel; the
schema comes from the kernel's source (vm-test/kernels --source gets it,
FAASIN_LINUX_SOURCE names another).
"""
import glob
import os
import re
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What the functions that check an attribute allow, as the spec says it, and what
# the function's text must therefore contain. Of names they are in the policy; of
# integers handlers call them (policy.c says why).
CHECKED = {
    "faasin_nl_name": ({"max-len": "name-max"}, ["FAASIN_NAME_MAX", "faasin_name_check("]),
    "faasin_nl_capacity": (
        {"min": "capacity-min", "max": "capacity-max"},
        ["FAASIN_CAPACITY_MIN", "FAASIN_CAPACITY_MAX"],
    ),
    "faasin_nl_mode": ({"max": 0o777}, ["& ~0777)"]),
    "faasin_nl_uid": ({}, ["make_kuid(&init_user_ns"]),
    "faasin_nl_gid": ({}, ["make_kgid(&init_user_ns"]),
    "faasin_nl_workflow_flags": ({}, ["FAASIN_WORKFLOW_F_SETTABLE"]),
    "faasin_nl_link_flags": ({}, ["FAASIN_LINK_F_SETTABLE"]),
}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def upper(name):
    return name.upper().replace("-", "_")


def differ(what, expected, found):
    """Problems, if two lists or sets are not the same."""
    if expected == found:
        return []
    return ["%s: the spec has %s, the code has %s" % (what, show(expected), show(found))]


def show(value):
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        return " ".join(str(v) for v in value) or "nothing"
    return str(value)


class Header:
    """Constants, enums and comments of the interface's header."""

    def __init__(self, text):
        self.text = text
        code = without_comments(text)
        self.defines = dict(re.findall(r"^#define\s+(\w+)\s+(.+?)\s*$", code, flags=re.M))
        self.enums = {}
        for name, body in re.findall(r"\benum\s+(\w+)\s*\{(.*?)\}", code, flags=re.S):
            value = -1
            entries = []
            for entry in filter(None, (e.strip() for e in body.split(","))):
                label, _, given = (p.strip() for p in entry.partition("="))
                value = int(given, 0) if given else value + 1
                entries.append((label, value))
            self.enums[name] = entries

    def value(self, name):
        """Of a constant or an enum's entry; None if there is none."""
        for entries in self.enums.values():
            for label, value in entries:
                if label == name:
                    return value
        expression = self.defines.get(name)
        if expression is None:
            return None
        expression = re.sub(r"\b(\d+)u\b", r"\1", expression)
        expression = re.sub(r"\b0([0-7]+)\b", r"0o\1", expression)
        if re.fullmatch(r"[\do()<*\s+-]+", expression):
            return eval(expression)  # pylint: disable=eval-used
        return expression.strip('"')

    def enum(self, name):
        """Entries that are not bookkeeping."""
        return [
            (label, value)
            for label, value in self.enums.get(name, [])
            if not label.startswith("__") and not label.endswith("_UNSPEC")
        ]

    def doc(self, enum):
        """{entry: text} of an enum's comment; "" is the text for all."""
        found = re.search(r"/\*\*\n \* enum %s\b(.*?)\*/" % enum, self.text, flags=re.S)
        if not found:
            return {}
        text = re.sub(r"\n \*[ \t]*", "\n", found.group(1))
        parts = re.split(r"\n@(\w+):", text)
        docs = dict(zip(parts[1::2], parts[2::2]))
        docs[""] = parts[0]
        return docs

    def requests(self):
        """{command: names of attributes} of the table at the top; "(dump)" is part of it."""
        table = {}
        key = None
        inside = False
        for line in self.text.splitlines():
            if re.match(r" \*\s+command\s+attributes in", line):
                inside = True
                continue
            if not inside:
                continue
            if not line.strip(" *"):
                break
            found = re.match(r" \*   (\S+(?: \(dump\))?)\s+(.*)$", line)
            more = re.match(r" \* {20,}(.*)$", line)
            if more:
                rest = more.group(1)
            else:
                key, rest = found.group(1), found.group(2)
                table[key] = set()
            # The last column says what comes back.
            rest = re.sub(r"\s{2,}(-|\w+_\*.*)$", "", rest)
            table[key] |= set(re.findall(r"[A-Z][A-Z_]+", rest))
        return table


class Spec:
    """The spec, with its naming rules applied."""

    def __init__(self, doc):
        self.doc = doc
        self.sets = {s["name"]: s for s in doc["attribute-sets"]}
        self.definitions = {d["name"]: d for d in doc["definitions"]}
        self.operations = doc["operations"]["list"]

    def constant(self, value):
        if isinstance(value, str):
            return self.definitions[value]["value"]
        return value

    def attribute(self, set_name, name):
        for attr in self.sets[set_name]["attributes"]:
            if attr["name"] == name:
                return attr
        return None

    def c_name(self, set_name, name):
        return upper(self.sets[set_name]["name-prefix"] + name)

    def entries(self, definition):
        """[(C name, value)] of an enum or flags."""
        prefix = self.doc["name"] + "-" + definition["name"] + "-"
        value = definition.get("value-start", 0)
        out = []
        for entry in definition["entries"]:
            if isinstance(entry, dict):
                value = entry.get("value", value)
                entry = entry["name"]
            out.append((upper(prefix + entry), 1 << value if definition["type"] == "flags" else value))
            value += 1
        return out

    def request(self, op, kind):
        part = op.get(kind) or {}
        return (part.get("request") or {}).get("attributes", [])

    def reply(self, op, kind):
        part = op.get(kind) or {}
        return (part.get("reply") or {}).get("attributes", [])


def functions(text):
    """{name: body} of a C file's functions."""
    return {
        name: body
        for name, body in re.findall(
            r"^(?:static )?[\w ]+?\*?(\w+)\([^;{}]*?\)\n\{\n(.*?)^\}", text, flags=re.S | re.M
        )
    }


class Policies:
    """kmod/policy.c: {policy: [(attribute, type, checks, nested policy)]}."""

    def __init__(self, text, header):
        self.header = header
        code = without_comments(text)
        self.bodies = functions(code)
        self.macros = dict(
            re.findall(r"^#define\s+(FAASIN_NL_\w+)\s+(\S.*?)\s*$", code, flags=re.M)
        )
        self.sizes = {}
        self.tables = {}
        for name, size, body in re.findall(
            r"^const struct nla_policy faasin_(\w+)_policy\[(.*?)\] = \{\n(.*?)^\};",
            code,
            flags=re.S | re.M,
        ):
            self.sizes[name] = size
            self.tables[name] = [
                (attr, self.rule(rule))
                for attr, rule in re.findall(r"^\t\[(\w+)\] = (.+?),$", body, flags=re.M)
            ]

    def checked(self, check):
        """(checks, problems) of a function that looks at an attribute."""
        if check not in CHECKED:
            return {}, ["%s(): this test does not know it" % check]
        checks, needed = CHECKED[check]
        body = self.bodies.get(check, "")
        return checks, ["%s() does not look at %s" % (check, n) for n in needed if n not in body]

    def handler_check(self, text):
        """The function by which handlers check what has this rule, or None."""
        check = text.lower()
        return check if check in self.bodies and "(" not in self.macros.get(text, "(") else None

    def rule(self, text):
        """(type, checks, nested, problems, function for handlers) of one line."""
        check = self.handler_check(text)
        kind, checks, nested, problems = self.kernel_rule(self.macros.get(text, text))
        if check:
            checks, problems = self.checked(check)
        return kind, checks, nested, problems, check

    def kernel_rule(self, text):
        """(type, checks, nested, problems) of what the kernel checks."""
        found = re.fullmatch(r"NLA_POLICY_VALIDATE_FN\(NLA_(\w+), (\w+)\)", text)
        if found:
            kind, check = found.groups()
            checks, problems = self.checked(check)
            # The kernel shows such a pointer as a range to whoever asks.
            if kind != "NUL_STRING":
                problems.append("%s() is in the policy of an integer" % check)
            return kind, checks, None, problems
        found = re.fullmatch(r"NLA_POLICY_(MIN|MAX)\(NLA_(\w+), (\w+)\)", text)
        if found:
            which, kind, limit = found.groups()
            number = int(limit) if limit.isdigit() else self.header.value(limit)
            return kind, {which.lower(): number}, None, []
        found = re.fullmatch(r"NLA_POLICY_NESTED\(faasin_(\w+)_policy\)", text)
        if found:
            return "NESTED", {}, found.group(1), []
        found = re.fullmatch(r"\{ \.type = NLA_(\w+)(?:, \.reject_message = \".*\")? \}", text)
        if found:
            return found.group(1), {}, None, []
        return None, {}, None, ["cannot read the rule %s" % text]


NLA = {"NUL_STRING": "string", "U32": "u32", "U64": "u64", "S32": "s32", "NESTED": "nest"}


def check_schema(tap, spec):
    try:
        import jsonschema  # pylint: disable=import-outside-toplevel
        import yaml  # pylint: disable=import-outside-toplevel
    except ImportError as err:
        tap.skip("spec: schema", "%s (install python3-jsonschema)" % err)
        return
    cache = os.environ.get("FAASIN_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "faasin"
    )
    sources = [os.environ.get("FAASIN_LINUX_SOURCE", "")]
    sources += sorted(glob.glob(os.path.join(cache, "source", "*")), reverse=True)
    for name in ("genetlink", "genetlink-legacy"):
        for source in sources:
            path = os.path.join(source, "Documentation/netlink", name + ".yaml")
            if source and os.path.exists(path):
                break
        else:
            tap.skip("spec: schema " + name, "no kernel source: vm-test/kernels --source gets it")
            continue
        with open(path, encoding="utf-8") as f:
            schema = yaml.safe_load(f)
        problems = [
            "%s: %s" % ("/".join(str(p) for p in e.path), e.message)
            for e in jsonschema.Draft7Validator(schema).iter_errors(spec.doc)
        ]
        tap.result("spec: schema " + name, problems)


def check_references(tap, spec):
    """What the schema cannot say: names mean something."""
    problems = []
    for set_name, attrs in ((n, s["attributes"]) for n, s in spec.sets.items()):
        for attr in attrs:
            where = "%s/%s" % (set_name, attr["name"])
            if "enum" in attr and attr["enum"] not in spec.definitions:
                problems.append("%s: no enum %s" % (where, attr["enum"]))
            if "nested-attributes" in attr and attr["nested-attributes"] not in spec.sets:
                problems.append("%s: no set %s" % (where, attr["nested-attributes"]))
            for limit in attr.get("checks", {}).values():
                if isinstance(limit, str) and limit not in spec.definitions:
                    problems.append("%s: no constant %s" % (where, limit))
            enum = spec.definitions.get(attr.get("enum"))
            top = attr.get("checks", {}).get("max")
            if enum and top is not None and top != spec.entries(enum)[-1][1]:
                problems.append("%s: max is not the last of %s" % (where, enum["name"]))
    for op in spec.operations:
        used = op.get("event", {}).get("attributes", [])
        for kind in ("do", "dump"):
            used = used + spec.request(op, kind) + spec.reply(op, kind)
        for name in used:
            if not spec.attribute(op["attribute-set"], name):
                problems.append("%s: no attribute %s" % (op["name"], name))
    tap.result("spec: what it refers to exists", problems)


def check_header(tap, spec, header):
    problems = differ("name", spec.doc["name"], header.value("FAASIN_GENL_NAME"))
    problems += differ("version", spec.doc.get("version", 1), header.value("FAASIN_GENL_VERSION"))
    groups = [g["name"] for g in spec.doc["mcast-groups"]["list"]]
    problems += differ("groups", groups, [header.value("FAASIN_GENL_MCGRP_EVENTS")])
    tap.result("header: family", problems)

    problems = []
    for definition in spec.definitions.values():
        if definition["type"] == "const":
            name = upper(spec.doc["name"] + "-" + definition["name"])
            problems += differ(name, definition["value"], header.value(name))
    tap.result("header: constants", problems)

    for definition in spec.definitions.values():
        if definition["type"] == "enum":
            name = "faasin_" + definition["name"].replace("-", "_")
            found = header.enum(name) or header.enum(name + "_type")
            tap.result("header: enum " + definition["name"],
                       differ("entries", spec.entries(definition), found))
        elif definition["type"] == "flags":
            prefix = upper("faasin-" + definition["name"] + "-")
            found = [
                (name, header.value(name))
                for name in header.defines
                if name.startswith(prefix) and not name.endswith("_SETTABLE")
            ]
            tap.result("header: flags " + definition["name"],
                       differ("entries", spec.entries(definition), found))

    for set_name, one in spec.sets.items():
        enum = one["enum-name"].replace("-", "_")
        expected = [
            (spec.c_name(set_name, attr["name"]), number)
            for number, attr in enumerate(one["attributes"], 1)
        ]
        tap.result("header: attributes of " + set_name,
                   differ("order", expected, header.enum(enum)))

        problems = []
        docs = header.doc(enum)
        for attr in one["attributes"]:
            if attr["type"] == "pad":
                continue
            name = spec.c_name(set_name, attr["name"])
            text = docs.get(name)
            if text is None:
                problems.append("%s is not described" % name)
                continue
            types = r"\b(u32|u64|s32|string|nest)\b"
            found = re.search(types, text) or re.search(types, docs[""])
            problems += differ(name, attr["type"], found.group(1) if found else None)
        tap.result("header: types of %s as described" % set_name, problems)

    expected = [
        (upper(spec.doc["operations"]["name-prefix"] + op["name"]), number)
        for number, op in enumerate(spec.operations, 1)
    ]
    tap.result("header: commands", differ("order", expected, header.enum("faasin_cmd")))

    problems = []
    table = header.requests()
    for op in spec.operations:
        for kind in ("do", "dump"):
            if kind not in op:
                continue
            key = upper(op["name"]) + (" (dump)" if kind == "dump" else "")
            prefix = upper(op["attribute-set"]) + "_"
            known = set(upper(a["name"]) for a in spec.sets[op["attribute-set"]]["attributes"])
            # The table writes STAGE_NAME for the name of a stage.
            found = set()
            for name in table.pop(key, {"nothing, not even the command"}):
                short = name[len(prefix):] if name.startswith(prefix) else name
                found.add(short if short in known else name)
            problems += differ(key, set(upper(a) for a in spec.request(op, kind)), found)
    table.pop("EVENT", None)
    problems += ["%s is not in the spec" % key for key in table]
    tap.result("header: table of requests", problems)


def check_policies(tap, spec, policies, policy_h):
    """Each command takes what the spec says and checks it as the spec says."""

    def compare(set_name, names, table):
        problems = differ("attributes", set(spec.c_name(set_name, n) for n in names),
                          set(attr for attr, _ in table))
        for name in names:
            c_name = spec.c_name(set_name, name)
            rule = dict(table).get(c_name)
            attr = spec.attribute(set_name, name)
            if not rule or not attr:
                continue
            kind, checks, nested, trouble, _ = rule
            problems += trouble
            problems += differ(c_name + " type", attr["type"], NLA.get(kind, kind))
            problems += differ(c_name + " nest", attr.get("nested-attributes"), nested)
            resolve = {k: spec.constant(v) for k, v in attr.get("checks", {}).items()}
            problems += differ(c_name + " limits", resolve,
                               {k: spec.constant(v) for k, v in checks.items()})
        return problems

    seen = {"info_get", "port", "end"}
    rules = [(attr, rule[0]) for attr, rule in policies.tables.get("info_get", [])]
    tap.result("policy: info_get refuses everything", differ("rules", [("1", "REJECT")], rules))
    for op in spec.operations:
        if "event" in op or op["name"] == "info-get":
            continue
        name = op["name"].replace("-", "_")
        seen.add(name)
        names = list(dict.fromkeys(spec.request(op, "do") + spec.request(op, "dump")))
        tap.result("policy: " + name,
                   compare(op["attribute-set"], names, policies.tables.get(name, [])))
    tap.result("policy: port", compare("port", ["name", "direction"],
                                       policies.tables.get("port", [])))
    tap.result("policy: end", compare("end", ["stage", "port"], policies.tables.get("end", [])))

    problems = differ("policies", seen, set(policies.tables))
    declared = dict(re.findall(r"^extern const struct nla_policy faasin_(\w+)_policy\[(.*?)\];",
                               policy_h, flags=re.M))
    problems += differ("sizes in policy.h", policies.sizes, declared)
    for name, table in policies.tables.items():
        if table:
            last = max(table, key=lambda entry: policies.header.value(entry[0]))[0]
            problems += differ("size of " + name, last + " + 1", policies.sizes[name])
    tap.result("policy: sizes", problems)


def check_operations(tap, spec, policies, netlink):
    ops = []
    for body in re.findall(r"^\t\{\n(.*?)^\t\},", netlink, flags=re.S | re.M):
        fields = dict(re.findall(r"\.(\w+) = ([\w|& ]+),", body))
        policy = re.search(r"FAASIN_NL_POLICY\((\w+)\)", body)
        if "cmd" in fields:
            ops.append((fields, policy.group(1) if policy else None))
    expected = [op for op in spec.operations if "event" not in op]
    problems = differ("commands", [upper("faasin-cmd-" + op["name"]) for op in expected],
                      [fields["cmd"] for fields, _ in ops])
    for op, (fields, policy) in zip(expected, ops):
        name = op["name"].replace("-", "_")
        problems += differ(name + " policy", name, policy)
        problems += differ(name + " do", "do" in op, "doit" in fields)
        problems += differ(name + " dump", "dump" in op, "dumpit" in fields)
        problems += differ(name + " dump is checked", "dump" in op, "start" in fields)
        problems += differ(name + " flags", op.get("flags"),
                           ["admin-perm"] if fields.get("flags") == "GENL_ADMIN_PERM" else None)
        if "validate" in fields:
            problems.append(name + " is not validated strictly")
    tap.result("operations: commands, kinds, rights", problems)

    # A handler that forgot to check rights and flags would still work.
    problems = []
    bodies = functions(netlink)
    for fields, _ in ops:
        for part in ("doit", "start"):
            body = bodies.get(fields.get(part, ""), "")
            wanted = "faasin_nl_check_" + fields["cmd"].rsplit("_", 1)[-1].lower() + "(skb, info)"
            if part == "start":
                wanted = "faasin_nl_list_begin(cb, "
            if part in fields and wanted not in body:
                problems.append("%s() does not begin with %s" % (fields[part], wanted))
    if "faasin_nl_check(cb->skb, " not in bodies.get("faasin_nl_list_begin", ""):
        problems.append("faasin_nl_list_begin() does not check")
    tap.result("operations: each checks rights and flags", problems)

    # With what helpers read of a request.
    whole = {}
    for _, (fields, _) in zip(expected, ops):
        doit = fields.get("doit", "")
        whole[doit] = bodies.get(doit, "")
        # Those that call others come first.
        for helper in ("faasin_nl_link_new_ends", "faasin_nl_link_options", "faasin_nl_link_source",
                       "faasin_nl_link_destination", "faasin_nl_link_capacity", "faasin_nl_ports",
                       "faasin_nl_link_ends"):
            if helper + "(" in whole[doit]:
                whole[doit] += bodies[helper]

    problems = []
    for op, (fields, _) in zip(expected, ops):
        prefix = upper(spec.sets[op["attribute-set"]]["name-prefix"])
        used = set(re.findall(r"\b%s\w+" % prefix, whole[fields.get("doit", "")]))
        problems += differ(op["name"] + " reads",
                           set(spec.c_name(op["attribute-set"], n)
                               for n in spec.request(op, "do")), used)
    tap.result("operations: each reads what it takes", problems)

    problems = []
    for fields, policy in ops:
        body = whole.get(fields.get("doit", ""), "")
        for attr, rule in policies.tables.get(policy, []):
            # As attrs[ATTR] or, once it was put there, as attr.
            given = r"(?:attrs\[%s\]|attr)" % attr
            before = re.split(r"nla_get_\w+\(%s\)" % given, body.split(attr, 1)[-1])[0]
            if rule[4] and not re.search(r"\b%s\(" % rule[4], before):
                problems.append("%s() uses %s without %s()" % (fields["doit"], attr, rule[4]))
    tap.result("operations: each checks the integers it takes", problems)


PUTS = {"u32": "u32", "string": "string", "u64_64bit": "u64"}


def sent(text):
    """{attribute: type} of what a C file puts into messages."""
    out = {}
    for kind, name in re.findall(r"nla_put_(u32|string|u64_64bit)\(\w+,\s*(FAASIN_A_\w+)", text):
        out[name] = PUTS[kind]
    for kind, name in re.findall(r"faasin_event_put_(u64|string)\(\w+,\s*(FAASIN_A_\w+)", text):
        out[name] = kind
    for name in re.findall(r"faasin_put_path\(\w+,\s*(FAASIN_A_\w+)", text):
        out[name] = "string"
    for name in re.findall(r"(?:nla_nest_start|faasin_put_stats)\(\w+,\s*(FAASIN_A_\w+)", text):
        out[name] = "nest"
    return out


def check_sent(tap, spec, reply, event):
    def compare(set_name, names, found):
        prefix = upper(spec.sets[set_name]["name-prefix"])
        found = {n: t for n, t in found.items() if n.startswith(prefix)}
        expected = {
            spec.c_name(set_name, n): (spec.attribute(set_name, n) or {}).get("type") for n in names
        }
        return differ("attributes", sorted(expected.items()), sorted(found.items()))

    found = sent(reply)
    for op in spec.operations:
        names = spec.reply(op, "do")
        if names:
            problems = compare(op["attribute-set"], names, found)
            if "dump" in op:
                problems += differ("do and dump", names, spec.reply(op, "dump"))
            tap.result("sent: reply to " + op["name"], problems)
        if "event" in op:
            tap.result("sent: event",
                       compare(op["attribute-set"], op["event"]["attributes"], sent(event)))
    tap.result("sent: ports", compare("port", [a["name"] for a in spec.sets["port"]["attributes"]],
                                      found))
    loop = "for (i = FAASIN_A_STATS_PAD + 1; i <= FAASIN_A_STATS_MAX; i++)"
    tap.result("sent: statistics", [] if loop in reply else ["not all of them, or not by number"])


# How a fuzzer may fill an attribute of each type.
SYZ = {
    "u32": r"int32(\[[\w:]+\])?|flags\[\w+, int32\]|uid|gid",
    "u64": r"int64(\[[\w:]+\])?|flags\[\w+, int64\]",
    "s32": r"fd_cgroup",
    "string": r"string(\[\w+\])?",
}


def check_syzkaller(tap, spec, header, text):
    """The fuzzer's description has all that there is and nothing else."""
    text = re.sub(r"^#.*$", "", text, flags=re.M)

    expected = [
        (upper(spec.doc["operations"]["name-prefix"] + op["name"]),
         "faasin_%s_attrs" % op["attribute-set"])
        for op in spec.operations
    ]
    found = re.findall(
        r"^sendmsg\$(\w+)\(fd sock_nl_generic, msg ptr\[in, msghdr_faasin\[\1, (\w+)\]\]", text,
        flags=re.M,
    )
    tap.result("syzkaller: commands", differ("commands", expected, found))

    unions = dict(re.findall(r"^(faasin_\w+_attrs) \[\n(.*?)^\]", text, flags=re.S | re.M))
    problems = differ("sets", set("faasin_%s_attrs" % name for name in spec.sets), set(unions))
    for set_name, one in spec.sets.items():
        body = unions.get("faasin_%s_attrs" % set_name, "")
        lines = re.findall(r"^\t(\w+)\t(nlattr|nlnest)\[\1, (.*)\]$", body, flags=re.M)
        problems += differ(set_name + " lines", len(body.splitlines()), len(lines))
        attrs = [attr for attr in one["attributes"] if attr["type"] != "pad"]
        problems += differ(set_name, [spec.c_name(set_name, attr["name"]) for attr in attrs],
                           [line[0] for line in lines])
        for attr, (name, kind, payload) in zip(attrs, lines):
            problems += differ(name + " is a nest", attr["type"] == "nest", kind == "nlnest")
            pattern = SYZ.get(attr["type"])
            if attr["type"] == "nest":
                pattern = r"array\[faasin_%s_attrs\]" % attr["nested-attributes"]
            if not re.fullmatch(pattern, payload):
                problems.append("%s: %s is no %s" % (name, payload, attr["type"]))
    tap.result("syzkaller: attributes", problems)

    ioctls = [name for name in header.defines
              if name.startswith("FAASIN_IOC_") and name != "FAASIN_IOC_MAGIC"]
    problems = differ("ioctls", ioctls, re.findall(
        r"^ioctl\$(\w+)\(fd fd_faasin, cmd const\[\1\]", text, flags=re.M))
    code = without_comments(header.text)
    for name in re.findall(r"struct (\w+)\)", " ".join(header.defines[n] for n in ioctls)):
        body = re.search(r"\bstruct %s \{(.*?)\}" % name, code, flags=re.S).group(1)
        members = re.findall(r"__[us](\d+) (\w+)(?:\[(\d+)\])?;", body)
        found = re.search(r"^%s \{\n(.*?)^\}" % name, text, flags=re.S | re.M)
        fields = re.findall(r"^\t(\w+)\t+(.*)$", found.group(1) if found else "", flags=re.M)
        problems += differ(name, [m[1] for m in members], [f[0] for f in fields])
        for (bits, member, count), (_, kind) in zip(members, fields):
            width = "int" + bits
            wanted = r"array\[%s, %s\]" % (width, count) if count else (
                r"%s(\[\w+:\w+\])?|flags\[\w+, %s\]|len\[\w+, %s\]|const\[\w+, %s\]|ptr%s\[.*\]"
                % (width, width, width, width, bits))
            if not (re.fullmatch(wanted, kind) or (kind == "pid" and bits == "32")):
                problems.append("%s.%s: %s is not as wide" % (name, member, kind))
    tap.result("syzkaller: ioctls", problems)

    known = set(header.defines) | set(l for e in header.enums.values() for l, _ in e)
    used = set(re.findall(r"\bFAASIN_\w+", text))
    problems = ["%s is not in the header" % name for name in sorted(used - known)]
    for definition in spec.definitions.values():
        if definition["type"] != "const":
            problems += ["%s is not used" % name for name, _ in spec.entries(definition)
                         if name not in used]
    tap.result("syzkaller: constants", problems)


# The letters of a request's attributes in fuzz/uapi/program.h.
FORMS = {"string": "s", "u32": "d", "u64": "q", "s32": "f", "nest": "n"}


def check_fuzzer(tap, spec, policies, header, mutation, ioctls):
    """fuzz/uapi makes requests of all that is taken, and calls every ioctl."""
    table = re.search(r"^static const struct form forms\[\]\[(\d+)\] = \{\n(.*?)^\};", mutation,
                      flags=re.S | re.M)
    size, rows = int(table.group(1)), re.split(r"\[(FAASIN_CMD_\w+)\] = ", table.group(2))[1:]
    found = {cmd: re.findall(r"\{ '(\w)', (\w+) \}", row)
             for cmd, row in zip(rows[::2], rows[1::2])}
    # Ends of links that stand in for one: see nest_instead().
    nests = re.findall(r"^\tcase (FAASIN_A_\w+): return (FAASIN_A_\w+);", mutation, flags=re.M)
    problems, used = [], set()
    for op in spec.operations:
        names = list(dict.fromkeys(spec.request(op, "do") + spec.request(op, "dump")))
        expected = {
            (FORMS[spec.attribute(op["attribute-set"], name)["type"]],
             spec.c_name(op["attribute-set"], name)) for name in names
        }
        cmd = upper(spec.doc["operations"]["name-prefix"] + op["name"])
        forms = found.pop(cmd, [])
        if len(forms) > size:
            problems.append("%s: more than the table has room for" % cmd)
        if cmd == "FAASIN_CMD_LINK_NEW":
            forms = forms + [("n", nest) for _, nest in nests]
        used |= {nested for form, name in forms if form == "n"
                 for rules in policies.tables.values() for attr, rule in rules
                 if attr == name for nested in [rule[2]]}
        problems += differ(cmd, sorted(expected), sorted(forms))
    problems += ["%s is no command" % cmd for cmd in found]
    tap.result("fuzzer: requests", problems)

    body = mutation[table.end():]
    tap.result("fuzzer: nests", [
        "%s is in none of %s" % (attr, nested) for nested in sorted(used)
        for attr, _ in policies.tables[nested] if not re.search(r"\b%s\b" % attr, body)
    ])

    expected = {name for name in header.defines
                if name.startswith("FAASIN_IOC_") and name != "FAASIN_IOC_MAGIC"}
    tap.result("fuzzer: ioctls", differ(
        "ioctls", sorted(expected),
        sorted(re.findall(r'^\t\{ "\w+", (FAASIN_IOC_\w+),', ioctls, flags=re.M))))


def main():
    tap = Tap()
    print("TAP version 13")
    try:
        import yaml  # pylint: disable=import-outside-toplevel
    except ImportError as err:
        print("1..0 # SKIP %s (install python3-yaml)" % err)
        return 0
    spec = Spec(yaml.safe_load(read("kmod/faasin.yaml")))
    header = Header(read("kmod/uapi/faasin.h"))
    netlink = without_comments(read("kmod/netlink.c") + read("kmod/netlink_link.c"))

    check_schema(tap, spec)
    check_references(tap, spec)
    check_header(tap, spec, header)
    policies = Policies(read("kmod/policy.c"), header)
    check_policies(tap, spec, policies, read("kmod/policy.h"))
    check_operations(tap, spec, policies, netlink)
    check_sent(tap, spec, without_comments(read("kmod/reply.c")),
               without_comments(read("kmod/event.c")))
    check_syzkaller(tap, spec, header, read("docs/syzkaller/faasin.txt"))
    check_fuzzer(tap, spec, policies, header, without_comments(read("fuzz/uapi/mutation.c")),
                 without_comments(read("fuzz/uapi/ioctls.c")))
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
