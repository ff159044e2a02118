/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spy - a user's attacks on the modules' child
 *
 *	spy watch	in a loop, all attacks on each login process and child, until stdin ends
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
} attacks[] = {
	{ "PTRACE_ATTACH", attach },
	{ "PTRACE_SEIZE", seize },
	{ "read mem", read_mem },
	{ "write mem", write_mem },
	{ "environ", environment },
	{ "auxv", auxv },
	{ "maps", maps },
	{ "smaps", smaps },
	{ "map_files", map_files },
	{ "exe", executable },
	{ "root", root },
	{ "cwd", cwd },
	{ "ns/net", net_namespace },
	{ "ns/mnt", mount_namespace },
	{ "fd", list_fds },
	{ "fdinfo", list_fdinfo },
	{ "fd/N", open_fd },
	{ "pidfd_getfd", take_fd },
	{ "process_vm_readv", read_vm },
	{ "process_vm_writev", write_vm },
	{ "prlimit", change_limits },
	{ "SIGCONT", send_signal },
	{ "SIGSTOP", stop },
};

/* --- victims --- */

static bool is_over(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&in, 1, 0) != 0;
}

enum kind { OTHER, HOST, CHILD };

/* A host has root's rights and the user's real uid, its child nothing of the user. */
static enum kind kind_of(pid_t pid)
{
	char path[64], status[1024], name[16] = "";
	unsigned int uid[4];
	const char *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return OTHER;
	n = read(fd, status, sizeof(status) - 1);
	close(fd);
	status[n > 0 ? n : 0] = '\0';
	line = strstr(status, "\nUid:");
	if (sscanf(status, "Name: %15s", name) != 1 || !line ||
	    sscanf(line, "\nUid: %u %u %u %u", &uid[0], &uid[1], &uid[2], &uid[3]) != 4 || uid[1] != 0 ||
	    (strcmp(name, "pamhost") != 0 && strcmp(name, "su") != 0))
		return OTHER;
	return uid[0] | uid[2] | uid[3] ? HOST : CHILD;
}

/*
 * A round of attacks; true if the process was a child. A child that has just been
 * forked has the host's ids, so that signals reach it like the host; but nobody
 * may look inside even then.
 */
static bool assail(pid_t pid)
{
	bool child = false;

	for (size_t i = 0; i < COUNT(attacks); i++) {
		bool signals = attacks[i].works == send_signal || attacks[i].works == stop;
		enum kind before = kind_of(pid);

		if (before == OTHER)
			break;
		child |= before == CHILD && getsid(pid) == pid; /* pamhost begins as root, too */
		if (before == HOST && attacks[i].works == stop)
			continue;
		if (attacks[i].works(pid) && (before == CHILD || !signals) && kind_of(pid) == CHILD) {
			printf("%s has worked on process %d\n", attacks[i].name, pid);
			kill(pid, SIGCONT);
		}
	}
	return child;
}

static void watch(void)
{
	static bool seen[1 << 22];
	unsigned int children = 0;

	while (!is_over()) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		if (!proc)
			err(1, "/proc");
		while ((entry = readdir(proc))) {
			int pid = atoi(entry->d_name);

			if (pid > 1 && pid != getpid() && (size_t)pid < COUNT(seen) && assail(pid) && !seen[pid]) {
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
