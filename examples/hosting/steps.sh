# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The steps of examples/demo; sourced by it, which sets $root and $state.

: "${root:?}" "${state:?}"
hosting=$root/examples/hosting
build=$root/build/demo
log=$root/build/log/demo.log
sbx=(nsenter "--net=$state/net/host" -- "$build/tools/sbx-run/sbx-run"
  --run-dir "$state/run" --state-dir "$state/state")
tag=$(($(cksum <<<"$state" | cut -d ' ' -f 1) % 10000)) # tells the things of two demos apart
tenants=(alice bob carol)
# shellcheck disable=SC2034
demo_packages=(
  beanstalkd curl iproute2 memcached nftables nginx-light redis-server
  python3-redis libredis-perl ruby-rack
  uwsgi-core uwsgi-plugin-python3 uwsgi-plugin-psgi uwsgi-plugin-rack-ruby3.1
)

# --- saying what happens -------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

die() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}

tick() { # LABEL: says from time to time that it is still at work, until SIGTERM
  local seconds=2 nap=
  trap 'kill "$nap" 2>/dev/null; exit' TERM
  for (( ; ; )); do
    sleep "$seconds" >/dev/null 2>&1 &
    nap=$!
    wait "$nap"
    say "  ... $1, $SECONDS s"
    seconds=10
  done
}

ticker= # of the step that is under way
stop_ticker() {
  [[ -n $ticker ]] || return 0
  kill "$ticker"
  wait "$ticker" 2>/dev/null
  ticker=
}

step() { # LABEL COMMAND...
  local label=$1 status
  shift
  SECONDS=0
  tick "$label" &
  ticker=$!
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  stop_ticker
  if ((status == 0)); then
    say "$label: done"
  else
    tail -n 40 "$log" | sed 's/^/  | /'
    die "$label: failed, status $status (all of it: $log)"
  fi
}

within() { # SECONDS COMMAND...: for facts that no event tells of
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS > deadline)); then
      echo "not true in time: $*"
      return 1
    fi
    sleep 0.05
  done
}

held=0
failed=0
verdict() { # STATUS: counts one assertion, and adds its mark to the line
  if (($1 == 0)); then
    held=$((held + 1))
    echo
  else
    failed=$((failed + 1))
    echo '   <-- NOT AS IT MUST BE'
  fi
}

# --- building ------------------------------------------------------------------------------------

build_all() {
  unset CC CXX CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR
  if [[ ! -e $build/build.ninja ]]; then
    rm -rf "$build"
    CXX=g++ meson setup -Dtests=false -Dman=false --buildtype=release "$build" "$root" || return
  fi
  ninja -C "$build"
}

# --- bringing it up ------------------------------------------------------------------------------

make_state() {
  mkdir "$state" && touch "$state/.sandbox-demo" && chmod 711 "$state" &&
    mkdir -m 711 "$state/home" "$state/http" "$state/nginx" "$state/nginx/tmp" &&
    mkdir -m 700 "$state/log"
}

