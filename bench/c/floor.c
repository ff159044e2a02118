/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * floor - the least that a member's login can take, and nothing else
 *
 * usage: floor go LIBRARY | [go LIBRARY] (newnet | join NAME | create NAME) | remove NAME
 *
 * "go" starts an empty Go library in a child, calls its function and waits for the end of the child.
 *
 * The others move this process into a network namespace and a mount namespace like those that a module makes, with
 * one system call after the other. They ask for no membership, check nothing and know no way back. What is mounted
 * below /sys and what lies in /etc/netns/NAME is found out before the clock starts. The program writes the
 * nanoseconds.
 *
 * remove is not timed: it removes a name, if there is one, as ip-netns(8) does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANDLES "/run/netns"
#define OVERLAYS "/etc/netns"
#define COVERS_MAX 64

/* glibc before 2.36 lacks these calls; their numbers are the same on every processor. */
#define CALL_OPEN_TREE 428
#define CALL_MOVE_MOUNT 429
#define CALL_FSOPEN 430
#define CALL_FSCONFIG 431
#define CALL_FSMOUNT 432
#define TREE_CLONE 1
#define TREE_RECURSIVE 0x8000
#define FROM_EMPTY_PATH 4
#define COMMAND_CREATE 6

/* What is to be attached at path: a copy of source, or, below /sys, of what is mounted there. */
struct cover {
	char *source, *path;
	int tree;
};

static struct cover below_sys[COVERS_MAX], overlays[COVERS_MAX];
static size_t below_sys_count, overlay_count;

static int must(const char *what, long result)
{
	if (result < 0)
		err(1, "%s", what);
	return (int)result;
}

static struct cover *add(struct cover *list, size_t *count)
{
	if (*count == COVERS_MAX)
		errx(1, "more than %d mounts", COVERS_MAX);
	return &list[(*count)++];
}

/* A text that is kept for good. */
__attribute__((format(printf, 2, 3)))
static void keep(char **text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	must("vasprintf", vasprintf(text, format, arguments));
	va_end(arguments);
}

/* The mounts right on the one that /sys is. */
static void find_below_sys(void)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	static char line[PATH_MAX + 512], path[PATH_MAX];
	int id, parent, sys = -1;

	if (!table)
		err(1, "/proc/self/mountinfo");
	while (fgets(line, sizeof(line), table)) {
		if (sscanf(line, "%d %d %*s %*s %4095s", &id, &parent, path) != 3)
			continue;
		if (strcmp(path, "/sys") == 0)
			sys = id;
		else if (parent == sys)
			keep(&add(below_sys, &below_sys_count)->path, "%s", path);
	}
	fclose(table);
}

