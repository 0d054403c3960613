#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tool as its users see it: what it prints, and what it says to bad input, which
# changes nothing.

# What check and its like are given is called.
# shellcheck disable=SC2317
# shellcheck source-path=SCRIPTDIR

set -uo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
. "$here/tap.sh"

needs_guest

export LC_ALL=C
unset NO_COLOR
readonly point=/sys/fs/faasin groups=/sys/fs/cgroup wf=cli-$$ long=0123456789012345678901234567890123456789012345678901234567890123
work=$(mktemp -d)
chmod 755 "$work"
exec 3</dev/null

restore()
{
	exec 8>&- 9>&-
	umount "$work/mnt" 2>/dev/null
	[ -d /sys/module/faasin ] || insmod "$module"
	mountpoint -q "$point" || mount -t faasin none "$point"
	faasctl workflow del "$wf" >/dev/null 2>&1
	find "$groups/cli-$$" -depth -type d -exec rmdir {} \; 2>/dev/null
	rm -rf "$work"
}
trap restore EXIT

# Everything there is, but for what moves by itself. Emulated guests take long to start
# a program, so the shell does what it can.
state()
{
	local line
	# All but what grows with time: the last two columns of links.
	faasctl dump 2>&1 | cut -f 1-36
	find "$groups" -type d
	echo "$(<"$groups/cgroup.subtree_control") $(<"$groups/faasin/cgroup.subtree_control")" 2>/dev/null
	while IFS= read -r line; do
		[[ $line != *' - faasin '* ]] || echo "$line"
	done </proc/self/mountinfo
}

# refused NAME STATUS LINE COMMAND...: prints LINE on standard error and nothing else,
# exits with STATUS, and leaves everything as it was. Where nothing but this was called
# since the last time, the state is known.
known=
refused()
{
	local name=$1 status=$2 line=$3 got=0 failed=0
	shift 3
	[ "$tap_number" = "$known" ] || state >"$work/before"
	"$@" >"$work/out" 2>"$work/err" <&3 || got=$?
	state >"$work/after"
	tap_output="exit status $got, want $status: $*"$'\n'$(<"$work/out")$(<"$work/err")$'\n'"want: $line"
	[ "$got" = "$status" ] && [ ! -s "$work/out" ] && [ "$line" = "$(<"$work/err")" ] || failed=1
	if [ "$(<"$work/before")" != "$(<"$work/after")" ]; then
		tap_output+=$'\n'$(diff "$work/before" "$work/after")
		failed=1
		cp "$work/after" "$work/before"
	fi
	tap_result "$failed" "$name"
	known=$tap_number
}

# golden NAME COMMAND... <TEXT: prints TEXT. In TEXT, ~ stands for a number, which may
# have a unit.
golden()
{
	local name=$1 failed=0
	shift
	cat >"$work/want"
	"$@" >"$work/out" 2>&1 <&3
	sed -E 's/[][\\.*^$+?(){}|]/\\&/g; s/~/[0-9.]+( [kM]?B| [num]?s)?/g' "$work/want" >"$work/patterns"
	[ "$(wc -l <"$work/patterns")" = "$(wc -l <"$work/out")" ] || failed=1
	while IFS= read -r pattern <&6 && IFS= read -r line <&7; do
		grep -Eqx -- "$pattern" <<<"$line" || failed=1
	done 6<"$work/patterns" 7<"$work/out"
	tap_output=$(diff "$work/want" "$work/out")
	tap_result "$failed" "$name"
}

json()
{
	"$@" | python3 -m json.tool
}

# member EXPRESSION VALUE COMMAND...: what Python makes of the JSON d
member()
{
	local expression=$1 want=$2 got
	shift 2
	got=$("$@" | python3 -c "import json, sys; d = json.load(sys.stdin); print(($expression))") || true
	[ "$got" = "$want" ] || { echo "$expression: $got, want $want"; return 1; }
}

# What the tool sets up once in the tree of cgroups, and leaves.
if [ -d "$groups/faasin" ]; then
	echo +memory >"$groups/faasin/cgroup.subtree_control"
fi

# ---------------------------------------------------------------- bad input: names

use='use letters, digits, '\''.'\'', '\''_'\'' and '\''-'\'
refused 'a name too long' 2 "faasctl: workflow name \"0123456789012345...\" has 64 characters: use at most 63" \
	faasctl link "$long" a b
refused 'a stage name too long' 2 "faasctl: stage name \"0123456789012345...\" has 64 characters: use at most 63" \
	faasctl link "$wf" a "$long"
refused 'a reserved name' 2 'faasctl: stage name "self" is reserved: choose another' faasctl link "$wf" self b
refused 'a name with a slash' 2 "faasctl: stage name \"a/b\" contains \"/\": $use" faasctl link "$wf" a/b c
refused 'a name with a newline' 2 "faasctl: workflow name \"a?b\" contains \"?\": $use" faasctl workflow add $'a\nb'
refused 'an empty name' 2 'faasctl: a workflow name is empty: give it 1 to 63 characters' faasctl workflow add ''
refused 'a name that begins with a dot' 2 \
	"faasctl: stage name \"..\" begins with '.': begin it with another character" faasctl link "$wf" .. b
