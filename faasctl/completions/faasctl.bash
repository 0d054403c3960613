# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# bash completion of faasctl. Names come from `faasctl dump`, which only root can
# ask; for others none are offered. selftests/cli_sync_test.sh compares the options
# with the tool's.

declare -gA _faasctl_options=(
	[link]='-c --capacity -a --abort-on -e --on-early-close -T --trusted -u --uncharged -d --deal -m --merge -r --records -s --slow -x --exclusive'
	[unlink]=''
	[set]='-c --capacity'
	[pause]=''
	[resume]=''
	[drain]='-t --timeout -n --no-wait'
	[replace]='-g --cgroup'
	[workflow]=''
	[workflow add]='-g --cgroup -u --uncharged -x --exclusive'
	[workflow del]=''
	[workflow show]='-j --json'
	[stage]=''
	[stage add]='-g --cgroup -U --uid -G --gid -m --mode -p --port -x --exclusive'
	[stage del]=''
	[stage show]='-j --json'
	[exec]='-f --filter -i --isolation -j --json -T --thread -t --traceparent -w --wait'
	[run]='-c --capacity -a --abort-on -e --on-early-close -T --trusted -u --uncharged -n --names -k --keep'
	[show]='-j --json'
	[dump]='-H --header'
	[graph]='-f --format -i --interval -o --output -w --watch'
	[metrics]='-f --format -l --listen -t --textfile'
	[monitor]='-j --json -n --count'
	[latency]='-d --duration -j --json -s --sum'
	[trace]='-o --output -O --otlp -d --duration -n --count'
	[scan]='-j --json'
	[status]='-j --json'
	[top]='-f --filter -i --interval -j --json -l --latency -o --once -r --reverse -s --sort'
	[usage]='-j --json'
	[version]=''
	[help]=''
)

# _faasctl_names KIND [WORKFLOW]: the workflows, or the stages of one
_faasctl_names()
{
	faasctl dump ${2+"$2"} 2>/dev/null | awk -F'\t' -v kind="$1" '$1 == kind { print kind == "stage" ? $3 : $2 }'
}

# Whether an option of a command is followed by a value.
_faasctl_takes_value()
{
	case $1:$2 in
	monitor:-n | *:-c | *:--capacity | *:-a | *:--abort-on | *:-e | *:--on-early-close | *:-g | *:--cgroup | \
		*:-U | *:--uid | *:-G | *:--gid | *:-m | *:--mode | *:-p | *:--port | exec:-[fiw] | *:--filter | *:--isolation | *:--wait | \
		run:-n | *:--names | *:--count | \
		link:-s | *:--slow | *:--merge | top:-[fis] | *:--filter | *:--interval | *:--sort | \
		graph:-[fio] | *:--format | *:--output | \
		metrics:-[flt] | *:--listen | *:--textfile | \
		drain:-t | *:--timeout | latency:-d | trace:-[dnoO] | *:--duration | *:--otlp) return 0 ;;
	esac
	return 1
}

_faasctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i n=0 workflow='' list
	COMPREPLY=()

	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'link unlink set pause resume drain replace workflow stage exec run show dump graph latency metrics monitor scan status top trace usage version help -h --help --version' -- "$cur")
		return
	fi
	command=${COMP_WORDS[1]}
	i=2
	case $command in
	workflow | stage)
		if [ "$COMP_CWORD" -eq 2 ]; then
			mapfile -t COMPREPLY < <(compgen -W 'add del show -h --help' -- "$cur")
			return
		fi
		command+=" ${COMP_WORDS[2]}"
		i=3
		;;
	esac

	# The arguments so far; a value of an option is none.
	for (( ; i < COMP_CWORD; i++)); do
		if _faasctl_takes_value "$command" "${COMP_WORDS[i]}"; then
			i=$((i + 1))
		elif [[ ${COMP_WORDS[i]} != -* ]]; then
			[ $n -gt 0 ] || workflow=${COMP_WORDS[i]}
			n=$((n + 1))
		fi
	done
	# From here on it is another command's.
	if [ "$command" = exec ] && [ $n -ge 2 ]; then
		[ $n -gt 2 ] || mapfile -t COMPREPLY < <(compgen -c -- "$cur")
		[ $n -le 2 ] || compopt -o default 2>/dev/null
		return
	fi

	if _faasctl_takes_value "$command" "$prev"; then
		case $prev in
		-a | --abort-on) words='crash nonzero never' ;;
		-e | --on-early-close) words='epipe drain' ;;
		-c | --capacity) words='64K 256K 1M 4M 16M' ;;
		-s | --slow | --sort)
			words='link rate fill writer reader residence wakes'
			[ "$command" != link ] || words='throttle drop'
			;;
		-m | --merge) [ "$command" != link ] || words='streams records turn' ;;
		-i | --interval | --isolation)
			words='0.5 1 2 5 10'
			[ "$command" != exec ] || words='careful hostile'
			;;
		--timeout) words='5 10 30 60' ;;
		-w | --wait) words='in out both' ;;
		--filter) words='auto always never' ;;
		-f | --format)
			[ "$command" != exec ] || words='auto always never'
			[ "$command" != graph ] || words='text dot mermaid svg'
			[ "$command" != metrics ] || words='openmetrics prometheus'
			;;
		-o | --output | -O | --otlp)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		-g | --cgroup | -t | --textfile)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -d -- "$cur")
			return
			;;
		esac
	elif [[ $cur == -* ]]; then
		words="${_faasctl_options[$command]-} -h --help"
	elif [ "$command" = help ]; then
		words='link unlink set pause resume drain replace workflow stage exec run show dump graph latency metrics monitor scan status top trace usage version help'
		[ $n -eq 0 ] || words='add del show'
	else
		case $command:$n in
		scan:*)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		metrics:* | monitor:* | status:* | version:*) ;;
		*:0) words=$(_faasctl_names workflow) ;;
		link:* | unlink:* | set:* | pause:* | resume:* | drain:* | 'stage '*:1 | replace:1 | exec:1) words=$(_faasctl_names stage "$workflow") ;;
		esac
	fi
	# Several of a list, separated by commas: what is there stays, and is not offered again.
	if [[ $cur == *,* && $cur != -* ]]; then
		list=${cur%,*},
		# shellcheck disable=SC2086 # words
		[[ -z $words ]] || words=$(printf '%s\n' $words | grep -vxF "${list//,/$'\n'}")
		mapfile -t COMPREPLY < <(compgen -P "$list" -W "$words" -- "${cur##*,}")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _faasctl faasctl
