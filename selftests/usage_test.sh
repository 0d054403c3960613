#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl usage: that its sums are consistent, and survive links and stages.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_module

export LC_ALL=C
readonly point=/sys/fs/faasin wf=usage-$$
trap 'faasctl workflow del "$wf" >/dev/null 2>&1' EXIT

# member EXPRESSION VALUE: what Python makes of the workflow w
member()
{
	local got
	got=$(faasctl usage -j "$wf" | python3 -c "import json, sys
w = json.load(sys.stdin)['workflows'][0]
s = {x['name']: x for x in w['stages']}
print(($1))") || true
	[ "$got" = "$2" ] || { echo "$1: $got, want $2"; return 1; }
}
# At rest. What deleted stages read is in the sum only.
adds_up()
{
	member 'all(w["total"][k] == w["deleted"][k] + sum(x[k] for x in w["stages"]) for k in
		("bytes_written", "bytes_dropped", "bytes_held", "streams_begun", "streams_aborted"))' True &&
		member 'w["total"]["bytes_read"] >= sum(x["bytes_read"] for x in w["stages"])' True &&
		member 'all(x["bytes_written"] >= x["bytes_dropped"] + x["bytes_held"] for x in [w["total"], w["deleted"]] + w["stages"])' True &&
		member 'w["total"]["bytes_written"] == w["total"]["bytes_read"] + w["total"]["bytes_dropped"] + w["total"]["bytes_held"]' True
}

setup()
{
	timeout 60 faasctl exec "$wf" a sh -c 'head -c 3000000 /dev/zero' </dev/null &
	timeout 60 faasctl exec "$wf" b sh -c 'tail -c 1000000' &
	timeout 60 faasctl exec "$wf" c sh -c 'cat >/dev/null' >/dev/null
	wait
}
faasctl link "$wf" a b c >/dev/null
check 'a pipeline runs' setup
check 'what a wrote' member 's["a"]["bytes_written"], s["a"]["bytes_read"]' '(3000000, 0)'
check 'what b read and wrote' member 's["b"]["bytes_read"], s["b"]["bytes_written"]' '(3000000, 1000000)'
check 'what c read' member 's["c"]["bytes_read"], s["c"]["bytes_written"]' '(1000000, 0)'
check 'what was copied' member 's["b"]["bytes_read_copied"], s["b"]["bytes_written_copied"], s["b"]["bytes_read_moved"]' \
	'(3000000, 1000000, 0)'
check 'the sum' member 'w["total"]["bytes_written"], w["total"]["bytes_read"]' '(4000000, 4000000)'
check 'streams' member 's["a"]["streams_ended"], w["total"]["streams_begun"]' '(1, 2)'
check 'CPU of every stage' member 'all(x["cpu_seconds"] > 0 for x in w["stages"])' True
check 'CPU in the sum' member 'abs(w["total"]["cpu_seconds"] - sum(x["cpu_seconds"] for x in w["stages"])) < 1e-6' True
check 'it adds up' adds_up
grows()
{
	local before after
	before=$(faasctl usage -j "$wf" | jq '.workflows[0].total.buffer_byte_seconds')
	sleep 1
	after=$(faasctl usage -j "$wf" | jq '.workflows[0].total.buffer_byte_seconds')
	# A page each of the two links.
	[ "$((after - before))" -ge 8192 ] || { echo "$before, then $after"; return 1; }
}
check 'memory over time grows, even at rest' grows

relinked()
{
	faasctl unlink "$wf" a && member 's["a"]["bytes_written"]' 3000000 && faasctl link "$wf" a b &&
		member 's["a"]["bytes_written"], s["b"]["bytes_read"]' '(3000000, 3000000)' && adds_up
}
check 'a link made again counts on' relinked
deleted()
{
	faasctl stage del "$wf" b && member 'w["deleted"]["bytes_written"], w["deleted"]["bytes_read"]' '(1000000, None)' &&
		member 'w["total"]["bytes_written"], w["total"]["bytes_read"]' '(4000000, 4000000)' &&
		member 's["a"]["bytes_written"], s["c"]["bytes_read"]' '(3000000, 1000000)' && adds_up
}
check 'a deleted stage counts in the sum' deleted
says 'a line for deleted stages' '^  \(deleted stages\) +- +- +1\.0 MB +- +0 B ' faasctl usage "$wf"
says 'a line for a stage' '^  a +[0-9]+\.[0-9]{3} s +0 B +3\.0 MB +3\.0 MB +0 B +[0-9.]+ [kM]?B s$' faasctl usage "$wf"
says 'a line for the sum' '^  \(all\) +[0-9]+\.[0-9]{3} s +4\.0 MB +4\.0 MB +8\.0 MB +0 B ' faasctl usage "$wf"
homeless()
{
	rmdir "/sys/fs/cgroup/faasin/$wf/c" && member 's["c"]["cpu_seconds"], s["c"]["bytes_read"]' '(None, 1000000)'
}
check 'a cgroup that was removed took its CPU time along' homeless
dropped()
{
	printf 12345 >"$point/$wf/c/faasout" & local writer=$!
	faasctl stage add "$wf" d && faasctl link "$wf" c d && wait "$writer" &&
		member 's["c"]["bytes_held"], w["total"]["bytes_held"]' '(5, 5)' && adds_up &&
		faasctl stage del "$wf" d && member 's["c"]["bytes_dropped"], w["total"]["bytes_dropped"]' '(5, 5)' && adds_up
}
check 'what nobody reads is held, then dropped' dropped

unknown()
{
	local status=0
	faasctl usage "no-$wf" || status=$?
	[ "$status" = 2 ]
}
check 'no such workflow' unknown
says 'no such workflow: it says so' '^faasctl: no such workflow; see: faasctl show$' faasctl usage "no-$wf"
says 'not permitted: it says so' '^faasctl: needs CAP_SYS_ADMIN' setpriv --bounding-set=-sys_admin faasctl usage
says 'a full disk' 'cannot write the output: No space left' bash -c "faasctl usage $wf >/dev/full"
says 'a full disk, JSON' 'cannot write the output: No space left' bash -c "faasctl usage -j $wf >/dev/full"
finish
