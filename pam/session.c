/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two functions that PAM calls, in the login process. Go never runs here:
 * who is not a member is sent on by lookup, for everybody else a child
 * does the work, and this process only moves into what the child has made.
 */
#define _GNU_SOURCE
#define PAM_SM_SESSION
#include <errno.h>
#include <poll.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "child.h"
#include "lookup.h"
#include "module.h"
#include "options.h"
#include "verdict.h"

#define REASON_MAX (MESSAGE_MAX + 256)
#define REAP_GRACE_MS 1000

struct session {
	pam_handle_t *pamh;
	struct request request;
	struct options options;
	struct lookup lookup;
	bool unknowable;	 /* it has not come out whether the user is a member */
	char reason[REASON_MAX]; /* of a refusal */
};

static void complain(void *pamh, const char *argument, const char *problem)
{
	pam_syslog(pamh, LOG_ERR, "argument \"%s\" %s; skipped", argument, problem);
}

static bool refuse(struct session *s, const char *what, int error)
{
	snprintf(s->reason, sizeof(s->reason), "%s: %s", what, strerror(error));
	return false;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/*
 * Reads one message from the child; false with the reason in s. Descriptors that
 * come with it are received close-on-exec, and left open only in a good message.
 */
static bool receive(struct session *s, int socket, struct verdict *v)
{
	unsigned char data[MESSAGE_MAX];
	/* Room for more descriptors than are right, to tell "too many" from "cut short". */
	union {
		char bytes[CMSG_SPACE((VERDICT_FDS + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fds[sizeof(control.bytes) / sizeof(int)];
	size_t nfds = 0;
	ssize_t size = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);

	if (size < 0)
		return refuse(s, "receive the verdict", errno);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), nfds * sizeof(int));
	}
	if (size == 0 && nfds == 0) {
		snprintf(s->reason, sizeof(s->reason), "the child ended without a verdict");
		return false;
	}
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !verdict_decode(v, data, (size_t)size, fds, nfds)) {
		close_all(fds, nfds);
		snprintf(s->reason, sizeof(s->reason), "the child's message is malformed%s",
			 msg.msg_flags & MSG_CTRUNC ? " (too few free descriptors?)" : "");
		return false;
	}
	return true;
}

/* Passes on the child's log lines up to its verdict; false with the reason in s. */
static bool await_verdict(struct session *s, int socket, struct verdict *v)
{
	long long deadline = now_ms() + s->options.timeout * 1000LL;

	for (;;) {
		struct pollfd p = { .fd = socket, .events = POLLIN };
		long long left = deadline - now_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready < 0)
			return refuse(s, "wait for the verdict", errno);
		if (ready == 0) {
			snprintf(s->reason, sizeof(s->reason), "no verdict within %u seconds",
				 s->options.timeout);
			return false;
		}
		if (!receive(s, socket, v))
			return false;
		if (v->message == MESSAGE_VERDICT)
			return true;
		if (v->priority != LOG_DEBUG || s->options.debug)
			pam_syslog(s->pamh, v->priority, "%s", v->text);
	}
}

static bool is_pending(int sig)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && sigismember(&pending, sig) == 1;
}

/*
 * Takes back the SIGCHLD that the child's end has left, so that no handler of the
 * host ever hears of it. Signals do not queue: where another child has ended
 * meanwhile, the host still gets one.
 */
static void take_back_sigchld(void)
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

/* A child at work, and what has been changed here for its sake. */
struct child {
	pid_t pid;
	int socket;
	sigset_t mask; /* the signals that were blocked */
	bool pending;  /* SIGCHLD was, before there was a child */
};

