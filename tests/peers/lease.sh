# What the DHCP clients' hooks share: from a lease in variables to the interface, and to a record for the test.
# A hook sets, then calls `bound` or `lost`:
#   event (the client's own word)  dev  address  prefix  broadcast  routers  dns  domain  search  mtu  routes ("dest/len via ..")
#   server  lease  t1  t2  hostname  ntp
# Records are files in /run/lease, numbered; each is whole when it appears.

# Option 121's bytes, as decimal numbers, to "dest/len via dest/len via".
classless() {
  local out=() width net octets
  while [ $# -gt 0 ]; do
    width=$1 && shift
    octets=$(((width + 7) / 8))
    net=()
    for i in 0 1 2 3; do
      if [ "$i" -lt "$octets" ]; then net+=("$1") && shift; else net+=(0); fi
    done
    out+=("$(IFS=. && echo "${net[*]}")/$width" "$1.$2.$3.$4")
    shift 4
  done
  echo "${out[*]}"
}

record() {
  local n file key
  n=$(find /run/lease -name '[0-9]*' | wc -l)
  file=/run/lease/$(printf '%04d' "$n")
  {
    for key in event dev address prefix broadcast routers dns domain search mtu routes server lease t1 t2 hostname ntp; do
      echo "$key=${!key:-}"
    done
    env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*=\)/env.\1/p'
  } >"/run/lease/.$n"
  mv "/run/lease/.$n" "$file"
}

bound() {
  local first
  ip link set "$dev" up ${mtu:+mtu "$mtu"}
  # Only what another lease left is taken away: on a renewal nothing flickers.
  ip -4 -o addr show dev "$dev" | awk '{print $4}' | grep -vxF "$address/$prefix" | while read -r old; do
    ip addr del "$old" dev "$dev"
  done
  ip addr replace "$address/$prefix" ${broadcast:+broadcast "$broadcast"} dev "$dev"
  if [ -n "${routes:-}" ]; then # RFC 3442: who takes option 121 ignores the router option
    set -- $routes
    while [ $# -gt 1 ]; do
      if [ "$2" = 0.0.0.0 ]; then ip route replace "$1" dev "$dev"; else ip route replace "$1" via "$2" dev "$dev"; fi
      shift 2
    done
  elif [ -n "${routers:-}" ]; then
    first=${routers%% *}
    ip route replace default via "$first" dev "$dev"
  fi
  {
    [ -z "${search:-${domain:-}}" ] || echo "search ${search:-$domain}"
    for server_address in ${dns:-}; do echo "nameserver $server_address"; done
    echo "options timeout:1 attempts:3"
  } >/etc/resolv.conf
  [ -z "${hostname:-}" ] || hostname "$hostname"
  record
}

lost() {
  ip -4 addr flush dev "$dev"
  ip link set "$dev" up
  record
}
