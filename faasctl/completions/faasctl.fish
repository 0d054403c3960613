# SPDX-License-Identifier: LGPL-2.1-or-later
#
# fish completion of faasctl. Names come from `faasctl dump`, which only root can ask.
# selftests/cli_sync_test.sh compares the options with the tool's.

# The arguments so far, the commands among them.
function __faasctl_arguments
    set -l words (commandline -opc)
    set -l skip
    for word in $words[2..-1]
        if test -n "$skip"
            set skip
        else if test "$word" = -w; and contains -- graph $words
            continue
        else if test "$word" = -o; and contains -- top $words
            continue
        else if test "$word" = -s; and contains -- latency $words
            continue
        else if test "$word" = -n; and contains -- drain $words
            continue
        else if contains -- $word -c --capacity -a --abort-on -e --on-early-close --slow --merge -g --cgroup -U --uid -G --gid -m --mode -p --port -w --wait -n --names --count -f --filter -i --interval -s --sort --format -o --output -l --listen -t --textfile -d --duration -O --otlp --timeout
            set skip yes
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# __faasctl_using COMMAND [COMMAND]: whether this is what is being completed
function __faasctl_using
    set -l words (__faasctl_arguments)
    test "$words[1]" = "$argv[1]"; or return
    test (count $argv) -lt 2; or test "$words[2]" = "$argv[2]"
end

# __faasctl_at N COMMAND [COMMAND]: and N arguments follow it so far
function __faasctl_at
    set -l command $argv[2..-1]
    __faasctl_using $command; and test (count (__faasctl_arguments)) -eq (math (count $command) + $argv[1])
end

function __faasctl_workflows
    faasctl dump 2>/dev/null | string match -r '^workflow\t[^\t]+' | string replace -r '^workflow\t' ''
end

function __faasctl_stages
    set -l words (__faasctl_arguments)
    set -l workflow $words[2]
    contains -- $words[1] stage; and set workflow $words[3]
    # Several, separated by commas: what is there stays, and is not offered again.
    set -l list (commandline -ct | string match -r '.*,')
    for name in (faasctl dump -- "$workflow" 2>/dev/null | string match -r '^stage\t[^\t]+\t[^\t]+' | string replace -r '^stage\t[^\t]+\t' '')
        contains -- $name (string split , -- "$list"); or echo "$list$name"
    end
end

# After exec WORKFLOW STAGE comes a command of its own.
function __faasctl_wraps
    __faasctl_using exec; and test (count (__faasctl_arguments)) -ge 3
end

# Options, -- among them, are skipped without being counted.
function __faasctl_wrapped
    set -l words (commandline -opc)
    set -l skip 0
    set -l left 4
    for word in $words
        test $left -eq 0; and break
        string match -q -- '-*' $word; or set skip (math $skip + 1)
        contains -- $word (__faasctl_arguments) faasctl; and set left (math $left - 1)
    end
    __fish_complete_subcommand --fcs-skip=$skip
end

complete -c faasctl -f
complete -c faasctl -n __faasctl_wraps -x -a '(__faasctl_wrapped)'
complete -c faasctl -s h -l help -d 'Print a summary'
complete -c faasctl -n 'test (count (__faasctl_arguments)) -eq 0' -l version -d 'Print the version'

set -l none 'test (count (__faasctl_arguments)) -eq 0; or __faasctl_at 0 help'
complete -c faasctl -n $none -a link -d 'Link stages in a row and create what is missing'
complete -c faasctl -n $none -a unlink -d 'Delete links: what a stage writes to, or a whole chain'
complete -c faasctl -n $none -a set -d 'Change links that are in use: their capacity'
complete -c faasctl -n $none -a pause -d 'Hold links: no byte goes in or out until they are resumed'
complete -c faasctl -n $none -a resume -d 'Let links go on that are paused or drained'
complete -c faasctl -n $none -a drain -d 'Let links run empty: what there is goes through, nothing new begins'
complete -c faasctl -n $none -a replace -d 'Let others take over a stage, in the middle of its streams'
complete -c faasctl -n $none -a workflow -d 'Create, delete or show workflows'
complete -c faasctl -n $none -a stage -d 'Create, change, delete or show stages'
complete -c faasctl -n $none -a exec -d 'Run a command as a stage, its ports as standard input and output'
complete -c faasctl -n $none -a run -d 'Run a whole pipeline, a stage a command'
complete -c faasctl -n $none -a show -d 'Show workflows, stages, links and what went through them'
complete -c faasctl -n $none -a dump -d 'Print everything, tab-separated, for scripts'
complete -c faasctl -n $none -a graph -d 'Draw workflows: who sends to whom, how much, and where it jams'
complete -c faasctl -n $none -a metrics -d 'Print metrics for Prometheus, or serve them'
complete -c faasctl -n $none -a monitor -d 'Print events as they happen, until Ctrl-C'
complete -c faasctl -n $none -a latency -d 'Show how long bytes, writers and readers wait, as histograms'
complete -c faasctl -n $none -a trace -d 'Record what the stages of a workflow do when, for Perfetto'
complete -c faasctl -n $none -a scan -d 'Look for code that could undo protection keys'
complete -c faasctl -n $none -a status -d 'Tell whether everything is in order, and what to do if not'
complete -c faasctl -n $none -a top -d 'Show what moves through each link, live, and which stage is slow'
complete -c faasctl -n $none -a usage -d 'Tell what each stage used: CPU, bytes, memory over time'
complete -c faasctl -n $none -a version -d 'Print the version'
complete -c faasctl -n $none -a help -d 'List the commands, or explain one'
complete -c faasctl -n '__faasctl_at 0 workflow; or __faasctl_at 0 stage' -a 'add del show'

