#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl top without a screen: exact counters, the stage that is slow, bad input. On a
# screen: top_screen.py.

# What check and its like are given is called; jq has variables of its own.
# shellcheck disable=SC2317,SC2016
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_module
needs_cgroups

export LC_ALL=C
unset NO_COLOR
readonly wf=top-$$ point=/sys/fs/faasin
work=$(mktemp -d)

cleanup()
{
	exec 8>&- 9>&-
	faasctl workflow del "$wf" >/dev/null 2>&1
	rm -rf "$work"
}
trap cleanup EXIT

# refused NAME STATUS LINE COMMAND...: prints LINE on standard error, nothing else
refused()
{
	local name=$1 status=$2 line=$3 got=0 failed=0
	shift 3
	"$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	tap_output="exit status $got, want $status: $*"$'\n'$(<"$work/out")$(<"$work/err")$'\n'"want: $line"
	[ "$got" = "$status" ] && [ ! -s "$work/out" ] && [ "$line" = "$(<"$work/err")" ] || failed=1
	tap_result "$failed" "$name"
}

# is EXPRESSION VALUE FILE: what jq makes of it
is()
{
	local got
	got=$(jq -c "$1" "$3") || return 1
	[ "$got" = "$2" ] || { echo "$1: $got, want $2"; return 1; }
}

# ------------------------------------------------------------------------- bad input

refused 'no such workflow, a table' 2 'faasctl: no such workflow; see: faasctl show' faasctl top --once "$wf"
refused 'no such workflow, JSON' 2 'faasctl: no such workflow; see: faasctl show' faasctl top -j "$wf"
for interval in 0 0.05 3601 -1 1s x '' nan inf 1e9; do
	refused "interval \"$interval\"" 1 \
		"faasctl: \"$interval\" is not a number of seconds from 0.1 to 3600; see: faasctl top --help" \
		faasctl top --once "--interval=$interval"
done
for column in p50 p99; do
	refused "by $column, which is not measured" 1 \
		'faasctl: to sort by what is measured, add --latency; see: faasctl top --help' faasctl top --once --sort $column
done
refused 'a column that does not exist' 1 \
	'faasctl: "size" is none of link, rate, fill, writer, reader, residence, p50, p99 and wakes; see: faasctl top --help' \
	faasctl top --once --sort size
refused 'a filter longer than any name' 1 \
	'faasctl: the text to filter by is longer than any name; see: faasctl top --help' \
	faasctl top --once --filter "$(printf 'x%.0s' {1..64})"
refused 'two workflows' 1 'faasctl: unexpected argument "y"; see: faasctl top --help' faasctl top --once x y
refused 'no terminal' 2 \
	'faasctl: this is no terminal; for a table or JSON: faasctl top --once, faasctl top -j' faasctl top
refused 'no permission' 2 'faasctl: needs CAP_SYS_ADMIN in the initial user namespace' \
	setpriv --bounding-set=-sys_admin faasctl top --once
refused 'a full disk' 2 'faasctl: cannot write the output: No space left on device' \
	bash -c 'exec faasctl top --once --interval 0.1 >/dev/full'
refused 'a full disk, JSON' 2 'faasctl: cannot write the output: No space left on device' \
	bash -c 'exec faasctl top -j --interval 0.1 >/dev/full'
# between COMMAND...: faasctl top reads, COMMAND runs, faasctl top reads again. Its exit status.
# However long COMMAND takes: faasctl stands still meanwhile. If it had gone on before it was
# seen to wait, on a machine that stood still, it begins again.
between()
{
	local pid tries
	for tries in 1 2 3 4 5; do
		faasctl top -j --interval 6 "$wf" >"$work/json" 2>"$work/err" &
		pid=$!
		soon waits_or_ended "$pid" || return
		if ! ended "$pid"; then
			kill -STOP "$pid"
			"$@"
			kill -CONT "$pid"
			wait "$pid"
			return
		fi
		wait "$pid"
	done
	echo "ended $tries times before it was seen to wait"
	return 1
}

ended()
{
	[[ $(<"/proc/$1/stat") = *') Z '* ]]
}

waits_or_ended()
{
	ended "$1" || [[ $(<"/proc/$1/wchan") = *poll* ]]
}

vanishing()
{
	local got=0
	faasctl workflow add "$wf"
	between faasctl workflow del "$wf" || got=$?
	cat "$work/json" "$work/err"
	[ "$got" = 2 ] && [ "$(<"$work/err")" = 'faasctl: no such workflow; see: faasctl show' ]
}
check 'a workflow that vanishes between the readings' vanishing

# ------------------------------------------------------------------------- exactly

says 'no links' '^no links$' faasctl top --once --interval 0.1 --filter "$wf"
check 'links' faasctl link "$wf" a b c
exec 9>"$point/$wf/a/faasout" 8<"$point/$wf/b/faasin"
head -c 5000 /dev/zero >&9
head -c 1000 <&8 >/dev/null
counted()
{
	head -c 300000 /dev/zero >&9 && head -c 200000 <&8 >/dev/null
}
check 'reads twice' between counted
check 'bytes in, between the readings' is '.links[0].rates.bytes_in' 300000 "$work/json"
check 'bytes out' is '.links[0].rates.bytes_out' 200000 "$work/json"
check 'bytes in, ever' is '.links[0].stats.bytes_in' 305000 "$work/json"
check 'bytes held' is '.links[0].stats.bytes_held' 104000 "$work/json"
check 'fill' is '.links[0].rates.fill == 104000 / 1048576' true "$work/json"
check 'a second' is '.interval_ns as $ns | .links[0].rates | .bytes_out_per_second * $ns / 1e9 | round' 200000 \
	"$work/json"
