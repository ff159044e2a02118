/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "../../pamhost/c/snapshot.h"
#include "host.h"

typedef int pam_function(pam_handle_t *pamh, int flags, int argc, const char **argv);

static pam_function *open_session;
static pam_handle_t *pam;

static int converse(int n, const struct pam_message **message, struct pam_response **response,
		    void *data)
{
	(void)message;
	(void)data;
	*response = calloc((size_t)n, sizeof(**response));
	return *response ? PAM_SUCCESS : PAM_BUF_ERR;
}

static void handler(int signal)
{
	(void)signal;
}

/* Something of each kind that a module could spoil. */
static bool set_up(void)
{
	struct sigaction handled = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct sigaction ignored = { .sa_handler = SIG_IGN };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	return sigaction(SIGCHLD, &handled, NULL) == 0 && sigaction(SIGUSR1, &handled, NULL) == 0 &&
	       sigaction(SIGPIPE, &ignored, NULL) == 0 &&
	       sigprocmask(SIG_SETMASK, &blocked, NULL) == 0 && chdir("/usr/share") == 0;
}

/* Lets the system calls of a number stop for the tracer, and that of MODULE_HAS_RETURNED. */
static bool stop_at(int traced)
{
	uint32_t other = traced == TRACE_ALL ? SECCOMP_RET_TRACE : SECCOMP_RET_ALLOW;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)traced, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MODULE_HAS_RETURNED, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, other),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return traced == TRACE_NONE ||
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

void interfaces(struct json *j, const char *key)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *list = if_nameindex();

	json_open(j, key, '{');
	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		struct ifreq r = { .ifr_flags = 0 };

		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", i->if_name);
		json_bool(j, i->if_name, ioctl(fd, SIOCGIFFLAGS, &r) == 0 && r.ifr_flags & IFF_UP);
	}
	json_close(j, '}');
	if (list)
		if_freenameindex(list);
	if (fd >= 0)
		close(fd);
}

/* Who owns the user namespace that the network belongs to; -1: nobody can tell. */
static void owner(struct json *j)
{
	int net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int user = ioctl(net, NS_GET_USERNS);
	uid_t uid;

	json_int(j, "owner", ioctl(user, NS_GET_OWNER_UID, &uid) == 0 ? (long long)uid : -1);
	close(user);
	close(net);
}

static void directory(struct json *j, const char *key, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	json_open(j, key, '[');
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			json_string(j, NULL, entry->d_name);
	}
	json_close(j, ']');
	if (dir)
		closedir(dir);
}

static void file(struct json *j, const char *key, const char *path)
{
	static char text[32 << 10];
	FILE *f = fopen(path, "re");

	text[f ? fread(text, 1, sizeof(text) - 1, f) : 0] = '\0';
	json_string(j, key, text);
	if (f)
		fclose(f);
}

bool host_start(const char *module, const char *user)
{
	static const struct pam_conv conversation = { .conv = converse };
	void *loaded = dlopen(module, RTLD_NOW);

	if (!loaded) {
		errno = ELIBACC;
		return false;
	}
	*(void **)&open_session = dlsym(loaded, "pam_sm_open_session");
	errno = ENOEXEC;
	return open_session && pam_start("faults", user, &conversation, &pam) == PAM_SUCCESS;
}

bool host_login(int argc, const char **argv, int traced, struct json *report)
{
	int code;

	if (!set_up())
		return false;

	/* Not through pam_open_session(3): it has system calls, and results, of its own. */
	json_open(report, NULL, '{');
	snapshot(report, "before");
	if (!stop_at(traced))
		return false;
	code = open_session(pam, 0, argc, argv);
	syscall(SYS_getpgid, MODULE_HAS_RETURNED);
	closelog(); /* the descriptor of syslog(3), which libc keeps */
	snapshot(report, "after");

	json_int(report, "code", code);
	if (code == PAM_SUCCESS) {
		interfaces(report, "interfaces");
		owner(report);
		directory(report, "sysfs", "/sys/class/net");
		directory(report, "handles", "/run/netns");
		file(report, "mounts", "/proc/self/mountinfo");
	}
	json_close(report, '}');
	errno = EMSGSIZE;
	return !report->full;
}

_Noreturn void host_execute(const char **command, int traced)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 && stop_at(traced))
		execv(command[0], (char **)command);
	_exit(EXIT_FAILURE);
}
