/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child's life. It begins as a copy of the login process, of which nothing may stay: its
 * descriptors, signal handlers, limits, environment, terminal. Everything here runs in the
 * child.
 */
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
#include "wire.h"

#define SOCKET 3 /* the child's only descriptor beside 0, 1 and 2 */
#define GRACE 1	 /* seconds that the child may live on when the login process has given up */

/* Ends the child without a verdict, which the login process takes for a refusal. */
static _Noreturn void give_up(void)
{
	_exit(EXIT_FAILURE);
}

/*
 * Sets every signal to its default, libc's own included. Those are out of sigaction(3)'s reach,
 * hence the system call. Only SIGXFSZ is ignored: a limit on the size of files is an error
 * (EFBIG) then, which the log names.
 */
static void reset_signals(void)
{
	static const unsigned long by_default[8]; /* the kernel's struct sigaction, zero, on every processor */
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8); /* EINVAL for SIGKILL and SIGSTOP */
	sigaction(SIGXFSZ, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Closes every descriptor from low on. Linux before 5.9 has no close_range(2). */
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

/* Moves the socket to SOCKET, puts /dev/null at 0, 1 and 2, and closes all other descriptors. */
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

/* Lifts what pam_limits may have set for the session: Go needs address space and threads. */
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
 * Cuts the ties to the login process. The child becomes undumpable before anything else: it has a
 * copy of the login process's memory, into which no user may look (ptrace(2)).
 */
static void cut_ties(struct request *request, pid_t parent)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		give_up();
	/*
	 * In a set-uid su the real uid is still the caller's, who could send signals to this
	 * process. So could the caller's terminal.
	 */
	if (geteuid() == 0 && syscall(SYS_setresuid, 0, 0, 0) < 0)
		give_up();
	setsid();
	/*
	 * The kernel kills the child when the thread that waits for it ends. The signal is for
	 * the future only (prctl(2)), so getppid(2) tells whether that thread's process has
	 * ended already.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		give_up();
	if (!keep_only(request->socket))
		give_up();
	request->socket = SOCKET;
	lift_limits();
	child_end_after(request->options->timeout + GRACE);
	umask(022);
	/* In su and sudo the environment is the caller's: with _SSS_LOOPS=NO, SSSD finds nobody. */
	environ = child_environment();
	reset_signals();
}

_Noreturn void child_run(struct request *request, pid_t parent)
{
	cut_ties(request, parent);
	if (request->answer.membership != MEMBER && !child_lookup(request))
		_exit(EXIT_SUCCESS);
	child_detach();
	/*
	 * A working directory may be on a server that hangs. The child, which is killed in time,
	 * enters it before it holds any lock; the login process enters it only after that.
	 */
	syscall(SYS_chdir, ".");
	if (!child_start_go())
		give_up();
	pamnetCore(request);
	wire_serve(SOCKET);
	_exit(EXIT_SUCCESS);
}
