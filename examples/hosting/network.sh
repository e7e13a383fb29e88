# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The networks of examples/demo, and what it shows of them; sourced by it, after steps.sh.
#
# Two network namespaces of its own, so that no demo touches the machine's network or needs an
# internet. The tenants' host is `host`; `internet` plays all that lies behind its way out:
#
#   alice, bob, carol --- host --- internet 203.0.113.80 and 2001:db8:80::80
#                                  inner    10.98.7.6, fd98::7:6 and 169.254.169.254

: "${state:?}" "${hosting:?}" "${tag:?}" "${log:?}" "${tenants[@]:?}"
host4=198.51.100.2 host6=2001:db8::2
internet4=203.0.113.80 internet6=2001:db8:80::80
inner4=10.98.7.6 inner6=fd98::7:6 metadata4=169.254.169.254
service_port=7000   # of the host's own, for nobody but the host
published_port=8022 # of the host's, leads to carol's memcached

declare -A port_of=([redis]=6379 [memcached]=11211 [beanstalkd]=11300)
declare -A address4 address6 # of each tenant
declare -a gateways          # the host's addresses for tenants

# --- making it -----------------------------------------------------------------------------------

in_network() { nsenter --net="$state/net/$1" -- "${@:2}"; } # NETWORK COMMAND...

make_networks() {
  local network
  mkdir -m 700 "$state/net" || return
  for network in host internet; do
    touch "$state/net/$network" && unshare --net="$state/net/$network" true || return
    in_network "$network" ip link set lo up || return
  done
  in_network host ip link add up0 type veth peer name world netns "$state/net/internet" &&
    connect_host && connect_internet &&
    network_of_host >"$state/net/before" &&
    serve internet 80 5432 && serve host "$service_port" &&
    within 10 answers_web host "$internet4" && within 10 answers_web host "[$internet6]"
}

connect_host() {
  in_network host ip -batch - <<EOF
address add $host4/24 dev up0
address add $host6/64 dev up0 nodad
link set up0 up
route add default via 198.51.100.1
route add 10.98.0.0/16 via 198.51.100.1
route add default via 2001:db8::1 dev up0
EOF
}

connect_internet() {
  in_network internet ip -batch - <<EOF
address add 198.51.100.1/24 dev world
address add 2001:db8::1/64 dev world nodad
link set world up
address add $internet4 dev lo
address add $internet6 dev lo nodad
address add $inner4 dev lo
address add $inner6 dev lo nodad
address add $metadata4 dev lo
EOF
}

serve() { # NETWORK PORT...
  setsid nsenter --net="$state/net/$1" -- \
    /usr/bin/python3 "$hosting/server.py" "$1-$tag" "${@:2}" >>"$state/log/$1.log" 2>&1 &
}

answers_web() { # NETWORK ADDRESS
  in_network "$1" curl --silent --noproxy '*' --max-time 2 --output /dev/null "http://$2/"
}

# Links, addresses, routes, tables and settings, without what passes by itself.
network_of_host() {
  in_network host sh -c '
    ip -oneline link | sed "s/ state [A-Z]*//"
    ip -oneline address | grep -v " fe80:" | sed "s/_lft .*//"
    ip -4 route show table all; ip -6 route show table all | grep -v "[ :]fe80:\|ff00:"
    nft list tables; cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding'
}

network_options() { # NAME: one a line
  case $1 in
    bob) printf '%s\n' --net bridge ;;
    carol) printf '%s\n' --net routed --publish "$published_port:${port_of[memcached]}" ;;
    *) printf '%s\n' --net routed ;;
  esac
}

# Each listens on all addresses of its sandbox, on its usual port.
start_service() { # NAME SERVICE
  local -a command
  case $2 in
    redis) command=(redis-server --bind '*' '-::*' --protected-mode no --save '' --dir /tmp) ;;
    memcached) command=(memcached --listen '0.0.0.0,::' --threads 1 --memory-limit 32) ;;
    beanstalkd) command=(beanstalkd -l ::) ;;
  esac
  enter_detached "$1" "$1-$2" "${command[@]}" &&
    within 20 enter "$1" /usr/bin/python3 /srv/probe.py own "$1" "$2" "${port_of[$2]}"
}

