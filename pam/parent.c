/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process. */
#define _GNU_SOURCE
#include "parent.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REAP_GRACE_MS 1000

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static bool is_pending(int sig)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, sig) == 1;
}

bool parent_start(struct child *c, struct request *request, char reason[REASON_MAX])
{
	sigset_t all, waiting;
	int sockets[2], error;
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return fail(reason, "socketpair: %m");
	c->socket = sockets[0];
	c->timeout = request->options->timeout;
	c->deadline = now_ms() + c->timeout * 1000LL;
	request->socket = sockets[1];
	/*
	 * Block all signals: the login service's handlers must not run in the child, and its
	 * SIGCHLD handler must not see our child.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &c->mask);
	c->pending = is_pending(SIGCHLD);
	c->pid = fork();
	error = errno;
	if (c->pid == 0)
		child_run(request, parent);
	waiting = c->mask;
	sigaddset(&waiting, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, c->pid < 0 ? &c->mask : &waiting, NULL);
	close(sockets[1]);
	if (c->pid < 0) {
		close(c->socket);
		errno = error;
		return fail(reason, "fork: %m");
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	return true;
}

bool parent_receive(struct child *c, struct message *m, char reason[REASON_MAX])
{
	struct pollfd p = { .fd = c->socket, .events = POLLIN };
	long long left;
	int ready;

	do {
		left = c->deadline - now_ms();
		ready = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return fail(reason, "wait for the verdict: %m");
	if (ready == 0)
		return fail(reason, "no verdict within %u s", c->timeout);
	return wire_receive(c->socket, m, reason);
}

/*
 * Returns whether the child has ended and been reaped. waitid() fails with ECHILD if the login
 * service ignores SIGCHLD, or reaps every child in another thread.
 */
static bool reap(const struct child *c)
{
	siginfo_t info = { 0 };
	int result = -1;

	errno = EINVAL;
	if (c->pidfd >= 0)
		result = waitid(P_PIDFD, (id_t)c->pidfd, &info, WEXITED | WNOHANG);
	if (result < 0 && errno == EINVAL) /* before Linux 5.4 */
		result = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG);
	return result < 0 ? errno != EINTR : info.si_pid != 0;
}

/* Kills the child by its pidfd: once another thread has reaped it, its PID may be another process's. */
static void kill_child(const struct child *c)
{
	if (c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
	else
		kill(c->pid, SIGKILL);
}

/* Waits until the child may have ended: without a pidfd, for the shortest time that there is. */
static void await_end(const struct child *c, long long ms)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	poll(&p, c->pidfd >= 0, c->pidfd >= 0 ? (int)ms : 1);
}

/*
 * Consumes the SIGCHLD of our child. Signals do not queue, so if one of the login service's own
 * children has exited as well, SIGCHLD is raised again.
 */
static void consume_sigchld(void)
{
	const struct timespec at_once = { 0 };
	siginfo_t other = { 0 };
	sigset_t sigchld;

	sigemptyset(&sigchld);
	sigaddset(&sigchld, SIGCHLD);
	if (sigtimedwait(&sigchld, NULL, &at_once) == SIGCHLD &&
	    waitid(P_ALL, 0, &other, WEXITED | WNOHANG | WNOWAIT) == 0 && other.si_pid)
		kill(getpid(), SIGCHLD);
}

void parent_end(const struct child *c)
{
	/* A child stuck in the kernel is abandoned after that time. */
	long long deadline = now_ms() + REAP_GRACE_MS, left = REAP_GRACE_MS;
	bool ended = reap(c);

	close(c->socket);
	if (!ended)
		kill_child(c);
	for (; !ended && left > 0; left = deadline - now_ms()) {
		await_end(c, left);
		ended = reap(c);
	}
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (!c->pending)
		consume_sigchld();
	pthread_sigmask(SIG_SETMASK, &c->mask, NULL);
}