refused 'a port name with a colon' 2 "faasctl: port name \"x:y\" contains \":\": $use" faasctl link "$wf" a:x:y b
refused 'a workflow to delete with a bad name' 2 "faasctl: workflow name \"a/b\" contains \"/\": $use" \
	faasctl workflow del a/b

# ---------------------------------------------------- bad input: links without anything

refused 'linking to itself' 2 'faasctl: stage "a" cannot be linked to itself' faasctl link "$wf" a a
refused 'a loop in one chain' 2 'faasctl: stage "a" occurs twice: the links would close a loop' \
	faasctl link "$wf" a b a
refused 'capacity 0' 2 'faasctl: capacity 0 is outside 4096 to 1073741824 bytes (4K to 1G)' \
	faasctl link -c 0 "$wf" a b
refused 'an odd capacity' 2 'faasctl: capacity 4097 is not a multiple of 4096' faasctl link -c 4097 "$wf" a b
refused 'a capacity too large' 2 \
	'faasctl: capacity 2147483648 is outside 4096 to 1073741824 bytes (4K to 1G)' faasctl link -c 2G "$wf" a b
refused 'a capacity beyond all numbers' 1 \
	'faasctl: "99999999999999999999" is not a size: give a number, or one with K, M or G; see: faasctl link --help' \
	faasctl link -c 99999999999999999999 "$wf" a b
refused 'a negative capacity' 1 \
	'faasctl: "-4096" is not a size: give a number, or one with K, M or G; see: faasctl link --help' \
	faasctl link --capacity=-4096 "$wf" a b
refused 'a rule that does not exist' 1 \
	'faasctl: "always" is none of crash, nonzero and never; see: faasctl link --help' \
	faasctl link --abort-on always "$wf" a b
refused 'another rule that does not exist' 1 'faasctl: "x" is neither epipe nor drain; see: faasctl link --help' \
	faasctl link --on-early-close x "$wf" a b
refused 'one more rule that does not exist' 1 'faasctl: "x" is neither throttle nor drop; see: faasctl link --help' \
	faasctl link --slow x "$wf" a b
refused 'a port that does not exist, workflow and stages neither' 2 'faasctl: the source stage has no such port' \
	faasctl link "$wf" a:errors b

# --------------------------------------------------------------- bad input: words

refused 'an unknown command' 1 'faasctl: unknown command "lnk"; see: faasctl help' faasctl lnk
refused 'an unknown subcommand' 1 'faasctl: unknown command "new"; see: faasctl stage --help' faasctl stage new
refused 'a subcommand missing' 1 'faasctl: a command is missing; see: faasctl workflow --help' faasctl workflow
refused 'an unknown option' 1 'faasctl: unknown option "--fast"; see: faasctl link --help' \
	faasctl link --fast "$wf" a b
refused 'an option without its value' 1 'faasctl: option "-c" needs a value; see: faasctl link --help' \
	faasctl link "$wf" a b -c
refused 'an argument missing' 1 'faasctl: an argument is missing; see: faasctl link --help' faasctl link "$wf" a
refused 'an argument too many' 1 'faasctl: unexpected argument "c"; see: faasctl stage del --help' \
	faasctl stage del "$wf" a c
refused 'a value with a newline' 1 \
	'faasctl: "4?K" is not a size: give a number, or one with K, M or G; see: faasctl link --help' \
	faasctl link -c $'4\nK' "$wf" a b
refused 'a command that a terminal would obey' 1 'faasctl: unknown command "?[2Jx"; see: faasctl help' \
	faasctl $'\e[2Jx'
refused 'an apostrophe in a pipeline that is not closed' 125 \
	"faasctl: the pipeline ends in the middle of a quotation: close it with '; see: faasctl run --help" \
	faasctl run "$wf" "echo \${x:-it's} | cat"
refused 'help for what does not exist' 1 'faasctl: unknown command "stage new"; see: faasctl help --help' \
	faasctl help stage new
refused 'a mode that is not octal' 1 \
	'faasctl: "0888" is not an octal number of 0 to 777; see: faasctl stage add --help' \
	faasctl stage add -m 0888 "$wf" a
refused 'a user who is not a number' 1 \
	'faasctl: "root" is not a number of 0 to 4294967294; see: faasctl stage add --help' \
	faasctl stage add -U root "$wf" a
refused 'a port without a direction' 1 \
	'faasctl: port "errors" has no direction: write NAME:in or NAME:out; see: faasctl stage add --help' \
	faasctl stage add -p errors "$wf" a
