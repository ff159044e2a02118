/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What libpam calls. Everything here runs in the login process.
 *
 * Go never runs in this process, nor is the client of a directory loaded. If the user is a
 * non-member, the module returns PAM_IGNORE as soon as that is known. For a member, a child
 * creates the namespaces and this process enters them. The PAM code is decided here, and only
 * this file logs.
 */
#define _GNU_SOURCE
#define PAM_SM_SESSION
#include <errno.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "enter.h"
#include "parent.h"
#include "shared.h"

/* One call of pam_sm_open_session. */
struct login {
	pam_handle_t *pamh;
	struct request request;
	struct options options;
	enum membership membership; /* of the user, by this module's question */
	struct location before;	    /* where this process is; of a member */
	bool saved;		    /* before is open */
	char reason[REASON_MAX];    /* of a refusal */
};

static bool is_main_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

/*
 * Saves where a member's login process is, for the way back.
 *
 * A member whose session is opened outside the main thread is refused: setns(2) moves one
 * thread. The login service would run the session in another one, where it is not isolated, and
 * the session of the next user in this one.
 */
static bool save_location(struct login *l)
{
	if (!is_main_thread())
		return fail(l->reason, "the login service opens the session in a thread that is not its main one");
	l->saved = true;
	return location_save(&l->before, l->reason);
}

/*
 * Takes over an answer of the child, for the other modules of the stack as well. An answer is
 * expected once, and only if this process has none.
 */
static bool take_answer(struct login *l, const struct message *m)
{
	const struct request *r = &l->request;
	enum kind own = r->module->kind;

	if (l->membership != UNKNOWN || m->answer[own] == UNKNOWN)
		return fail(l->reason, "the child's answer is \"unknown\", or a second one");
	l->membership = m->answer[own];
	for (int kind = 0; kind < KINDS; kind++)
		shared_put(l->pamh, r->user, (enum kind)kind,
			   kind == (int)own ? l->options.group : pamnet_modules[kind].group,
			   m->answer[kind]);
	return is_nonmember(l->membership) || save_location(l);
}

/*
 * Receives the child's messages up to the verdict, or to the answer that the user is a
 * non-member, and logs the log lines. Returns false with the reason in l on any failure.
 */
static bool await_verdict(struct login *l, struct child *c, struct message *m)
{
	while (parent_receive(c, m, l->reason)) {
		switch (m->type) {
		case MESSAGE_VERDICT:
			return true;
		case MESSAGE_ANSWER:
			if (!take_answer(l, m))
				return false;
			if (is_nonmember(l->membership))
				return true;
			break;
		case MESSAGE_LOG:
			if (m->priority != LOG_DEBUG || l->options.debug)
				pam_syslog(l->pamh, m->priority, "%s", m->text);
		}
	}
	return false;
}

/* Applies the child's verdict. Returns a PAM code. */
static int apply_verdict(struct login *l, const struct child *c, const struct message *verdict)
{
	bool named = l->request.module->kind != KIND_NEWNET, entered;

	if (verdict->outcome != OUTCOME_ISOLATED) {
		fail(l->reason, "%s", verdict->text);
		return PAM_ABORT;
	}
	fail(l->reason, "the child has not said that the user is a member");
	entered = l->saved && session_enter(&l->before, verdict, named ? c->socket : -1, l->reason);
	wire_close(verdict);
	if (!entered)
		return PAM_ABORT;
	pam_syslog(l->pamh, LOG_INFO, "%s", verdict->text);
	if (l->reason[0])
		pam_syslog(l->pamh, LOG_NOTICE, "\"%s\": %s", l->request.user, l->reason);
	return PAM_SUCCESS;
}

/* Opens the session of a user who is, or may be, a member. Returns a PAM code. */
static int open_with_child(struct login *l)
{
	int code = PAM_ABORT;
	struct message m;
	struct child c;

	if (!child_can_start_go()) {
		fail(l->reason, "this module starts Go when it is loaded, so it must not be used: "
				"build it with \"make build\", which links it with build/module/deferred-start.ld");
		return PAM_ABORT;
	}
	if ((l->membership != MEMBER || save_location(l)) && parent_start(&c, &l->request, l->reason)) {
		if (await_verdict(l, &c, &m))
			code = is_nonmember(l->membership) ? PAM_IGNORE : apply_verdict(l, &c, &m);
		else if (l->membership == UNKNOWN && l->request.answer.problem[0])
			/* Why this process itself did not find out, if it has asked. */
			fail_also(l->reason, "; %s", l->request.answer.problem);
		parent_end(&c);
	}
	if (l->saved)
		location_close(&l->before);
	return code;
}

/*
 * Returns whether the environment, which in su is the caller's, may tell a local source what to
 * leave out. systemd's source obeys SYSTEMD_ONLY_USERDB, in a set-uid program as well.
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
 * Asks the name service, if all its sources are of this machine. The user remains unknown, and
 * the child will ask, if there is a directory, a source has failed or the environment
 * interferes.
 */
