// SPDX-License-Identifier: GPL-2.0-or-later

package documents

// story is what a document takes for granted, and what has to come of it.
type story struct {
	uninstalled bool   // the document installs the package itself
	before      string // what the reader has done before
	after       string // what is looked at when all commands have been run
}

// everywhere is what every reader's machine has: the sources, and what unpacked programs lack.
const everywhere = `
ln -s /opt/libpam-net /root/libpam-net
ldconfig
dot -c
`

// installed is what a reader has done who has read README.md: the package is there,
// and there are the users and the interfaces that documents name.
const installed = `
export DEBIAN_FRONTEND=noninteractive
dpkg -i /opt/libpam-net.deb
for user in alice bob carol dave; do
	useradd --create-home --shell /bin/bash $user
	echo $user:secret | chpasswd
done
for link in enp1s0 enp7s0; do
	ip link add $link type veth peer name $link-far
done
`

// outside is a network beyond the machine's, with an address that answers.
const outside = `
ip netns add outside
ip link add outside type veth peer name eth0 netns outside
ip address add 198.51.100.1/30 dev outside
ip link set outside up
ip -n outside address add 198.51.100.2/30 dev eth0
ip -n outside link set eth0 up
`

// ownNetworks lets alice administer the networks of her logins.
const ownNetworks = `
pam-auth-update --enable libpam-net-newnet libpam-net-usernet
sed -i 's,pam_newnet\.so,& selfmanaged,' /etc/pam.d/common-session /etc/pam.d/common-session-noninteractive
adduser --quiet alice newnet
`

// setupProgram looks at the networks of two users that the guide's program has connected: while
// they are logged in, after the logout of the first, and after that of both.
const setupProgram = `
before=$(md5sum /etc/resolv.conf)
useradd --groups usernet erin
adduser --quiet dave usernet
look="ip -4 -brief address show dev eth0; cat /etc/resolv.conf"
dave=$(su dave -c "$look")
erin=$(su erin -c "$look")
[[ $dave = *" 10.5.0."*"nameserver 10.5.0.53" ]]
[[ $erin = *" 10.5.0."*"nameserver 10.5.0.53" ]]
[ "$dave" != "$erin" ]
[ "$(md5sum /etc/resolv.conf)" = "$before" ]
systemctl is-active pamnet-setup-dave.scope pamnet-setup-erin.scope
[ "$(su dave -c "$look")" = "$dave" ]
pamnetctl prune
[ "$(ls /run/netns | grep -e dave -e erin || :)" = "" ]
[ "$(ls /sys/class/net | grep ^up- || :)" = "" ]
[ "$(systemctl is-active pamnet-setup-dave.scope)" = inactive ]
`

var stories = map[string]story{
	"README.md": {uninstalled: true, before: "useradd --create-home --shell /bin/bash alice"},
	"docs/EXAMPLES.md": {
		before: ownNetworks + `
			adduser --quiet bob usernet
			adduser --quiet carol usernet
			adduser --quiet dave usernet
			echo '[Interface]' >/root/libpam-net/alice.conf
			adduser --quiet --system _cado
			chown _cado: /usr/bin/cado
			chmod u+s /usr/bin/cado
			[ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod -m 666 /dev/net/tun c 10 200; }
			echo 'net_admin: carol' >/etc/cado.conf
			chmod 600 /etc/cado.conf
			cado -s`,
	},
	"docs/GUIDE.md": {
		before: outside + `
			ip link add br0 type bridge
			ip address add 10.5.0.1/24 dev br0
			ip link set br0 up
			systemd-run --quiet --unit=dhcp dnsmasq --keep-in-foreground --interface=br0 --bind-interfaces --port=0 \
				--dhcp-range=10.5.0.50,10.5.0.90 --dhcp-option=6,10.5.0.53 --user=root
			mkdir /run/nscd
			touch /run/nscd/socket
			cat >/etc/systemd/system/web.service <<-END
				[Service]
				Type=oneshot
				RemainAfterExit=yes
				StandardOutput=append:/run/web
				ExecStart=cat /etc/resolv.conf
				ExecStart=find /run/nscd -name socket
				ExecStart=readlink /proc/self/ns/net
			END`,
		after: `
			ssh bob@127.0.0.1 ping -c 1 -W 5 198.51.100.2
			[ "$(cat /run/web)" = "$(echo nameserver 10.77.0.1; ssh bob@127.0.0.1 readlink /proc/self/ns/net)" ]
			` + setupProgram,
	},
	"man/pamnetctl.8": {before: ownNetworks},
}
