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
# What tells cloud-init that this is OpenStack; where the machine has no SMBIOS, PID 1's environment says it.
if [ -d sys/class/dmi/id ]; then
  mount -t tmpfs -o mode=755 dmi sys/class/dmi/id
  echo "OpenStack Nova" >sys/class/dmi/id/product_name
fi
echo "$1" >etc/hostname
echo "127.0.0.1 localhost" >etc/hosts
: >etc/resolv.conf
pivot_root . . # the new root lies on the old one; below, the old one goes
umount -l .
cd /
ip link set lo up
echo up
read -r _ || true
