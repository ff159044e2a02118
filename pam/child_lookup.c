/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The child's question to all sources, directories included. Everything here runs in the child,
 * child_read() and child_ask() in pamnetctl as well. No function of the login process calls any:
 * test/shim links those without the files child*.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "child.h"
#include "wire.h"

/* Returns whether SSSD takes connections, else false with errno set. */
static bool sssd_answers(void)
{
	static const struct sockaddr_un address = { AF_UNIX, "/var/lib/sss/pipes/nss" };
	static const struct timeval patience = { .tv_sec = 2 }; /* for when many ask at once */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		error = errno;
	while (!error && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EINTR)
			error = errno;
	}
	if (fd >= 0)
		close(fd);
	errno = error;
	return !error;
}

static bool is_source(const struct sources *sources, const char *name)
{
	for (size_t i = 0; i < sources->count; i++) {
		if (strcmp(sources->list[i].name, name) == 0 && sources->list[i].loaded)
			return true;
	}
	return false;
}

void child_read(struct account *a, const char *user)
{
	if (nsswitch_read(&a->sources))
		account_read(a, user);
	else
		fail(a->problem, "/etc/nsswitch.conf: %m");
}

void child_ask(struct account *a, enum kind kind, const char *group, struct answer *answer)
{
	member_ask(a, kind, group, answer);
	if (is_nonmember(answer->membership) && is_source(&a->sources, "sss") && !sssd_answers()) {
		answer->membership = UNKNOWN;
		source_fail("sss", answer->problem);
	}
}

/* Returns the answer for the module of another kind, with the default of group=: "non-member" or "unknown". */
static enum membership ask_for_sibling(struct request *r, enum kind kind)
{
	struct answer answer;

	if (!r->siblings[kind])
		return UNKNOWN;
	child_ask(&r->account, kind, pamnet_modules[kind].group, &answer);
	return is_nonmember(answer.membership) ? answer.membership : UNKNOWN;
}

/* Asks the question of the request's own module. */
static void ask_own(struct request *r)
{
	child_read(&r->account, r->user);
	child_ask(&r->account, r->module->kind, r->options->group, &r->answer);
}

bool child_lookup(struct request *r)
{
	enum kind own = r->module->kind;
	enum membership answers[KINDS];

	ask_own(r);
	if (r->answer.membership == UNKNOWN) /* a failure may pass */
		ask_own(r);
	if (r->answer.membership == UNKNOWN) {
		wire_send_unknown(r->socket, r->answer.problem);
		return false;
	}
	for (int kind = 0; kind < KINDS; kind++)
		answers[kind] = kind == (int)own ? r->answer.membership : ask_for_sibling(r, (enum kind)kind);
	return wire_send_answer(r->socket, answers) && r->answer.membership == MEMBER;
}
