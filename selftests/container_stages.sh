# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A stage whose command runs in a container, between two others. To be sourced after
# container.sh, with the variables wf and point.

readonly member=/faasin/$wf/c

# The runtime removes a container's cgroup with it: the stage gets a new one.
stages()
{
	faasctl workflow add "$wf" && faasctl stage add "$wf" c && faasctl stage add "$wf" other &&
		faasctl link "$wf" c other && faasctl stage add "$wf" before &&
		faasctl link "$wf" before c
}

# from COMMAND: runs it as stage c; prints what came out at the other end
from()
{
	local status=0
	stages >/dev/null || return
	timeout 60 cat "$point/$wf/other/faasin" &
	ran "$member" "$1" || status=$?
	# Without a writer it would wait for one.
	[ "$status" = 0 ] || kill $!
	wait $!
	return "$status"
}