/* Starts a child; false with the reason in s. */
static bool start_child(struct session *s, struct child *c)
{
	sigset_t all, waiting;
	int sockets[2], error;
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return refuse(s, "socketpair", errno);
	c->socket = sockets[0];
	s->request.socket = sockets[1];
	/* No handler of the host may run in the child, and none for the child's end here. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &c->mask);
	c->pending = is_pending(SIGCHLD);
	c->pid = fork();
	error = errno;
	if (c->pid == 0)
		child_run(&s->request, parent);
	waiting = c->mask;
	sigaddset(&waiting, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, c->pid < 0 ? &c->mask : &waiting, NULL);
	close(sockets[1]);
	if (c->pid > 0)
		return true;
	close(c->socket);
	return refuse(s, "fork", error);
}

/*
 * Ends the child, which has nothing left to do. A host that ignores SIGCHLD, or
 * collects every child itself, leaves none to wait for (ECHILD). One that is stuck
 * in the kernel is not waited for beyond the grace.
 */
static void end_child(const struct child *c)
{
	long long deadline = now_ms() + REAP_GRACE_MS;
	const struct timespec pause = { .tv_nsec = 100000 };
	pid_t got = waitpid(c->pid, NULL, WNOHANG);

	close(c->socket);
	if (got == 0)
		kill(c->pid, SIGKILL);
	while ((got == 0 || (got < 0 && errno == EINTR)) && now_ms() < deadline) {
		nanosleep(&pause, NULL);
		got = waitpid(c->pid, NULL, WNOHANG);
	}
	if (!c->pending)
		take_back_sigchld();
	pthread_sigmask(SIG_SETMASK, &c->mask, NULL);
}

/* Does what the verdict says; the PAM code comes out. */
static int obey(struct session *s, const struct place *before, const struct verdict *v)
{
	bool named = s->request.module->kind != KIND_NEWNET, moved;

	s->unknowable = v->outcome == OUTCOME_UNKNOWABLE;
	switch (v->outcome) {
	case OUTCOME_NOT_CONCERNED:
		return PAM_IGNORE;
	case OUTCOME_REFUSED:
	case OUTCOME_UNKNOWABLE:
		snprintf(s->reason, sizeof(s->reason), "%s", v->text);
		return PAM_ABORT;
	case OUTCOME_ISOLATED:
		break;
	}
	moved = adopt(before, v, named, s->reason, sizeof(s->reason));
	close_all((const int[]){ v->net, v->mnt, v->root, v->cwd }, VERDICT_FDS);
	if (!moved)
		return PAM_ABORT;
	pam_syslog(s->pamh, LOG_INFO, "%s", v->text);
	return PAM_SUCCESS;
}

/* Everything for somebody who is not proven to be no member; the PAM code comes out. */
static int isolate(struct session *s)
{
	int code = PAM_ABORT;
	struct place before;
	struct child child;
	struct verdict v;

	if (!child_can_start_go()) {
		snprintf(s->reason, sizeof(s->reason),
			 "this module starts Go when it is loaded, so it must not be used: "
			 "build it with \"make build\", which links it with build/module/deferred-start.ld");
		return PAM_ABORT;
	}
	if (place_open(&before, s->reason, sizeof(s->reason)) && start_child(s, &child)) {
		if (await_verdict(s, child.socket, &v))
			code = obey(s, &before, &v);
		end_child(&child);
	}
	place_close(&before);
	return code;
}

/* An item of PAM's that is a string, "" if it is not set. */
static const char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	return pam_get_item(pamh, type, &value) == PAM_SUCCESS && value ? value : "";
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct session s = { .pamh = pamh };
	const struct module *module = &pamnet_module;
	const char *user = item(pamh, PAM_USER);
	int code = PAM_ABORT;

	options_parse(&s.options, module, argc, argv, complain, pamh);
	if (!*user) {
		snprintf(s.reason, sizeof(s.reason), "the login service names no user");
	} else {
		s.request = (struct request){
			.module = module,
			.options = &s.options,
			.user = user,
			.service = item(pamh, PAM_SERVICE),
			.rhost = item(pamh, PAM_RHOST),
			.lookup = &s.lookup,
		};
		lookup(&s.lookup, module->kind, user, s.options.group);
		/*
		 * Clients of directories listen to the environment, which in su and
		 * sudo is the caller's: _SSS_LOOPS=NO, and SSSD knows nobody. The
		 * child asks again, in one of its own.
		 */
		if (s.lookup.membership == MEMBERSHIP_NONE && !s.lookup.local)
			s.lookup.membership = MEMBERSHIP_UNPROVEN;
		if (s.lookup.membership == MEMBERSHIP_NONE) {
			if (s.lookup.group_missing)
				pam_syslog(pamh, LOG_WARNING,
					   "there is no group \"%s\", so it has no members",
					   s.options.group);
			else if (s.options.debug)
				pam_syslog(pamh, LOG_DEBUG, "\"%s\" is not a member", user);
			return PAM_IGNORE;
		}
		s.unknowable = s.lookup.membership == MEMBERSHIP_UNPROVEN;
		code = isolate(&s);
	}
	/* To lock root out of the machine while a directory is away would help nobody. */
	if (code == PAM_ABORT && s.unknowable && s.lookup.user_known && s.lookup.uid == 0) {
		pam_syslog(pamh, LOG_ERR, "\"%s\" let in as root, not isolated: %s", user, s.reason);
		return PAM_IGNORE;
	}
	if (code == PAM_ABORT) {
		pam_syslog(pamh, LOG_ERR, "\"%s\" refused: %s", user, s.reason);
		if (!(flags & PAM_SILENT))
			pam_error(pamh, "Your session cannot be given its network (%s). "
				  "The system log says why.", module->name);
	}
	return code;
}

/* The namespaces end with the session's last process: there is nothing to undo. */
int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
