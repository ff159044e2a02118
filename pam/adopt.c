/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool fail(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s: %s", what, strerror(errno));
	return false;
}

/* Where "." is, "(unreachable)/..." if that is not below "/". glibc's getcwd would go and look. */
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
	p->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->cwd < 0)
		return fail(why, size, "open .");
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
 * The mount namespace first: setns(2) puts the thread at the namespace's own
 * "/", so the root and the working directory come right after it. A set-uid su
 * would else start the shell in the wrong directory, and a chrooted host would
 * be let out of its chroot.
 */
static bool move(int net, int mnt, int root, int cwd)
{
	return setns(mnt, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0 &&
	       fchdir(cwd) == 0 && setns(net, CLONE_NEWNET) == 0;
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

/* Whether "." can be reached from "/" as it could be before, so that it is in the same namespace. */
static bool cwd_is_below_root(const struct place *before, const struct verdict *v)
{
	char path[PATH_MAX];

	read_cwd(path);
	return v->cwd_moved ? path[0] == '/' : strcmp(path, before->cwd_path) == 0;
}

/* What is wrong with the place that the thread has been moved to, or NULL. */
static const char *check(const struct place *before, const struct verdict *v, bool named)
{
	struct stat net, net_before;

	if (fstatat(before->ns, "net", &net, 0) < 0 || fstat(before->net, &net_before) < 0)
		return "the network namespace of this process cannot be read";
	if (!is_open_as(before->ns, "net", v->net))
		return "this process is not in the network namespace it was moved to";
	if (same(&net, &before->host_net))
		return "the network namespace is the host's";
	if (!named && same(&net, &net_before))
		return "the network namespace is the one the login came from";
	if (!is_open_as(before->ns, "mnt", v->mnt))
		return "this process is not in the mount namespace it was moved to";
	if (is_open_as(before->ns, "mnt", before->mnt))
		return "the mount namespace is the one the login came from";
	if (!is_open_as(AT_FDCWD, "/", before->root))
		return "the root directory has changed";
	if (!root_is_new(before, v))
		return "the root directory is not in the mount namespace";
	if (!is_open_as(AT_FDCWD, ".", v->cwd_moved ? v->cwd : before->cwd))
		return "the working directory has changed";
	if (!cwd_is_below_root(before, v))
		return "the working directory is not in the mount namespace";
	return NULL;
}

bool adopt(const struct place *before, const struct verdict *v, bool named, char *why, size_t size)
{
	const char *wrong;

	if (unshare(CLONE_FS) < 0)
		return fail(why, size, "unshare CLONE_FS");
	if (!move(v->net, v->mnt, v->root, v->cwd)) {
		fail(why, size, "enter the namespaces");
	} else {
		wrong = check(before, v, named);
		if (!wrong)
			return true;
		snprintf(why, size, "%s", wrong);
	}
	if (!move(before->net, before->mnt, before->root, before->cwd)) {
		size_t n = strlen(why);

		snprintf(why + n, size - n, "; and the way back is barred: %s", strerror(errno));
	}
	return false;
}
