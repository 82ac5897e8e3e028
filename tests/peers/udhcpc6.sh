#!/usr/bin/env bash
# udhcpc6: busybox has it, but Debian's busybox is built without. So it is built from Debian's source, by the machine's compiler,
# into the root file system $1 that mmdebstrap has just made; nothing else of busybox is in the program.
set -euo pipefail
root=$1
fail() { echo "peers: udhcpc6: $1" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work" "$root/etc/apt/sources.list.d/source.list"' EXIT
cd "$work"

export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
lists=$root/etc/apt/sources.list.d
mkdir -p "$lists"
sources=$(find "$root/etc/apt" -name '*.list' -exec sed -n 's/^deb \(.*\<main\)$/deb-src \1/p' {} +)
echo "$sources" >"$lists/source.list"
apt-get update --quiet=2 || fail "no list of sources (does the Debian mirror serve them?)"
apt-get source --quiet=2 --download-only busybox || fail "the source can't be fetched (does the Debian mirror serve it?)"
tar -xjf busybox_*.orig.tar.bz2 --strip-components=1

{
  make allnoconfig
  for option in STATIC FEATURE_IPV6 UDHCPC6 FEATURE_UDHCPC6_RFC{3646,4704,4833,5970} LONG_OPTS SHOW_USAGE; do
    sed -i "s/^# CONFIG_$option is not set/CONFIG_$option=y/" .config
  done
  { yes '' || true; } | make oldconfig
  make busybox
} >log 2>&1 || { tail -n 20 log >&2; fail "it can't be built"; }
install -m 755 busybox "$root/usr/local/sbin/busybox6"
ln -s busybox6 "$root/usr/local/sbin/udhcpc6"
