/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process. */
#define _GNU_SOURCE
#include "shared.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire.h"

/* Changes with the layout of struct shared: modules of two versions may meet in a process. */
#define SHARED_NAME "libpam-net.1"

/* A login service may keep a PAM handle, and open another session with it hours later. */
#define SHARED_SECONDS 10

struct shared {
	char user[NAME_SIZE];
	struct {
		enum membership membership;
		struct timespec when; /* CLOCK_MONOTONIC */
		char group[NAME_SIZE];
	} of[KINDS];
	struct {
		struct timespec when;
		char why[MESSAGE_MAX]; /* "" if no module has failed */
	} unknown;
};

static void forget(pam_handle_t *pamh, void *data, int status)
{
	(void)pamh;
	(void)status;
	free(data);
}

/* Returns what is shared about the user, or NULL. */
static struct shared *get(pam_handle_t *pamh, const char *user)
{
	const void *data = NULL;
	struct shared *s;

	if (pam_get_data(pamh, SHARED_NAME, &data) != PAM_SUCCESS || !data)
		return NULL;
	s = (struct shared *)data; /* which get_or_make has allocated */
	return strcmp(s->user, user) == 0 ? s : NULL;
}

/* Returns what is shared about the user; replaces what is about another. Returns NULL if that fails. */
static struct shared *get_or_make(pam_handle_t *pamh, const char *user)
{
	struct shared *s = get(pamh, user);

	if (s || strlen(user) >= sizeof(s->user))
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	strcpy(s->user, user);
	for (int kind = 0; kind < KINDS; kind++)
		s->of[kind].membership = UNKNOWN;
	if (pam_set_data(pamh, SHARED_NAME, s, forget) == PAM_SUCCESS)
		return s;
	free(s);
	return NULL;
}

static bool is_fresh(const struct timespec *when)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - when->tv_sec < SHARED_SECONDS;
}

enum membership shared_get(pam_handle_t *pamh, const char *user, enum kind kind, const char *group)
{
	const struct shared *s = get(pamh, user);

	if (!s || strcmp(s->of[kind].group, group) != 0 || !is_fresh(&s->of[kind].when))
		return UNKNOWN;
	return s->of[kind].membership;
}

void shared_put(pam_handle_t *pamh, const char *user, enum kind kind, const char *group,
		enum membership membership)
{
	struct shared *s;

	if (!is_nonmember(membership))
		return;
	s = get_or_make(pamh, user);
	if (!s || strlen(group) >= sizeof(s->of[kind].group))
		return;
	s->of[kind].membership = membership;
	strcpy(s->of[kind].group, group);
	clock_gettime(CLOCK_MONOTONIC, &s->of[kind].when);
}

const char *shared_get_unknown(pam_handle_t *pamh, const char *user)
{
	const struct shared *s = get(pamh, user);

	return s && s->unknown.why[0] && is_fresh(&s->unknown.when) ? s->unknown.why : NULL;
}

void shared_put_unknown(pam_handle_t *pamh, const char *user, const char *why)
{
	struct shared *s = get_or_make(pamh, user);

	if (!s)
		return;
	snprintf(s->unknown.why, sizeof(s->unknown.why), "%s", why);
	clock_gettime(CLOCK_MONOTONIC, &s->unknown.when);
}

/* Notes which of the modules a loaded file is. */
static int note_module(struct dl_phdr_info *info, size_t size, void *context)
{
	const char *file = strrchr(info->dlpi_name, '/');
	bool *loaded = context;

	(void)size;
	for (int kind = 0; file && kind < KINDS; kind++) {
		size_t n = strlen(pamnet_modules[kind].name);

		if (strncmp(file + 1, pamnet_modules[kind].name, n) == 0 && strcmp(file + 1 + n, ".so") == 0)
			loaded[kind] = true;
	}
	return 0;
}

void shared_siblings(const struct module *self, bool siblings[KINDS])
{
	memset(siblings, 0, KINDS * sizeof(*siblings));
	dl_iterate_phdr(note_module, siblings);
	siblings[self->kind] = false;
}
