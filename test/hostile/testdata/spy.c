/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spy - a user's attacks on the modules' child
 *
 *	spy watch	in a loop, all attacks on each login process, on each child, its
 *			threads and what it has started, until stdin ends
 *	spy control	all attacks on a process of its own: they must work
 *
 * Prints what has worked on a child, and "children COUNT" with how many of them
 * have been attacked; for the control what has not worked.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FEW_FDS 8

/* --- attacks: true if it has worked --- */

static bool attach(pid_t pid)
{
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
		return false;
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return true;
}

static bool seize(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return false;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return true;
}

static bool can_open(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A process that has ended lets its files be opened, and they are empty. */
static bool can_read(pid_t pid, const char *name)
{
	char path[64], byte;
	bool has_read;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	has_read = read(fd, &byte, 1) == 1;
	close(fd);
	return has_read;
}

#define READS(function, name)                                                                      \
	static bool function(pid_t pid)                                                            \
	{                                                                                          \
		return can_read(pid, name);                                                        \
	}

#define OPENS(function, name, flags)                                                               \
	static bool function(pid_t pid)                                                            \
	{                                                                                          \
		return can_open(pid, name, flags);                                                 \
	}

OPENS(read_mem, "mem", O_RDONLY)
OPENS(write_mem, "mem", O_RDWR)
READS(environment, "environ")
READS(auxv, "auxv")
READS(maps, "maps")
READS(smaps, "smaps")
OPENS(map_files, "map_files", O_RDONLY | O_DIRECTORY)
OPENS(executable, "exe", O_RDONLY)
OPENS(root, "root", O_PATH)
OPENS(cwd, "cwd", O_PATH)
OPENS(net_namespace, "ns/net", O_RDONLY)
OPENS(mount_namespace, "ns/mnt", O_RDONLY)
OPENS(list_fds, "fd", O_RDONLY | O_DIRECTORY)
OPENS(list_fdinfo, "fdinfo", O_RDONLY | O_DIRECTORY)

static bool open_fd(pid_t pid)
{
	char name[16];

	for (int fd = 0; fd < FEW_FDS; fd++) {
		snprintf(name, sizeof(name), "fd/%d", fd);
		if (can_open(pid, name, O_PATH))
			return true;
	}
	return false;
}

static bool take_fd(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), taken = -1;

	for (int fd = 0; pidfd >= 0 && fd < FEW_FDS && taken < 0; fd++)
		taken = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (pidfd >= 0)
		close(pidfd);
	if (taken >= 0)
		close(taken);
	return taken >= 0;
}

/* A process that may be read has no memory at 1: EFAULT. */
static bool read_vm(pid_t pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)1, 1 };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == 1 || errno == EFAULT;
}

static bool write_vm(pid_t pid)
{
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { (void *)1, 1 };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == 1 || errno == EFAULT;
}

static bool change_limits(pid_t pid)
{
	struct rlimit limit;

	return prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0;
}

static bool send_signal(pid_t pid)
{
	return kill(pid, SIGCONT) == 0;
}

static bool stop(pid_t pid)
{
	return kill(pid, SIGSTOP) == 0;
}

static const struct {
	const char *name;
	bool (*works)(pid_t pid);
	bool looks_inside;
} attacks[] = {
	{ "PTRACE_ATTACH", attach, true },
	{ "PTRACE_SEIZE", seize, true },
	{ "read mem", read_mem, true },
	{ "write mem", write_mem, true },
	{ "environ", environment, true },
	{ "auxv", auxv, true },
	{ "maps", maps, true },
	{ "smaps", smaps, true },
	{ "map_files", map_files, true },
	{ "exe", executable, true },
	{ "root", root, true },
	{ "cwd", cwd, true },
	{ "ns/net", net_namespace, true },
	{ "ns/mnt", mount_namespace, true },
	{ "fd", list_fds, true },
	{ "fdinfo", list_fdinfo, true },
	{ "fd/N", open_fd, true },
	{ "pidfd_getfd", take_fd, true },
	{ "process_vm_readv", read_vm, true },
	{ "process_vm_writev", write_vm, true },
	{ "prlimit", change_limits, false },
	{ "SIGCONT", send_signal, false },
	{ "SIGSTOP", stop, false },
};