check 'residence, by what is held and what leaves' \
	is '.interval_ns as $ns | .links[0].rates | .residence_ns * 200000 / $ns | round' 54000 "$work/json"
check 'nobody waited' is '.links[0].rates | [.writer_blocked, .reader_blocked]' '[0,0]' "$work/json"
check 'another link' is '.links[1] | [.source.stage, .rates.bytes_in, .rates.residence_ns]' '["b",0,null]' "$work/json"
check 'no bottleneck' is '.bottlenecks' '[]' "$work/json"
check 'as show has it' is 'del(.rates) | keys' \
	"$(faasctl show -j "$wf" | jq -c '.workflows[0].links[0] | keys')" <(jq '.links[0]' "$work/json")

# Counters go on where a link is made again: that is no new link, and nothing is missing.
relink()
{
	printf more >"$point/$wf/d/faasout" && faasctl unlink "$wf" d && faasctl link "$wf" d e &&
		printf again >"$point/$wf/d/faasout"
}
relinked()
{
	faasctl link "$wf" d e && printf before >"$point/$wf/d/faasout" &&
		head -c 6 "$point/$wf/e/faasin" >/dev/null && between relink &&
		is '.links[] | select(.source.stage == "d") | [.stats.bytes_in, .rates.bytes_in]' '[15,9]' "$work/json"
}
check 'a link that is made again between the readings counts on' relinked
faasctl stage del "$wf" d && faasctl stage del "$wf" e

# A reader that waited before the first reading and does so after the second.
waiting()
{
	local pid
	cat "$point/$wf/c/faasin" >/dev/null &
	pid=$!
	soon grep -qE 'faasin|wait_for' "/proc/$pid/wchan"
	faasctl top -j --interval 1 "$wf" >"$work/json"
	is '.links[1].rates.reader_blocked > 0.5' true "$work/json" && kill "$pid"
}
check 'a wait counts while it lasts' waiting

says 'the table: its head' '^LINK +RATE +FILL W-BLK R-BLK +RESID~ WAKES/s$' \
	faasctl top --once --interval 0.1 "$wf"
says 'the table: a row' "^$wf: a > b +0 B/s #-----  10%    0%    0%        -       0\$" \
	faasctl top --once --interval 0.1 "$wf"
rows()
{
	faasctl top --once --interval 0.1 "$@" "$wf" | sed -n 's/^[^:]*: \([a-z]\) > \([a-z]\).*/\1\2/p' | paste -sd ' '
}
says 'sorted as data flows' '^ab bc$' rows
says 'the other way' '^bc ab$' rows --reverse
says 'by fill' '^ab bc$' rows --sort fill
says 'by fill, the other way' '^bc ab$' rows -r -s fill
says 'filtered' '^bc$' rows --filter c
exec 8>&- 9>&-

# on_terminal [VARIABLE=VALUE]...: as it prints there, control characters visible
on_terminal()
{
	env TERM=xterm "$@" script -qec "faasctl top --once --interval 0.1 $wf" /dev/null </dev/null | cat -v
}
plain()
{
	on_terminal "$@" >"$work/out"
	grep -q '^LINK' "$work/out" && ! grep -F '^[' "$work/out"
}
says 'on a terminal in colours' '^\^\[\[1mLINK' on_terminal
check 'NO_COLOR' plain NO_COLOR=1
check 'a dumb terminal' plain TERM=dumb
faasctl workflow del "$wf"

# ---------------------------------------------------------------------- bottlenecks

flows()
{
	faasctl top -j --interval 0.5 "$wf" >"$work/json" 2>/dev/null &&
		is '.links[1].stats.bytes_out > 300000 and (.bottlenecks | length > 0)' true "$work/json" >/dev/null
}

# named STAGE LINE: of the pipeline LINE, with stages a, b and c, just that one is slow
named()
{
	local want=$1 line=$2 pid got=''
	faasctl run --names a,b,c "$wf" "$line" 2>"$work/run" &
	pid=$!
	# From when bytes reach the end.
	soon flows
	faasctl top -j --interval 2 "$wf" >"$work/json"
	got=$(jq -c '[.bottlenecks[] | [.workflow, .stage]]' "$work/json")
	faasctl top --once --interval 2 "$wf" >"$work/table"
	kill "$pid" && wait "$pid"
	jq -c '.bottlenecks, (.links[] | [.source.stage, .rates])' "$work/json"
	cat "$work/table" "$work/run"
	echo "$got, want $want"
	[ "$got" = "[[\"$wf\",\"$want\"]]" ] && grep -q "^\\* bottleneck of $wf: $want, [0-9]*% of the time\$" "$work/table" &&
		grep -q "^$wf: .*\\b$want\\* " "$work/table"
}
slow='while sleep 0.1; do dd bs=64K count=1 status=none'
check 'the first is slow' named a "$slow if=/dev/zero; done | cat | cat >/dev/null"
check 'the one between is slow' named b "cat /dev/zero | $slow; done | cat >/dev/null"
check 'the last is slow' named c "cat /dev/zero | cat | $slow of=/dev/null; done"

finish