static void find_overlays(const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct cover *c;
	DIR *dir;

	snprintf(path, sizeof(path), OVERLAYS "/%s", name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		c = add(overlays, &overlay_count);
		keep(&c->source, "%s/%s", path, entry->d_name);
		keep(&c->path, "/etc/%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int new_mount(const char *type)
{
	int fs = must("fsopen", syscall(CALL_FSOPEN, type, 1)), tree;

	must("fsconfig", syscall(CALL_FSCONFIG, fs, COMMAND_CREATE, NULL, NULL, 0));
	tree = must("fsmount", syscall(CALL_FSMOUNT, fs, 1, 0));
	close(fs);
	return tree;
}

static int copy(const char *path)
{
	return must(path, syscall(CALL_OPEN_TREE, AT_FDCWD, path, TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC));
}

static void attach(int tree, const char *path)
{
	must(path, syscall(CALL_MOVE_MOUNT, tree, "", AT_FDCWD, path, FROM_EMPTY_PATH));
	close(tree);
}

static void raise_loopback(void)
{
	int s = must("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct ifreq lo = { .ifr_name = "lo" };

	must("SIOCGIFFLAGS", ioctl(s, SIOCGIFFLAGS, &lo));
	lo.ifr_flags |= IFF_UP;
	must("SIOCSIFFLAGS", ioctl(s, SIOCSIFFLAGS, &lo));
	close(s);
}

static void enter_network(const char *what, const char *handle)
{
	int fd;

	if (strcmp(what, "join") == 0) {
		fd = must(handle, open(handle, O_RDONLY | O_CLOEXEC));
		must("setns", setns(fd, CLONE_NEWNET));
		close(fd);
		return;
	}
	must("unshare", unshare(CLONE_NEWNET));
	raise_loopback();
	if (strcmp(what, "create") == 0) {
		close(must(handle, open(handle, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)));
		must(handle, mount("/proc/thread-self/ns/net", handle, NULL, MS_BIND, NULL));
	}
}

static void hide_handles(const char *handle)
{
	if (access(HANDLES, F_OK) < 0)
		return;
	while (umount2(HANDLES, MNT_DETACH) == 0)
		;
	attach(new_mount("tmpfs"), HANDLES);
	if (!handle)
		return;
	close(must(handle, open(handle, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)));
	must(handle, mount("/proc/thread-self/ns/net", handle, NULL, MS_BIND, NULL));
}

static void make_mounts(const char *handle)
{
	must("unshare", unshare(CLONE_NEWNS));
	must("propagation", mount("", "/", NULL, MS_REC | MS_SLAVE, NULL));
	for (size_t i = 0; i < below_sys_count; i++)
		below_sys[i].tree = copy(below_sys[i].path);
	must("/sys", umount2("/sys", MNT_DETACH));
	attach(new_mount("sysfs"), "/sys");
	for (size_t i = 0; i < below_sys_count; i++)
		attach(below_sys[i].tree, below_sys[i].path);
	for (size_t i = 0; i < overlay_count; i++)
		attach(copy(overlays[i].source), overlays[i].path);
	hide_handles(handle);
}

/* A child loads the library, which starts Go's runtime, calls it, and ends. */
static void start_go(const char *library)
{
	pid_t child = must("fork", fork());
	void (*nothing)(void);
	void *handle;
	int status;

	if (child == 0) {
		handle = dlopen(library, RTLD_NOW);
		if (!handle)
			errx(1, "%s", dlerror());
		*(void **)&nothing = dlsym(handle, "Nothing");
		if (nothing)
			nothing();
		_exit(nothing ? 0 : 1);
	}
	must("waitpid", waitpid(child, &status, 0));
	if (status != 0)
		errx(1, "the child that starts Go has failed");
}

static void remove_name(const char *handle)
{
	if (umount2(handle, MNT_DETACH) < 0 && errno != ENOENT && errno != EINVAL)
		err(1, "umount %s", handle);
	if (unlink(handle) < 0 && errno != ENOENT)
		err(1, "unlink %s", handle);
}

int main(int argc, char **argv)
{
	const char *library = NULL, *what, *name;
	char handle[PATH_MAX];
	struct timespec start, end;

	if (argc > 2 && strcmp(argv[1], "go") == 0) {
		library = argv[2];
		argc -= 2;
		argv += 2;
	}
	what = argc > 1 ? argv[1] : "";
	name = argc > 2 ? argv[2] : NULL;
	if (argc > 3 || (!*what && !library) || (*what && !name != (strcmp(what, "newnet") == 0)))
		errx(2, "usage: floor go LIBRARY | [go LIBRARY] (newnet | join NAME | create NAME) | remove NAME");
	if (name) {
		snprintf(handle, sizeof(handle), HANDLES "/%s", name);
		find_overlays(name);
	}
	if (strcmp(what, "remove") == 0) {
		remove_name(handle);
		return 0;
	}
	find_below_sys();
	clock_gettime(CLOCK_MONOTONIC, &start);
	if (library)
		start_go(library);
	if (*what) {
		enter_network(what, handle);
		make_mounts(name ? handle : NULL);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
	return 0;
}
