// SPDX-License-Identifier: GPL-2.0-or-later

package machine

// OwnNet is a command that prints which network namespace it is in.
const OwnNet = "readlink /proc/self/ns/net"

// SetUpDebian is a script of bash for a fresh Debian: it installs the package /opt/libpam-net.deb, and adds users
// by their groups, who let root in.
const SetUpDebian = `
export DEBIAN_FRONTEND=noninteractive
dpkg -i /opt/libpam-net.deb
groupadd groupnet-lab
useradd --create-home --shell /bin/bash olga
useradd --create-home --shell /bin/bash --groups newnet nina
useradd --create-home --shell /bin/bash --groups usernet ulf
useradd --create-home --shell /bin/bash --groups usernet uta
useradd --create-home --shell /bin/bash --groups groupnet-lab gina
useradd --create-home --shell /bin/bash --groups groupnet-lab gus
pam-auth-update --enable libpam-net-newnet libpam-net-usernet libpam-net-groupnet
sed -i 's,pam_\(user\|group\)net.so,& setup=/usr/libexec/libpam-net/pamnet-uplink,' /etc/pam.d/common-session{,-noninteractive}
` + LetRootIn

// LetRootIn is a script of bash for a Debian: it lets root in as everybody, by a key.
const LetRootIn = `
mkdir -p /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /etc/ssh/authorized_keys
echo 'AuthorizedKeysFile /etc/ssh/authorized_keys' >/etc/ssh/sshd_config.d/test.conf
printf '%s\n' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' 'BatchMode yes' 'KexAlgorithms curve25519-sha256' >/root/.ssh/config
systemctl restart ssh
`
