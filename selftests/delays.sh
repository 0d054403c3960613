# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Three stages with known delays (delays.py), for tests of what measures them. To be sourced
# after tap.sh, with the variables here, wf and work.

# delayed NAME CHUNKS DELAY
delayed()
{
	timeout 120 faasctl exec "$wf" "$1" -- python3 "$here/delays.py" "$work/flow" "$@"
}

# flow DELAY-OF-A -OF-B -OF-C: 2.5 MiB from a through b to c
flow()
{
	local pids=() pid name status=0
	rm -rf "$work/flow"
	mkdir "$work/flow"
	delayed a 40 "$1" &
	pids+=($!)
	delayed b 0 "$2" &
	pids+=($!)
	delayed c 0 "$3" >/dev/null &
	pids+=($!)
	for name in a b c; do
		soon test -e "$work/flow/$name" || status=$?
	done
	: >"$work/flow/go"
	for pid in "${pids[@]}"; do
		wait "$pid" || status=$?
	done
	return "$status"
}
