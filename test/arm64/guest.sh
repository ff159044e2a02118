#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs as root in the arm64 machine, without arguments. Prints lines "WHAT USER RESULT",
# and at the end "end". The test judges them.
cd "${0%/*}" || exit
exec >"$(echo /dev/vport*p*)" 2>&1
echo "127.0.1.1 $(hostname)" >>/etc/hosts
cp libpam-net.deb /opt
bash -e setup

# An emulated processor is slow.
sed -i 's,pam_\(new\|user\|group\)net.so,& timeout=300,' /etc/pam.d/common-session{,-noninteractive}
groupadd selfnet
useradd --create-home --shell /bin/bash --groups selfnet sam
for file in /etc/pam.d/common-session{,-noninteractive}; do
	echo 'session required pam_usernet.so group=selfnet selfmanaged timeout=300' >>"$file"
done

users='root olga nina ulf uta gina gus sam'
net='readlink /proc/self/ns/net'
result() { # WHAT USER COMMAND...
	what=$1 user=$2
	shift 2
	echo "$what $user $("$@" 2>&1 | tr '\n' ' ')"
}

result host - readlink /proc/1/ns/net
for user in $users; do
	echo "@reboot $user $net >/tmp/job.$user.new && mv /tmp/job.$user.new /tmp/job.$user"
done >/etc/cron.d/job
rm -f /run/crond.reboot
systemctl restart cron
for user in $users; do
	result ssh "$user" ssh "$user@127.0.0.1" "$net"
	result su "$user" su "$user" -c "$net"
	result su-l "$user" su - "$user" -c "$net"
	result sudo "$user" sudo -u "$user" readlink /proc/self/ns/net
done
for user in $users; do
	for _ in {1..600}; do
		[ ! -e "/tmp/job.$user" ] || break
		sleep 0.5
	done
	result cron "$user" cat "/tmp/job.$user"
done
for name in /run/netns/*; do
	result named "${name##*/}" stat --dereference --format 'net:[%i]' "$name"
done
result links sam ssh sam@127.0.0.1 'ip link add d0 type dummy && ls /sys/class/net'
for user in $users; do
	# shellcheck disable=SC2016 # the inner shell's variables
	result check "$user" bash -c 'pamnetctl check --json "$1" >/tmp/check 2>&1; echo $?; tail -n 1 /tmp/check' bash "$user"
done
result doctor - bash -c 'pamnetctl doctor; echo "exit code $?"'
result failed - systemctl --failed --no-legend --plain
result log - bash -c 'journalctl --quiet --no-pager --priority=warning | grep -E "pam_(new|user|group)net\("'
echo end
