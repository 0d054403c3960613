#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl latency: what it measures is what the module counts, it names the stage that
# the others wait for, and without BPF it says so and shows the counters.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/delays.sh"

needs_module
needs_cgroups
needs_tools jq python3 strace

readonly wf=latency-$$ cgroups=/sys/fs/cgroup/faasin
work=$(mktemp -d)
watcher=''

cleanup()
{
	[ -z "$watcher" ] || kill "$watcher" 2>/dev/null
	faasctl workflow del "$wf" >/dev/null 2>&1
	rmdir "$cgroups/$wf"/* "$cgroups/$wf" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# looks: it says so, or is over
looks()
{
	grep -qs '^faasctl: looking at' "$work/said" || ! kill -0 "$watcher" 2>/dev/null
}

# watch OPTION...: starts it, and returns when it looks at $of, or $wf
watch()
{
	rm -f "$work/said"
	faasctl latency -j "$@" "${of:-$wf}" >"$work/json" 2>"$work/said" &
	watcher=$!
	if soon looks && grep -q '^faasctl: looking at' "$work/said"; then
		return
	fi
	cat "$work/said"
	return 1
}

# watched: ends it with Ctrl-C
watched()
{
	local status=0
	kill -INT "$watcher"
	wait "$watcher" || status=$?
	watcher=''
	cat "$work/said"
	return "$status"
}

# is FILTER: of what it printed, this is true
is()
{
	jq -e "$1" <"$work/json" >/dev/null || {
		jq -c 'del(.links[] | .residence, .write_size, .read_size)' <"$work/json"
		return 1
	}
}

# measured DELAYS: on a workflow that is new, so that its counters start from 0
measured()
{
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl link --capacity 256K "$wf" a b c && watch && flow "$@" && watched
}

# truth STAGE: it was blocked no longer than it says itself, and, where that is long, at least half
# as long: a call does other things, and on a busy machine waits for a CPU. How near it is where
# nothing else runs is in docs/testing.md; --verbose shows it.
truth()
{
	local side ns calls link counted
	while read -r side ns calls; do
		link=".destination.stage == \"$1\") | .reader_blocked_ns"
		[ "$side" = in ] || link=".source.stage == \"$1\") | .writer_blocked_ns"
		counted=$(jq "[.links[] | select($link] | add // 0" <"$work/json")
		echo "$1 $side: $ns ns by itself in $calls calls, counted $counted, $((counted * 1000 / (ns + 1))) in 1000" |
			tee -a "$work/truth"
		# Of what is less than a second, copying may be most.
		[ "$counted" -le "$ns" ] && { [ "$ns" -lt 1000000000 ] || [ "$counted" -ge $((ns / 2)) ]; } || return
	done <"$work/flow/$1.times"
}

faasctl link --capacity 256K "$wf" a b c || skip_all 'no workflow can be made'
if ! watch || ! watched >/dev/null || ! is '.missing == null'; then
	case $(jq -r .missing "$work/json") in
	*'built without'*) skip_all 'built without BPF' ;;
	esac
	# On Debian's kernels there is BPF; that is not a reason to skip.
	[ ! -e /sys/kernel/btf/vmlinux ] || check 'BPF can be had' false
	skip_all "no BPF here: $(cat "$work/said")"
fi

for slow in a b c; do
	delays=(0 0 0)
	case $slow in a) delays[0]=0.1 ;; b) delays[1]=0.1 ;; c) delays[2]=0.1 ;; esac
	check "$slow is slow: measured" measured "${delays[@]}"
	check "$slow is slow: named" is "[.bottlenecks[] | [.workflow, .stage]] == [[\"$wf\", \"$slow\"]]"
	for name in a b c; do
		: >"$work/truth"
		check "$slow is slow: $name was blocked as long as it says itself" truth "$name"
		sed 's/^/# /' "$work/truth"
	done
	check "$slow is slow: blocked as long as the module counts" is \
		'all(.links[]; .writer_blocked_ns == .stats.writer_blocked_ns and .reader_blocked_ns == .stats.reader_blocked_ns)'
	check "$slow is slow: as often" is \
		'all(.links[]; .writer_blocked.count == .stats.writer_blocks and .reader_blocked.count == .stats.reader_blocks)'
	check "$slow is slow: each byte's time is known" is \
		'all(.links[]; .residence.count == .stats.bytes_out and .unmatched_bytes == 0 and .stats.bytes_out == 40 * 65536)'
	check "$slow is slow: sizes are those of the calls" is \
		'all(.links[]; .write_size.sum == .stats.bytes_in and .read_size.sum == .stats.bytes_out and
			.write_size.count == .stats.writes and .read_size.count == .stats.reads)'
	check "$slow is slow: buckets add up" is \
		'all(.links[] | .residence, .writer_blocked, .reader_blocked, .write_size, .read_size, .writer_wake, .reader_wake;
			([.buckets[].count] | add // 0) == .count)'
	check "$slow is slow: wake-ups are at most those sent" is \
		'all(.links[]; .reader_wake.count <= .reader_blocked.count and .writer_wake.count <= .writer_blocked.count) and
			([.links[] | .reader_wake.count + .writer_wake.count] | add) > 0'
done

# What was sized is told apart: 8 bytes are in the bucket from 8 to 15.
sizes()
{
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl link "$wf" a b && watch || return
	timeout 60 faasctl exec "$wf" a -- python3 -c 'import os
for i in range(3000): os.write(1, b"8 bytes\n")
os.write(1, b"4" * 4)' && timeout 60 faasctl exec "$wf" b -- cat >/dev/null && watched &&
		is '.links[0].write_size.buckets == [{"from": 4, "to": 7, "count": 1}, {"from": 8, "to": 15, "count": 3000}] and
			.links[0].residence.count == 24004 and .links[0].unmatched_bytes == 0'
}
check 'sizes are in the right buckets; thousands of waiting writes are all matched' sizes

before()
{
	faasctl exec "$wf" a -- echo early && watch || return
	faasctl exec "$wf" b -- cat >/dev/null
	watched && is '.links[0].unmatched_bytes == 6 and .links[0].residence.count == 0'
}
check 'what was written before is counted as unmatched' before

# blocked: a reader does, more often than in the last picture
blocked()
{
	[ "$(faasctl show -j "$wf" | jq '.workflows[0].links[0].stats.reader_blocks')" -gt \
		"$(jq '.links[0].stats.reader_blocks' <"$work/last")" ]
}

waiting()
{
	local pid
	watch || return
	timeout 60 faasctl exec "$wf" b -- cat >/dev/null &
	pid=$!
	soon blocked && watched || return
	faasctl exec "$wf" a -- true
	wait "$pid"
	is '.links[0].reader_waiting_ns > 0 and .links[0].reader_blocked.count == 0'
}
cp "$work/json" "$work/last"
check 'who still waits is told of' waiting

late()
{
	watch || return
	faasctl link "$wf" b late && sleep 2 &&
		faasctl exec "$wf" b -- echo late && timeout 60 faasctl exec "$wf" late -- cat >/dev/null && watched &&
		is '[.links[] | select(.destination.stage == "late") | .residence.count] == [5]'
}
check 'a link that is made meanwhile is looked at' late

summed()
{
	watch --sum || return
	faasctl exec "$wf" a -- echo one && timeout 60 faasctl exec "$wf" b -- cat >/dev/null &&
		watched && is '(.links | length) == 1 and .links[0].source == null and .links[0].residence.count == 4'
}
check 'links are added up' summed

# newest: the generation of a workflow that is made and deleted for it: they are counted through
newest()
{
	faasctl workflow add "$wf-4" && faasctl show -j "$wf-4" | jq .workflows[0].generation &&
		faasctl workflow del "$wf-4"
}

# Links that want the same place of the table in which they are found (bpf/links.h).
crowded()
{
	local places before left name
	places=$(sed -n 's/^#define LINK_PLACES.\([0-9]*\)$/\1/p' "$here/../faasctl/bpf/links.h")
	# Of a table for two links, and for as many again, and 64.
	places=$(python3 -c "print(1 << ($places * (2 * 2 + 64) - 1).bit_length())")
	faasctl workflow add "$wf-3" || return
	for name in a b c d; do
		faasctl stage add "$wf-3" "$name" || return
	done
	before=$(newest)
	faasctl link "$wf-3" a b || return
	# As far as the first is from what came before it, the second will be.
	while left=$((before + places - $(newest))) && [ "$left" -gt 0 ]; do
		[ "$left" -ge 32 ] || continue
		# shellcheck disable=SC2046 # many names
		faasctl link "$wf-5" $(seq $((left / 8))) && faasctl workflow del "$wf-5" || return
	done
	faasctl link "$wf-3" c d || return
	faasctl show -j "$wf-3" | jq -e "[.workflows[0].links[].generation] | sort | .[1] - .[0] == $places" || return
	of=$wf-3 watch || return
	faasctl exec "$wf-3" a -- echo one && faasctl exec "$wf-3" b -- cat >/dev/null &&
		faasctl exec "$wf-3" c -- echo other && faasctl exec "$wf-3" d -- cat >/dev/null && watched &&
		is '[.links[] | {stage: .source.stage, n: .residence.count}] | sort == [{stage: "a", n: 4}, {stage: "c", n: 6}]'
}
check 'links that are found in the same place are told apart' crowded
faasctl workflow del "$wf-3" >/dev/null 2>&1
rmdir "$cgroups/$wf-3"/* "$cgroups/$wf-3" 2>/dev/null

check 'ends by itself' faasctl latency --duration 1 "$wf"
# shellcheck disable=SC2016
says 'text has bars' '^ +[0-9]+ -> [0-9]+ +: [0-9]+ +\|\*+ *\|$' sh -c '
	faasctl latency --duration 3 '"$wf"' & sleep 1
	faasctl exec '"$wf"' a -- echo text; faasctl exec '"$wf"' b -- cat >/dev/null; wait'

vanishes()
{
	faasctl link "$wf-2" x y && faasctl latency --duration 60 "$wf-2" >"$work/text" 2>&1 &
	local pid=$!
	soon grep -qs 'looking at' "$work/text"
	faasctl workflow del "$wf-2" && wait "$pid" && grep "^$wf-2: x:faasout to y:faasin" "$work/text"
	local status=$?
	rmdir "$cgroups/$wf-2"/* "$cgroups/$wf-2" 2>/dev/null
	return "$status"
}
check 'a workflow that is deleted meanwhile ends it' vanishes

# ------------------------------------------------------------------------ without BPF

without()
{
	timeout 60 strace -f -qq -o "$work/strace" -e trace=bpf -e "inject=bpf:error=$1" "${@:2}"
}
says 'without permission, it says what is missing' 'warning: not permitted to use BPF: CAP_BPF' \
	without EPERM faasctl latency "$wf"
says 'in a kernel without BPF, too' 'warning: this kernel has no BPF' without ENOSYS faasctl latency "$wf"
# What the file says, since a kernel that is locked down stays so.
locked_down()
{
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs none /sys/kernel/security &&
		echo "none [integrity] confidentiality" >/sys/kernel/security/lockdown && exec "$@"' sh "$@"
}
says 'in a kernel that is locked down, too' 'warning: this kernel is locked down and permits no BPF programs' \
	locked_down strace -f -qq -o "$work/strace" -e trace=bpf -e inject=bpf:error=EPERM faasctl latency "$wf"
says 'and shows what the module counted' '^  readers blocked [1-9][0-9.]* [a-z]+ in all$' \
	without EPERM faasctl latency "$wf"
no_bpf_json()
{
	without EPERM faasctl latency -j "$wf" >"$work/json" 2>/dev/null &&
		is '(.missing | startswith("not permitted")) and
			all(.links[]; .residence == null and .reader_blocked_ns == .stats.reader_blocked_ns)'
}
check 'in JSON, too' no_bpf_json
says 'top says it, too' 'warning: not permitted to use BPF: CAP_BPF and CAP_PERFMON are needed; there is no p50 and no p99' \
	without EPERM faasctl top --once --latency "$wf"
says 'and shows its table' '^LINK +RATE +FILL W-BLK R-BLK +RESID~ WAKES/s$' \
	without EPERM faasctl top --once --latency "$wf"

# A full link of 256 KiB, of which 64 KiB leave every tenth of a second.
moves()
{
	[ "$(faasctl show -j "$wf" | jq '.workflows[0].links[1].stats.bytes_out')" -gt 0 ]
}
top_measures()
{
	local pid
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl link --capacity 256K "$wf" a b c || return
	flow 0 0 0.1 &
	pid=$!
	soon moves && faasctl top -j --latency --interval 1.5 "$wf" >"$work/json"
	wait "$pid" && is '.links[1].rates.residence |
		.count > 0 and .p50 >= 65536 and .p99 >= .p50 and ([.buckets[].count] | add) == .count'
}
check 'top measures how long bytes stay' top_measures
says 'top sorts by that' '^LINK +RATE +FILL W-BLK R-BLK +P50 +P99 WAKES/s$' \
	faasctl top --once --latency --sort p99 --interval 0.2 "$wf"

refused_without()
{
	local got=0 said
	said=$(setpriv --bounding-set=-sys_admin faasctl latency "$wf" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = 2 ] && [[ $said == 'faasctl: needs CAP_SYS_ADMIN'* ]]
}
check 'no permission to ask the module' refused_without
says 'a full disk' 'cannot write the output: No space left' sh -c "exec faasctl latency -d 0.1 $wf >/dev/full"
refused()
{
	local want=$1 pattern=$2 got=0 said
	shift 2
	said=$(timeout 30 faasctl latency "$@" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = "$want" ] && [ "$(wc -l <<<"$said")" = 1 ] && grep -Eq -- "$pattern" <<<"$said"
}
check 'an unknown workflow' refused 2 'no such workflow.*see: faasctl show' no-such-workflow
check 'no name' refused 2 'a/b' a/b
check 'no duration' refused 1 'not a number of seconds' --duration 0
check 'a duration that is none' refused 1 '"soon" is not a number of seconds' --duration soon
check 'two workflows' refused 1 'unexpected argument' "$wf" "$wf"

finish