refused 'no events' 1 'faasctl: "0" is not a number of events: give 1 or more; see: faasctl monitor --help' \
	faasctl monitor -n 0
refused 'who pays and nobody pays' 1 \
	'faasctl: --cgroup and --uncharged exclude each other; see: faasctl workflow add --help' \
	faasctl workflow add -u -g /x "$wf"

# ------------------------------------------------------------- bad input: what is not

see='see: faasctl show'
refused 'an unknown workflow, deleted' 2 "faasctl: no such workflow; $see" faasctl workflow del "$wf"
refused 'an unknown workflow, shown' 2 "faasctl: no such workflow; $see" faasctl show "$wf"
refused 'an unknown workflow, dumped' 2 "faasctl: no such workflow; $see" faasctl dump -H "$wf"
refused 'an unknown workflow, its stages shown' 2 "faasctl: no such workflow; $see" faasctl stage show -j "$wf"
refused 'an unknown workflow, unlinked' 2 "faasctl: no such workflow; $see" faasctl unlink "$wf" a
refused 'an unknown workflow for a stage' 2 \
	"faasctl: no such workflow; create it with: faasctl workflow add $wf" faasctl stage add "$wf" a

check 'links, and creates what is missing' faasctl link "$wf" a b c
refused 'an unknown stage, deleted' 2 "faasctl: no such stage in this workflow; $see" faasctl stage del "$wf" x
refused 'an unknown stage, shown' 2 "faasctl: no such stage in this workflow; $see" faasctl stage show "$wf" x
refused 'an unknown stage, unlinked' 2 "faasctl: no such source stage in this workflow; $see" \
	faasctl unlink "$wf" x
refused 'an unknown port, unlinked' 2 "faasctl: the source stage has no such port; $see" faasctl unlink "$wf" a:x
refused 'an unknown port, linked' 2 'faasctl: the destination stage has no such port' faasctl link "$wf" c d:x
refused 'a port in the wrong direction' 2 'faasctl: a link starts at an output; that is an input' \
	faasctl link "$wf" c:faasin d
refused 'a port that is not linked' 2 "faasctl: the source port is not linked; $see" faasctl unlink "$wf" c
refused 'a chain to unlink that leads elsewhere' 2 \
	"faasctl: \"b\" is not linked to \"a\" but to \"c:faasin\"; $see" faasctl unlink "$wf" a b a

# --------------------------------------------------------- bad input: what is there

refused 'a loop' 2 'faasctl: the link would close a loop' faasctl link "$wf" c a
refused 'an output linked already' 2 'faasctl: the source port is linked already; unlink it first' \
	faasctl link "$wf" a d
refused 'an input linked already' 2 'faasctl: the destination port is linked already; unlink it first' \
	faasctl link "$wf" d b
refused 'a chain whose last link cannot be' 2 'faasctl: the destination port is linked already; unlink it first' \
	faasctl link "$wf" x y z c
refused 'the same link, exclusively' 2 'faasctl: the link exists' faasctl link -x "$wf" a b
refused 'the same link with other options' 2 'faasctl: the link exists with other options; unlink it first' \
	faasctl link -c 64K "$wf" a b
refused 'a capacity without a size' 1 'faasctl: nothing to change: give --capacity; see: faasctl set --help' \
	faasctl set "$wf" a b
refused 'a capacity that is none' 2 'faasctl: capacity is not a multiple of 4096 bytes: round it' \
	faasctl set -c 4097 "$wf" a b
refused 'a capacity for a chain that leads elsewhere' 2 \
	"faasctl: \"b\" is not linked to \"a\" but to \"c:faasin\"; $see" faasctl set -c 64K "$wf" a b a
capacities()
{
	faasctl set -c "$@" && faasctl dump "$wf" | awk -F'\t' '$1 == "link" { printf "%s ", $8 }'
}
says 'another capacity of a link' '^65536 1048576 $' capacities 64K "$wf" a b
says 'of all links' '^1048576 1048576 $' capacities 1M "$wf"
refused 'an unknown stage, replaced' 2 "faasctl: no such stage in this workflow; $see" faasctl replace "$wf" x
refused 'a stage, replaced by what is no cgroup' 2 'faasctl: cgroup /nowhere does not exist, nor does /sys/fs/cgroup/nowhere: create it with mkdir' \
	faasctl replace -g /nowhere "$wf" a
refused 'the same workflow, exclusively' 2 'faasctl: the workflow exists' faasctl workflow add -x "$wf"
refused 'the same stage, exclusively' 2 'faasctl: the stage exists' faasctl stage add -x "$wf" a
refused 'a port that exists in the other direction' 2 'faasctl: the stage has that port in the other direction' \
	faasctl stage add -p faasin:out "$wf" a
refused 'the same again changes nothing' 0 '' faasctl link "$wf" a b c

# ------------------------------------------------------------------------- cgroups