read_addresses() {
  local name address
  for name in "${tenants[@]}"; do
    for address in $(enter "$name" ip -brief address show dev eth0); do
      case $address in
        *.*.*.*/32) address4[$name]=${address%/*} ;;
        *:*/128) address6[$name]=${address%/*} ;;
      esac
    done
    echo "$name: ${address4[$name]-} ${address6[$name]-}"
    [[ -n ${address4[$name]-} && -n ${address6[$name]-} ]] || return
  done
  mapfile -t gateways < <(in_network host ip -brief address show dev lo | tr ' ' '\n' |
    sed -n '\#^127\.\|^::1/#d; s#/\(32\|128\)$##p')
  echo "gateways: ${gateways[*]}"
  ((${#gateways[@]} == 2))
}

# --- showing it ----------------------------------------------------------------------------------

# What is looked for by address, a line a thing as in `things`: services of tenants, of the host and
# of the provider's inner network.
things_by_address() {
  local name service address
  for name in "${tenants[@]}"; do
    for service in redis memcached beanstalkd; do
      [[ $name != carol || $service == memcached ]] || continue
      for address in 127.0.0.1 "${address4[$name]}" "${address6[$name]}"; do
        echo "$name $service $address ${port_of[$service]} $name"
      done
    done
  done
  for address in 127.0.0.1 ::1 "$host4" "$host6" "${gateways[@]}"; do
    echo "host web $address $service_port"
  done
  for address in "$inner4" "$inner6"; do echo "inner web $address 5432"; done
  echo "inner web $metadata4 80"
}

show_probe() { # WHO PATTERN THING...: tries one thing, and its result must match
  local owner what result
  IFS=$'\t' read -r owner what result < <(probe "$1" <<<"${*:3}")
  printf '  %-8s %-56s %s' "$1" "$owner's $what" "$result"
  # shellcheck disable=SC2053 # it is a pattern
  [[ $result == $2 ]]
  verdict $?
}

show_internet() {
  local name address
  say 'what each finds on the internet:'
  for name in "${tenants[@]}"; do
    show_probe "$name" "GOT IT: you come from $host4" internet web "$internet4" 80
    show_probe "$name" "GOT IT: you come from $host6" internet web "$internet6" 80
  done
}

show_published() {
  local who address
  say "who reaches the host's port $published_port, as which carol publishes her memcached:"
  for who in internet host alice bob; do
    for address in "$host4" "$host6"; do
      show_probe "$who" "GOT IT: it is carol's" carol memcached "$address" "$published_port" carol
    done
  done
  for address in 127.0.0.1 ::1; do
    show_probe host "GOT IT: it is carol's" carol memcached "$address" "$published_port" carol
  done
  for address in "$host4" "$host6"; do
    show_probe internet 'refused: *' carol memcached "$address" "${port_of[memcached]}" carol
  done
}

mib=$((1 << 20))
declare -A uploads=([alice]=$((16 * mib)) [bob]=$((8 * mib)) [carol]=$((4 * mib)))
declare -A downloads=([alice]=$((8 * mib)) [bob]=$((24 * mib)) [carol]=$((12 * mib)))

# IP's bytes that have come to the internet over its one link, or left it. All else that passes is
# negligible, and what is sent once more, because a busy machine was late to answer, is among them.
on_wire() { # rx|tx
  in_network internet ip -json -statistics link show dev world | /usr/bin/python3 -c '
import json, sys
count = json.load(sys.stdin)[0]["stats64"][sys.argv[1]]
print(count["bytes"] - 14 * count["packets"])  # without the headers of Ethernet
' "$1"
}

declare -A data wire # of each transfer, in bytes: what was asked for, and what passed
transfer() { # NAME LABEL rx|tx BYTES COMMAND...: seen from the internet
  local before
  before=$(on_wire "$3")
  "${@:5}" >"$state/said" 2>&1
  data[$1 $2]=$4
  wire[$1 $2]=$(($(on_wire "$3") - before))
  printf '  %-8s %-28s %s' "$1" "$2" "$(<"$state/said")"
  [[ $(<"$state/said") == "$4 bytes came" ]]
  verdict $?
}

send() { # NAME BYTES
  # shellcheck disable=SC2016 # for the shell inside
  enter "$1" sh -c 'head -c "$1" /dev/zero |
    curl --silent --show-error --max-time 60 --data-binary @- "http://$2/"' sh "$2" "$internet4"
}

receive() { # NAME BYTES
  enter "$1" curl --silent --show-error --max-time 60 --output /dev/null \
    --write-out '%{size_download} bytes came' "http://[$internet6]/$2"
}

pass_values() { # store|load ADDRESS COUNT
  in_network internet /usr/bin/python3 "$hosting/probe.py" "$1" "$2" "$published_port" "$3"
}

# Each sends over IPv4, and receives over IPv6; carol's published port the other way round.
show_transfers() {
  local name
  say 'what each sends to the internet and receives from it, and who stores at carol:'
  for name in "${tenants[@]}"; do
    transfer "$name" 'sent, IPv4' rx "${uploads[$name]}" send "$name" "${uploads[$name]}"
    transfer "$name" 'received, IPv6' tx "${downloads[$name]}" receive "$name" "${downloads[$name]}"
  done
  transfer carol 'received at the port, IPv6' tx 10000000 pass_values store "$host6" 10
  transfer carol 'sent from the port, IPv4' rx 20000000 pass_values load "$host4" 20
}

counted() { # NAME KEY...: a number of the network's in the last report
  /usr/bin/python3 -c '
import functools, json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    print(functools.reduce(dict.get, sys.argv[2:], json.load(file)["network"]))
' "$state/log/$1.json" "${@:2}"
}

show_count() { # NAME LABEL KEY...: within a hundredth, as there were other connections before
  local bytes asked=${data[$1 $2]} passed=${wire[$1 $2]}
  bytes=$(counted "$1" "${@:3}")
  printf '  %-8s %-28s %8d of data, %8d with headers, %8d counted' \
    "$1" "$2" "$asked" "$passed" "$bytes"
  ((bytes >= asked && (bytes - passed) * 100 <= passed && (passed - bytes) * 100 <= passed))
  verdict $?
}

show_total() { # NAME: its parts come to the whole
  local key part sum total
  local -A words=([rx_bytes]=received [tx_bytes]=sent)
  for key in rx_bytes tx_bytes; do
    sum=0
    for part in internet/ipv4 internet/ipv6 published/ipv4 published/ipv6; do
      ((sum += $(counted "$1" "${part%/*}" "${part#*/}" "$key")))
    done
    total=$(counted "$1" "$key")
    printf '  %-8s %-28s %8d counted' "$1" "${words[$key]} in all" "$total"
    ((total == sum && total > 0))
    verdict $?
  done
}

