#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module comes and goes: refused while in use, clean after; and what the
# tool says when it is not there. FAASIN_CYCLES: how often (default 5).

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_guest

readonly point=/sys/fs/faasin wf=test-$$
work=$(mktemp -d)

mounted()
{
	mountpoint -q "$point"
}

load()
{
	insmod "$module"
}

unload()
{
	rmmod faasin
}

# What was closed a moment ago may be let go of a moment later.
unload_soon()
{
	soon unload 2>/dev/null || unload
}

mount_it()
{
	mount -t faasin -o nosuid,nodev,noexec none "$point"
}

# As it was found, however this ends.
restore()
{
	exec 7>&- 8>&- 9>&-
	[ -d /sys/module/faasin ] || load
	mounted || mount_it
	faasctl workflow del "$wf" >/dev/null 2>&1
	rmdir /sys/fs/cgroup/faasin/"$wf"/* "/sys/fs/cgroup/faasin/$wf" 2>/dev/null
	rm -rf "$work"
}
trap restore EXIT

# A workflow with a link, whose cgroup nobody has to make or remove.
make_link()
{
	faasctl workflow add --uncharged "$wf" && faasctl link "$wf" a b
}

logged()
{
	dmesg | grep -E 'BUG:|WARNING:|Oops|refcount_t|still in use|kmem_cache_destroy|corruption'
}

in_use()
{
	local error
	error=$(unload 2>&1) && return 1
	grep -qi 'in use' <<<"$error"
}

# ------------------------------------------------------------------ what it is

says 'the module is GPL' '^GPL' modinfo -F license "$module"
says 'the module is found by the name of its file system' '^fs-faasin$' \
	modinfo -F alias "$module"
says 'the module has a description' '.' modinfo -F description "$module"

# --------------------------------------------------------------------- in use

mounted || mount_it
check 'refused while mounted' in_use
check 'a link can be made' make_link
exec 8>"$point/$wf/a/faasout" 9<"$point/$wf/b/faasin"
check 'lazily unmounted' umount -l "$point"
check 'refused while ports are open' in_use
echo 'after all' >&8
exec 8>&-
says 'an open port works on without a mount' '^after all$' cat <&9
check 'refused while one port is open' in_use
exec 9<&-
check 'unloads with workflows, once nothing is open' unload_soon
refuse 'its mount point is gone' test -e "$point"
refuse 'nothing mounts without it' mount -t faasin none "$work"

# ------------------------------------------------------ the tool without it

for command in 'show' 'workflow show' "workflow add $wf" "link $wf a b" "unlink $wf a"; do
	# shellcheck disable=SC2086 # words
	refuse "faasctl $command fails without the module" faasctl $command
	# shellcheck disable=SC2086
	says "faasctl $command says what to do" 'modprobe faasin' faasctl $command
done
says 'faasctl status says that it is not loaded' 'not loaded|modprobe faasin' faasctl status

# ------------------------------------------------------------------ and again

check 'loads again' load
check 'mounts again' mount_it
refuse 'workflows of before are forgotten' test -e "$point/$wf"
refuse 'loads once' load

# sleeps PID
sleeps()
{
	grep -q faasin "/proc/$1/wchan" || [ "$(awk '{ print $3 }' "/proc/$1/stat")" = S ]
}

blocked_open()
{
	local pid
	make_link
	cat "$point/$wf/a/faasin" &
	pid=$!
	soon sleeps "$pid"
	umount -l "$point"
	in_use
	local refused=$?
	kill "$pid"
	wait "$pid"
	return "$refused"
}
check 'refused while an open waits' blocked_open
check 'unloads when it was interrupted' unload_soon

# What is in a pipe keeps nothing here, and needs nothing here.
outlived()
{
	local line
	load && mount_it && make_link || return
	coproc holder { python3 "$here/pipe_holder.py" "$point/$wf/a/faasout" "$point/$wf/b/faasin"; }
	# shellcheck disable=SC2154 # of coproc
	local pid=$holder_PID
	read -r line <&"${holder[0]}" && [ "$line" = held ] || return
	umount "$point" && unload_soon || return
	echo >&"${holder[1]}"
	wait "$pid"
}
check 'unloads while a pipe holds what was spliced into it, which stays as it is' outlived

# Everything that is put off (queued work, RCU) must be done before the code goes.
cycle()
{
	load && mount_it && make_link || return
	head -c 3000000 /dev/zero | timeout 20 dd "of=$point/$wf/a/faasout" oflag=nonblock bs=64k 2>/dev/null
	head -c 1000 "$point/$wf/b/faasin" >/dev/null
	head -c 100 /dev/zero >"$point/$wf/a/faasout"
	[ "$1" = keep ] || faasctl workflow del "$wf"
	umount "$point" && unload_soon
}
# Many of them are one result: it says in which one it ended.
cycles()
{
	local i
	for ((i = 1; i <= $1; i++)); do
		cycle "$i" || { echo "in cycle $i"; return 1; }
	done
}
# Whoever asks meanwhile is told, or hears that it is not there.
asks()
{
	while :; do
		faasctl show
		faasctl workflow show
	done
}
asks 2>"$work/asked" >/dev/null &
asking=$!
check "comes and goes, ${FAASIN_CYCLES:-5} times" cycles "${FAASIN_CYCLES:-5}"
kill $asking
wait $asking 2>/dev/null || true
told()
{
	grep -v 'the module is not loaded; run: modprobe faasin$\|the module is being \(loaded or unloaded; try again\|unloaded; run: modprobe faasin\)' "$work/asked" | sort | uniq -c
	! grep -qv 'the module is not loaded; run: modprobe faasin$\|the module is being \(loaded or unloaded; try again\|unloaded; run: modprobe faasin\)' "$work/asked"
}
check 'who asked meanwhile was told so' told
check 'comes and goes with streams that nobody read' cycle keep
sleep 2
refuse 'nothing is logged of it' logged

check 'loads for whoever comes next' load
check 'mounts for whoever comes next' mount_it

finish