mkdir -p "$groups/cli-$$/poor" "$groups/cli-$$/free"
known=
refused 'a cgroup that does not exist' 2 \
	"faasctl: cgroup /no/such does not exist, nor does $groups/no/such: create it with mkdir" \
	faasctl stage add -g /no/such "$wf" x
refused 'a directory that is no cgroup' 2 \
	'faasctl: /tmp is not a cgroup v2 directory: name one below the cgroup2 mount' \
	faasctl workflow add -g /tmp other
refused 'a file' 2 'faasctl: /etc/passwd is not a directory: name a cgroup'\''s directory' \
	faasctl stage add -g /etc/passwd "$wf" x
refused 'the root cgroup' 2 'faasctl: the root cgroup cannot pay for buffers; name one below it' \
	faasctl workflow add -g "$groups" other
refused 'a cgroup without the memory controller' 2 \
	'faasctl: the memory controller is not enabled in that cgroup; write +memory to cgroup.subtree_control of its parent' \
	faasctl workflow add -g "cli-$$/poor" other
refused 'a workflow with another cgroup' 2 \
	'faasctl: the workflow exists with another cgroup; delete it first' faasctl workflow add -g "cli-$$" "$wf"
refused 'a cgroup that is another stage'\''s' 2 'faasctl: the cgroup is bound to another stage' \
	faasctl stage add -g "/faasin/$wf/a" "$wf" x
refused 'a stage with another cgroup' 2 \
	'faasctl: the stage is bound to another cgroup; replace or delete the stage' \
	faasctl stage add -g "cli-$$/free" "$wf" a
removed()
{
	faasctl workflow add -g "cli-$$/payer" "$wf-gone" && rmdir "$groups/cli-$$/payer"
}
echo +memory >"$groups/cli-$$/cgroup.subtree_control"
mkdir "$groups/cli-$$/payer"
check 'a cgroup that pays is removed' removed
refused 'a link in a workflow whose cgroup was removed' 2 \
	"faasctl: the workflow's cgroup has been removed; delete the workflow and make it anew" \
	faasctl link "$wf-gone" a b
says 'status tells of it' \
	"^problem  the cgroup that pays for workflow \"$wf-gone\" was removed; do: delete the workflow and create it again" \
	faasctl status
says 'show tells of it' "charged to /cli-$$/payer \(removed\)$" faasctl show "$wf-gone"
check 'dump tells of it' bash -c "faasctl dump $wf-gone | cut -f 6 | grep -qx cgroup-gone"
check 'such a workflow can be deleted' faasctl workflow del "$wf-gone"
leaves_nothing()
{
	[ ! -e "$groups/faasin/$wf-gone" ]
}
check 'and leaves no cgroup' leaves_nothing

# ---------------------------------------------------------- several links of an output

links()
{
	faasctl dump "$wf-fan" | grep -c '^link'
}
several()
{
	faasctl link "$wf-fan" s a b,c:faasin && faasctl link "$wf-fan" a d && [ "$(links)" = 4 ] &&
		faasctl show "$wf-fan" | grep -q 'out to b:faasin and 2 more, open 0$' &&
		member '[p["links"] for p in d["stages"][1]["ports"]]' '[1, 3]' faasctl stage show -j "$wf-fan"
}
check 'one output is linked to several inputs' several
chosen()
{
	faasctl pause "$wf-fan" a d,b && [ "$(faasctl dump "$wf-fan" | grep -c '^link.*paused')" = 2 ] &&
		faasctl resume "$wf-fan" a && [ "$(faasctl dump "$wf-fan" | grep -c '^link.*running')" = 4 ] &&
		faasctl set -c 64K "$wf-fan" a c && [ "$(faasctl dump "$wf-fan" | grep -c '^link.*65536')" = 3 ]
}
check 'some of them, or all, can be meant' chosen
dropped()
{
	faasctl link --slow drop "$wf-fan" a e && faasctl show "$wf-fan" | grep -q 'on early close epipe, drop if slow$' &&
		[ "$(faasctl dump "$wf-fan" | grep -c '^link.*throttle[[:space:]]bytes[[:space:]]streams[[:space:]]all$')" = 4 ] &&
		member '[l["slow"] for l in d["workflows"][0]["links"]].count("drop")' 1 faasctl show -j "$wf-fan" &&
		faasctl unlink "$wf-fan" a e
}
check 'one of them is to be dropped if it is slow' dropped
refused 'several in the middle of a chain' 2 \
	'faasctl: "b,c": only the first and the last of a row can be several stages' \
	faasctl link "$wf-fan" x b,c y
refused 'one of several that is not there' 2 \
	"faasctl: \"a\" is not linked to \"x\" but to \"c:faasin\"; $see" faasctl unlink "$wf-fan" a b,x
refused 'one of several twice' 2 'faasctl: a destination is named twice' faasctl link "$wf-fan" a e,e
refused 'several, of which one would close a loop' 2 \
	'faasctl: stage "a" cannot be linked to itself' faasctl link "$wf-fan" a e,a