/* --- victims --- */

static bool is_over(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) != 0;
}

/*
 * A host has root's rights and the user's real uid. Its child has nothing of the
 * user, though a thread of it may take the user's effective uid for a moment, and
 * leads a session of its own.
 */
enum kind { OTHER, HOST, CHILD, DESCENDANT };

#define GENERATIONS 2 /* of those that a child starts */

static bool is_login(const char *name)
{
	return strcmp(name, "pamhost") == 0 || strcmp(name, "su") == 0;
}

static enum kind kind_within(pid_t pid, int generations)
{
	char path[64], status[1024], name[16] = "";
	unsigned int real, effective, saved;
	const char *parent_line, *uid_line;
	enum kind parent_kind;
	pid_t parent;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return OTHER;
	n = read(fd, status, sizeof(status) - 1);
	close(fd);
	status[n > 0 ? n : 0] = '\0';
	parent_line = strstr(status, "\nPPid:");
	uid_line = strstr(status, "\nUid:");
	if (!parent_line || !uid_line || sscanf(status, "Name: %15s", name) != 1 ||
	    sscanf(parent_line, "\nPPid: %d", &parent) != 1 ||
	    sscanf(uid_line, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
		return OTHER;
	if (is_login(name) && real == 0 && saved == 0 && getsid(pid) == pid)
		return CHILD;
	parent_kind = generations > 0 ? kind_within(parent, generations - 1) : OTHER;
	if (parent_kind == CHILD || parent_kind == DESCENDANT)
		return DESCENDANT;
	return is_login(name) && effective == 0 ? HOST : OTHER;
}

static enum kind kind_of(pid_t pid)
{
	return kind_within(pid, GENERATIONS);
}

/*
 * A round of attacks on a process or a thread of it. A child that has just been
 * forked looks like a host, and whoever owns the user namespace of what a child
 * has started may end that: signals reach them, but nobody may look inside.
 */
static void assail(pid_t pid, pid_t process)
{
	enum kind kind = OTHER;

	for (size_t i = 0; i < COUNT(attacks); i++) {
		if (kind != CHILD) /* which it stays, and it does not live for long */
			kind = kind_of(process);
		if (kind == OTHER)
			break;
		if ((kind != CHILD && !attacks[i].looks_inside) || !attacks[i].works(pid))
			continue;
		kind = kind_of(process);
		if (kind == CHILD || kind == DESCENDANT) {
			printf("%s has worked on process %d\n", attacks[i].name, pid);
			kill(pid, SIGCONT);
		}
	}
}

/* The next number that a directory of /proc lists; false after the last one. */
static bool next_number(DIR *dir, pid_t *number)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		*number = atoi(entry->d_name);
		if (*number > 1)
			return true;
	}
	return false;
}

static void assail_threads(pid_t process)
{
	char path[64];
	DIR *tasks;
	pid_t thread;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	tasks = opendir(path);
	while (tasks && next_number(tasks, &thread))
		assail(thread, process);
	if (tasks)
		closedir(tasks);
}

static void watch(void)
{
	static bool seen[1 << 22];
	unsigned int children = 0;
	pid_t pid;

	while (!is_over()) {
		DIR *proc = opendir("/proc");

		if (!proc)
			err(1, "/proc");
		while (next_number(proc, &pid)) {
			if (pid == getpid() || (size_t)pid >= COUNT(seen) || kind_of(pid) == OTHER)
				continue;
			assail_threads(pid);
			if (kind_of(pid) == CHILD && !seen[pid]) {
				seen[pid] = true;
				children++;
			}
		}
		closedir(proc);
	}
	printf("children %u\n", children);
}

static int control(void)
{
	pid_t victim = fork();
	int status = 0;

	if (victim < 0)
		err(1, "fork");
	if (victim == 0) {
		for (;;)
			pause();
	}
	for (size_t i = 0; i < COUNT(attacks); i++) {
		if (!attacks[i].works(victim)) {
			printf("%s does not work\n", attacks[i].name);
			status = 1;
		}
	}
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "control") == 0)
		return control();
	if (argc != 2 || strcmp(argv[1], "watch") != 0)
		errx(2, "usage: spy watch|control");
	watch();
	return 0;
}
