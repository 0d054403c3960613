#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl trace: the file is a valid trace, says what happened, names the stage that the
# others wait for, and is whole or not there.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/delays.sh"

needs_guest
needs_cgroups
needs_tools jq python3 strace unshare

readonly wf=trace-$$ cgroups=/sys/fs/cgroup/faasin point=/sys/fs/faasin
work=$(mktemp -d)
tracer=''

cleanup()
{
	[ -z "$tracer" ] || kill "$tracer" 2>/dev/null
	[ -d /sys/module/faasin ] || insmod "$module"
	mountpoint -q "$point" || mount -t faasin none "$point"
	faasctl workflow del "$wf" >/dev/null 2>&1
	umount "$work/tiny" 2>/dev/null
	rmdir "$cgroups/$wf"/* "$cgroups/$wf" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

# traces: it says so, or is over
traces()
{
	grep -qs '^faasctl: tracing' "$work/said" || ! kill -0 "$tracer" 2>/dev/null
}

# trace OPTION...: starts it, and returns when it traces
trace()
{
	rm -f "$work/said"
	faasctl trace "$@" "$wf" >"$work/said" 2>&1 &
	tracer=$!
	if soon traces && grep -q '^faasctl: tracing' "$work/said"; then
		return
	fi
	cat "$work/said"
	return 1
}

# traced [STATUS]: ends it with Ctrl-C
traced()
{
	local status=0
	kill -INT "$tracer" 2>/dev/null
	wait "$tracer" || status=$?
	tracer=''
	cat "$work/said"
	[ "$status" = "${1:-0}" ]
}

# stage NAME COMMAND...
stage()
{
	local name=$1
	shift
	timeout 120 faasctl exec "$wf" "$name" -- "$@"
}

# A workflow that is new, so that its counters start from 0.
measured()
{
	faasctl workflow del "$wf" >/dev/null 2>&1
	faasctl link --capacity 256K "$wf" a b c && trace -o "$work/out.json" && flow "$@" && traced &&
		faasctl show -j "$wf" >"$work/show.json"
}

valid()
{
	python3 "$here/chrome_trace.py" "$work/out.json" >"$work/sums" || {
		cat "$work/sums"
		return 1
	}
}

# like STAGE SIDE FILTER: its slices last as long, within 5 %, as a counter says
like()
{
	local drawn counted
	drawn=$(awk -v stage="$1" -v side="$2" '$1 == "blocked" && $2 == stage && $3 == side { print $4 }' "$work/sums")
	counted=$(jq "[.workflows[0].links[] | select($3)] | add // 0" <"$work/show.json")
	echo "drawn ${drawn:-0}, counted $counted"
	jq -en --argjson drawn "${drawn:-0}" --argjson counted "$counted" \
		'($drawn - $counted | fabs) <= $counted / 20 + 20e6' >/dev/null
}
# blocked STAGE: on both sides
blocked()
{
	local show=$work/show.json
	[ -s "$show" ] && like "$1" in ".destination.stage == \"$1\") | (.stats.reader_blocked_ns" &&
		like "$1" out ".source.stage == \"$1\") | (.stats.writer_blocked_ns"
}

sums()
{
	cat "$work/sums"
}
named()
{
	[ "$(sed -n 's/^bottleneck //p' "$work/sums" | paste -sd ' ')" = "$slow" ] || { sums; return 1; }
}

faasctl link --capacity 256K "$wf" a b c || skip_all 'no workflow can be made'
if ! trace -o "$work/out.json"; then
	grep -q 'built without' "$work/said" && skip_all 'built without BPF'
	# On Debian's kernels there is BPF; that is not a reason to skip.
	[ ! -e /sys/kernel/btf/vmlinux ] || refuse 'BPF can be had' cat "$work/said"
	skip_all "no BPF here: $(cat "$work/said")"
fi
traced >/dev/null
check 'what is empty is a valid trace, too' valid

for slow in a b c; do
	delays=(0 0 0)
	case $slow in a) delays[0]=0.1 ;; b) delays[1]=0.1 ;; c) delays[2]=0.1 ;; esac
	check "$slow is slow: traced" measured "${delays[@]}"
	check "$slow is slow: the trace is valid" valid
	check "$slow is slow: named in the file, and no other" named
	says "$slow is slow: and when it ends" "^\\* bottleneck of $wf: $slow, [0-9]+% of the time\$" cat "$work/said"
	says "$slow is slow: nothing was lost" '^other lost 0$' sums
	for name in a b c; do
		check "$slow is slow: $name was blocked as long as the module counts" blocked "$name"
	done
done
says 'hand-offs of the first link are drawn' '^arrow a b [1-9]' sums
says 'and of the second' '^arrow b c [1-9]' sums
says 'the beginning of a stream' '^instant a stream 1 begins: $' sums
says 'its end' '^instant b stream 1 ends: $' sums

# Of stages apart: what is left unread must not be in the way of the next flow.
check 'a link apart' faasctl link "$wf" x y
killed()
{
	trace -o "$work/out.json" || return
	# shellcheck disable=SC2016
	stage x sh -c 'echo data; kill -9 $$'
	stage y cat >/dev/null
	traced && valid && sums
}
says 'an abort and its cause' '^instant x stream 1 aborted: stage x: sh\[[0-9]+\] killed by SIGKILL$' killed
early()
{
	trace -o "$work/out.json" || return
	stage x yes &
	stage y head -n 1 >/dev/null
	wait $!
	traced && valid && sums
}
says 'an early close and its cause' '^instant y stream 2 closed early: stage y: .* closed before the end$' early
full()
{
	trace -o "$work/out.json" -n 20 || return
	flow 0 0 0 || return
	traced && valid && sums
}
says 'a trace that is full says so' '^other complete false$' full
says 'and so does the tool' '^faasctl: warning: the trace was full after' cat "$work/said"
late()
{
	trace -o "$work/out.json" || return
	faasctl link "$wf" c late && sleep 2 && stage c echo late && stage late cat >/dev/null &&
		traced && valid && faasctl unlink "$wf" c late && sums
}
says 'a link that is made meanwhile is traced' '^arrow c late 1$' late

# --------------------------------------------------------------------- streams as spans

readonly parent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01

spans()
{
	trace --otlp "$work/spans.json" || return
	TRACEPARENT=$parent stage x echo spanned
	timeout 60 faasctl exec --traceparent "$wf" y -- sh -c 'cat; printenv TRACEPARENT' || return
	env -u TRACEPARENT faasctl exec "$wf" x -- echo alone
	stage y cat || return
	# shellcheck disable=SC2016
	TRACEPARENT=00-0-0-01 stage x sh -c 'echo killed; kill -9 $$'
	stage y cat
	traced
}
says 'a traceparent reaches the consumer' "^$parent\$" spans
# is FILTER: true of each of the spans, or of all together
is()
{
	jq -e "[.resourceSpans[].scopeSpans[].spans[]] | $1" <"$work/spans.json" >/dev/null || {
		cat "$work/said" "$work/spans.json"
		return 1
	}
}
check 'a span a stream' is 'length == 3'
check 'is valid' is 'all(.[]; (.traceId | test("^[0-9a-f]{32}$")) and (.spanId | test("^[0-9a-f]{16}$")) and
	(.startTimeUnixNano | tonumber) <= (.endTimeUnixNano | tonumber) and .name == "x to y")'
check 'has an identifier of its own' is '[.[].spanId] | unique | length == 3'
check 'belongs to the producer'\''s trace' is '.[0] | .traceId == "0af7651916cd43dd8448eb211c80319c" and
	.parentSpanId == "b7ad6b7169203331" and .status.code == 1'
check 'tells the bytes' is \
	'[.[].attributes[] | select(.key == "faasin.bytes").value.intValue] == ["8", "6", "7"]'
check 'without one it is a trace of its own' is '.[1] | .parentSpanId == null and .traceId != "0af7651916cd43dd8448eb211c80319c"'
check 'and so it is with a malformed one; an abort is an error' is \
	'.[2] | .parentSpanId == null and .status.code == 2 and (.status.message | test("killed by SIGKILL"))'

# ------------------------------------------------------------------- whole or not there

# refused STATUS PATTERN ARGUMENT...: one line, and no file
refused()
{
	local want=$1 pattern=$2 got=0 said
	shift 2
	rm -f "$work"/out.json "$work"/.out.json*
	said=$(timeout 30 faasctl trace --duration 1 "$@" 2>&1) || got=$?
	echo "status $got: $said"
	ls "$work"
	[ "$got" = "$want" ] && [ "$(wc -l <<<"$said")" = 1 ] && grep -Eq -- "$pattern" <<<"$said" &&
		[ -z "$(find "$work" -name '*out.json*')" ]
}
check 'an unknown workflow' refused 2 'no such workflow.*see: faasctl show' -o "$work/out.json" no-such-workflow
check 'no workflow' refused 1 'argument is missing' -o "$work/out.json"
check 'no file' refused 1 'give --output FILE' "$wf"
check 'no directory' refused 2 'cannot write .*No such file' -o "$work/no/out.json" "$wf"
check 'a directory' refused 2 'cannot write .*Is a directory' -o "$work" "$wf"
full_device()
{
	local got=0 said
	said=$(faasctl trace -d 0.1 -o /dev/full "$wf" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = 2 ] && grep -q '^faasctl: cannot write /dev/full: No space left on device$' <<<"$said"
}
check 'a full device' full_device
device()
{
	faasctl trace -d 0.1 -o /dev/null "$wf" && [ -c /dev/null ] && [ -c /dev/full ]
}
check 'a device stays one' device
piped()
{
	faasctl trace -d 0.1 -o /dev/stdout "$wf" 2>/dev/null | sed '/^[0-9]* stages/,$d' >"$work/out.json" &&
		[ -L /dev/stdout ] && valid
}
check 'standard output, which is a pipe' piped
check 'no duration' refused 1 'not a number of seconds' -o "$work/out.json" -d 0 "$wf"
check 'no marks' refused 1 'not a number of marks' -o "$work/out.json" -n 0 "$wf"

disk_full()
{
	mkdir -p "$work/tiny" && mount -t tmpfs -o size=4k none "$work/tiny" || return
	trace -o "$work/tiny/out.json" || return
	flow 0 0.01 0 || return
	traced 2 && grep '^faasctl: cannot write .*/out.json: No space left on device$' "$work/said" &&
		[ -z "$(ls -A "$work/tiny")" ]
}
check 'a full disk: nothing is left' disk_full
kept()
{
	umount "$work/tiny"
	ln -sf out.json "$work/link" && echo old >"$work/out.json" && trace -o "$work/link" &&
		stage x echo new && grep -qx old "$work/out.json" && stage y cat >/dev/null && traced &&
		[ -L "$work/link" ] && valid && [ "$(stat -c %a "$work/out.json")" = 644 ]
}
umask 022
check 'what was there stays until the new one is whole' kept

