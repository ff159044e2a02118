package sandbox

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// This file makes the directory tree of a sandbox. It runs in process 1, in a mount namespace that begins as a copy
// of the machine's.

// overlaid are the directories that can be changed inside, the changes being the sandbox's own.
// /lib is among them for machines where it is not a link into /usr: PAM modules lie there.
var overlaid = []string{"/etc", "/lib", "/usr", "/var"}

// fresh are the file systems that a sandbox has for itself.
var fresh = []struct {
	target, fstype string
	flags          uintptr
	data           string
}{
	{"/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"/dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
	{"/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	{"/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	{"/home", "tmpfs", 0, "mode=0755"},
	{"/root", "tmpfs", 0, "mode=0700"},
}

// devices are the nodes that /dev has, as far as the machine has them.
var devices = []string{
	"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/fuse", "/dev/net/tun",
}

var deviceLinks = map[string]string{
	"/dev/ptmx":   "pts/ptmx",
	"/dev/fd":     "/proc/self/fd",
	"/dev/stdin":  "/proc/self/fd/0",
	"/dev/stdout": "/proc/self/fd/1",
	"/dev/stderr": "/proc/self/fd/2",
}

var directories = map[string]os.FileMode{
	"/run/lock":    0o1777,
	"/run/sandbox": 0o755,
	"/run/sshd":    0o755,
	"/run/user":    0o755,
}

// treeRoot is where the file systems of a sandbox on a tree are put together.
const treeRoot = "/tmp/root"

func setUpMounts(tree string) error {
	defer unix.Umask(unix.Umask(0))
	// First of all: until here a mount may reach the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	// These two keep hold of what the new mounts are about to cover.
	belowSys, err := cloneMountsBelow("/sys")
	if err != nil {
		return err
	}
	nodes := deviceNumbers()

	// What the machine has mounted can only be read from now on (Linux 5.12).
	readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, readOnly); err != nil {
		return fmt.Errorf("make the machine's mounts read-only: %w", err)
	}
	root := "/"
	if tree == "" {
		err = mountOverlays()
	} else {
		root = treeRoot
		err = mountTree(tree)
	}
	if err != nil {
		return err
	}
	for _, m := range fresh {
		if err := replaceMount(path.Join(root, m.target), m.fstype, m.flags, m.data); err != nil {
			return err
		}
	}
	for point, mounts := range belowSys {
		if err := unix.MoveMount(mounts, "", unix.AT_FDCWD, path.Join(root, point), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("carry over the mount on %s: %w", point, err)
		}
		unix.Close(mounts)
	}
	if err := enter(root); err != nil {
		return fmt.Errorf("enter the tree: %w", err)
	}
	if err := fillDirectories(nodes); err != nil {
		return err
	}
	if err := removeJobs(); err != nil {
		return err
	}
	// As systemd leaves it on a real machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make the mounts shared: %w", err)
	}
	return nil
}

// cloneMountsBelow returns detached copies of the mounts below dir, each with those below itself, by mount point.
func cloneMountsBelow(dir string) (map[string]int, error) {
	mounts, err := MountTable(os.Getpid())
	if err != nil {
		return nil, err
	}
	trees := make(map[string]int)
	last := ""
	for _, m := range mounts {
		// The table of a copied namespace has a mount directly before those below it.
		isBelowLast := last != "" && strings.HasPrefix(m.Point+"/", last+"/")
		if !strings.HasPrefix(m.Point, dir+"/") || isBelowLast {
			continue
		}
		last = m.Point
		tree, err := unix.OpenTree(unix.AT_FDCWD, m.Point, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			return nil, fmt.Errorf("copy the mounts on %s: %w", m.Point, err)
		}
		trees[m.Point] = tree
	}
	return trees, nil
}

// deviceNumbers returns those of the devices that the machine has.
func deviceNumbers() map[string]uint64 {
	numbers := make(map[string]uint64)
	for _, device := range devices {
		var stat unix.Stat_t
		if unix.Stat(device, &stat) == nil {
			numbers[device] = stat.Rdev
		}
	}
	return numbers
}

// mountOverlays covers the overlaid directories. The changes are kept on a tmpfs on /tmp, which the overlays hold on
// to when fresh covers it.
func mountOverlays() error {
	if err := replaceMount("/tmp", "tmpfs", 0, "mode=0700"); err != nil {
		return err
	}
	for _, dir := range overlaid {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue
		}
		upper, work := path.Join("/tmp", dir, "upper"), path.Join("/tmp", dir, "work")
		for _, d := range []string{upper, work} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
		if err := unix.Mount("overlay", dir, "overlay", 0, data); err != nil {
			return fmt.Errorf("mount an overlay on %s: %w", dir, err)
		}
	}
	return nil
}

// mountTree mounts a tree on treeRoot, where the overlay keeps the changes beside it.
func mountTree(tree string) error {
	lower, err := os.Open(tree) // it may lie in /tmp
	if err != nil {
		return err
	}
	defer lower.Close()
	if err := replaceMount("/tmp", "tmpfs", 0, "mode=0700"); err != nil {
		return err
	}
	for _, dir := range []string{treeRoot, "/tmp/upper", "/tmp/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=/proc/self/fd/%d,upperdir=/tmp/upper,workdir=/tmp/work", lower.Fd())
	if err := unix.Mount("overlay", treeRoot, "overlay", 0, data); err != nil {
		return fmt.Errorf("mount an overlay of %s: %w", tree, err)
	}
	return nil
}

// enter makes a directory "/", and leaves nothing of the old one.
func enter(root string) error {
	if root == "/" {
		return nil
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Chdir("/")
}

// replaceMount takes away what is mounted on target and mounts a new file system there.
func replaceMount(target, fstype string, flags uintptr, data string) error {
	for unix.Unmount(target, unix.MNT_DETACH) == nil {
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(fstype, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", fstype, target, err)
	}
	return nil
}

// fillDirectories puts into /dev and /run what programs expect there.
func fillDirectories(nodes map[string]uint64) error {
	for device, number := range nodes {
		if err := os.MkdirAll(path.Dir(device), 0o755); err != nil {
			return err
		}
		if err := unix.Mknod(device, unix.S_IFCHR|0o666, int(number)); err != nil {
			return fmt.Errorf("make device %s: %w", device, err)
		}
	}
	for link, target := range deviceLinks {
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	for dir, mode := range directories {
		if err := unix.Mkdir(dir, uint32(mode)); err != nil {
			return fmt.Errorf("make directory %s: %w", dir, err)
		}
	}
	return nil
}

// removeJobs keeps the machine's cron and at jobs from running in the sandbox. at needs its hidden file.
func removeJobs() error {
	for _, pattern := range []string{"/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/*/[^.]*"} {
		jobs, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, job := range jobs {
			if err := os.RemoveAll(job); err != nil {
				return err
			}
		}
	}
	return nil
}
