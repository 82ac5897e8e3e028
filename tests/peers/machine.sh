#!/usr/bin/env bash
# What the machine itself must have. Says what it installs before it does, installs only what is missing, and needs no
# network when nothing is.
#
#   machine.sh          to build warren and to run it
#   machine.sh tests    to test it, too
set -euo pipefail

# command -> Debian package that brings it
wanted=(
  nft:nftables # warren loads its rulesets with it
  cc:gcc       # links Rust programs, and compiles the memory allocator
  make:make
)
if [ "${1:-}" = tests ]; then
  wanted+=(
    ip:iproute2 # what the namespaces crate's tests look with
    unshare:util-linux
    nsenter:util-linux
    flock:util-linux
    mount:mount
    hostname:hostname
    mmdebstrap:mmdebstrap # builds the file system that the tests' peers live in
    bzip2:bzip2           # for the source of udhcpc6, one of them
  )
fi
missing=()
for want in "${wanted[@]}"; do
  command -v "${want%%:*}" >/dev/null || missing+=("${want#*:}")
done
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)                            # gcc alone does not link
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)         # cargo fetches over TLS
[ ${#missing[@]} -gt 0 ] || exit 0

packages=$(printf '%s\n' "${missing[@]}" | sort -u | xargs)
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: missing on this machine: $packages. Install them (on Debian 12, as root: apt-get install $packages) and repeat." >&2
  exit 1
fi
echo "setup: installing on this machine (Debian packages, nothing else): $packages"
export DEBIAN_FRONTEND=noninteractive
# Package lists may be old or absent: refresh them only now that something is to be installed.
apt-get update -q
apt-get install -y -q --no-install-recommends $packages
