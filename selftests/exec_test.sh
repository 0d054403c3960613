#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# faasctl exec: where a command runs, what it is given, how it ends and what its
# neighbours hear of that.

# The commands' own shells expand what is in quotes.
# shellcheck disable=SC2016
# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"
. "$here/exec.sh"

# The stages: a to b, what crashes abort; n to m, what fails aborts; v to w, nothing
# aborts; alone, not linked.
check 'stages are made' faasctl link "$wf" a b
check 'and others' faasctl link --abort-on nonzero "$wf" n m
check 'and others yet' faasctl link --abort-on never "$wf" v w
check 'and one without links' faasctl stage add "$wf" alone

# --------------------------------------------------------------- what it is given

says 'runs in the cgroup of its stage' "^0::/faasin/$wf/alone\$" as alone cat /proc/self/cgroup
says 'FAASIN is the path of its input' "^$point/$wf/alone/faasin\$" as alone sh -c 'echo $FAASIN'
says 'FAASOUT is the path of its output' "^$point/$wf/alone/faasout\$" as alone sh -c 'echo $FAASOUT'
says 'the rest of the environment is inherited' '^kept$' \
	env MINE=kept faasctl exec "$wf" alone -- sh -c 'echo $MINE'
says 'works without --' '^words$' faasctl exec "$wf" alone echo words
says 'options behind the command are its own' '^--wait$' faasctl exec "$wf" alone -- echo --wait
says 'a second -- is the command'\''s' '^-- x$' faasctl exec "$wf" alone -- echo -- x

inherits()
{
	echo inherited | as alone cat
}
says 'what is not linked is inherited' '^inherited$' inherits

passes()
{
	as a echo through && as b cat
}
says 'what is linked is its standard output and input' '^through$' passes

half()
{
	echo from outside | as a cat && as b cat
}
says 'one is linked, the other inherited' '^from outside$' half

descriptors()
{
	as alone ls /proc/self/fd 3<&- | tr '\n' ' '
}
says 'no descriptors are left over' '^0 1 2 3 $' descriptors

passed_on()
{
	as alone cat /proc/self/fd/7 7<<<'by number'
}
says 'further descriptors are passed on' '^by number$' passed_on

without_standard_files()
{
	as a echo still <&- >&- && as b cat
}
says 'works where standard files are closed' '^still$' without_standard_files

blocking()
{
	as a sh -c 'grep ^flags /proc/self/fdinfo/1 >&2'
	as b true
}
says 'its descriptors block' '^flags:[[:space:]]+0*1$' blocking

whole()
{
	as a seq 1 300000 &
	[ "$(as b md5sum)" = "$(seq 1 300000 | md5sum)" ] && wait $!
}
check 'two megabytes arrive whole' whole

# -------------------------------------------------------------------- how it ends

# ends PRODUCER CONSUMER STATUS END COMMAND...
ends()
{
	local producer=$1 reader=$2 status=$3 end=$4 got
	shift 4
	gives "$status" faasctl exec "$wf" "$producer" -- "$@" || return
	got=$(consumer "$reader")
	echo "the consumer saw: $got, expected $end"
	[ "$got" = "$end" ]
}

for status in 0 1 3 125 126 127; do
	check "status $status is passed on and ends the stream" ends a b $status end sh -c "exit $status"
done
for status in 128 137 255; do
	check "status $status is passed on and aborts the stream" ends a b $status abort sh -c "exit $status"
done
for signal in TERM:143 KILL:137 SEGV:139 INT:130 PIPE:141; do
	check "death by SIG${signal%:*} is ${signal#*:} and aborts the stream" \
		ends a b "${signal#*:}" abort sh -c "kill -${signal%:*} \$\$"
	check "and so it does after something was written" \
		ends a b "${signal#*:}" abort sh -c "echo data; kill -${signal%:*} \$\$"
done
check 'nonzero: status 0 ends' ends n m 0 end true
check 'nonzero: status 1 aborts' ends n m 1 abort false
check 'nonzero: a signal aborts' ends n m 143 abort sh -c 'kill $$'
check 'crash: what cannot be found aborts' ends a b 127 abort no-such-command
check 'crash: what cannot be executed aborts' ends a b 126 abort /dev/null
check 'nonzero: what cannot be found aborts' ends n m 127 abort no-such-command
check 'never: what cannot be found ends' ends v w 127 end no-such-command
check 'never: status 255 ends' ends v w 255 end sh -c 'exit 255'
check 'never: a signal ends' ends v w 143 end sh -c 'kill $$'
check 'never: SIGKILL ends' ends v w 137 end sh -c 'echo data; kill -9 $$'

before_the_abort()
{
	as a sh -c 'echo all of it; kill -9 $$'
	as b cat
}
says 'what was written before an abort arrives' '^all of it$' before_the_abort
says 'the link tells who was killed' 'stage a: sh\[[0-9]+\] killed by SIGKILL' faasctl show "$wf"
named()
{
	as a sleep 20 &
	soon opened a faasout
	# The wrapper's child alone is in the stage's cgroup.
	kill "$(<"$cgroups/$wf/a/cgroup.procs")"
	wait $!
	as b cat
	faasctl show "$wf"
}
says 'also of who wrote nothing' 'stage a: sleep\[[0-9]+\] killed by SIGTERM' named

