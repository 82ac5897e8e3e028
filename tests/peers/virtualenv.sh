# Run inside a layer over the cloud's root file system while that is built: the newest Neutron in a virtualenv. Its programs
# come first in PATH, so that who starts a program of Neutron's gets these.
set -eu
at=/opt/neutron
python3 -m venv --without-pip "$at"
unset PIP_FIND_LINKS # a folder of the machine's own is not seen from here
# What is built here, since it comes as source alone, is built with what the list names, too.
export PIP_CONSTRAINT=/etc/packages PIP_ROOT_USER_ACTION=ignore
pip --python "$at/bin/python" install --quiet --no-cache-dir --no-deps --requirement /etc/packages
ln -s "$at"/bin/neutron-* "$at/bin/privsep-helper" /usr/local/bin/
# Its own, in place of those of the release below.
rm -r /etc/neutron/rootwrap.d /etc/neutron/policy.d /var/lib/neutron-database
cp -r "$at/etc/neutron/rootwrap.d" "$at/etc/neutron/api-paste.ini" /etc/neutron/
