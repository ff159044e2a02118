/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child_lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "verdict.h"

/* Returns false if it cannot be sent: the login process then refuses. */
static bool send_answer(struct request *r)
{
	char message[1 + KINDS] = { MESSAGE_ANSWER };
	struct answer other;

	for (int kind = 0; kind < KINDS; kind++) {
		char *to = &message[1 + kind];

		*to = UNKNOWN;
		if (kind == (int)r->module->kind) {
			*to = (char)r->answer.membership;
		} else if (r->siblings[kind]) {
			lookup_ask(&r->lookup, (enum kind)kind, pamnet_modules[kind].group, &other);
			if (other.membership != MEMBER)
				*to = (char)other.membership;
		}
	}
	return send(r->socket, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message);
}

static void send_unknown(const struct request *r, const char *problem)
{
	char message[MESSAGE_MAX] = { MESSAGE_VERDICT, OUTCOME_UNKNOWN, 0 };
	int n = snprintf(message + 3, sizeof(message) - 3,
			 "cannot tell whether the user is a member: %s", problem);

	send(r->socket, message, 3 + (size_t)n, MSG_NOSIGNAL);
}

static void ask(struct request *r)
{
	lookup_end(&r->lookup);
	lookup_begin(&r->lookup, &r->sources, r->user);
	lookup_ask(&r->lookup, r->module->kind, r->options->group, &r->answer);
}

bool child_lookup(struct request *r)
{
	if (!sources_read(&r->sources)) {
		char problem[LOOKUP_NAME_MAX];

		snprintf(problem, sizeof(problem), "/etc/nsswitch.conf: %s", strerror(errno));
		send_unknown(r, problem);
		return false;
	}
	ask(r);
	if (r->answer.membership == UNKNOWN)
		ask(r); /* a failure may pass */
	if (r->answer.membership == UNKNOWN) {
		send_unknown(r, r->answer.problem);
		return false;
	}
	return send_answer(r) && r->answer.membership == MEMBER;
}