unlinked()
{
	faasctl unlink "$wf-fan" a c,d && [ "$(links)" = 2 ] && faasctl link "$wf-fan" a c && faasctl unlink "$wf-fan" a &&
		[ "$(links)" = 1 ] && faasctl workflow del "$wf-fan"
}
check 'several are unlinked' unlinked

# ---------------------------------------------------------------- records that are dealt

dealt()
{
	faasctl link --deal "$wf-fan" a b,c,d && faasctl show "$wf-fan" | grep -q 'on early close epipe, records, dealt$' &&
		[ "$(faasctl dump "$wf-fan" | grep -c '^link.*throttle[[:space:]]records[[:space:]]streams[[:space:]]dealt$')" = 3 ] &&
		[ "$(faasctl graph "$wf-fan" | grep -c ', dealt')" = 3 ] &&
		faasctl graph -f dot "$wf-fan" | grep -q 'dealt' &&
		member '[l["dealt"] for l in d["workflows"][0]["links"]]' '[True, True, True]' faasctl show -j "$wf-fan"
}
check 'the records of one output are dealt' dealt
refused 'an output that deals, linked otherwise' 2 \
	'faasctl: the source port has links that records are dealt to: so is another one' faasctl link -r "$wf-fan" a e
refused 'records that are dealt, and dropped' 2 \
	'faasctl: a record that was dealt has one reader: it is neither dropped nor drained' \
	faasctl link -d -s drop "$wf-fan" e f,g
refused 'records that are dealt, and trusted' 2 \
	'faasctl: links that records are dealt to cannot be trusted: their output has no window' \
	faasctl link -d -T "$wf-fan" e f,g
shares()
{
	local record
	for record in 1 2 3 4 5 6 7; do
		printf '%s\n' "$record"
	done >"$point/$wf-fan/a/faasout"
	[ "$(cat "$point/$wf-fan"/[b-d]/faasin | tr '\n' ' ')" = '1 4 7 2 5 3 6 ' ]
}
check 'each reader has its share' shares
left()
{
	exec 8>"$point/$wf-fan/a/faasout"
	printf 1 >&8
	printf 2 >&8
	head -c 1 <"$point/$wf-fan/c/faasin" 8>&- && ! (trap '' PIPE && printf 3 >&8) 2>/dev/null
	exec 8>&-
	[ "$(faasctl show "$wf-fan" | grep -c 'stage a: another of its links was over before$')" = 2 ] &&
		faasctl show "$wf-fan" | grep -q 'stage c: head\[[0-9]*\] closed before the end$' &&
		[ "$(faasctl dump "$wf-fan" | awk -F'\t' '$1 == "link" { printf "%s ", $31 }')" = 'deal early-close deal ' ] &&
		faasctl workflow del "$wf-fan"
}
check 'what is said of one that leaves' left

# ----------------------------------------------------------- several links of an input

gathered()
{
	faasctl link "$wf-fan" a,b:faasout,c d s && faasctl link "$wf-fan" e d && [ "$(links)" = 5 ] &&
		member '[p["links"] for p in d["stages"][3]["ports"]]' '[4, 1]' faasctl stage show -j "$wf-fan" &&
		faasctl show "$wf-fan" | grep -q 'in  from a:faasout and 3 more, open 0$'
}
check 'one input is linked to several outputs' gathered
paused()
{
	[ "$(faasctl dump "$wf-fan" | grep -c '^link.*paused')" = "$1" ]
}
some()
{
	faasctl pause "$wf-fan" a,b d && paused 2 && faasctl pause "$wf-fan" a,c,e d s && paused 5 &&
		faasctl resume "$wf-fan" e,a && paused 3 && faasctl resume "$wf-fan" && paused 0 &&
		faasctl set -c 64K "$wf-fan" c,e d && [ "$(faasctl dump "$wf-fan" | grep -c '^link.*65536')" = 2 ]
}
check 'some of them, or all, can be meant' some
refused 'one source that is not there' 2 \
	"faasctl: the source port is not linked; $see" faasctl unlink "$wf-fan" a,s d
refused 'one source twice' 2 'faasctl: a source is named twice' faasctl link "$wf-fan" x,x d
refused 'one source twice, unlinked' 2 'faasctl: a source is named twice' faasctl unlink "$wf-fan" a,b,a:faasout d
check 'nothing was deleted then' test "$(links)" = 5
refused 'a list with nothing in it' 2 'faasctl: a stage name is empty: give it 1 to 63 characters' faasctl unlink "$wf-fan" a, d
crossed()
{
	faasctl link "$wf-fan" v,w x,y && [ "$(links)" = 9 ] && faasctl unlink "$wf-fan" v,w y,x && [ "$(links)" = 5 ] &&
		faasctl unlink "$wf-fan" a,b,c,e d && [ "$(links)" = 1 ] && faasctl workflow del "$wf-fan"
}
check 'several to several' crossed
undone()
{
	! faasctl link "$wf-fan" a,b:nothing d 2>/dev/null && ! faasctl show "$wf-fan" 2>/dev/null
}
check 'of several that cannot all be made nothing is left' undone

