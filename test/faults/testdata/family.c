/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PAM module whose child has a thread, a process that executes nothing, and one that executes a
 * program. Each says with a system call of its own, which nobody else makes, who it is.
 */
#define _GNU_SOURCE
#define PAM_SM_SESSION
#include <fcntl.h>
#include <pthread.h>
#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *thread(void *unused)
{
	syscall(SYS_getpriority, 0, 0);
	return unused;
}

static bool succeeds(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

static _Noreturn void child(void)
{
	char *const argv[] = { "nice", NULL }; /* calls getpriority(2), too */
	pid_t holder, program;
	pthread_t t;

	syscall(SYS_getpriority, 0, 0);
	if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
		_exit(EXIT_FAILURE);
	holder = fork();
	if (holder == 0) {
		syscall(SYS_getpriority, 0, 0);
		_exit(EXIT_SUCCESS);
	}
	program = fork();
	if (program == 0) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		execv("/usr/bin/nice", argv);
		_exit(EXIT_FAILURE);
	}
	_exit(succeeds(holder) & succeeds(program) ? EXIT_SUCCESS : EXIT_FAILURE);
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	pid_t pid;

	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	syscall(SYS_getpriority, 0, 0);
	pid = fork();
	if (pid == 0)
		child();
	return succeeds(pid) ? PAM_IGNORE : PAM_ABORT;
}
