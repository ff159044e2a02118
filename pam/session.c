/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two functions that libpam calls, in the login process. Go never runs here, nor does
 * the client of a directory. A non-member is let through as soon as that is known; for a
 * member a child does the work, and this process only moves into what the child has made.
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "child.h"
#include "go_start.h"
#include "lookup.h"
#include "module.h"
#include "options.h"
#include "refusal.h"
#include "shared.h"
#include "sources.h"
#include "verdict.h"

#define REASON_MAX (MESSAGE_MAX + 256)
#define REAP_GRACE_MS 1000

struct session {
	pam_handle_t *pamh;
	struct request request;
	struct options options;
	enum membership membership; /* of the user, by this module's question */
	struct place before;	 /* where the login process is; of a member */
	bool pinned;		 /* before is open */
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

/*
 * Whether this is the process's main thread. setns(2) moves one thread: the login service would
 * run the session from another, where it is not isolated, and the next session, of somebody
 * else, in this one.
 */
static bool is_main_thread(struct session *s)
{
	if (syscall(SYS_gettid) == getpid())
		return true;
	snprintf(s->reason, sizeof(s->reason),
		 "the login service opens the session in a thread that is not its main one");
	return false;
}

/* Opens what a member's login needs on the way back. A non-member's does not depend on it. */
static bool pin(struct session *s)
{
	if (!is_main_thread(s))
		return false;
	s->pinned = true;
	return place_open(&s->before, s->reason, sizeof(s->reason));
}

/* Takes over an answer, for the other modules of the stack as well. */
static void learn(struct session *s, const struct verdict *v)
{
	const struct request *r = &s->request;

	s->membership = v->answer[r->module->kind];
	for (int kind = 0; kind < KINDS; kind++)
		shared_put(s->pamh, r->user, (enum kind)kind,
			   kind == (int)r->module->kind ? s->options.group :
							  pamnet_modules[kind].group,
			   v->answer[kind]);
}

static bool is_nonmember(const struct session *s)
{
	return s->membership == NONMEMBER || s->membership == NO_GROUP;
}

/*
 * Receives the child's messages up to the verdict, or to the answer that the user is a
 * non-member, and logs the log lines. Returns false with the reason in s on any failure.
 */
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
		switch (v->message) {
		case MESSAGE_VERDICT:
			return true;
		case MESSAGE_ANSWER:
			if (s->membership != UNKNOWN ||
			    v->answer[s->request.module->kind] == UNKNOWN) {
				snprintf(s->reason, sizeof(s->reason),
					 "the child's answer is no answer, or a second one");
				return false;
			}
			learn(s, v);
			if (is_nonmember(s))
				return true;
			if (!pin(s))
				return false;
			break;
		case MESSAGE_LOG:
			if (v->priority != LOG_DEBUG || s->options.debug)
				pam_syslog(s->pamh, v->priority, "%s", v->text);
		}
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
	int pidfd; /* -1 before Linux 5.3 */
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
	if (c->pid > 0) {
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
		return true;
	}
	close(c->socket);
	return refuse(s, "fork", error);
}

/*
 * Whether the child has ended and been collected. A host that ignores SIGCHLD, or collects
 * every child itself, leaves none to wait for (ECHILD).
 */
static bool collect(const struct child *c)
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

/* Waits until the child may have ended. */
static void await_end(const struct child *c, long long ms)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	/* Without a pidfd for the shortest time that there is. */
	poll(&p, c->pidfd >= 0, c->pidfd >= 0 ? (int)ms : 1);
}

/*
 * Ends the child, which has nothing left to do. A child that is stuck in the kernel is not
 * waited for beyond the grace. The signal goes to a pidfd: a thread of the host may collect
 * the child at any time, and its PID be another process's.
 */
static void end_child(const struct child *c)
{
	long long deadline = now_ms() + REAP_GRACE_MS, left = REAP_GRACE_MS;
	bool ended = collect(c);

	close(c->socket);
	if (!ended && c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
	else if (!ended)
		kill(c->pid, SIGKILL);
	for (; !ended && left > 0; left = deadline - now_ms()) {
		await_end(c, left);
		ended = collect(c);
	}
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (!c->pending)
		take_back_sigchld();
	pthread_sigmask(SIG_SETMASK, &c->mask, NULL);
}

/* Carries out the verdict. Returns a PAM code. */
static int obey(struct session *s, const struct verdict *v, int socket)
{
	int child = s->request.module->kind == KIND_NEWNET ? -1 : socket;
	bool moved;

	if (v->outcome != OUTCOME_ISOLATED) {
		snprintf(s->reason, sizeof(s->reason), "%s", v->text);
		return PAM_ABORT;
	}
	snprintf(s->reason, sizeof(s->reason), "the child has not said that the user is a member");
	moved = s->pinned && adopt(&s->before, v, child, s->reason, sizeof(s->reason));
	close_all((const int[]){ v->net, v->mnt, v->root, v->cwd }, VERDICT_FDS);
	if (!moved)
		return PAM_ABORT;
	pam_syslog(s->pamh, LOG_INFO, "%s", v->text);
	if (s->reason[0])
		pam_syslog(s->pamh, LOG_NOTICE, "\"%s\": %s", s->request.user, s->reason);
	return PAM_SUCCESS;
}

/* Adds why the login process itself did not find out whether the user is a member, if it has asked. */
static void add_problem(struct session *s)
{
	size_t n = strlen(s->reason);

	if (s->membership == UNKNOWN && s->request.answer.problem[0])
		snprintf(s->reason + n, sizeof(s->reason) - n, "; %s", s->request.answer.problem);
}

/*
 * Opens the session of a user who is, or may be, a member, with a child. Returns a PAM code.
 */
static int open_with_child(struct session *s)
{
	int code = PAM_ABORT;
	struct child child;
	struct verdict v;

	if (!go_can_start()) {
		snprintf(s->reason, sizeof(s->reason),
			 "this module starts Go when it is loaded, so it must not be used: "
			 "build it with \"make build\", which links it with build/module/deferred-start.ld");
		return PAM_ABORT;
	}
	if ((s->membership != MEMBER || pin(s)) && start_child(s, &child)) {
		if (await_verdict(s, child.socket, &v))
			code = is_nonmember(s) ? PAM_IGNORE : obey(s, &v, child.socket);
		else
			add_problem(s);
		end_child(&child);
	}
	if (s->pinned)
		place_close(&s->before);
	return code;
}

/* An item of PAM's that is a string, "" if it is not set. */
static const char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	return pam_get_item(pamh, type, &value) == PAM_SUCCESS && value ? value : "";
}

