#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes a new directory with a Debian 12 for arm64 that qemu-system-aarch64 boots: its kernel,
# its initial RAM disk and its file system, root.img. The system runs the program /run in the
# tar file on its second disk, and then powers off.
#
# The packages' scripts run under qemu-user, in a user namespace with a binfmt_misc of its
# own (Linux 6.7): nothing of this machine is changed.
#
# usage: debian-arm64.sh DIR
set -eu

dir=$1
[ ! -e "$dir" ] || exit 0
if [ ! -e /etc/debian_version ] || [ "$(id -u)" != 0 ]; then
	echo "debian-arm64: only root of a Debian can make one" >&2
	exit 1
fi
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # apt-get's variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(LABEL)' 'Created-By: Packages' |
	sed -n "s/ $release Debian$//p" | head -n 1)
# What users log in through, and what that and the package need.
packages=at,cron,login,openssh-server,sudo,util-linux,adduser,dbus,iproute2,iputils-ping,libpam-systemd,passwd,procps
packages=$packages,busybox-static,kmod,nftables,systemd,systemd-sysv,udev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
tree=$work/tree

echo "debian-arm64: a fresh Debian $release for arm64; some ten minutes" >&2
debootstrap --arch=arm64 --foreign --variant=minbase --include="$packages" "$release" "$tree" "$mirror" >"$work/log" 2>&1 || {
	tail "$work/log" >&2
	exit 1
}

# The second stage reads this list for each package that it sets up.
for list in "$tree"/var/lib/apt/lists/*_Packages; do
	cat "$tree/debootstrap/required" "$tree/debootstrap/base" |
		awk -v RS= -v ORS='\n\n' 'NR == FNR { for (i = 1; i <= NF; i++) wanted[$i]; next } $2 in wanted' - "$list" >"$work/list"
	mv "$work/list" "$list"
done
# In a user namespace nobody makes devices. Those of this machine are there.
# shellcheck disable=SC2016 # debootstrap's variable
sed -i 's/check_sane_mount "\$TARGET"/true/' "$tree/debootstrap/debootstrap"
# dpkg need not sync: a tree that is cut off is made again.
echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/unsafe-io"
mkfifo "$work/go"
# shellcheck disable=SC2016 # the inner shell's variables
unshare --user --mount --pid --fork --kill-child sh -ec '
	read -r _ <"$1/go"
	exec setpriv --reuid=0 --regid=0 --clear-groups sh -ec '\''
		mount -t proc proc /proc
		mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
		printf %s ":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F" >/proc/sys/fs/binfmt_misc/register
		mount -t proc proc "$1/proc"
		mount --rbind /dev "$1/dev"
		PATH=/usr/sbin:/usr/bin:/sbin:/bin exec chroot "$1" /debootstrap/debootstrap --second-stage
	'\'' sh "$1/tree"
	' sh "$work" >>"$work/log" 2>&1 &
process=$!
while [ "$(readlink /proc/$process/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do :; done
echo '0 0 65536' >/proc/$process/uid_map
echo '0 0 65536' >/proc/$process/gid_map
echo >"$work/go"
wait $process || {
	tail "$work/log" >&2
	exit 1
}

cat >"$tree/etc/systemd/system/payload.service" <<-'END'
	[Unit]
	After=ssh.service cron.service dbus.service systemd-logind.service

	[Service]
	ExecStart=/bin/sh -c 'mkdir /run/payload && tar -xf /dev/vdb -C /run/payload; /run/payload/run; exec systemctl poweroff'

	[Install]
	WantedBy=multi-user.target
END
ln -s ../payload.service "$tree/etc/systemd/system/multi-user.target.wants/payload.service"
rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/* "$tree/etc/dpkg/dpkg.cfg.d/unsafe-io"

# The kernel, and an initial RAM disk with what it needs to mount the file system.
kernel=$(apt-cache show linux-image-arm64:arm64 | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$kernel:arm64")
dpkg-deb -x "$work/$kernel"*.deb "$work/kernel"
cp -a "$work/kernel/lib/modules" "$tree/usr/lib"
version=${kernel#linux-image-}
depmod -b "$tree" "$version"
mkdir -p "$dir.new" "$work/initrd"
cp "$work/kernel/boot/vmlinuz-$version" "$dir.new/vmlinuz"
cp "$tree/bin/busybox" "$work/initrd"
for module in virtio_pci virtio_blk ext4; do
	modprobe --dirname "$tree" --set-version "$version" --show-depends "$module"
done | awk '/^insmod/ && !seen[$2]++ { print $2 }' >"$work/modules"
{
	echo '#!/busybox sh'
	echo '/busybox mkdir /dev /root; /busybox mount -t devtmpfs none /dev'
	while read -r file; do
		cp "$file" "$work/initrd"
		echo "/busybox insmod /${file##*/}"
	done <"$work/modules"
	echo 'until [ -e /dev/vda ]; do :; done'
	echo '/busybox mount -t ext4 /dev/vda /root; exec /busybox switch_root /root /sbin/init'
} >"$work/initrd/init"
chmod 0755 "$work/initrd/init"
(cd "$work/initrd" && find . | cpio --quiet -o -H newc) >"$dir.new/initrd.img"
mke2fs -q -F -t ext4 -d "$tree" "$dir.new/root.img" 2G
mv "$dir.new" "$dir"
