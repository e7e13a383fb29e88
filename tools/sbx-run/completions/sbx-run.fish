# SPDX-License-Identifier: Apache-2.0
#
# Completion of sbx-run for fish.

set -g __sbx_run_valued rootfs bind ro-bind tmpfs user hostname workdir userns env keep-env memory \
    swap cpus cpu-weight cpuset pids timeout cpu-time rlimit io-read io-write net publish allow deny \
    pool rate seccomp cap-add cap-drop name enter config report run-dir state-dir log-dir

set -g __sbx_run_capabilities chown dac_override dac_read_search fowner fsetid kill setgid setuid \
    setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner \
    sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource \
    sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin \
    syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore

set -g __sbx_run_rlimits as core cpu data fsize locks memlock msgqueue nice nofile nproc rss \
    rtprio rttime sigpending stack

# Prints the words from the command on, the one at the cursor included; false while there are none.
function __sbx_run_rest
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    while set -q words[2]
        set -l word $words[1]
        switch $word
            case --
                set -e words[1]
                printf "%s\n" $words
                return 0
            case --overlay
                # The next word is the flag's when it is a directory, or when "--" comes after it.
                set -e words[1]
                if set -q words[2]; and not string match -q -- '-*' $words[1]
                    if test -d "$words[1]"; or test "$words[2]" = --
                        set -e words[1]
                    end
                end
            case '-*'
                set -e words[1]
                if contains -- (string sub -s 3 -- $word) $__sbx_run_valued
                    set -q words[2]; or return 1
                    set -e words[1]
                end
            case '*'
                printf "%s\n" $words
                return 0
        end
    end
    string match -q -- '-*' "$words[1]"; and return 1
    printf "%s\n" $words
end

function __sbx_run_options
    not __sbx_run_rest >/dev/null
end

function __sbx_run_command
    set -l words (__sbx_run_rest)
    and __fish_complete_subcommand --commandline $words
end

function __sbx_run_running
    set -l directory $SBX_RUN_DIR
    set -l words (commandline -opc)
    for i in (seq (count $words))
        switch $words[$i]
            case --run-dir
                set -q words[(math $i + 1)]; and set directory $words[(math $i + 1)]
            case '--run-dir=*'
                set directory (string replace -- --run-dir= '' $words[$i])
        end
    end
    if test -z "$directory"
        if test (id -u) = 0
            set directory /run/sandbox
        else
            set directory $XDG_RUNTIME_DIR/sandbox
        end
    end
    for socket in $directory/*/init.sock
        path basename (path dirname -- $socket)
    end
end

function __sbx_run_flag
    complete -c sbx-run -n __sbx_run_options $argv
end

complete -c sbx-run -f
complete -c sbx-run -n 'not __sbx_run_options' -a '(__sbx_run_command)'

__sbx_run_flag -l rootfs -x -a '(__fish_complete_directories)' -d 'Make a directory the root'
__sbx_run_flag -l bind -r -F -d 'Show SRC[:DST] inside, writable'
__sbx_run_flag -l ro-bind -r -F -d 'Show SRC[:DST] inside, read-only'
__sbx_run_flag -l tmpfs -x -a '(__fish_complete_directories)' -d 'An empty place in memory'
__sbx_run_flag -l overlay -d 'A writable layer, thrown away, or kept in =DIR'

__sbx_run_flag -l user -x -a 'sandbox root (__fish_complete_users)' -d 'Who the command is inside'
__sbx_run_flag -l hostname -x -d 'The name of the machine'
__sbx_run_flag -l workdir -x -a '(__fish_complete_directories)' -d 'Start in a directory'
__sbx_run_flag -l userns -x -a 'auto host' -d 'Ids inside and outside'
__sbx_run_flag -l env -x -a '(set --names -x)=' -d 'Set a variable'
__sbx_run_flag -l keep-env -x -a '(set --names -x)' -d 'Keep a variable of the caller'

__sbx_run_flag -l memory -x -d 'Most memory of all together'
__sbx_run_flag -l swap -x -d 'Most swap besides'
__sbx_run_flag -l cpus -x -d 'Most processor time, 0.5 for half of one'
__sbx_run_flag -l cpu-weight -x -d 'Share of busy processors'
__sbx_run_flag -l cpuset -x -d 'The processors to run on'
__sbx_run_flag -l pids -x -d 'Most processes and threads'
__sbx_run_flag -l timeout -x -d 'Kill everything after a time'
__sbx_run_flag -l cpu-time -x -d 'Kill everything after a time of processor time'
__sbx_run_flag -l rlimit -x -a '$__sbx_run_rlimits=' -d 'A limit of each process'
__sbx_run_flag -l io-read -x -d 'Most to read a second'
__sbx_run_flag -l io-write -x -d 'Most to write a second'
__sbx_run_flag -l ksm -d 'Merge equal memory with other sandboxes'
__sbx_run_flag -a --ksm=deep -d 'The same, without address randomisation'

__sbx_run_flag -l net -x -a 'none host user routed bridge' -d 'The network that the command sees'
__sbx_run_flag -l publish -x -d 'Let a port of the host lead inside'
__sbx_run_flag -l allow -x -d 'Let it connect there'
__sbx_run_flag -l deny -x -d 'Let it not connect there'
__sbx_run_flag -l pool -x -d 'Give addresses of this block away'
__sbx_run_flag -l rate -x -d 'Most to send and to receive in a second'

__sbx_run_flag -l seccomp -r -F -k -a 'default strict none' -d 'The filter of system calls'
__sbx_run_flag -l cap-add -x -a '$__sbx_run_capabilities' -d 'Give a capability'
__sbx_run_flag -l cap-drop -x -a 'all $__sbx_run_capabilities' -d 'Take a capability away'
__sbx_run_flag -l allow-new-privs -d 'Do not set no_new_privs'

__sbx_run_flag -l name -x -d 'Let others find the sandbox by a name'
__sbx_run_flag -l enter -x -a '(__sbx_run_running)' -d 'Run the command in a running sandbox'
__sbx_run_flag -l config -r -F -d 'Read a vassal file first'
__sbx_run_flag -l report -r -F -a fd: -d 'Write how it ended, as one JSON object'
__sbx_run_flag -l run-dir -x -a '(__fish_complete_directories)' -d 'Where names are kept'
__sbx_run_flag -l state-dir -x -a '(__fish_complete_directories)' -d 'The directory of what outlasts a sandbox'
__sbx_run_flag -l log-dir -x -a '(__fish_complete_directories)' -d 'Not used'
__sbx_run_flag -l detach -d 'Go on in the background once the command runs'
__sbx_run_flag -l tty -d 'Put the command on a terminal of its own'
__sbx_run_flag -l init -d 'A tiny init is process 1 (default)'
__sbx_run_flag -l no-init -d 'The command itself is process 1'
__sbx_run_flag -l dry-run -d 'Say what would be done, and do nothing'
__sbx_run_flag -l verbose -d 'Say what is done'

__sbx_run_flag -l help -d 'Print the help and exit'
__sbx_run_flag -l version -d 'Print the version and exit'

functions -e __sbx_run_flag
