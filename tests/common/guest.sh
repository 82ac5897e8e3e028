# PID 1 of a guest: a virtual machine's stand-in, with the peers' root file system (a writable layer of its own over it)
# as its whole file system, and mount, network, PID and UTS namespaces of its own.
#   $1 name   $2 the peers' root file system
set -eu
hostname "$1"
root=/run/guest
mkdir -p "$root"
mount -t tmpfs -o mode=755 guest "$root"
mkdir -p "$root"/{upper,work,root}
mount -t overlay -o "lowerdir=$2,upperdir=$root/upper,workdir=$root/work" guest "$root/root"
cd "$root/root"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p run/lease
echo "$1" >etc/hostname
echo "127.0.0.1 localhost" >etc/hosts
: >etc/resolv.conf
pivot_root . . # the new root lies on the old one; below, the old one goes
umount -l .
cd /
ip link set lo up
echo up
read -r _ || true