# The tenants end, which gives their reports; the host's network is what it was; and they come back
# to the same addresses.
show_bytes() {
  local name before after
  show_transfers
  before=$(declare -p address4 address6)
  step 'end alice, bob and carol' stop_tenants
  say 'what their reports say of it, in bytes:'
  for name in "${tenants[@]}"; do
    show_count "$name" 'sent, IPv4' internet ipv4 tx_bytes
    show_count "$name" 'received, IPv6' internet ipv6 rx_bytes
  done
  show_count carol 'received at the port, IPv6' published ipv6 rx_bytes
  show_count carol 'sent from the port, IPv4' published ipv4 tx_bytes
  for name in "${tenants[@]}"; do show_total "$name"; done
  show_host_as_before
  step 'alice, bob and carol again' start_tenants
  after=$(declare -p address4 address6)
  printf 'they have the addresses that they had: %s' "${address4[*]} ${address6[*]}"
  [[ $before == "$after" ]]
  verdict $?
}

show_host_as_before() {
  local left
  left=$(diff "$state/net/before" <(network_of_host))
  printf "what is left of them in the host's network: %s" "${left:-nothing}"
  [[ -z $left ]]
  verdict $?
}

# --- taking it down ------------------------------------------------------------------------------

server_pids() { pids_of /usr/bin/python3 "*/server.py *-$tag *"; }

# Processes in the demo's namespaces that are not the demo's: they keep them.
strangers=
drop_networks() {
  local network ids=() pid id
  strangers=
  for network in host internet; do
    [[ -e $state/net/$network ]] || continue
    id=$(stat -L -c %d:%i "$state/net/$network")
    ids+=("$id")
  done
  ((${#ids[@]} > 0)) || return 0
  for pid in /proc/[0-9]*; do
    id=$(stat -L -c %d:%i "$pid/ns/net" 2>/dev/null) || continue
    if [[ " ${ids[*]} " == *" $id "* ]]; then strangers+=" ${pid#/proc/}"; fi
  done
  for network in host internet; do
    if mountpoint -q "$state/net/$network"; then umount "$state/net/$network"; fi
  done
}