# -------------------------------------------------------------------------- mounts

mkdir "$work/mnt"
second()
{
	mount -t faasin none "$work/mnt" && diff <(cd "$point" && find "$wf") <(cd "$work/mnt" && find "$wf") &&
		faasctl status | grep -qx "mount    $work/mnt: everything" && umount "$work/mnt"
}
check 'a second mount shows the same' second
scoped()
{
	mount -t faasin -o "workflow=$wf,stage=a" none "$work/mnt" &&
		faasctl status | grep -qx "mount    $work/mnt: stage \"a\" of workflow \"$wf\"" &&
		member 'd["mounts"][1]["stage"]' a faasctl status -j && umount "$work/mnt"
}
check 'a mount of a stage is told of' scoped
deleted()
{
	faasctl link "$wf-gone" a b --uncharged 2>/dev/null && mkdir "$work/stage" "$work/workflow" &&
		mount -t faasin -o "workflow=$wf-gone,stage=a" none "$work/stage" &&
		mount -t faasin -o "workflow=$wf-gone" none "$work/workflow" && faasctl workflow del "$wf-gone" &&
		faasctl status | grep -Fqx "mount    $work/stage: stage \"a\" of workflow \"$wf-gone\", deleted" &&
		faasctl status | grep -Fqx "mount    $work/workflow: workflow \"$wf-gone\", deleted" &&
		member 'd["mounts"][0]["deleted"], d["mounts"][1]["deleted"], d["mounts"][2]["stage"]' '(False, True, None)' \
			faasctl status -j
	local status=$?
	umount "$work/stage" "$work/workflow" && return "$status"
}
check 'a mount of what is deleted is told of' deleted
odd()
{
	local place=$work/odd$'\n\e'x
	mkdir "$place" && mount -t faasin none "$place" &&
		faasctl status | grep -Fqx "mount    $work/odd\\012\\033x: everything" &&
		member 'd["mounts"][1]["point"][-6:]' $'odd\n\ex' faasctl status -j
	local status=$?
	umount "$place"
	return "$status"
}
check 'a mount point that a terminal would obey' odd
mount_says()
{
	! mount -t faasin "$@" >"$work/err" 2>&1 && cat "$work/err"
}
says 'a second mount at the same place is refused' 'already mounted' mount_says none "$point"
says 'a mount of an unknown workflow is refused' 'No such file|no such workflow|does not exist' \
	mount_says -o workflow=nobody none "$work/mnt"
exec 8<>"$point/$wf/a/faasout"
known=
refused 'unmounting while open' 32 "umount: $point: target is busy." umount "$point"
exec 8>&-
known=

# ------------------------------------------------------------------------ privileges

cp "$(command -v faasctl)" "$work/faasctl"
denied='faasctl: not permitted: run this as root of the host (CAP_NET_ADMIN and CAP_SYS_ADMIN)'
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups "$work/faasctl")
for command in "show" "dump" "link $wf c d" "unlink $wf a" "workflow del $wf" "stage add $wf d" monitor; do
	# shellcheck disable=SC2086 # words
	refused "no permission: $command" 2 "$denied" "${nobody[@]}" $command
done
refused 'only one of two capabilities' 2 'faasctl: needs CAP_SYS_ADMIN in the initial user namespace' \
	setpriv --bounding-set=-sys_admin faasctl show
refused 'root of a container' 2 "$denied" unshare -U -r faasctl show
refused 'another network namespace' 2 \
	'faasctl: faasin: the module is loaded but cannot be reached from this network namespace; run this in the host'\''s' \
	unshare -n faasctl link "$wf" c d
says 'status says it to nobody' '^problem  not permitted to ask the module; do: run this as root of the host' \
	"${nobody[@]}" status
says 'status says it elsewhere' '^problem  the module cannot be reached from this network namespace; do: ' \
	unshare -n faasctl status

# -------------------------------------------------------------------------- golden

check 'starts anew' faasctl workflow del "$wf"
check 'a stage with everything' bash -c "faasctl workflow add $wf &&
	faasctl stage add -U 7 -G 8 -m 640 -p errors:out -p more:in $wf a && faasctl link -c 64K -a nonzero -e drain $wf a:errors b"
