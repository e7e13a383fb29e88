# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What each tenant of examples/demo tries to reach of the others and of the host; sourced by it.

: "${state:?}" "${hosting:?}" "${tag:?}" "${log:?}" "${tenants[@]:?}" "${port?}"

# What the tries look for: memory, queues, a socket and a process, of alice's and of the host's.
hold_things() {
  enter_detached alice alice-hold /usr/bin/python3 /srv/probe.py hold "alice-$tag" || return
  setsid nsenter --net="$state/net/host" -- \
    /usr/bin/python3 "$hosting/probe.py" hold "host-$tag" >>"$state/log/host-hold.log" 2>&1 &
  within 20 holds alice && within 20 holds host
}

holds() { # OWNER
  [[ $(probe "$1" <<<"$1 abstract-socket $1-$tag") == *'GOT IT'* ]]
}

probe() { # WHO: the tries on the standard input, done there
  case $1 in
    machine) /usr/bin/python3 "$hosting/probe.py" try ;;
    host | internet) in_network "$1" /usr/bin/python3 "$hosting/probe.py" try ;;
    *) enter "$1" /usr/bin/python3 /srv/probe.py try ;;
  esac
}

pid_of() { pids_of /usr/bin/python3 "*/probe.py hold $1-$tag"; }

inner_pid_of() { awk '/^NSpid:/ { print $NF }' "/proc/$(pid_of "$1")/status"; }

# One line a thing: OWNER KIND WORD... A file or process that its owner calls by another name than
# the rest of the world comes as that for him.
things() { # WHO
  local name
  if [[ $1 == alice ]]; then
    echo "alice process $(inner_pid_of alice) alice-$tag"
  else
    echo "alice process $(pid_of alice) alice-$tag"
  fi
  for name in "${tenants[@]}"; do
    if [[ $1 == "$name" ]]; then
      echo "$name file /home/$name/secret"
      echo "$name unix-socket /srv/http/http.sock"
    else
      echo "$name file $state/home/$name/secret"
      echo "$name unix-socket $state/http/$name/http.sock"
    fi
  done
  echo "alice redis-key alice:visits"
  echo "bob redis-key bob:visits"
  for name in alice host; do
    printf "$name %s $name-$tag\n" \
      any-process sysv-memory posix-memory posix-queue abstract-socket
  done
  echo "host process $(pid_of host) host-$tag"
  echo "host file /etc/shadow"
  for name in /root /home; do echo "host folder $name $(stat -c %d:%i "$name")"; done
  echo "machine web 127.0.0.1 $port"
  things_by_address
}

# What no tenant has, with who has it first: the machine's nginx is not in the host's network, and
# the host reaches its provider's inner one.
things_of_others() {
  things host | sed -n 's/^machine /machine &/p; s/^\(host\|inner\) /host &/p'
}

# All tries of all: WHO, OWNER, THING and RESULT, with tabs between.
try_everything() {
  local who
  for who in machine host; do
    things_of_others | sed -n "s/^$who //p" | probe "$who" | sed 's/^[a-z]*\t/&&/'
  done
  for who in "${tenants[@]}"; do
    things "$who" | probe "$who" | sed "s/^/$who\t/"
  done
}

show_tries() {
  local who owner what result
  try_everything >"$state/tries" 2>"$log"
  say 'what each has, found by the same means as below:'
  while IFS=$'\t' read -r who owner what result; do
    [[ $who == "$owner" ]] || continue
    printf '  %-8s %-56s %s' "$who" "$what" "$result"
    [[ $result == 'GOT IT: '* ]]
    verdict $?
  done <"$state/tries"
  say 'what each tries to reach of the others and of the host:'
  while IFS=$'\t' read -r who owner what result; do
    [[ $who != "$owner" ]] || continue
    printf '  %-8s %-56s %s' "$who" "$owner's $what" "$result"
    [[ $result == 'refused: '* ]]
    verdict $?
  done <"$state/tries"
  expect_tries
}

# Every tenant tries everything, and the others what is their own.
expect_tries() {
  local all own tried
  all=$(things host | wc -l)
  own=$(things_of_others | wc -l)
  tried=$(wc -l <"$state/tries")
  printf '  %d tries of %d' "$tried" $((3 * all + own))
  ((all > own && tried == 3 * all + own))
  verdict $?
}
