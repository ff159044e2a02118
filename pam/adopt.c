/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For how long a directory that root may not enter is waited for. */
#define PATIENCE_MS 1000

/* For how long the child's answer is waited for. The child only has to be scheduled. */
#define ANSWER_MS 5000

/* Writes what has failed, with errno, and returns false. */
static bool fail(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s: %s", what, strerror(errno));
	return false;
}

/*
 * Writes the path of ".", "(unreachable)/..." if that is not below "/", "" if it is
 * deleted. glibc's getcwd would search the directories above.
 */
static void read_cwd(char path[PATH_MAX])
{
	if (syscall(SYS_getcwd, path, PATH_MAX) < 0)
		path[0] = '\0';
}

bool place_open(struct place *p, char *why, size_t size)
{
	*p = (struct place){ .ns = -1, .net = -1, .mnt = -1, .root = -1, .cwd = -1 };
	p->ns = open("/proc/thread-self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->ns < 0)
		return fail(why, size, "open /proc/thread-self/ns");
	p->net = openat(p->ns, "net", O_RDONLY | O_CLOEXEC);
	if (p->net < 0)
		return fail(why, size, "open /proc/thread-self/ns/net");
	p->mnt = openat(p->ns, "mnt", O_RDONLY | O_CLOEXEC);
	if (p->mnt < 0)
		return fail(why, size, "open /proc/thread-self/ns/mnt");
	p->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->root < 0)
		return fail(why, size, "open /");
	/*
	 * "." itself is not opened: that takes permission to search it, which root does
	 * not have in a FUSE mount of a user, or on NFS with root_squash. A magic link of
	 * proc(5) takes none.
	 */
	p->cwd = openat(p->ns, "../cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->cwd < 0)
		return fail(why, size, "open /proc/thread-self/cwd");
	read_cwd(p->cwd_path);
	if (stat("/proc/1/ns/net", &p->host_net) < 0)
		return fail(why, size, "stat /proc/1/ns/net");
	return true;
}

void place_close(struct place *p)
{
	const int fds[] = { p->ns, p->net, p->mnt, p->root, p->cwd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/*
 * Enters a mount namespace at the directory root. setns(2) puts the thread at the
 * namespace's own "/", so that root comes right after it: else a chrooted host would be
 * let out of its chroot.
 */
static bool enter_mounts(int mnt, int root)
{
	return setns(mnt, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0;
}

/*
 * Waits until a process that shares the thread's working directory has ended. Returns
 * true if it ended well. A process that takes too long is killed, and nothing is shared
 * with it any more: it may be stuck in the kernel for as long as a server says nothing.
 */
static bool await_helper(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	pid_t got = 0;
	int status = -1;

	for (int i = 0; i < PATIENCE_MS * 10 && got == 0; i++) {
		got = waitpid(pid, &status, __WALL | WNOHANG);
		if (got == 0)
			nanosleep(&pause, NULL);
	}
	if (got == pid)
		return status == 0;
	kill(pid, SIGKILL);
	unshare(CLONE_FS);
	waitpid(pid, &status, __WALL | WNOHANG);
	errno = ETIMEDOUT;
	return false;
}

/* Enters dir with the IDs of the caller of a set-uid program, for the process that waits. */
static _Noreturn void help(int dir, uid_t uid, gid_t gid)
{
	/* A copy of the login process: nobody may miss the end of a pipe, or look inside. */
	if (dir > 0)
		syscall(SYS_close_range, 0, dir - 1, 0);
	syscall(SYS_close_range, dir + 1, ~0U, 0);
	/*
	 * With fs.suid_dumpable=1 a new effective ID makes the process dumpable. Until that is
	 * undone, root's real and saved ID keep the user out. The raw system calls: libc's would
	 * look for the other threads of the login process.
	 */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, 0, uid, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		_exit(1);
	_exit(fchdir(dir) == 0 ? 0 : 1);
}

/*
 * Changes the working directory, as the caller of a set-uid program if root may not. A
 * FUSE mount asks for all IDs of a process, and this thread has to keep its own: so a
 * helper, which shares "/" and "." with it, takes the caller's. The helper's end sends no
 * signal, and waitpid(2) finds it only by __WALL: the host never hears of it.
 */
static bool enter_directory(int dir)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	pid_t pid;
	int error;

	if (fchdir(dir) == 0)
		return true;
	if (uid == 0)
		return false;
	error = errno;
	pid = (pid_t)syscall(SYS_clone, CLONE_FS, NULL, NULL, NULL, NULL);
	if (pid == 0)
		help(dir, uid, gid);
	errno = error;
	return pid > 0 && await_helper(pid);
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether name, seen from the directory dir, is the file that fd has open. */
static bool is_open_as(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstatat(dir, name, &a, 0) == 0 && fstat(fd, &b) == 0 && same(&a, &b);
}

/*
 * Whether "." is the directory that fd has open. No server is asked: it may not answer,
 * and the thread has no deadline here. A FUSE mount of a user tells root nothing (EACCES);
 * there the path has to do, which cwd_is_below_root compares.
 */
static bool is_cwd(const struct place *before, int fd)
{
	struct statx a, b;

	if (statx(before->ns, "../cwd", AT_STATX_DONT_SYNC, STATX_INO, &a) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &b) < 0)
		return errno == EACCES;
	return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
	       a.stx_dev_minor == b.stx_dev_minor;
}

/* The ID of the mount that fd's file is on, as /proc/PID/fdinfo has it; -1 if it cannot be read. */
static int mount_id(const struct place *before, int fd)
{
	char path[32], text[512];
	const char *line;
	ssize_t n;
	int info, id;

	snprintf(path, sizeof(path), "../fdinfo/%d", fd);
	info = openat(before->ns, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	n = read(info, text, sizeof(text) - 1);
	close(info);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "mnt_id:");
	return line && sscanf(line, "mnt_id: %d", &id) == 1 ? id : -1;
}

/*
 * Whether "/" is on another mount than it was: a mount namespace shares none with
 * the one it is a copy of. By its inode alone "/" could still be the old one, and
 * everything below it with it.
 */
static bool root_is_new(const struct place *before, const struct verdict *v)
{
	int was = mount_id(before, before->root), is = mount_id(before, v->root);

	return was >= 0 && is >= 0 && is != was;
}

/*
 * Whether "." is below "/", and unless it has moved by the same path as before: so it is in
 * the same mount namespace. A directory of another one has no path, and is not kept.
 */
static bool cwd_is_below_root(const struct place *before, const struct verdict *v)
{
	char path[PATH_MAX];

	read_cwd(path);
	return path[0] == '/' && (v->cwd_moved || strcmp(path, before->cwd_path) == 0);
}

/*
 * Whether the child still keeps the network's name in use. Its answer is newer than the
 * move: so prune, which takes no name away that is in use, finds this process in the
 * network. A login process that was stopped before the move may come too late for that.
 */
static bool is_in_use(int child)
{
	struct pollfd p = { .fd = child, .events = POLLIN };
	char question = MESSAGE_MOVED, answer;
	int ready;

	if (send(child, &question, 1, MSG_NOSIGNAL) != 1)
		return false;
	do
		ready = poll(&p, 1, ANSWER_MS);
	while (ready < 0 && errno == EINTR);
	return ready == 1 && recv(child, &answer, 1, MSG_DONTWAIT) == 1 && answer == question;
}

/* What is wrong with the place that the thread has been moved to, or NULL. */
static const char *check(const struct place *before, const struct verdict *v, int child)
{
	struct stat net, net_before;

	if (fstatat(before->ns, "net", &net, 0) < 0 || fstat(before->net, &net_before) < 0)
		return "the network namespace of this process cannot be read";
	if (!is_open_as(before->ns, "net", v->net))
		return "this process is not in the network namespace it was moved to";
	if (same(&net, &before->host_net))
		return "the network namespace is the host's";
	if (child < 0 && same(&net, &net_before))
		return "the network namespace is the one the login came from";
	if (!is_open_as(before->ns, "mnt", v->mnt))
		return "this process is not in the mount namespace it was moved to";
	if (is_open_as(before->ns, "mnt", before->mnt))
		return "the mount namespace is the one the login came from";
	if (!is_open_as(AT_FDCWD, "/", before->root))
		return "the root directory has changed";
	if (!root_is_new(before, v))
		return "the root directory is not in the mount namespace";
	if (!is_cwd(before, v->cwd_moved ? v->cwd : before->cwd))
		return "the working directory has changed";
	if (!cwd_is_below_root(before, v))
		return "the working directory is not in the mount namespace";
	if (child >= 0 && !is_in_use(child))
		return "the network may have been taken down meanwhile: its name is not in use any more";
	return NULL;
}

/* Leaves the thread in "/", where it is, if it cannot be in the directory meant; why says so. */
static void go_to_cwd(struct verdict *v, char *why, size_t size)
{
	if (enter_directory(v->cwd))
		return;
	snprintf(why, size, "the session starts in \"/\": enter the working directory: %s",
		 strerror(errno));
	v->cwd = v->root;
	v->cwd_moved = true;
}

/* Returns to the place before; false if that is barred. */
static bool go_back(const struct place *before)
{
	return setns(before->net, CLONE_NEWNET) == 0 && enter_mounts(before->mnt, before->root) &&
	       enter_directory(before->cwd);
}

bool adopt(const struct place *before, const struct verdict *verdict, int child, char *why,
	   size_t size)
{
	struct verdict v = *verdict;
	bool back;

	why[0] = '\0';
	if (unshare(CLONE_FS) < 0)
		return fail(why, size, "unshare CLONE_FS");
	/*
	 * The network first: until the thread leaves its mount namespace it keeps its
	 * working directory, to which there may be no way back.
	 */
	if (setns(v.net, CLONE_NEWNET) < 0)
		return fail(why, size, "enter the network namespace");
	if (!enter_mounts(v.mnt, v.root)) {
		fail(why, size, "enter the mount namespace");
	} else {
		const char *wrong;
		char path[PATH_MAX];

		go_to_cwd(&v, why, size);
		wrong = check(before, &v, child);
		if (!wrong) {
			read_cwd(path);
			if (!why[0] && strcmp(path, "/") == 0 && strcmp(before->cwd_path, "/") != 0)
				snprintf(why, size,
					 "the session starts in \"/\": the working directory is not there");
			return true;
		}
		snprintf(why, size, "%s", wrong);
	}
	back = go_back(before);
	if (!back) {
		size_t n = strlen(why);

		snprintf(why + n, size - n, "; and the way back is barred: %s", strerror(errno));
	}
	return false;
}
