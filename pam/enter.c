/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process, except help(). */
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* For how long the helper waits for a directory that root may not enter. */
#define HELPER_MS 1000

/*
 * Writes the path of ".": "(unreachable)/..." if it is not below "/", "" if it is deleted. The
 * system call writes that; glibc's getcwd(3) would search the directories above.
 */
static void read_cwd(char path[PATH_MAX])
{
	if (syscall(SYS_getcwd, path, PATH_MAX) < 0)
		path[0] = '\0';
}

bool location_save(struct location *l, char reason[REASON_MAX])
{
	/*
	 * "." is opened by its magic link (proc(5)). To open "." itself takes permission to search
	 * it, which root does not have in a FUSE mount of a user, or on NFS with root_squash.
	 */
	const struct {
		int *fd;
		const char *path;
		int flags;
	} files[] = {
		{ &l->ns, "/proc/thread-self/ns", O_PATH | O_DIRECTORY },
		{ &l->net, "/proc/thread-self/ns/net", O_RDONLY },
		{ &l->mnt, "/proc/thread-self/ns/mnt", O_RDONLY },
		{ &l->root, "/", O_PATH | O_DIRECTORY },
		{ &l->cwd, "/proc/thread-self/cwd", O_PATH | O_DIRECTORY },
	};

	*l = (struct location){ .ns = -1, .net = -1, .mnt = -1, .root = -1, .cwd = -1 };
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		*files[i].fd = open(files[i].path, files[i].flags | O_CLOEXEC);
		if (*files[i].fd < 0)
			return fail(reason, "open %s: %m", files[i].path);
	}
	read_cwd(l->cwd_path);
	return stat("/proc/1/ns/net", &l->host_net) == 0 || fail(reason, "stat /proc/1/ns/net: %m");
}

