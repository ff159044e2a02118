/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "child_lookup.h"
#include "detach.h"
#include "go_start.h"

#define SOCKET 3 /* the child's only descriptor beside 0, 1 and 2 */
#define GRACE 1	 /* seconds that the child may live on when the parent has given up */

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

_Noreturn void child_run(struct request *request, pid_t parent)
{
	char byte;
	ssize_t n;

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
	if (!keep_only(request->socket))
		give_up();
	request->socket = SOCKET;
	lift_limits();
	end_after(request->options->timeout + GRACE);
	umask(022);
	/* The user of su or sudo exports what the login process has: _SSS_LOOPS=NO, and SSSD knows nobody. */
	environ = go_environment();
	reset_signals();
	if (request->answer.membership != MEMBER && !child_lookup(request))
		_exit(EXIT_SUCCESS);
	detach_from_caller();
	/* A working directory whose server hangs holds up this process, which is given up in time. */
	syscall(SYS_chdir, ".");
	if (!go_start())
		give_up();
	pamnetCore(request);
	/* What the login process asks is answered until it hangs up. */
	while ((n = read(SOCKET, &byte, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n == 1 && write(SOCKET, &byte, 1) < 0)
			break;
	}
	_exit(EXIT_SUCCESS);
}