/*
 * Whether the environment, which in su is the caller's, may tell a local source what to leave
 * out. systemd's source obeys SYSTEMD_ONLY_USERDB, in a set-uid program as well.
 */
static bool environment_interferes(void)
{
	for (char **variable = environ; variable && *variable; variable++) {
		if (strncmp(*variable, "SYSTEMD_", 8) == 0 &&
		    strncmp(*variable, "SYSTEMD_EXEC_PID=", 17) != 0) /* which every service has */
			return true;
	}
	return false;
}

/*
 * Asks the name service, if all its sources are of this machine. Afterwards nothing is known
 * if there is a directory, a source has failed, or the environment interferes. The child asks
 * then.
 */
static void ask_here(struct session *s)
{
	struct request *r = &s->request;
	struct answer *own = &r->answer;

	if (!sources_read(&r->sources) || !sources_are_local(&r->sources) || environment_interferes())
		return;
	lookup_begin(&r->lookup, &r->sources, r->user);
	lookup_ask(&r->lookup, r->module->kind, s->options.group, own);
	s->membership = own->membership;
	if (s->membership == UNKNOWN)
		return;
	for (int kind = 0; kind < KINDS; kind++) {
		const char *group = pamnet_modules[kind].group;
		struct answer other;

		if (!r->siblings[kind])
			continue;
		lookup_ask(&r->lookup, (enum kind)kind, group, &other);
		shared_put(s->pamh, r->user, (enum kind)kind, group, other.membership);
	}
}

/*
 * Finds out whether the user is a member, and opens a member's session. Returns a PAM code;
 * PAM_IGNORE for a non-member.
 */
static int open_session(struct session *s)
{
	const char *user = s->request.user, *why;
	int code;

	s->membership = shared_get(s->pamh, user, s->request.module->kind, s->options.group);
	if (is_nonmember(s))
		return PAM_IGNORE;
	why = shared_get_unknown(s->pamh, user);
	if (why) {
		snprintf(s->reason, sizeof(s->reason), "%s", why);
		return PAM_ABORT;
	}
	shared_siblings(s->request.module, s->request.siblings);
	ask_here(s);
	code = is_nonmember(s) ? PAM_IGNORE : open_with_child(s);
	lookup_end(&s->request.lookup);
	if (code == PAM_ABORT && s->membership == UNKNOWN)
		shared_put_unknown(s->pamh, user, s->reason);
	return code;
}

static int let_through(const struct session *s)
{
	if (s->membership == NO_GROUP)
		pam_syslog(s->pamh, LOG_WARNING, "there is no group \"%s\", so it has no members",
			   s->options.group);
	else if (s->options.debug)
		pam_syslog(s->pamh, LOG_DEBUG, "\"%s\" is not a member", s->request.user);
	return PAM_IGNORE;
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct session s = {
		.pamh = pamh,
		.membership = UNKNOWN,
		.request = {
			.module = pamnet_module,
			.options = &s.options,
			.user = item(pamh, PAM_USER),
			.service = item(pamh, PAM_SERVICE),
			.rhost = item(pamh, PAM_RHOST),
		},
	};
	const char *user = s.request.user;
	int code = PAM_ABORT;

	options_parse(&s.options, pamnet_module, argc, argv, complain, pamh);
	if (*user)
		code = open_session(&s);
	else
		snprintf(s.reason, sizeof(s.reason), "the login service names no user");
	if (code == PAM_IGNORE)
		return let_through(&s);
	/* Root must be able to log in during a directory outage. */
	if (code == PAM_ABORT && s.membership == UNKNOWN && lookup_is_local_root(user)) {
		pam_syslog(pamh, LOG_ERR, "\"%s\" let in as root, not isolated: %s", user, s.reason);
		return PAM_IGNORE;
	}
	if (code == PAM_ABORT) {
		refusal_add_missing_capabilities(s.reason, sizeof(s.reason));
		pam_syslog(pamh, LOG_ERR, "\"%s\" refused: %s", user, s.reason);
		if (!(flags & PAM_SILENT))
			pam_error(pamh, "Your session cannot be given its network (%s). "
				  "The system log says why.", pamnet_module->name);
		if (s.options.refusal_empty)
			refusal_enter_empty_network(pamh);
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
