#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snapshot.h"

/* Descriptors looked for where /proc does not list them. */
#define DESCRIPTORS_WITHOUT_PROC 1024

/* Descriptors that taking a snapshot needs room for. */
#define DESCRIPTOR_ROOM 256

#define SIGNALS 64

const char *const rlimit_names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = "CPU", [RLIMIT_FSIZE] = "FSIZE", [RLIMIT_DATA] = "DATA", [RLIMIT_STACK] = "STACK",
	[RLIMIT_CORE] = "CORE", [RLIMIT_RSS] = "RSS", [RLIMIT_NPROC] = "NPROC", [RLIMIT_NOFILE] = "NOFILE",
	[RLIMIT_MEMLOCK] = "MEMLOCK", [RLIMIT_AS] = "AS", [RLIMIT_LOCKS] = "LOCKS", [RLIMIT_SIGPENDING] = "SIGPENDING",
	[RLIMIT_MSGQUEUE] = "MSGQUEUE", [RLIMIT_NICE] = "NICE", [RLIMIT_RTPRIO] = "RTPRIO", [RLIMIT_RTTIME] = "RTTIME",
};

static void file_id(struct json *j, const struct stat *st)
{
	char device[32];

	snprintf(device, sizeof(device), "%u:%u", major(st->st_dev), minor(st->st_dev));
	json_string(j, "dev", device);
	json_uint(j, "ino", st->st_ino);
}

static void directory(struct json *j, const char *key, const char *name, const char *path)
{
	struct stat st;

	json_open(j, key, '{');
	if (path)
		json_string(j, "path", path);
	if (stat(name, &st) == 0)
		file_id(j, &st);
	json_close(j, '}');
}

static void working_directory(struct json *j)
{
	static char path[PATH_MAX];

	/* glibc's getcwd() hides the "(unreachable)" of a directory outside the root. */
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0)
		path[0] = '\0';
	directory(j, "cwd", ".", path);
}

/* By name, not by listing the directory: that would take a descriptor, and the process may have reached its limit. */
static void namespaces(struct json *j, const char *task)
{
	static const char *const names[] = {
		"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts",
	};
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	json_open(j, "namespaces", '{');
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/ns/%s", task, names[i]);
		if (stat(path, &st) == 0)
			json_uint(j, names[i], st.st_ino);
	}
	json_close(j, '}');
}

static FILE *open_of_task(const char *tid, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, name);
	return fopen(path, "re");
}

