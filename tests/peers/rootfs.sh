#!/usr/bin/env bash
# The peers' root file systems: a minimal Debian 12 with every client and server that tests and benches need. Each is
# built once into the cache and then only read; tests lay their own writable layer over it. The machine itself is not
# touched: no service is started, no configuration written.
#
#   rootfs.sh [LIST]           builds it unless it is there; prints its path on the last line of stdout
#   rootfs.sh --path [LIST]    prints where it is, or fails if it was not built yet
#
# LIST says what it holds: `peers` (the default; tests/peers/packages), `cloud`, a real Neutron with its broker and database
# (tests/peers/packages.cloud), or `newest`, the same with the newest Neutron of PyPI (tests/peers/packages.newest). That is a
# layer over `cloud`, and so its path is two, joined by a colon, as overlayfs takes them.
# WARREN_CACHE says where caches live (default /var/cache/warren). Sources, keys and proxies are the machine's own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=bookworm
cache=${WARREN_CACHE:-/var/cache/warren}
layout=1 # count up when what this script does to the packages changes
build=yes
if [ "${1:-}" = --path ]; then
  build=no
  shift
fi
list=${1:-peers}
say() { printf '%s\n' "$*" >&2; }
fail() { say "peers: $1"; exit 1; }

# from: the packages; more: scripts that are run in the root file system; built: one that puts something into it that is no
# package; below: what it is a layer over
below= more=(/dev/null) built=/dev/null
case $list in
peers) from=$here/packages built=$here/udhcpc6.sh size="300 MB" ;;
cloud) from=$here/packages.cloud more=("$here/database.sh") size="1.3 GB" ;;
newest)
  from=$here/packages.newest more=("$here"/{virtualenv,database}.sh) size="300 MB"
  if [ "$build" = yes ]; then below=$("$0" cloud); else below=$("$0" --path cloud); fi
  ;;
*) fail "there is no list of packages called \"$list\"; there are: peers, cloud, newest" ;;
esac
digest=$({ echo "$suite $layout"; sed 's/ *#.*//' "$from"; cat "${more[@]}" "$built"; [ -z "$below" ] || basename "$below"; } | sha256sum | cut -c1-12)
root=$cache/$list-$digest
path=$root${below:+:$below}

if [ -d "$root" ]; then
  echo "$path"
  exit 0
fi
[ "$build" = yes ] || fail "the peers' root file system $root is not built; run: make peers"
[ "$(id -u)" = 0 ] || fail "building $root needs root; run: sudo make peers"
[ -n "$below" ] || command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing; run: make setup (it installs it)"

mkdir -p "$cache"
exec 9>"$cache/$list.lock"
flock -n 9 || { say "peers: somebody else is building the peers' root file system; waiting"; flock 9; }
if [ -d "$root" ]; then
  echo "$path"
  exit 0
fi

packages=$(sed 's/#.*//' "$from" | xargs | tr ' ' ',')
if [ -z "$below" ]; then
  say "peers: building a Debian $suite root file system for the tests' peers (about $size, once): $root"
else
  say "peers: building a layer with Python packages over $below (about $size, once): $root"
fi
say "peers: it will hold ${packages//,/ }"
[ "$built" = /dev/null ] || say "peers: and what $(basename "$built") builds from Debian's source"
say "peers: nothing of this is installed on the machine itself"

# Only one builder passes the lock, so what lies aside is a leftover of one that was killed.
rm -rf --one-file-system "$cache/$list"-*.building
work=$root.building
settings=$(mktemp -d "$cache/$list-settings.XXXXXX")
trap 'rm -rf --one-file-system "$work" "$settings"' EXIT

# A mount and a PID namespace of its own: whatever a package's script starts or mounts ends with the build.
apart() { unshare --mount --pid --fork --mount-proc --propagation private --kill-child "$@"; }

debian() {
  # The machine's own mirrors and proxies; `indextargets` knows them in whatever format they were written. Debian's "main" only.
  # (The origin is known once lists were fetched; before that its place stays a literal "$(ORIGIN)".)
  apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v suite="$suite" '($1 == "Debian" || $1 == "$(ORIGIN)") && index($2, suite) == 1 && $3 == "main" { print "deb", $4, $2, $3 }' |
    sort -u >"$settings/sources.list" || true
  apt-config dump 2>/dev/null |
    grep -E '^Acquire::(http|https|ftp|Retries|Check-Date|Check-Valid-Until|Max-ValidTime|ForceIPv4|ForceIPv6)\b' >"$settings/apt.conf" || true
  mirror=("$settings/sources.list")
  [ -s "$settings/sources.list" ] || mirror=() # not a Debian 12 with its lists: mmdebstrap's own default

  # Debian's own way to say "install, but start nothing", before any package's scripts run.
  policy='mkdir -p "$1/usr/sbin"; printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"'

  # A machine's AppArmor profiles go by path and would keep these from files that a test gives them.
  aside='for p in dhclient dhcpcd dnsmasq kea-dhcp4 kea-dhcp6 haproxy tcpdump; do for at in "$1/usr/sbin/$p" "$1/usr/bin/$p"; do [ ! -x "$at" ] || cp "$at" "$1/usr/local/sbin/"; done; done'

  apart mmdebstrap --mode=root --variant=minbase --format=directory --quiet \
    --aptopt="$settings/apt.conf" \
    --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --include="$packages" \
    --essential-hook="$policy" \
    --customize-hook="$aside" \
    --customize-hook="chroot \"\$1\" bash -s <'${more[0]}' >&2" \
    --customize-hook="bash '$built' \"\$1\" >&2" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
    --customize-hook='rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/machine-id"; : >"$1/etc/machine-id"' \
    "$suite" "$work" ${mirror[@]+"${mirror[@]}"} >&2 || fail "mmdebstrap could not build $root; see its message above (is the Debian mirror reachable?)"
}

# What the scripts change of that below.
layer() {
  mkdir -p "$work" "$settings"/{own/etc/ssl/certs,work,whole}
  cp "$from" "$settings/own/etc/packages"
  # The machine's own way to the network, in a layer that is not kept.
  for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp "$file" "$settings/own$file"
  done
  for script in "${more[@]}"; do
    apart bash -euc '
      mount -t overlay -o "lowerdir=$2/own:$3,upperdir=$4,workdir=$2/work" layer "$2/whole"
      mount -t proc proc "$2/whole/proc"
      exec env HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$2/whole" bash -s <"$1"
    ' layer "$script" "$settings" "$below" "$work" >&2 || fail "$script could not build $root; see its message above (is PyPI reachable?)"
  done
}

if [ -z "$below" ]; then debian; else layer; fi
mv "$work" "$root"
say "peers: ready: $root"
echo "$path"