# A home that is the tenant's alone, and a folder for his socket that the front may enter, too.
# Inside they belong to the tenant's user; here to a number that nobody has.
make_folders() { # NAME UID
  install -d -m 700 -o "$2" -g "$2" "$state/home/$1" &&
    install -d -m 710 -o "$2" -g www-data "$state/http/$1" &&
    install -m 600 -o "$2" -g "$2" "$hosting/$1"/* "$state/home/$1" &&
    install -m 600 -o "$2" -g "$2" /dev/stdin "$state/home/$1/secret" <<<"a secret of $1"
}

start_tenant() { # NAME UID UWSGI-OPTION...
  make_folders "$1" "$2" || return
  if ! run_uwsgi "$1" "${@:3}" || ! within 20 test -e "$state/http/$1/ready"; then
    tail -n 30 "$state/log/$1.log"
    return 1
  fi
}

run_uwsgi() { # NAME UWSGI-OPTION...
  local -a network
  mapfile -t network < <(network_options "$1")
  "${sbx[@]}" --name "$1" --hostname "$1" --detach --memory 192M --cpus 0.5 --pids 64 \
    "${network[@]}" --report "$state/log/$1.json" \
    --bind "$state/home/$1:/home/$1" --workdir "/home/$1" \
    --bind "$state/http/$1:/srv/http" --ro-bind "$hosting/probe.py:/srv/probe.py" \
    --ro-bind "$hosting/hog.py:/srv/hog.py" -- \
    uwsgi --master --die-on-term --processes 2 --need-app \
    --socket /srv/http/http.sock --chmod-socket=660 \
    --hook-accepting1-once 'write:/srv/http/ready yes' "${@:2}" >>"$state/log/$1.log" 2>&1
}

enter() { "${sbx[@]}" --enter "$1" -- "${@:2}"; }

enter_detached() { # NAME LOG COMMAND...
  "${sbx[@]}" --enter "$1" --detach -- "${@:3}" >>"$state/log/$2.log" 2>&1
}

start_alice() {
  start_tenant alice 30001 --plugin python3 --wsgi-file app.py && start_services alice
}

start_bob() { start_tenant bob 30002 --plugin psgi --psgi app.psgi && start_services bob; }

start_carol() {
  start_tenant carol 30003 --plugin rack --rack config.ru && start_service carol memcached
}

start_services() { # NAME
  start_service "$1" redis && start_service "$1" memcached && start_service "$1" beanstalkd
}

start_tenants() { start_alice && start_bob && start_carol && read_addresses; }

# A tenant may put a link in place of his socket. In the front's own view of these folders links
# lead nowhere.
start_nginx() {
  sed -e "s|@PORT@|$port|" -e "s|@HTTP@|$state/http|" \
    "$hosting/nginx.conf.in" >"$state/nginx/nginx.conf" || return
  # shellcheck disable=SC2016
  unshare --mount --propagation slave -- sh -c '
    mount --bind "$1/http" "$1/http" && mount -o remount,bind,nosymfollow "$1/http" &&
    exec nginx -p "$1/nginx" -e error.log -c nginx.conf' sh "$state"
}

choose_port() {
  for port in {8080..8179} none; do
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  [[ $port != none ]]
}

# --- showing it ----------------------------------------------------------------------------------

request() { # HOST-NAME CURL-OPTION...
  curl --silent --show-error --noproxy '*' --max-time 20 --resolve "$1:$port:127.0.0.1" \
    "${@:2}" "http://$1:$port/" 2>&1
}

status_of() { request "$1" --output /dev/null --write-out '%{http_code}'; }

ask() { # NAME PATTERN: the answer must match
  local answer
  answer=$(request "$1.example" --fail)
  printf '  %-15s %s' "$1.example" "$answer"
  [[ $answer =~ ^$2$ ]]
  verdict $?
}

ask_all() { # VISIT-OF-ALICE VISIT-OF-BOB
  ask alice "alice, WSGI on Python [0-9.]+: visit $1"
  ask bob "bob, PSGI on Perl [0-9.]+: visit $2"
  ask carol 'carol, Rack on Ruby [0-9.]+'
}

show_answers() {
  say "what the front on 127.0.0.1:$port answers:"
  ask_all 1 1
  ask_all 2 2
  ask alice 'alice, .*: visit 3'
  local status
  status=$(status_of nobody.example)
  printf '  %-15s %s' nobody.example "status $status"
  [[ $status == 404 ]]
  verdict $?
}

# carol puts a link to alice's socket in place of her own: whoever follows it is at alice's.
show_link() {
  local status result
  say 'what the front does when carol puts a link to a socket of another in place of hers:'
  # shellcheck disable=SC2016
  enter carol sh -c 'cd /srv/http && mv http.sock own.sock && ln -s "$1" http.sock' \
    sh "$state/http/alice/http.sock"
  result=$(probe host <<<"host unix-socket $state/http/carol/http.sock" | cut -f 3)
  printf '  %-65s %s' 'the host follows it by hand' "$result"
  [[ $result == 'GOT IT: connected' ]]
  verdict $?

  status=$(status_of carol.example)
  result=$(tail -n 1 "$state/nginx/error.log" | grep -oE 'failed \(40: [^)]*')
  printf '  %-65s %s' "nginx (status $status)" "refused: ${result#*: }"
  [[ $status == 502 && -n $result ]]
  verdict $?
  enter carol mv -f /srv/http/own.sock /srv/http/http.sock
}

# While bob takes all that he can get of one thing, the others go on.
show_limit() { # THING STATUS PATTERN
  local hog status said
  enter bob /usr/bin/python3 /srv/hog.py "$1" >"$state/hog" 2>"$log" &
  hog=$!
  ask alice 'alice, WSGI .*'
  ask carol 'carol, Rack .*'
  wait "$hog"
  status=$?
  said="status $status $(cat "$state/hog")"
  printf '  bob, all of the %-14s %s' "$1" "$said"
  [[ $status == "$2" && $said =~ ^"status $2 "$3$ ]]
  verdict $?
}

show_limits() {
  say 'what bob gets of his 192 MiB, 64 processes and half a processor, and what the others say then:'
  show_limit memory 137 ''
  show_limit processes 0 '[34][0-9] more, and then: .*'
  show_limit processor 0 '0\.(4[0-9]|5[0-3]) of a processor'
}

show_after() {
  say 'what the front answers after all this:'
  ask_all "$@"
}

# --- taking it down ------------------------------------------------------------------------------

pids_of() { # PROGRAM ARGUMENTS: patterns of the first word of a command line, and of the others
  local file words
  for file in /proc/[0-9]*/cmdline; do
    mapfile -d '' -t words <"$file" || continue
    # shellcheck disable=SC2053
    if [[ ${words[0]-} == $1 && "${words[*]:1}" == $2 ]]; then basename "${file%/cmdline}"; fi
  done 2>/dev/null
}