static void ask_here(struct login *l)
{
	struct request *r = &l->request;
	struct answer other;

	if (!nsswitch_read(&r->account.sources) || !nsswitch_all_local(&r->account.sources) ||
	    environment_interferes())
		return;
	account_read(&r->account, r->user);
	member_ask(&r->account, r->module->kind, l->options.group, &r->answer);
	l->membership = r->answer.membership;
	for (int kind = 0; kind < KINDS && l->membership != UNKNOWN; kind++) {
		const char *group = pamnet_modules[kind].group;

		if (!r->siblings[kind])
			continue;
		member_ask(&r->account, (enum kind)kind, group, &other);
		shared_put(l->pamh, r->user, (enum kind)kind, group, other.membership);
	}
}

/*
 * Finds out whether the user is a member, and opens a member's session. Returns a PAM code:
 * PAM_IGNORE for a non-member.
 */
static int open_session(struct login *l)
{
	struct request *r = &l->request;
	const char *why;
	int code;

	l->membership = shared_get(l->pamh, r->user, r->module->kind, l->options.group);
	if (is_nonmember(l->membership))
		return PAM_IGNORE;
	why = shared_get_unknown(l->pamh, r->user);
	if (why) {
		fail(l->reason, "%s", why);
		return PAM_ABORT;
	}
	shared_siblings(r->module, r->siblings);
	ask_here(l);
	code = is_nonmember(l->membership) ? PAM_IGNORE : open_with_child(l);
	account_free(&r->account);
	if (code == PAM_ABORT && l->membership == UNKNOWN)
		shared_put_unknown(l->pamh, r->user, l->reason);
	return code;
}

static int let_through(const struct login *l)
{
	if (l->membership == NO_GROUP)
		pam_syslog(l->pamh, LOG_WARNING, "group \"%s\" does not exist, so nobody is a member",
			   l->options.group);
	else if (l->options.debug)
		pam_syslog(l->pamh, LOG_DEBUG, "\"%s\" is not a member", l->request.user);
	return PAM_IGNORE;
}

/* Moves the thread into an empty network, where a login service that ignores the refusal runs the session. */
static void enter_empty_network(pam_handle_t *pamh)
{
	char reason[REASON_MAX];

	if (!empty_network_enter(reason))
		pam_syslog(pamh, LOG_ERR, "refusal=empty: the login process stays in its network: %s", reason);
	else if (is_main_thread())
		pam_syslog(pamh, LOG_WARNING, "refusal=empty: the login process is in an empty network now");
	else
		pam_syslog(pamh, LOG_WARNING, "refusal=empty: this thread is in an empty network now, "
			   "and no other thread of the login service");
}

static int refuse(struct login *l, int flags)
{
	/* Root must be able to log in during a directory outage. */
	if (l->membership == UNKNOWN && account_is_local_root(l->request.user)) {
		pam_syslog(l->pamh, LOG_ERR, "\"%s\" let in as root, not isolated: %s", l->request.user,
			   l->reason);
		return PAM_IGNORE;
	}
	add_missing_capabilities(l->reason);
	pam_syslog(l->pamh, LOG_ERR, "\"%s\" refused: %s", l->request.user, l->reason);
	if (!(flags & PAM_SILENT))
		pam_error(l->pamh, "Login refused: your network could not be set up (%s). "
			  "Ask your administrator to check the system log.", l->request.module->name);
	if (l->options.refusal_empty)
		enter_empty_network(l->pamh);
	return PAM_ABORT;
}

/* Returns an item of PAM's that is a string, "" if it is not set. */
static const char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	return pam_get_item(pamh, type, &value) == PAM_SUCCESS && value ? value : "";
}

static void parse_arguments(struct login *l, int argc, const char **argv)
{
	options_init(&l->options, pamnet_module);
	for (int i = 0; i < argc; i++) {
		const char *problem = options_apply(&l->options, pamnet_module, argv[i]);

		if (problem)
			pam_syslog(l->pamh, LOG_ERR, "argument \"%s\" ignored: %s", argv[i], problem);
	}
}

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct login l = {
		.pamh = pamh,
		.membership = UNKNOWN,
		.request = {
			.module = pamnet_module,
			.options = &l.options,
			.user = item(pamh, PAM_USER),
			.service = item(pamh, PAM_SERVICE),
			.rhost = item(pamh, PAM_RHOST),
		},
	};
	int code = PAM_ABORT;

	parse_arguments(&l, argc, argv);
	if (*l.request.user)
		code = open_session(&l);
	else
		fail(l.reason, "the login service names no user");
	switch (code) {
	case PAM_IGNORE:
		return let_through(&l);
	case PAM_SUCCESS:
		return PAM_SUCCESS;
	default:
		return refuse(&l, flags);
	}
}

/* Does nothing: the namespaces end with the session's last process. */
int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