stream()
{
	printf hello >"$point/$wf/a/errors" && [ "$(cat "$point/$wf/b/faasin")" = hello ] &&
		! bash -c 'printf abc; kill -9 $$' >"$point/$wf/a/errors" 2>/dev/null
}
check 'streams' stream
golden 'show' faasctl show "$wf" <<END
workflow $wf
  generation ~, 2 stages, 1 links, charged to /faasin/$wf
  stage a
    generation ~, owner 7:8, mode 0640, cgroup /faasin/$wf/a
    faasin           in  not linked
    faasout          out not linked
    errors           out to b:faasin, open 0
    more             in  not linked
  stage b
    generation ~, owner 0:0, mode 0666, cgroup /faasin/$wf/b
    faasin           in  from a:errors, open 0
    faasout          out not linked
  a:errors --8 B--> b
    capacity 64K, abort on nonzero, on early close drain
    bytes    8 B in, 5 B out, 0 B dropped, 3 B held (most 5 B), pool ~
    moved    0 B in, 0 B out by reference; copied 8 B in, 5 B out
    calls    2 writes, 1 reads
    wake-ups ~ of readers, ~ of writers, ~ avoided
    blocked  writers ~ in ~ waits, readers ~ in ~ waits
    streams  2 begun, 1 ended, 1 aborted, 0 closed early, 1 queued
    last failure: stream 2: stage a: bash[~] killed by SIGKILL
END
golden 'the picture in UTF-8' bash -c "LC_ALL=C.UTF-8 faasctl show $wf | grep -- ▶" <<END
  a:errors ──8 B──▶ b
END
golden 'workflow show' faasctl workflow show "$wf" <<END
workflow $wf
  generation ~, 2 stages, 1 links, charged to /faasin/$wf
END
golden 'stage show' faasctl stage show "$wf" b <<END
workflow $wf
  stage b
    generation ~, owner 0:0, mode 0666, cgroup /faasin/$wf/b
    faasin           in  from a:errors, open 0
    faasout          out not linked
END
golden 'dump' bash -c "faasctl dump $wf | tr '\t' ' '" <<END
workflow $wf ~ ~ /faasin/$wf - 2 1
stage $wf a ~ ~ /faasin/$wf/a - 7 8 0640
port $wf a faasin in - - 0 0
port $wf a faasout out - - 0 0
port $wf a errors out b faasin 0 1
port $wf a more in - - 0 0
stage $wf b ~ ~ /faasin/$wf/b - 0 0 0666
port $wf b faasin in a errors 0 1
port $wf b faasout out - - 0 0
link $wf a errors b faasin ~ 65536 nonzero drain 8 5 0 3 5 ~ 2 1 ~ ~ ~ ~ ~ ~ ~ 2 1 1 0 1 signal 9 a ~ bash 2 ~ ~ 0 8 0 5 running sealed throttle bytes streams all
END
as_many_columns()
{
	faasctl dump -H "$wf" | awk -F'\t' '{ sub("#", "", $1); if (n[$1] && n[$1] != NF) exit 1; n[$1] = NF }'
}
check 'dump -H names every column' as_many_columns
golden 'status' bash -c 'faasctl status | grep -v "^faasctl  \|^module   "' <<END
mount    $point: everything
cgroup   v2 at $groups
memory   controller available
Everything is in order.
END
check 'status succeeds' faasctl status
for command in show 'show '"$wf" 'workflow show' 'stage show '"$wf"' a' status; do
	# shellcheck disable=SC2086 # words
	check "JSON: $command -j" json faasctl $command -j
done
check 'JSON: a failure' member 'd["workflows"][0]["links"][0]["last_failure"]["code"]' 9 faasctl show -j "$wf"
check 'JSON: a number' member 'd["workflows"][0]["links"][0]["stats"]["bytes_held"]' 3 faasctl show -j "$wf"
check 'JSON: nothing' member 'd["stages"][1]["ports"][1]["peer"]' None faasctl stage show -j "$wf"
check 'JSON: status' member 'd["problems"], d["module"]["abi"] == d["tool"]["abi"], d["cgroup"]["memory"]' \
	"([], True, 'v2')" faasctl status -j

# ------------------------------------------------------------------------- monitor

# listens PID: that monitor, or one that it runs, waits for events
listens()
{
	local pid
	for pid in "$1" $(pgrep -P "$1"); do
		! grep -qs poll "/proc/$pid/wchan" || return 0
	done
	return 1
}

