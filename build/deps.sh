#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what building and testing need and this machine lacks, with apt-get
# or dnf, and says what and why. Leaves no server running or enabled that was
# not there before.
#
# usage: deps.sh [arm64|fuzz|lintian]
#
# With arm64 it is what a cross-build for that architecture needs (Debian), with
# fuzz what build/fuzz.sh does, with lintian what checks a package of Debian's.
set -eu

PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin

# What is looked for (a command, a header, a file), who has it, what it is for.
native='
gcc                     gcc             gcc              to compile the C shim
stdio.h                 libc6-dev       glibc-devel      to compile the C shim
security/pam_modules.h  libpam0g-dev    pam-devel        to compile the C shim
readelf                 binutils        binutils         to check the modules
shellcheck              shellcheck      ShellCheck       to check the scripts
cppcheck                cppcheck        cppcheck         to check the C code
sshd                    openssh-server  openssh-server   to test logins over ssh
sftp                    openssh-client  openssh-clients  to test logins over ssh
su                      util-linux      util-linux       to test su
sudo                    sudo            sudo             to test sudo
login                   login           util-linux       to test logins on a terminal
crontab                 cron            cronie           to test jobs of cron
/lib/systemd/systemd    systemd         systemd          to test sessions of systemd
ip                      iproute2        iproute          to make and show namespaces
unshare                 util-linux      util-linux       to make sandboxes
mount                   mount           util-linux       to make sandboxes
tcpdump                 tcpdump         tcpdump          to test users who manage their network
ping                    iputils-ping    iputils          to test users who manage their network
nft                     nftables        nftables         to test users who manage their network
perl                    perl-base       perl-interpreter to test users who manage their network
curl                    curl            curl             to test logins over http
dbus-daemon             dbus            dbus-daemon      to test services that need it
ps                      procps          procps-ng        to look at processes
strace                  strace          strace           to fail system calls
valgrind                valgrind        valgrind         to test the C code
wg                      wireguard-tools wireguard-tools  to test the example with WireGuard
wireguard-go            wireguard-go    -                to test the example with WireGuard
mandoc                  mandoc          mandoc           to check the man pages
patch                   patch           patch            to test the tests
dpkg-shlibdeps          dpkg-dev        -                to make packages
rpmbuild                rpm             rpm-build        to make packages
debootstrap             debootstrap     -                to test the package on a fresh Debian
chromium                chromium        chromium         to read reports as people do
'
arm64='
aarch64-linux-gnu-gcc                   gcc-aarch64-linux-gnu  -  to compile for arm64
/usr/lib/aarch64-linux-gnu/libpam.so    libpam0g-dev:arm64     -  to link with libpam
qemu-aarch64-static                     qemu-user-static       -  to log in through the modules
qemu-system-aarch64                     qemu-system-arm        -  to log in on a whole machine
debootstrap                             debootstrap            -  to make that machine
mke2fs                                  e2fsprogs              -  to make that machine
modprobe                                kmod                   -  to make that machine
cpio                                    cpio                   -  to make that machine
'
fuzz='
clang                                       clang            clang        to fuzz the C code
/usr/lib/clang/*/lib/*/libclang_rt.fuzzer*  libclang-rt-dev  compiler-rt  to fuzz the C code
'
lintian='
lintian  lintian  -  to check the package
'

die() {
	echo "deps: $*" >&2
	exit 1
}

present() {
	case $1 in
	/*)
		for file in $1; do # of a pattern, the first
			[ -e "$file" ]
			return
		done
		;;
	*.h) [ -e "/usr/include/$1" ] ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# The packages of the table that are missing, one a line; why, on stderr.
missing() {
	echo "$table" | while read -r probe apt dnf why; do
		if [ -z "$probe" ] || present "$probe"; then
			continue
		fi
		case $manager in
		apt) package=$apt ;;
		dnf) package=$dnf ;;
		*) package=something ;;
		esac
		[ "$package" != - ] || continue # there it is not needed, or not to be had
		echo "deps: $package, $why (there is no $probe)" >&2
		echo "$package"
	done | sort -u
}

enabled_units() {
	systemctl list-unit-files --state=enabled --no-legend 2>/dev/null | cut -d' ' -f1
}

apt_install() {
	# Debian starts a server when it is installed, unless this file says no.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'rm -f $policy' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 0755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	[ -z "$foreign" ] || dpkg --add-architecture "$foreign"
	apt-get -qq update
	apt-get -qqy --no-install-recommends install "$@" >/dev/null
}

dnf_install() {
	dnf -qy --setopt=install_weak_deps=False install "$@"
}

foreign=
case ${1:-} in
'') table=$native ;;
arm64) table=$arm64 foreign=arm64 ;;
fuzz) table=$fuzz ;;
lintian) table=$lintian ;;
*) die "there is nothing for $1" ;;
esac

if command -v apt-get >/dev/null; then
	manager=apt
elif [ -z "$foreign" ] && command -v dnf >/dev/null; then
	manager=dnf
else
	manager=none
fi

command -v go >/dev/null || die "there is no go: see https://go.dev/doc/install"
packages=$(missing)
[ -n "$packages" ] || exit 0
[ $manager != none ] || die "there is no package manager that this script knows"
[ "$(id -u)" = 0 ] || die "only root can install them"

before=$(enabled_units)
# shellcheck disable=SC2086 # a list
${manager}_install $packages
for unit in $(enabled_units); do
	echo "$before" | grep -Fqx "$unit" || systemctl --quiet disable "$unit"
done
