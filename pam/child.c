/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "detach.h"
#include "relocate.h"

/*
 * Go's entries of DT_INIT_ARRAY, which build/deferred-start.ld keeps from the
 * dynamic linker. Weak: a module linked without the script has none.
 */
typedef void go_init(int argc, char **argv, char **envp);
extern go_init *const pamnet_go_init_start[] __attribute__((weak));
extern go_init *const pamnet_go_init_end[] __attribute__((weak));

/* What build/deferrelocations has kept from the dynamic linker, and where the module is. */
extern const struct relocations pamnet_go_relocations __attribute__((weak));
extern const char pamnet_go_constants_end[] __attribute__((weak));
extern char __ehdr_start[] __attribute__((visibility("hidden")));

#define SOCKET 3 /* the child's only descriptor beside 0, 1 and 2 */
#define GRACE 1	 /* seconds that the child may live on when the parent has given up */

/* Of the auxiliary vector, what Go's runtime looks for. */
static const unsigned long auxiliary[] = {
	AT_PAGESZ, AT_RANDOM, AT_SECURE, AT_SYSINFO_EHDR, AT_HWCAP, AT_HWCAP2,
};
#define AUXILIARY (sizeof(auxiliary) / sizeof(auxiliary[0]))

/*
 * The block that the kernel would put on a program's stack: argv, environment,
 * auxiliary vector. All that Go's runtime gets to read: nothing that the user of
 * su or sudo exports.
 */
static struct {
	char *argv[2], *environment[4];
	struct {
		unsigned long type, value;
	} vector[AUXILIARY + 1];
} go_start = {
	.argv = { "pam_net" },
	.environment = { "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1" },
};

/* In runtime/cgo, what the C side of an exported function calls first. */
extern size_t _cgo_wait_runtime_init_done(void);

bool child_can_start_go(void)
{
	return pamnet_go_init_start != NULL;
}

/* What the child answers without Go's help: nothing. The parent reads that as a refusal. */
static _Noreturn void give_up(void)
{
	_exit(EXIT_FAILURE);
}

/*
 * Handlers of the login process must not run here; nor may what it ignores be
 * ignored, libc's own signals included, which its sigaction(3) does not touch.
 * Only SIGXFSZ is, so that a limit on the size of files is an error (EFBIG),
 * which the log names.
 */
static void reset_signals(void)
{
	static const unsigned long by_default[8]; /* the kernel's struct sigaction, on every processor */
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8); /* EINVAL for SIGKILL and SIGSTOP */
	sigaction(SIGXFSZ, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Closes every descriptor from low on; Linux before 5.9 has no close_range(2). */
static bool close_from(int low)
{
	struct dirent *entry;
	DIR *dir;

	if (syscall(SYS_close_range, low, ~0U, 0) == 0)
		return true;
	if (errno != ENOSYS)
		return false;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd >= low && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
	return true;
}

/* Leaves the socket at SOCKET and /dev/null at 0, 1 and 2, where the terminal may be. */
static bool keep_only(int socket)
{
	int null;

	if (socket != SOCKET && dup3(socket, SOCKET, O_CLOEXEC) < 0)
		return false;
	if (!close_from(SOCKET + 1))
		return false;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return false;
	for (int fd = 0; fd <= 2; fd++) {
		if (fd != null && dup2(null, fd) < 0)
			return false;
	}
	if (null > SOCKET)
		close(null);
	return true;
}

/* pam_limits may have been here; Go wants address space, and threads. */
static void lift_limits(void)
{
	static const int limits[] = {
		RLIMIT_AS,    RLIMIT_DATA,   RLIMIT_STACK, RLIMIT_RSS,	 RLIMIT_NPROC,
		RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CPU,   RLIMIT_MEMLOCK, RLIMIT_SIGPENDING,
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

		if (setrlimit(limits[i], &limit) == 0 || getrlimit(limits[i], &limit) < 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(limits[i], &limit);
	}
}

/*
 * Starts Go's runtime, in threads of its own; false if it cannot be. It would look for
 * the cgroup's limit of processors, whatever GOMAXPROCS says, and read the whole mount
 * table for that, ten thousand lines beside as many networks: so it may open no file
 * while it starts.
 */
static bool start_go(void)
{
	struct rlimit files, none;

	if (!relocate(__ehdr_start, &pamnet_go_relocations, pamnet_go_constants_end))
		return false;
	mallopt(M_ARENA_MAX, 1); /* one for each thread takes more time than it saves */
	for (size_t i = 0; i < AUXILIARY; i++) {
		go_start.vector[i].type = auxiliary[i];
		go_start.vector[i].value = getauxval(auxiliary[i]);
	}
	environ = go_start.environment;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return false;
	none = files;
	none.rlim_cur = SOCKET + 1;
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return false;
	for (go_init *const *init = pamnet_go_init_start; init < pamnet_go_init_end; init++)
		(*init)(1, go_start.argv, go_start.environment);
	_cgo_wait_runtime_init_done();
	return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

_Noreturn void child_run(struct request *request, pid_t parent)
{
	char end;

	/* A copy of the login process's memory: nobody may look inside, from now on. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		give_up();
	/* In a set-uid su the caller's own uid could send signals to it; the terminal, too. */
	if (geteuid() == 0 && syscall(SYS_setresuid, 0, 0, 0) < 0)
		give_up();
	setsid();
	/* Dies with the thread that waits for it; getppid tells if it was too late for that. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		give_up();
	reset_signals();
	if (!keep_only(request->socket))
		give_up();
	request->socket = SOCKET;
	lift_limits();
	detach_from_caller();
	end_after(request->options->timeout + GRACE);
	umask(022);
	if (!start_go())
		give_up();
	pamnetCore(request);
	while (read(SOCKET, &end, 1) < 0 && errno == EINTR)
		;
	_exit(EXIT_SUCCESS);
}
