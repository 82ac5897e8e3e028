# Run inside the cloud's root file system while it is built: makes neutron-server's database, with all tables and nothing
# in them, in /var/lib/neutron-database: where a test's cloud starts.
set -eu
at=/var/lib/neutron-database
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chown mysql "$work"
mariadb-install-db --no-defaults --user=mysql --datadir="$at" --auth-root-authentication-method=normal --skip-test-db \
  --innodb-log-file-size=10M >"$work/log" # what a test writes to is copied first: the whole file
# Nothing is kept of a build that fails, so nothing waits for the disk either.
mariadbd --no-defaults --user=mysql --datadir="$at" --socket="$work/s" --pid-file="$work/pid" --skip-networking \
  --skip-log-bin --innodb-log-file-size=10M --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync >>"$work/log" 2>&1 &
server=$!
for _ in $(seq 300); do
  ! mariadb --socket="$work/s" -e 'select 1' >/dev/null 2>&1 || break
  kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
mariadb --socket="$work/s" -e "
  create database neutron character set utf8mb3;
  create user neutron@'%' identified by 'neutron';
  grant all on neutron.* to neutron@'%';
  create user neutron@localhost identified by 'neutron';
  grant all on neutron.* to neutron@localhost;"
cat >"$work/neutron.conf" <<END
[DEFAULT]
core_plugin = ml2
[database]
connection = mysql+pymysql://neutron:neutron@localhost/neutron?unix_socket=$work/s
END
neutron-db-manage --config-file "$work/neutron.conf" upgrade heads >>"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
kill "$server" # SIGTERM: in good order, so that no start has to recover
wait "$server"
