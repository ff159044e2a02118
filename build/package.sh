#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Packs what `make install` installs, built already: a .deb on Debian, and an .rpm
# where there is rpmbuild. $CC says for which processor.
#
# The same sources make the same packages, bit by bit, as far as $SOURCE_DATE_EPOCH
# and $MAINTAINER ("NAME <ADDRESS>") are the same: those of the last commit, unless
# they are given.
#
# usage: package.sh DIR
set -eu

mkdir -p "$1"
out=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
umask 022

die() {
	echo "package: $*" >&2
	exit 1
}

last_commit() { # FORMAT
	git log -1 --format="$1" 2>/dev/null
}

# What is packed on all systems.
stage() { # DIR LIBSECURITYDIR
	make --no-print-directory -o build install DESTDIR="$1" prefix= libsecuritydir="$2" >/dev/null
	gzip -9n "$1"/usr/share/man/man*/* "$1/usr/share/doc/libpam-net/changelog"
	licences >"$1/usr/share/doc/libpam-net/copyright"
}

# Go links what it uses into each file.
licences() {
	cat build/debian/copyright
	sed 's/^/  /' "$(go env GOROOT)/LICENSE"
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/... | sort -u |
		while read -r module tag dir; do
			printf '\n%s %s:\n\n' "$module" "$tag"
			sed 's/^/  /' "$dir"/LICEN[CS]E* "$dir"/NOTICE* 2>/dev/null || :
		done
}

same_times() { # DIR
	find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# The libraries that programs and modules need, in the versions that they need.
deb_depends() { # DIR
	mkdir -p "$work/debian"
	printf 'Source: libpam-net\n\nPackage: libpam-net\nArchitecture: any\n' >"$work/debian/control"
	(cd "$work" && dpkg-shlibdeps -O "$1"/usr/lib/*/security/*.so "$1"/usr/bin/* "$1"/usr/libexec/libpam-net/*) |
		sed -n 's/^shlibs:Depends=//p'
}

pack_deb() {
	# What dpkg's tools would find out about the machine instead.
	DEB_HOST_ARCH=$(dpkg-architecture -t"$machine" -qDEB_HOST_ARCH 2>/dev/null)
	export DEB_HOST_ARCH
	tree=$work/deb
	stage "$tree" "/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/security"
	install -D -m 0644 build/debian/lintian-overrides "$tree/usr/share/lintian/overrides/libpam-net"
	gzip -9n >"$tree/usr/share/doc/libpam-net/changelog.Debian.gz" <<-END
		libpam-net ($version) unstable; urgency=medium

		  * changelog.gz, beside this file, says what has changed.

		 -- $MAINTAINER  $(date -uRd "@$SOURCE_DATE_EPOCH")
	END
	size=$(find "$tree" -printf '%y %s\n' | awk '{ kb += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kb }')

	mkdir "$tree/DEBIAN"
	(cd "$tree" && find usr -type f | LC_ALL=C sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
	install -m 0755 -t "$tree/DEBIAN" build/debian/postinst build/debian/prerm build/debian/postrm
	sed -e "s|@version@|$version|" -e "s|@arch@|$DEB_HOST_ARCH|" -e "s|@size@|$size|" \
		-e "s|@maintainer@|$MAINTAINER|" -e "s|@depends@|$(deb_depends "$tree")|" \
		build/debian/control >"$tree/DEBIAN/control"
	same_times "$tree"
	rm -f "$out"/*_"$DEB_HOST_ARCH.deb" # of other versions
	dpkg-deb --root-owner-group --uniform-compression -Zxz --build "$tree" \
		"$out/libpam-net_${version}_$DEB_HOST_ARCH.deb" >/dev/null
	echo "$out/libpam-net_${version}_$DEB_HOST_ARCH.deb"
}

pack_rpm() {
	tree=$work/rpm
	if [ -d "$work/deb" ]; then # the same files, so that they are not built again
		cp -a "$work/deb" "$tree"
		mkdir "$tree/usr/lib64"
		mv "$tree"/usr/lib/*/security "$tree/usr/lib64"
		rmdir "$tree/usr/lib/${machine%%-*}-"*
		rm -r "$tree/DEBIAN" "$tree/usr/share/lintian" "$tree/usr/share/doc/libpam-net/changelog.Debian.gz"
	else
		stage "$tree" /usr/lib64/security
	fi
	rm -r "$tree/usr/share/pam-configs"
	[ ! -d "$tree/usr/share/zsh/vendor-completions" ] || # Debian's place
		mv "$tree/usr/share/zsh/vendor-completions" "$tree/usr/share/zsh/site-functions"
	same_times "$tree"
	rm -f "$out"/*".${machine%%-*}.rpm"
	rpmbuild -bb --target "${machine%%-*}" --define "_topdir $work/rpmbuild" --define "_rpmdir $out" \
		--define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' \
		--define "tree $tree" --define "upstream ${version%-*}" --define "revision ${version##*-}" \
		--define "maintainer $MAINTAINER" build/rpm/libpam-net.spec >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		exit 1
	}
	echo "$out/libpam-net-$version.${machine%%-*}.rpm"
}

machine=$(${CC:-gcc} -dumpmachine)
version=$(build/version.sh)-1
: "${SOURCE_DATE_EPOCH:=$(last_commit %ct || echo 1767225600)}"
: "${MAINTAINER:=$(last_commit '%an <%ae>' || true)}"
[ -n "$MAINTAINER" ] || die 'git does not tell who maintains this: say MAINTAINER="NAME <ADDRESS>"'
export SOURCE_DATE_EPOCH

packed=false
if [ -e /etc/debian_version ]; then
	pack_deb
	packed=true
fi
if command -v rpmbuild >/dev/null; then
	pack_rpm
	packed=true
fi
$packed || die 'there is neither Debian nor rpmbuild: make deps'
