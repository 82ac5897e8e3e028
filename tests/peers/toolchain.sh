#!/usr/bin/env bash
# Explains a missing or too old Rust toolchain; it does not install one, because people have their own way to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
need=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml | head -n 1)
explain() {
  echo "setup: $1 Warren needs Rust $need or newer; Debian 12 brings an older one." >&2
  echo "setup: install it with rustup (https://rustup.rs), or update yours (rustup update stable), then repeat." >&2
  exit 1
}
command -v cargo >/dev/null && command -v rustc >/dev/null || explain "cargo and rustc are not in PATH."
have=$(rustc --version | awk '{print $2}')
[ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" = "$need" ] || explain "this is Rust $have."
