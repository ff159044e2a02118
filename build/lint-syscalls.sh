#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The calls that change namespaces and mounts belong to internal/netns and
# internal/mount, and to tests. Prints each line elsewhere that makes one, or
# imports the package that does, and fails if there is any.
set -eu
cd "$(dirname "$0")/.."

calls='Unshare|Setns|PivotRoot|Mount|Unmount|MountSetattr|MoveMount|OpenTree|Fsopen|Fspick|Fsconfig[A-Za-z]*|Fsmount'
numbers='UNSHARE|SETNS|PIVOT_ROOT|MOUNT|UMOUNT2|MOUNT_SETATTR|MOVE_MOUNT|OPEN_TREE|FSOPEN|FSPICK|FSCONFIG|FSMOUNT'

if grep -rnE --include='*.go' --exclude='*_test.go' --exclude-dir=test --exclude-dir=out \
	-e "\<(unix|syscall)\.($calls|SYS_($numbers))\>" -e '"github.com/vishvananda/netns"' . |
	grep -Ev '^\./internal/(netns|mount)/'; then
	echo "$0: these lines belong in internal/netns or internal/mount" >&2
	exit 1
fi