for command in link unlink set pause resume drain replace exec run show dump top graph usage latency trace
    complete -c faasctl -n "__faasctl_at 0 $command" -a '(__faasctl_workflows)'
end
for command in 'workflow add' 'workflow del' 'workflow show' 'stage add' 'stage del' 'stage show'
    complete -c faasctl -n "__faasctl_at 0 $command" -a '(__faasctl_workflows)'
end
for command in 'stage add' 'stage del' 'stage show' replace exec
    complete -c faasctl -n "__faasctl_at 1 $command" -a '(__faasctl_stages)'
end
for command in link unlink set pause resume drain
    complete -c faasctl -n "__faasctl_using $command; and not __faasctl_at 0 $command" -a '(__faasctl_stages)'
end

for command in link run
    complete -c faasctl -n "__faasctl_using $command" -s c -l capacity -x -a '64K 256K 1M 4M 16M' -d 'Bytes a link holds'
    complete -c faasctl -n "__faasctl_using $command" -s a -l abort-on -x -a 'crash nonzero never' -d 'Which exits of a writer abort'
    complete -c faasctl -n "__faasctl_using $command" -s e -l on-early-close -x -a 'epipe drain' -d 'What a writer meets whose reader left'
    complete -c faasctl -n "__faasctl_using $command" -s T -l trusted -d 'Windows stay mapped: for stages that trust each other'
    complete -c faasctl -n "__faasctl_using $command" -s u -l uncharged -d 'Make a missing workflow one whose memory nobody pays for'
