# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The Debian packages that this project needs, and how they are installed; to be sourced.

# To build all of it.
build_packages=(
  g++ libc6-dev meson ninja-build pkgconf python3
  libfmt-dev libmnl-dev libnl-route-3-dev libseccomp-dev libsystemd-dev libcli11-dev
  libtomlplusplus-dev nlohmann-json3-dev scdoc
)

# To check and test it as well.
# shellcheck disable=SC2034
test_packages=(
  "${build_packages[@]}"
  clang-14 clang-format cmake doctest-dev g++-12 libclang-rt-14-dev libstdc++-12-dev
  passt uidmap bash-completion zsh fish patch iproute2 iptables nftables
  beanstalkd memcached redis-server
)

# What tests/bench measures beside sbx-run.
# shellcheck disable=SC2034
bench_packages=(bubblewrap crun firejail iproute2 nftables runc systemd-container util-linux)

# What tests/compat runs in a sandbox, beside what is there by then. The Java runtime has the compiler
# in itself.
# shellcheck disable=SC2034
compat_packages=(
  beanstalkd curl gdb git gpg gpg-agent gunicorn imagemagick-6.q16 iputils-ping
  libpython3.11-testsuite make memcached nginx-light nodejs openjdk-17-jre-headless openssl php8.2-cli
  postgresql-15 procps redis-server ruby ruby-rack strace tmux
  uwsgi-core uwsgi-plugin-psgi uwsgi-plugin-python3 uwsgi-plugin-rack-ruby3.1 xz-utils
)
# What tests/vm boots: its kernel is fetched by itself, and installed nowhere.
# shellcheck disable=SC2034
vm_packages=(
  busybox-static cpio dbus dbus-user-session e2fsprogs kmod libpam-systemd procps systemd
  qemu-system-common "qemu-system-$(dpkg --print-architecture | sed 's/amd64/x86/; s/arm64/arm/')"
)

# Packages of node from elsewhere have it in themselves, and are no friends of Debian's.
command -v npm >/dev/null || compat_packages+=(npm)

# Prints those of the packages that are not installed.
missing_packages() { # PACKAGE...
  local installed package
  installed=" $(dpkg-query --show --showformat '${Package}/${db:Status-Status} ' "$@" 2>/dev/null)"
  for package in "$@"; do
    [[ $installed == *" $package/installed "* ]] || echo "$package"
  done
}

# Installs what is missing of the packages; needs root only when something is. No service is started
# by it: invoke-rc.d asks /usr/sbin/policy-rc.d, which says no for as long as this runs.
need_packages() { # PACKAGE...
  local -a missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} > 0)) || return 0

  local policy=/usr/sbin/policy-rc.d mark='# libsandbox: no services while packages are installed'
  if [[ ! -e $policy ]] || grep -qxF "$mark" "$policy"; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy" && chmod 755 "$policy"
  fi
  (
    trap '' HUP # the removal below must be reached
    export DEBIAN_FRONTEND=noninteractive
    options=(-q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    apt-get "${options[@]}" update &&
      apt-get "${options[@]}" install --no-install-recommends "${missing[@]}"
  )
  local status=$?
  if grep -qsxF "$mark" "$policy"; then rm -f "$policy"; fi
  return "$status"
}