# Everything that this demo has started on the host. What runs inside the sandboxes ends with the
# sbx-run that holds it.
started_pids() {
  pids_of "nginx: master process *$state/nginx *" '*'
  sandbox_pids
  pids_of /usr/bin/python3 "*/probe.py hold host-$tag"
  server_pids
}

# Those that hold the tenants, and those that have started what else runs inside.
sandbox_pids() { pids_of '*/sbx-run' "--run-dir $state/run *"; }
no_sandboxes() { [[ -z $(sandbox_pids) ]]; }

stop_tenants() {
  local name pids
  for name in "${tenants[@]}"; do
    mapfile -t pids < <(pids_of '*/sbx-run' "--run-dir $state/run *--name $name *")
    kill -TERM "${pids[@]}" && rm -f "$state/http/$name/ready" || return
  done
  within 20 no_sandboxes
}

none_started() { [[ -z $(started_pids) ]]; }

take_down() {
  local pids
  mapfile -t pids < <(started_pids)
  ((${#pids[@]} == 0)) || kill -TERM "${pids[@]}" 2>/dev/null
  if ! within 10 none_started; then
    mapfile -t pids < <(started_pids)
    kill -KILL "${pids[@]}" 2>/dev/null
    within 10 none_started
  fi
  /usr/bin/python3 "$hosting/probe.py" drop "host-$tag"
  drop_networks
  rm -rf --one-file-system "$state"
}

# Prints what is left of it: processes, mounts in any of them, sockets, shared memory, files.
leftovers() {
  local pid place=/${state##*/}
  for pid in $(started_pids); do echo "process $pid"; done
  for pid in ${strangers-}; do echo "process $pid in a network of the demo's"; done
  grep -lsE -- "$place/(home|http|net)" /proc/[0-9]*/mountinfo | sed 's/^/mount in /'
  grep -F -e "$state/" -e "-$tag" /proc/net/unix | sed 's/^/socket /'
  things_of_host | probe machine | grep 'GOT IT'
  if [[ -e $state ]]; then echo "file $state"; fi
}

things_of_host() {
  printf "host %s host-$tag\n" any-process sysv-memory posix-memory posix-queue abstract-socket
}

show_nothing_left() {
  local left
  left=$(leftovers)
  printf 'what is left of it: %s' "${left:-nothing}"
  [[ -z $left ]]
  verdict $?
}