static void thread(struct json *j, const char *tid)
{
	char task[64], path[PATH_MAX], name[64] = "";
	FILE *file = open_of_task(tid, "comm");

	if (file) {
		if (fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
	json_open(j, NULL, '{');
	json_int(j, "tid", atol(tid));
	json_string(j, "name", name);
	snprintf(task, sizeof(task), "/proc/self/task/%s", tid);
	namespaces(j, task);
	snprintf(path, sizeof(path), "%s/cwd", task);
	directory(j, "cwd", path, NULL);
	snprintf(path, sizeof(path), "%s/root", task);
	directory(j, "root", path, NULL);
	json_close(j, '}');
}

static void children_of_thread(struct json *j, const char *tid)
{
	FILE *file = open_of_task(tid, "children");
	int pid;

	if (!file)
		return;
	while (fscanf(file, "%d", &pid) == 1)
		json_int(j, NULL, pid);
	fclose(file);
}

static void each_thread(struct json *j, const char *key, void (*describe)(struct json *, const char *tid))
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	json_open(j, key, '[');
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			describe(j, entry->d_name);
	json_close(j, ']');
	if (dir)
		closedir(dir);
}

static void children(struct json *j)
{
	siginfo_t info;

	/* The list takes CONFIG_PROC_CHILDREN; __WALL counts those that end without a SIGCHLD, too. */
	each_thread(j, "children", children_of_thread);
	json_bool(j, "has_children", waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0);
}

static void descriptor(struct json *j, int fd)
{
	int flags = fcntl(fd, F_GETFD), status = fcntl(fd, F_GETFL);
	char path[PATH_MAX], target[PATH_MAX];
	struct stat st;
	ssize_t len;

	if (flags < 0 || status < 0 || fstat(fd, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';

	json_open(j, NULL, '{');
	json_int(j, "number", fd);
	json_string(j, "target", target);
	json_bool(j, "cloexec", flags & FD_CLOEXEC);
	json_int(j, "status", status);
	file_id(j, &st);
	json_close(j, '}');
}

static void descriptors(struct json *j)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	json_bool(j, "proc", dir);
	json_open(j, "descriptors", '[');
	if (dir) {
		while ((entry = readdir(dir)))
			if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
				descriptor(j, atoi(entry->d_name));
		closedir(dir);
	} else {
		for (fd = 0; fd < DESCRIPTORS_WITHOUT_PROC; fd++)
			descriptor(j, fd);
	}
	json_close(j, ']');
}

/* The kernel's struct sigaction on x86 and ARM: glibc's sigaction() hides signals 32 and 33, which it uses itself. */
struct kernel_sigaction {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

static void signals(struct json *j)
{
	uint64_t blocked = 0, pending = 0;
	stack_t stack = { 0 };
	int number;

	json_open(j, "signals", '[');
	for (number = 1; number <= SIGNALS; number++) {
		struct kernel_sigaction action = { 0 };

		syscall(SYS_rt_sigaction, number, NULL, &action, sizeof(action.mask));
		json_open(j, NULL, '{');
		json_int(j, "number", number);
		json_string(j, "disposition", action.handler == (uintptr_t)SIG_DFL ? "default"
			: action.handler == (uintptr_t)SIG_IGN ? "ignored" : "handler");
		json_uint(j, "address", action.handler);
		json_uint(j, "flags", action.flags);
		json_uint(j, "mask", action.mask);
		json_close(j, '}');
	}
	json_close(j, ']');

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof(blocked));
	json_uint(j, "blocked", blocked);
	syscall(SYS_rt_sigpending, &pending, sizeof(pending));
	json_uint(j, "pending", pending);

	sigaltstack(NULL, &stack);
	json_open(j, "alt_stack", '{');
	json_uint(j, "address", (uintptr_t)stack.ss_sp);
	json_uint(j, "size", stack.ss_size);
	json_int(j, "flags", stack.ss_flags);
	json_close(j, '}');
}

static void rlimits(struct json *j)
{
	struct rlimit limit;
	int resource;

	json_open(j, "rlimits", '{');
	for (resource = 0; resource < (int)RLIM_NLIMITS; resource++) {
		if (getrlimit(resource, &limit) < 0)
			continue;
		json_open(j, rlimit_names[resource], '{');
		json_uint(j, "soft", limit.rlim_cur);
		json_uint(j, "hard", limit.rlim_max);
		json_close(j, '}');
	}
	json_close(j, '}');
}

static void environment(struct json *j)
{
	uint64_t hash = 14695981039346656037U;	/* FNV-1a, each string with its final NUL */
	char hex[20];
	char **variable;
	const char *byte;

	json_open(j, "environment", '[');
	for (variable = environ; variable && *variable; variable++) {
		json_string(j, NULL, *variable);
		byte = *variable;
		do
			hash = (hash ^ (unsigned char)*byte) * 1099511628211U;
		while (*byte++);
	}
	json_close(j, ']');
	snprintf(hex, sizeof(hex), "%016" PRIx64, hash);
	json_string(j, "environment_hash", hex);
}

static void ids(struct json *j, const char *key, unsigned real, unsigned effective, unsigned saved, unsigned filesystem)
{
	json_open(j, key, '{');
	json_uint(j, "real", real);
	json_uint(j, "effective", effective);
	json_uint(j, "saved", saved);
	json_uint(j, "filesystem", filesystem);
	json_close(j, '}');
}

static uint64_t both_halves(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

static void capabilities(struct json *j)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t bounding = 0, ambient = 0;
	unsigned long capability;

	syscall(SYS_capget, &header, half);
	for (capability = 0; capability < 64; capability++) {
		if (prctl(PR_CAPBSET_READ, capability) == 1)
			bounding |= UINT64_C(1) << capability;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
			ambient |= UINT64_C(1) << capability;
	}
	json_open(j, "capabilities", '{');
	json_uint(j, "effective", both_halves(half[0].effective, half[1].effective));
	json_uint(j, "permitted", both_halves(half[0].permitted, half[1].permitted));
	json_uint(j, "inheritable", both_halves(half[0].inheritable, half[1].inheritable));
	json_uint(j, "bounding", bounding);
	json_uint(j, "ambient", ambient);
	json_close(j, '}');
}

static void credentials(struct json *j)
{
	static gid_t groups[NGROUPS_MAX];
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;
	int i, n;

	/* An impossible ID makes setfsuid() and setfsgid() change nothing and tell the present one. */
	json_open(j, "credentials", '{');
	if (getresuid(&ruid, &euid, &suid) == 0)
		ids(j, "uid", ruid, euid, suid, (unsigned)setfsuid((uid_t)-1));
	if (getresgid(&rgid, &egid, &sgid) == 0)
		ids(j, "gid", rgid, egid, sgid, (unsigned)setfsgid((gid_t)-1));
	json_open(j, "groups", '[');
	n = getgroups(NGROUPS_MAX, groups);
	for (i = 0; i < n; i++)
		json_uint(j, NULL, groups[i]);
	json_close(j, ']');
	capabilities(j);
	json_close(j, '}');
}

static void file_mode_mask(struct json *j)
{
	mode_t mask = umask(0);

	umask(mask);
	json_uint(j, "umask", mask);
}

static void attributes(struct json *j)
{
	struct itimerval timer = { 0 };
	int signal = 0, subreaper = 0;

	getitimer(ITIMER_REAL, &timer);
	prctl(PR_GET_PDEATHSIG, &signal);
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);

	json_open(j, "attributes", '{');
	json_int(j, "dumpable", prctl(PR_GET_DUMPABLE));
	json_int(j, "pdeathsig", signal);
	json_int(j, "no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	json_int(j, "securebits", prctl(PR_GET_SECUREBITS));
	json_int(j, "child_subreaper", subreaper);
	json_int(j, "seccomp", prctl(PR_GET_SECCOMP));
	json_int(j, "nice", getpriority(PRIO_PROCESS, 0));
	json_int(j, "personality", personality(0xffffffff));
	json_int(j, "process_group", getpgrp());
	json_int(j, "session", getsid(0));
	json_int(j, "real_timer_armed", timer.it_value.tv_sec || timer.it_value.tv_usec);
	json_close(j, '}');
}

static void memory(struct json *j)
{
	FILE *rollup = fopen("/proc/self/smaps_rollup", "re"), *statm = fopen("/proc/self/statm", "re");
	long long clean_kb = 0, dirty_kb = 0, pages = 0;
	char line[256];

	if (rollup) {
		while (fgets(line, sizeof(line), rollup)) {
			sscanf(line, "Private_Clean: %lld", &clean_kb);
			sscanf(line, "Private_Dirty: %lld", &dirty_kb);
		}
		fclose(rollup);
	}
	if (statm) {
		if (fscanf(statm, "%lld", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	json_open(j, "memory", '{');
	json_int(j, "private_clean_kb", clean_kb);
	json_int(j, "private_dirty_kb", dirty_kb);
	json_int(j, "virtual_kb", pages * (sysconf(_SC_PAGESIZE) / 1024));
	json_close(j, '}');
}

static void mapped_files(struct json *j)
{
	static char line[PATH_MAX + 256], last[PATH_MAX];
	FILE *maps = fopen("/proc/self/maps", "re");
	char *path;

	last[0] = '\0';
	json_open(j, "mapped_files", '[');
	while (maps && fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = '\0';
		path = strchr(line, '/');
		if (!path || strcmp(path, last) == 0)
			continue;
		json_string(j, NULL, path);
		snprintf(last, sizeof(last), "%s", path);
	}
	json_close(j, ']');
	if (maps)
		fclose(maps);
}

void snapshot(struct json *j, const char *key)
{
	struct rlimit own = { 0 }, roomy;

	json_open(j, key, '{');
	json_prefault(j);

	/*
	 * First the limits as they are, then one of them is lifted for a moment: a host that may open no further
	 * descriptor still has to be looked at, and reading /proc takes descriptors. Lifting the hard limit takes
	 * CAP_SYS_RESOURCE; without, the rest is done as without /proc.
	 */
	rlimits(j);
	getrlimit(RLIMIT_NOFILE, &own);
	roomy = own;
	if (roomy.rlim_cur < DESCRIPTOR_ROOM)
		roomy.rlim_cur = DESCRIPTOR_ROOM;
	if (roomy.rlim_max < DESCRIPTOR_ROOM)
		roomy.rlim_max = DESCRIPTOR_ROOM;
	setrlimit(RLIMIT_NOFILE, &roomy);

	json_int(j, "pid", getpid());
	json_int(j, "tid", syscall(SYS_gettid));
	memory(j);
	mapped_files(j);
	namespaces(j, "/proc/thread-self");
	each_thread(j, "threads", thread);
	descriptors(j);
	signals(j);
	environment(j);
	working_directory(j);
	directory(j, "root", "/", "/");
	credentials(j);
	file_mode_mask(j);
	attributes(j);
	children(j);

	setrlimit(RLIMIT_NOFILE, &own);
	json_close(j, '}');
}