end
complete -c faasctl -n '__faasctl_using set' -s c -l capacity -x -a '64K 256K 1M 4M 16M' -d 'Bytes a link holds'
complete -c faasctl -n '__faasctl_using replace' -s g -l cgroup -x -a '(__fish_complete_directories)' -d 'Whose members take over'
complete -c faasctl -n '__faasctl_using drain' -s n -l no-wait -d 'Do not wait until they are drained'
complete -c faasctl -n '__faasctl_using drain' -s t -l timeout -x -d 'Wait no longer than that, in seconds'
complete -c faasctl -n '__faasctl_using link' -s d -l deal -d 'Records go to the readers in turn, one each'
complete -c faasctl -n '__faasctl_using link' -s m -l merge -x -a 'streams records turn' -d 'How several writers are read'
complete -c faasctl -n '__faasctl_using link' -s r -l records -d 'What one call writes is a record, which is read as one'
complete -c faasctl -n '__faasctl_using link' -s s -l slow -x -a 'throttle drop' -d 'What becomes of a slow one of several readers'
complete -c faasctl -n '__faasctl_using link' -s x -l exclusive -d 'Fail if one of the links exists'
complete -c faasctl -n '__faasctl_using run' -s n -l names -x -d 'Names of the stages'
complete -c faasctl -n '__faasctl_using run' -s k -l keep -d 'Leave the workflow, its links and cgroups in place'
complete -c faasctl -n '__faasctl_using exec' -s f -l filter -x -a 'auto always never' -d 'Whether functions have a filter of system calls'
complete -c faasctl -n '__faasctl_using exec' -s i -l isolation -x -a 'careful hostile' -d 'Whom functions are held off from'
complete -c faasctl -n '__faasctl_using exec' -s j -l json -d 'Say how functions run as JSON'
complete -c faasctl -n '__faasctl_using exec' -s T -l thread -d 'Run functions in domains'
complete -c faasctl -n '__faasctl_using exec' -s t -l traceparent -d 'Wait for the stream and take over its traceparent'
complete -c faasctl -n '__faasctl_using exec' -s w -l wait -x -a 'in out both' -d 'Wait until this is linked'
complete -c faasctl -n '__faasctl_using workflow add' -s g -l cgroup -x -a '(__fish_complete_directories)' -d 'The cgroup that pays'
complete -c faasctl -n '__faasctl_using workflow add' -s u -l uncharged -d 'Let nobody pay for its memory'
complete -c faasctl -n '__faasctl_using workflow add' -s x -l exclusive -d 'Fail if it exists'
complete -c faasctl -n '__faasctl_using workflow show' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using stage add' -s g -l cgroup -x -a '(__fish_complete_directories)' -d 'Whose members may open its ports'
complete -c faasctl -n '__faasctl_using stage add' -s U -l uid -x -d 'Owner of its ports'
complete -c faasctl -n '__faasctl_using stage add' -s G -l gid -x -d 'Group of its ports'
complete -c faasctl -n '__faasctl_using stage add' -s m -l mode -x -d 'Permission bits of its ports, octal'
complete -c faasctl -n '__faasctl_using stage add' -s p -l port -x -d 'A port to have besides faasin and faasout, NAME:in or NAME:out'
complete -c faasctl -n '__faasctl_using stage add' -s x -l exclusive -d 'Fail if it exists'
complete -c faasctl -n '__faasctl_using stage show' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using show' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using dump' -s H -l header -d 'Name the columns'
complete -c faasctl -n '__faasctl_using graph' -s f -l format -x -a 'text dot mermaid svg' -d 'How to draw'
complete -c faasctl -n '__faasctl_using graph' -s i -l interval -x -d 'Show what goes through in that time'
complete -c faasctl -n '__faasctl_using graph' -s o -l output -x -a '(__fish_complete_path)' -d 'Write a file'
complete -c faasctl -n '__faasctl_using graph' -s w -l watch -d 'Again and again'
complete -c faasctl -n '__faasctl_using metrics' -s f -l format -x -a 'openmetrics prometheus' -d 'Of the text'
complete -c faasctl -n '__faasctl_using metrics' -s l -l listen -x -d 'Serve scrapes at [HOST:]PORT'
complete -c faasctl -n '__faasctl_using metrics' -s t -l textfile -x -a '(__fish_complete_directories)' -d 'Write faasin.prom there'
complete -c faasctl -n '__faasctl_using monitor' -s j -l json -d 'Print a JSON document a line'
complete -c faasctl -n '__faasctl_using monitor' -s n -l count -x -d 'Exit after so many events'
complete -c faasctl -n '__faasctl_using latency' -s d -l duration -x -d 'End after so long, in seconds'
complete -c faasctl -n '__faasctl_using latency' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using latency' -s s -l sum -d 'Add up the links of each workflow'
complete -c faasctl -n '__faasctl_using trace' -s o -l output -x -a '(__fish_complete_path (commandline -ct))' -d 'Where to write the trace'
complete -c faasctl -n '__faasctl_using trace' -s O -l otlp -x -a '(__fish_complete_path (commandline -ct))' -d 'Where to write the streams as spans'
complete -c faasctl -n '__faasctl_using trace' -s d -l duration -x -d 'End after so long, in seconds'
complete -c faasctl -n '__faasctl_using trace' -s n -l count -x -d 'End after so many marks'
complete -c faasctl -n '__faasctl_using scan' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using scan' -F
complete -c faasctl -n '__faasctl_using status' -s j -l json -d 'Print JSON'
complete -c faasctl -n '__faasctl_using top' -s f -l filter -x -d 'Only links with this in the name of workflow or stage'
complete -c faasctl -n '__faasctl_using top' -s i -l interval -x -a '0.5 1 2 5 10' -d 'Seconds between two readings'
complete -c faasctl -n '__faasctl_using top' -s j -l json -d 'Print JSON, once'
complete -c faasctl -n '__faasctl_using top' -s l -l latency -d 'Measure how long bytes stay, with BPF: p50, p99, histogram'
complete -c faasctl -n '__faasctl_using top' -s o -l once -d 'Print one table and exit'
complete -c faasctl -n '__faasctl_using top' -s r -l reverse -d 'Sort the other way round'
complete -c faasctl -n '__faasctl_using top' -s s -l sort -x -a 'link rate fill writer reader residence p50 p99 wakes' -d 'Sort by'
complete -c faasctl -n '__faasctl_using usage' -s j -l json -d 'Print JSON'
