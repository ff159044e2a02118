// SPDX-License-Identifier: GPL-2.0-or-later

// Fuse mounts a file system of a user's, which it serves: one empty directory. Root may not
// enter it, as with sshfs, unless others may (allow_other).
//
// usage: fuse [--allow-other] [--enter N] UID DIRECTORY
//
// "ready" is written to stdout when it is there. With --enter N the first N processes that
// enter the directory get an answer, and later ones wait until the program ends, which it
// does when stdin ends. A line says who waits, and who owns the memory of that process.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

var (
	allowOther = flag.Bool("allow-other", false, "let others in")
	enter      = flag.Int64("enter", -1, "how many are answered that enter; -1: all")
	entered    atomic.Int64
)

type directory struct{ fs.Inode }

var (
	_ fs.NodeGetattrer = (*directory)(nil)
	_ fs.NodeAccesser  = (*directory)(nil)
)

func (*directory) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = unix.S_IFDIR | 0o755
	return 0
}

func (*directory) Access(ctx context.Context, _ uint32) syscall.Errno {
	if *enter < 0 || entered.Add(1) <= *enter {
		return 0
	}
	caller, _ := fuse.FromContext(ctx)
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/mem", caller.Pid), &st); err != nil {
		log.Print(err)
	}
	fmt.Printf("uid %d waits, whose memory is uid %d's\n", caller.Uid, st.Uid)
	select {}
}

func main() {
	flag.Parse()
	uid, path := flag.Arg(0), flag.Arg(1)
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		log.Fatal("open /dev/fuse: ", err)
	}
	// As fusermount(1) does for users.
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%s,group_id=%s", dev, uid, uid)
	if *allowOther {
		options += ",allow_other"
	}
	if err := unix.Mount("test", path, "fuse.test", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		log.Fatal("mount: ", err)
	}
	server, err := fuse.NewServer(fs.NewNodeFS(&directory{}, nil), fmt.Sprintf("/dev/fd/%d", dev), &fuse.MountOptions{})
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