# ------------------------------------------------------------------------ without BPF

# cannot PATTERN COMMAND...: status 2, one line, no file
cannot()
{
	local pattern=$1 got=0 said
	shift
	rm -f "$work"/out.json "$work"/.out.json*
	said=$(timeout 60 "$@" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = 2 ] && [ "$(wc -l <<<"$said")" = 1 ] && grep -Eq -- "$pattern" <<<"$said" &&
		[ -z "$(find "$work" -name '*out.json*')" ]
}
check 'without permission' cannot 'cannot trace: not permitted to use BPF' \
	strace -f -qq -o "$work/strace" -e trace=bpf -e inject=bpf:error=EPERM faasctl trace -d 1 -o "$work/out.json" "$wf"
# shellcheck disable=SC2016
check 'in a kernel that is locked down' cannot 'cannot trace: this kernel is locked down and permits no BPF programs' \
	unshare -m sh -c 'mount -t tmpfs none /sys/kernel/security &&
		echo "none [integrity] confidentiality" >/sys/kernel/security/lockdown && exec "$@"' sh \
	strace -f -qq -o "$work/strace" -e trace=bpf -e inject=bpf:error=EPERM faasctl trace -d 1 -o "$work/out.json" "$wf"
check 'no permission to ask the module' cannot '^faasctl: needs CAP_SYS_ADMIN' \
	setpriv --bounding-set=-sys_admin faasctl trace -d 1 -o "$work/out.json" "$wf"
# libbpf looks for a vmlinux in these, too; a kernel's headers may have one.
# shellcheck disable=SC2016
check 'without BTF' cannot 'cannot trace: this kernel has no BTF' unshare -m sh -c '
	for dir in /sys/kernel/btf /boot /lib/modules /usr/lib/debug; do
		[ ! -d $dir ] || mount -t tmpfs none $dir || exit 99
	done
	exec "$@"' sh faasctl trace -d 1 -o "$work/out.json" "$wf"

# ------------------------------------------------------------------------- unloading

vanished()
{
	trace -o "$work/out.json" && stage x echo seen && faasctl workflow del "$wf" && wait "$tracer" && tracer='' &&
		valid && sums && faasctl link --capacity 256K "$wf" a b c
}
says 'a workflow that is deleted meanwhile ends it, and what was seen is there' '^instant x stream [0-9]+ ends' vanished
unloaded()
{
	trace -o "$work/out.json" || return
	umount "$point"
	if rmmod faasin; then
		echo 'the module went away under the tracer'
		return 1
	fi
	traced && valid && rmmod faasin && insmod "$module" && mount -t faasin none "$point"
}
check 'while it traces, the module stays; then it can go' unloaded

finish
