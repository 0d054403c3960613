# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sums of results, for scripts that run several parts and end with one line
# "N passed, N failed, N skipped". To be sourced.

results_passed=0 results_failed=0 results_skipped=0
results_log=$(mktemp)
trap 'rm -f "$results_log"' EXIT

# results_of NAME ALONE COMMAND...: runs a part and adds what its closing line says.
# A part that fails with no failed result is a failed one, and so is what vm-test/run
# means by status 99: the guest failed, whatever the tests said. ALONE says what a
# part is that ends well with no closing line: passed, or failed.
# Leaves its exit status in results_status; not to be called in a condition, where
# bash would ignore set -e in functions.
results_of()
{
	local name=$1 alone=$2 counts p='' f=0 s=0
	shift 2
	set +e
	# Its closing line is reworded, or readers would count it twice.
	(set -e; "$@") </dev/null 2>&1 | tee "$results_log" |
		sed -E -u "s/^([0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?)$/$name had \1/"
	results_status=${PIPESTATUS[0]}
	set -e
	counts=$(grep -a -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$results_log" | tail -n 1 || true)
	if [ -n "$counts" ]; then
		read -r p _ f _ s _ <<<"$counts"
	elif [ "$results_status" -eq 0 ] && [ "$alone" = passed ]; then
		p=1
	fi
	if [ "$results_status" -eq 99 ] || [ -z "$counts$p" ] ||
	   { [ "$results_status" -ne 0 ] && [ "$f" -eq 0 ]; }; then
		echo "== $name: failed as a whole (exit status $results_status${counts:+, although it came to its end})"
		f=$((f + 1))
	fi
	results_passed=$((results_passed + ${p:-0}))
	results_failed=$((results_failed + f))
	results_skipped=$((results_skipped + s))
}

# Seconds in which something may still be begun: until FAASIN_UNTIL, as by date +%s; a day if
# nobody says.
results_time_left()
{
	local now
	now=$(date +%s)
	echo $((${FAASIN_UNTIL:-$((now + 86400))} - now))
}

# results_leave_out NAME: a part that is not begun, for want of time, counts.
results_leave_out()
{
	echo "SKIP  $1: all of it: no time is left for it"
	results_skipped=$((results_skipped + 1))
}

# Prints the closing line; fails if anything did or nothing passed.
results_close()
{
	echo "$results_passed passed, $results_failed failed, $results_skipped skipped"
	[ $results_failed -eq 0 ] && [ $results_passed -gt 0 ]
}
