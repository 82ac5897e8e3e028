# PID 1 of a sandboxed host: a machine of its own in mount, network, PID and UTS namespaces. The machine's files stay
# in view (the daemon under test is one of them), but nothing done here is seen outside: /run and /sys are private, /etc,
# /tmp and /var/lib are written to a layer of their own, the rest of the root file system is read-only.
# The peers' root file system stands, writable, in /run/peers.
#   $1 name   $2 the peers' root file system
set -eu
hostname "$1"
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/netns /run/warren /run/peers
mount -t tmpfs -o mode=755 netns /run/netns
mount --make-shared /run/netns # as `ip netns` has it, and so that the peers see namespaces that are made later
mount -t sysfs sys /sys        # sysfs shows the network namespace that it was mounted in
layered() { # $1 what is below, $2 where
  local layer=/run/layers/${2//\//-}
  mkdir -p "$layer"/{upper,work}
  mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" layer "$2"
}
layered /etc /etc
layered /tmp /tmp
layered /var/lib /var/lib
mount -o remount,bind,ro /
echo "127.0.0.1 localhost $1" >/etc/hosts
layered "$2" /run/peers
mount -t proc proc /run/peers/proc
if [ ! -e /run/peers/dev/net/tun ]; then # what a switch in user space makes its devices with
  mkdir -p /run/peers/dev/net
  mknod /run/peers/dev/net/tun c 10 200
fi
mount --bind /sys /run/peers/sys
mount -t tmpfs -o mode=755 run /run/peers/run
mkdir /run/peers/run/{netns,warren}
mount --rbind /run/netns /run/peers/run/netns
mount --bind /run/warren /run/peers/run/warren
chroot /run/peers ip link set lo up
# Where br_netfilter is loaded, bridged frames would otherwise pass the rules of the host.
for table in ip ip6 arp; do
  if [ -e /proc/sys/net/bridge/bridge-nf-call-${table}tables ]; then
    echo 0 >/proc/sys/net/bridge/bridge-nf-call-${table}tables
  fi
done
echo up
# Lives as long as the test holds the other end: it ends with the test's process, however that ended, and takes all along.
read -r _ || true