left_behind()
{
	as a sh -c 'sleep 60 2>/dev/null & echo x' && timeout 5 faasctl exec "$wf" b -- cat
}
says 'the end does not wait for what the command left behind' '^x$' left_behind
echo 1 >"$cgroups/$wf/a/cgroup.kill"

# --------------------------------------------------------------------- early close

# leaves STATUS-OF-PRODUCER COMMAND...: the consumer is COMMAND
leaves()
{
	local status=$1 pid got=0
	shift
	as a yes &
	pid=$!
	soon opened a faasout && as b "$@" || return
	wait "$pid" || got=$?
	[ "$got" = "$status" ]
}
check 'a consumer that has seen enough: the producer gets SIGPIPE' leaves 141 head -n 1
check 'a consumer that reads nothing, too' leaves 141 true
check 'and one that leaves its input to another' leaves 141 sh -c 'sleep 60 <&0 >/dev/null 2>&1 & head -c 1 >/dev/null'
echo 1 >"$cgroups/$wf/b/cgroup.kill"

too_early()
{
	as b true && as a echo later && as b cat
}
says 'a consumer that is gone before a stream begins takes none' '^later$' too_early
next_stream()
{
	as a yes &
	soon opened a faasout
	as b head -c 1 >/dev/null
	wait $!
	as a echo afresh && as b cat
}
says 'the next stream knows nothing of it' '^afresh$' next_stream

# ------------------------------------------------------------------------- refusals

says 'a command that does not exist' '"no-such-command" not found: ' as alone no-such-command
check 'is status 127' gives 127 faasctl exec "$wf" alone -- no-such-command
check 'by its path, too' gives 127 faasctl exec "$wf" alone -- /no/such/command
printf '#!/no/such/interpreter\n' >"$work/script"
chmod +x "$work/script"
says 'a script without its interpreter' 'interpreter does not exist' as alone "$work/script"
check 'a directory is status 126' gives 126 faasctl exec "$wf" alone -- /tmp
says 'a file that is not executable' 'not an executable file' as alone /etc/passwd
check 'is status 126' gives 126 faasctl exec "$wf" alone -- /etc/passwd

# refused PATTERN ARGUMENT...: status 125, and one line
refused()
{
	local pattern=$1 got=0 said
	shift
	said=$(timeout 30 faasctl exec "$@" 2>&1) || got=$?
	echo "status $got: $said"
	[ "$got" = 125 ] && [ "$(wc -l <<<"$said")" = 1 ] && grep -Eq -- "$pattern" <<<"$said"
}
check 'no arguments' refused 'argument is missing'
check 'no stage' refused 'argument is missing' "$wf"
check 'no command' refused 'command to run is missing' "$wf" alone
check 'no command behind --' refused 'command to run is missing' "$wf" alone --
check 'an unknown option' refused 'unknown option' --no-such-option "$wf" alone true
check 'an unknown workflow' refused 'no such workflow.*faasctl stage add' no-such-workflow alone true
check 'an unknown stage' refused 'no such stage.*faasctl stage add' "$wf" no-such-stage true
check 'not a name' refused 'a/b' "$wf" a/b true
check 'waiting for something else' refused 'none of in, out and both' --wait all "$wf" alone true

unprivileged()
{
	local got=0
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
		"$(command -v faasctl)" exec "$wf" alone -- true || got=$?
	[ "$got" = 125 ]
}
says 'without privileges' 'faasctl: .*(CAP_|permi)' unprivileged
check 'is status 125' unprivileged

no_room()
{
	mkdir "$cgroups/$wf/alone/below"
	echo +memory >"$cgroups/$wf/cgroup.subtree_control" &&
		echo +memory >"$cgroups/$wf/alone/cgroup.subtree_control" || return
	refused 'takes no processes' "$wf" alone true
	local status=$?
	echo -memory >"$cgroups/$wf/alone/cgroup.subtree_control"
	echo -memory >"$cgroups/$wf/cgroup.subtree_control"
	rmdir "$cgroups/$wf/alone/below"
	return "$status"
}
check 'a cgroup that takes no processes' no_room

# ---------------------------------------------------------------------------- cgroups

rebound()
{
	rmdir "$cgroups/$wf/alone" && as alone cat /proc/self/cgroup
}
says 'a stage whose cgroup was removed gets its default one' "^0::/faasin/$wf/alone\$" rebound
lost()
{
	mkdir -p "$cgroups/$wf/lost" && faasctl stage add --cgroup "/faasin/$wf/lost" "$wf" away &&
		rmdir "$cgroups/$wf/lost" && "$@"
}
says 'but not one that was bound elsewhere' \
	"^faasctl: cgroup /faasin/$wf/lost of stage \"away\" was removed; bind the stage to another with: faasctl stage add --cgroup PATH $wf away\$" \
	lost faasctl exec "$wf" away -- true
