# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion of sbx-run for bash. Where the package bash-completion is loaded, the command inside is
# completed as it would be outside; elsewhere by the names of files.

_sbx_run_switches='--overlay --ksm --ksm=deep --allow-new-privs --detach --tty --init --no-init
  --dry-run --verbose --help --version'

_sbx_run_flags='--rootfs --bind --ro-bind --tmpfs --user --hostname --workdir --userns --env
  --keep-env --memory --swap --cpus --cpu-weight --cpuset --pids --timeout --cpu-time --rlimit
  --io-read --io-write --net --publish --allow --deny --pool --rate --seccomp --cap-add --cap-drop --name --enter
  --config --report --run-dir --state-dir --log-dir'

_sbx_run_capabilities='chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap
  linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module
  sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time
  sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog
  wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'

_sbx_run_rlimits='as= core= cpu= data= fsize= locks= memlock= msgqueue= nice= nofile= nproc= rss=
  rtprio= rttime= sigpending= stack='

# Puts the words before the cursor into `words` as they were typed, and where each begins in
# COMP_WORDS into `starts`: bash breaks words at ':' and '=', too.
_sbx_run_split() {
  local rest=${COMP_LINE:0:COMP_POINT} i blank word
  for ((i = 0; i <= COMP_CWORD; i++)); do
    blank=${rest%%[![:space:]]*}
    rest=${rest#"$blank"}
    word=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then word=$rest; fi
    rest=${rest#"$word"}
    if ((i == 0)) || [[ -n $blank ]]; then
      words+=("$word")
      starts+=("$i")
    else
      words[-1]+=$word
    fi
  done
}

# Finds out what the last of `words` is: the value of `flag`, part of the command, which begins at
# `words[command]`, or else an option. Sets `run_dir` on the way.
_sbx_run_locate() {
  local last=$((${#words[@]} - 1)) i word
  for ((i = 1; i < last; i++)); do
    word=${words[i]}
    case $word in
      --)
        command=$((i + 1))
        return
        ;;
      --run-dir=*) run_dir=${word#*=} ;;
      --overlay)
        # The next word is the flag's when it is a directory, or when "--" comes after it.
        word=${words[i + 1]}
        if ((i + 1 < last)) && [[ $word != -* ]] && [[ -d $word || ${words[i + 2]} == -- ]]; then
          ((i++))
        fi
        ;;
      -*)
        [[ " $_sbx_run_flags " == *[[:space:]]"$word"[[:space:]]* ]] || continue
        if ((++i == last)); then
          flag=$word
          return
        fi
        if [[ $word == --run-dir ]]; then run_dir=${words[i]}; fi
        ;;
      *)
        command=$i
        return
        ;;
    esac
  done
  if [[ $cur == --*=* ]]; then
    flag=${cur%%=*}
    value=${cur#*=}
  elif [[ $cur != -* ]]; then
    command=$last
  fi
}

_sbx_run_words() { # WORDS
  local found
  mapfile -t found < <(compgen -W "$1" -- "$value")
  COMPREPLY+=("${found[@]}")
}

_sbx_run_paths() { # -f for files, -d for directories
  local found path=${value//\\/}
  mapfile -t found < <(compgen "$1" -- "${path#[\"\']}")
  COMPREPLY+=("${found[@]}")
  compopt -o filenames 2>/dev/null
}

_sbx_run_running() {
  local directory=$run_dir socket names=
  if [[ -z $directory ]]; then directory=${SBX_RUN_DIR-}; fi
  if [[ -z $directory ]]; then
    if ((EUID == 0)); then directory=/run/sandbox; else directory=${XDG_RUNTIME_DIR-}/sandbox; fi
  fi
  for socket in "$directory"/*/init.sock; do
    [[ -e $socket ]] || continue
    socket=${socket%/init.sock}
    names+=" ${socket##*/}"
  done
  _sbx_run_words "$names"
}

# Completes `value` of `flag`.
_sbx_run_value() {
  case $flag in
    --net) _sbx_run_words 'none host user routed bridge' ;;
    --userns) _sbx_run_words 'auto host' ;;
    --ksm) _sbx_run_words 'deep' ;;
    --seccomp)
      _sbx_run_words 'default strict none'
      _sbx_run_paths -f
      ;;
    --user) _sbx_run_words "sandbox $(compgen -u -- "$value")" ;;
    --cap-add) _sbx_run_words "$_sbx_run_capabilities" ;;
    --cap-drop) _sbx_run_words "all $_sbx_run_capabilities" ;;
    --rlimit)
      _sbx_run_words "$_sbx_run_rlimits"
      compopt -o nospace 2>/dev/null
      ;;
    --env)
      _sbx_run_words "$(compgen -e -S =)"
      compopt -o nospace 2>/dev/null
      ;;
    --keep-env) _sbx_run_words "$(compgen -e)" ;;
    --enter) _sbx_run_running ;;
    --rootfs | --workdir | --run-dir | --state-dir | --log-dir | --overlay | --tmpfs)
      _sbx_run_paths -d
      ;;
    --bind | --ro-bind)
      value=${value##*:} # SRC, or DST behind it
      _sbx_run_paths -f
      ;;
    --config) _sbx_run_paths -f ;;
    --report)
      _sbx_run_words 'fd:'
      _sbx_run_paths -f
      ;;
  esac
}

_sbx_run_command() {
  local offset=${starts[command]}
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$offset"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$offset"
  elif ((command == ${#words[@]} - 1)); then
    value=$cur
    _sbx_run_words "$(compgen -c -- "$cur" | sort -u)"
    _sbx_run_paths -d
  else
    value=$cur
    _sbx_run_paths -f
  fi
}

_sbx_run() {
  local -a words=() starts=()
  _sbx_run_split
  local cur=${words[-1]} flag='' value=${words[-1]} command='' run_dir=''
  COMPREPLY=()
  _sbx_run_locate
  if [[ -n $command ]]; then
    _sbx_run_command
    return
  fi

  if [[ -n $flag ]]; then
    _sbx_run_value
  else
    _sbx_run_words "$_sbx_run_switches $_sbx_run_flags"
  fi
  # Bash replaces only what comes after the last break of the word.
  local breaks=${COMP_WORDBREAKS//[!:=]/} kept=
  if [[ -n $breaks && $cur == *["$breaks"]* ]]; then kept=${cur%"${cur##*["$breaks"]}"}; fi
  COMPREPLY=("${COMPREPLY[@]/#/"${cur%"$value"}"}")
  COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _sbx_run sbx-run