void location_close(const struct location *l)
{
	const int fds[] = { l->ns, l->net, l->mnt, l->root, l->cwd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/*
 * Enters a mount namespace at the directory root. setns(2) moves the thread to the namespace's
 * own "/". A login service in a chroot(2) would leave it that way, so root is entered right
 * after.
 */
static bool enter_mounts(int mnt, int root)
{
	return setns(mnt, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0;
}

/*
 * Waits for a process that shares the thread's working directory. Returns true if it exits with
 * 0. If it takes too long, it is killed, and the directory is no longer shared with it: it may be
 * stuck in the kernel for as long as the directory's server does not answer.
 */
static bool await_helper(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	pid_t got = 0;
	int status = -1;

	for (int i = 0; i < HELPER_MS * 10 && got == 0; i++) {
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

/*
 * Runs in the helper, which shares "/" and "." with the login process. Enters dir with the IDs of
 * the caller of a set-uid program.
 */
static _Noreturn void help(int dir, uid_t uid, gid_t gid)
{
	/* The helper must not keep the writing end of a pipe open. */
	if (dir > 0)
		syscall(SYS_close_range, 0, dir - 1, 0);
	syscall(SYS_close_range, dir + 1, ~0U, 0);
	/*
	 * The helper has a copy of the login process's memory, into which the user must not look.
	 * With fs.suid_dumpable=1 a new effective ID makes it dumpable (proc(5)). Root's real and
	 * saved ID keep the user out until that is undone. libc's setresuid(3) would look for the
	 * other threads of the login process, hence the system calls.
	 */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, 0, uid, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0)
		_exit(1);
	_exit(fchdir(dir) == 0 ? 0 : 1);
}

/*
 * Changes the working directory; as the caller of a set-uid program, if root may not. A FUSE mount
 * checks all IDs of a process, and this thread must keep its own. So a helper that shares "/" and
 * "." with it (CLONE_FS) takes the caller's IDs.
 *
 * The login service does not see the helper: its end sends no signal, and wait(2) finds it only
 * with __WALL (clone(2)).
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

/* Returns whether name, relative to the directory dir, is the file that fd has open. */
static bool is_open_as(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstatat(dir, name, &a, 0) == 0 && fstat(fd, &b) == 0 && same(&a, &b);
}

/*
 * Returns whether "." is the directory that fd has open. AT_STATX_DONT_SYNC asks no server: it may
 * not answer, and this thread has no deadline. A FUSE mount of a user tells root nothing (EACCES);
 * only the path counts then, which cwd_is_below_root compares.
 */
static bool is_cwd(const struct location *before, int fd)
{
	struct statx a, b;

	if (statx(before->ns, "../cwd", AT_STATX_DONT_SYNC, STATX_INO, &a) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &b) < 0)
		return errno == EACCES;
	return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
	       a.stx_dev_minor == b.stx_dev_minor;
}

/* Returns the ID of the mount that fd's file is on (proc(5), fdinfo), -1 if it cannot be read. */
static int mount_id(const struct location *before, int fd)
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
 * Returns whether "/" is on another mount than before. A mount namespace shares no mount with the
 * one it is a copy of, but all inodes: by its inode, "/" could still be the old one.
 */
static bool root_is_new(const struct location *before, const struct message *m)
{
	int was = mount_id(before, before->root), is = mount_id(before, m->root);

	return was >= 0 && is >= 0 && is != was;
}

/*
 * Returns whether "." is below "/", by the same path as before unless it has moved. Then it is in
 * the mount namespace of "/": a directory of another one has no path.
 */
static bool cwd_is_below_root(const struct location *before, const struct message *m)
{
	char path[PATH_MAX];

	read_cwd(path);
	return path[0] == '/' && (m->cwd_moved || strcmp(path, before->cwd_path) == 0);
}

/* Returns what is wrong with the location that the thread has been moved to, or NULL. */
static const char *find_problem(const struct location *before, const struct message *m, int child)
{
	struct stat net, net_before;

	if (fstatat(before->ns, "net", &net, 0) < 0 || fstat(before->net, &net_before) < 0)
		return "the network namespace of this process cannot be read";
	if (!is_open_as(before->ns, "net", m->net))
		return "this process is not in the network namespace it was moved to";
	if (same(&net, &before->host_net))
		return "the network namespace is the host's";
	if (child < 0 && same(&net, &net_before))
		return "the network namespace is the one the login came from";
	if (!is_open_as(before->ns, "mnt", m->mnt))
		return "this process is not in the mount namespace it was moved to";
	if (is_open_as(before->ns, "mnt", before->mnt))
		return "the mount namespace is the one the login came from";
	if (!is_open_as(AT_FDCWD, "/", before->root))
		return "the root directory has changed";
	if (!root_is_new(before, m))
		return "the root directory is not in the mount namespace";
	if (!is_cwd(before, m->cwd_moved ? m->cwd : before->cwd))
		return "the working directory has changed";
	if (!cwd_is_below_root(before, m))
		return "the working directory is not in the mount namespace";
	if (child >= 0 && !wire_is_in_use(child))
		return "the network may have been taken down meanwhile: its name is not in use any more";
	return NULL;
}

/* Enters the session's working directory. If that fails, leaves the thread in "/", and notes so. */
static void enter_cwd(struct message *m, char note[REASON_MAX])
{
	if (enter_directory(m->cwd))
		return;
	fail(note, "the session starts in \"/\": enter the working directory: %m");
	m->cwd = m->root;
	m->cwd_moved = true;
}

static bool go_back(const struct location *before)
{
	return setns(before->net, CLONE_NEWNET) == 0 && enter_mounts(before->mnt, before->root) &&
	       enter_directory(before->cwd);
}

bool session_enter(const struct location *before, const struct message *verdict, int child,
		   char reason[REASON_MAX])
{
	struct message m = *verdict;
	const char *problem;
	char path[PATH_MAX];

	reason[0] = '\0';
	/* setns(2) enters no mount namespace while "/" and "." are shared with another thread. */
	if (unshare(CLONE_FS) < 0)
		return fail(reason, "unshare CLONE_FS: %m");
	/*
	 * The network namespace comes first. If that fails, the thread is still in its working
	 * directory. Once the thread has left its mount namespace, it may not be let back in there.
	 */
	if (setns(m.net, CLONE_NEWNET) < 0)
		return fail(reason, "enter the network namespace: %m");
	if (enter_mounts(m.mnt, m.root)) {
		enter_cwd(&m, reason);
		problem = find_problem(before, &m, child);
		if (!problem) {
			read_cwd(path);
			if (!reason[0] && strcmp(path, "/") == 0 && strcmp(before->cwd_path, "/") != 0)
				fail(reason, "the session starts in \"/\": the working directory is not there");
			return true;
		}
		fail(reason, "%s", problem);
	} else {
		fail(reason, "enter the mount namespace: %m");
	}
	if (!go_back(before))
		fail_also(reason, "; restoring the original namespaces also failed: %m");
	return false;
}

bool empty_network_enter(char reason[REASON_MAX])
{
	return unshare(CLONE_NEWNET) == 0 || fail(reason, "unshare: %m");
}