check 'which is status 125' gives 125 faasctl exec "$wf" away -- true
check 'nor by a link' gives 2 faasctl link "$wf" away alone
check 'nor by stage add' gives 2 faasctl stage add "$wf" away
told()
{
	mkdir "$cgroups/$wf/lost" && faasctl stage add --cgroup "/faasin/$wf/lost" "$wf" away &&
		faasctl exec "$wf" away -- true
}
check 'unless told where' told
check 'and is deleted' faasctl stage del "$wf" away
elsewhere()
{
	mkdir -p "$cgroups/$wf/x" && faasctl stage add --cgroup "/faasin/$wf/x" "$wf" bound &&
		as bound cat /proc/self/cgroup
}
says 'a stage'\''s own cgroup is used' "^0::/faasin/$wf/x\$" elsewhere

# ------------------------------------------------------------------------ traceparent

readonly parent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01

# hears VALUE-OF-PRODUCER OPTION...: what the consumer has, or "none"
hears()
{
	local value=$1
	shift
	TRACEPARENT=$value as a echo x
	env -u TRACEPARENT timeout 30 faasctl exec "$@" "$wf" b -- sh -c 'cat >/dev/null; printenv TRACEPARENT || echo none'
}
says 'a traceparent goes with the stream' "^$parent\$" hears "$parent" --traceparent
says 'but only to who asks' '^none$' hears "$parent"
says 'what is malformed does not' '^none$' hears "${parent^^}" -t
says 'nor does one of zeroes' '^none$' hears 00-00000000000000000000000000000000-b7ad6b7169203331-01 -t
waits_for_it()
{
	env -u TRACEPARENT timeout 30 faasctl exec -t "$wf" b -- sh -c 'cat >/dev/null; printenv TRACEPARENT' &
	soon opened b faasin && TRACEPARENT=$parent as a echo x && wait $!
}
says 'a consumer that is early waits for it' "^$parent\$" waits_for_it
through()
{
	faasctl link "$wf" p q r && TRACEPARENT=$parent as p echo x || return
	env -u TRACEPARENT timeout 30 faasctl exec -t "$wf" q -- cat &&
		env -u TRACEPARENT timeout 30 faasctl exec -t "$wf" r -- sh -c 'cat >/dev/null; printenv TRACEPARENT'
}
says 'and from stage to stage' "^$parent\$" through

# ---------------------------------------------------------------------------- waiting

waits()
{
	timeout 30 faasctl exec --wait out "$wf" early -- echo waited &
	sleep 0.5
	faasctl link "$wf" early late && wait $! && as late cat
}
faasctl stage add "$wf" early
says 'waits for its output to be linked' '^waited$' waits
waits_both()
{
	faasctl stage add "$wf" middle
	timeout 30 faasctl exec -w both "$wf" middle -- tr a-z A-Z &
	sleep 0.5
	faasctl link "$wf" first middle last && as first echo both && wait $! && as last cat
}
says 'waits for both' '^BOTH$' waits_both
interrupted()
{
	local got=0
	faasctl exec --wait in "$wf" alone -- true &
	sleep 0.5
	kill $!
	wait $! || got=$?
	[ "$got" = 143 ]
}
check 'can be interrupted while it waits' interrupted
deleted()
{
	faasctl stage add "$wf" doomed
	faasctl exec --wait in "$wf" doomed -- true &
	sleep 0.5
	faasctl stage del "$wf" doomed
	wait $!
	[ $? = 125 ]
}
check 'stops waiting when its stage is deleted' deleted

# ---------------------------------------------------------------------------- signals

# forwards SIGNAL: to the wrapper; the command says that it came
forwards()
{
	local got=0 pid
	# Jobs of an interactive shell are the ones that do not ignore SIGINT.
	set -m
	faasctl exec "$wf" alone -- sh -c "
		trap 'exit 42' $1
		touch $work/ready
		while :; do sleep 0.1; done" &
	pid=$!
	set +m
	soon test -e "$work/ready"
	rm "$work/ready"
	kill -"$1" "$pid"
	wait "$pid" || got=$?
	[ "$got" = 42 ]
}
for signal in TERM INT HUP QUIT USR1 USR2; do
	check "SIG$signal is passed on" forwards $signal
done
# The wrapper's copy of the writing end dies with it.
wrapper_killed()
{
	faasctl exec "$wf" a -- sleep 60 2>/dev/null &
	soon opened a faasout
	kill -KILL $!
	wait $!
	[ "$(consumer b)" = abort ]
}
check 'a wrapper that is killed aborts the stream' wrapper_killed
echo 1 >"$cgroups/$wf/a/cgroup.kill"
ignored()
{
	local got=0
	(trap '' CHLD; exec faasctl exec "$wf" alone -- sh -c 'exit 7') || got=$?
	[ "$got" = 7 ]
}
check 'the status is known where SIGCHLD was ignored' ignored

finish