# monitored COMMAND...: what it prints of a workflow that comes and goes
monitored()
{
	faasctl workflow del "$wf" 2>/dev/null
	timeout 20 "$@" >"$work/events" 2>"$work/err" &
	local monitor=$!
	soon listens "$monitor"
	faasctl link "$wf" a b
	printf hello >"$point/$wf/a/faasout"
	head -c 1 "$point/$wf/b/faasin" >/dev/null
	faasctl workflow del "$wf"
	wait "$monitor" || echo "exit status $?"
	cat "$work/events" "$work/err"
}
golden 'monitor' monitored faasctl monitor -n 8 <<END
~ workflow-new $wf
~ stage-new $wf a
~ stage-new $wf b
~ link-new $wf a b
~ stream-begin $wf a b stream 1
~ stream-end $wf a b stream 1: 5 bytes
~ early-close $wf a b stream 1: 4 bytes dropped; stage b: head[~] closed before the end
~ link-del $wf a b
END
monitored faasctl monitor -j -n 3 >"$work/lines"
lines()
{
	python3 -c 'import json, sys
names = [json.loads(line)["event"] for line in sys.stdin]
sys.exit(names != ["workflow-new", "stage-new", "stage-new"])' <"$work/lines"
}
check 'monitor -j prints a document a line' lines
interrupted()
{
	local status=0
	timeout --preserve-status -s INT 1 faasctl monitor || status=$?
	[ "$status" = 0 ]
}
check 'monitor ends well by Ctrl-C' interrupted
# Nobody fetches while it is stopped: the socket's buffer is soon full.
lost()
{
	faasctl monitor >"$work/events" &
	local monitor=$! i
	soon listens "$monitor"
	kill -STOP "$monitor"
	for ((i = 0; i < 900; i++)); do
		: 8<>"$point/$wf/loud/faasout"
	done 2>/dev/null
	kill -CONT "$monitor"
	sleep 1
	kill "$monitor"
	wait "$monitor"
	grep -m 1 '^lost' "$work/events"
}
check 'a workflow with a busy stage' faasctl link "$wf" loud deaf
says 'monitor says that events were lost' '^lost ([0-9]+ )?events: read the state again, with faasctl show$' lost
check 'cleans up' faasctl workflow del "$wf"

# -------------------------------------------------------------------------- scan

refused 'scan without a file' 1 'faasctl: an argument is missing; see: faasctl scan --help' faasctl scan
refused 'scan of nothing' 2 "faasctl: cannot open $work/none: No such file or directory" faasctl scan "$work/none"
refused 'scan of a text' 2 "faasctl: $here/tap.sh is no ELF file: name a program or a shared object" \
	faasctl scan "$here/tap.sh"
head -c 5000 /bin/true >"$work/short"
says 'scan of half a program' "^faasctl: $work/short is cut short: code up to byte [0-9]+, and the file has 5000\$" \
	faasctl scan "$work/short"
check 'scan of a program' faasctl scan /bin/true
check 'scan -j of a program' member 'd' "{'files': [{'file': '/bin/true', 'findings': []}]}" faasctl scan -j /bin/true
# Code as bytes, in a program that is made here.
{
	printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\76\0\1\0\0\0\0\0\0\0\0\0\0\0\100\0\0\0\0\0\0\0'
	printf '\0\0\0\0\0\0\0\0\0\0\0\0\100\0\70\0\1\0\100\0\0\0\0\0'
	printf '\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
	printf '\200\0\0\0\0\0\0\0\200\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0\220\17\1\357\110\17\256\57'
} >"$work/keys"
scan_keys()
{
	faasctl scan "$work/keys" || echo "exit status $?"
}
golden 'scan of code with keys' scan_keys <<END
$work/keys: it asks for stacks that can be executed
$work/keys: 0x79 (byte 121 of the file): WRPKRU: it can give itself every key
$work/keys: 0x7d (byte 125 of the file): XRSTOR: it can give itself every key
exit status 2
END
found_kinds()
{
	faasctl scan -j "$work/keys" | python3 -c 'import json, sys
print(*(f["kind"] for f in json.load(sys.stdin)["files"][0]["findings"]))'
}
says 'scan -j of code with keys' '^executable-stack wrpkru xrstor$' found_kinds

# --------------------------------------------------------------------- no module

unload()
{
	umount "$point" && rmmod faasin
}
check 'unloads' unload
missing='faasctl: faasin: the module is not loaded; run: modprobe faasin'
# Were the module there still, monitor would go on for ever.
for command in show dump monitor "link $wf a b" "unlink $wf a" "workflow add $wf" "workflow del $wf" "workflow show" \
	"stage add $wf a" "stage del $wf a" "stage show"; do
	# shellcheck disable=SC2086 # words
	refused "no module: $command" 2 "$missing" timeout 20 faasctl $command
done
refused 'no module: exec' 125 "$missing" faasctl exec "$wf" a true
refused 'no module: run' 125 "$missing" faasctl run "$wf" 'true | true'
# shellcheck disable=SC2016 # the other shell expands it
golden 'no module: status' bash -c 'faasctl status | grep -v "^faasctl  "; echo "${PIPESTATUS[0]}"' <<END
module   not loaded
mount    none
cgroup   v2 at $groups
memory   controller available
problem  the module is not loaded; do: modprobe faasin
2
END
check 'no module: status -j' member 'd["loaded"], d["module"]' '(False, None)' faasctl status -j
check 'no module: version' faasctl version
check 'no module: help' faasctl help link
load()
{
	insmod "$module" && mount -t faasin none "$point"
}
check 'loads again' load

finish
