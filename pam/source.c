/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process, in the child and in pamnetctl. */
#define _GNU_SOURCE
#include "source.h"

#include <dlfcn.h>
#include <errno.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_MAX (16U << 20) /* a group with some 500,000 members */
#define GROUPS_MAX 65536

/* What a source's library offers, by the names _nss_SOURCE_FUNCTION. */
typedef enum nss_status getpwnam_function(const char *, struct passwd *, char *, size_t, int *);
typedef enum nss_status getgrnam_function(const char *, struct group *, char *, size_t, int *);
typedef enum nss_status getgrgid_function(gid_t, struct group *, char *, size_t, int *);
typedef enum nss_status getgrent_function(struct group *, char *, size_t, int *);
typedef enum nss_status setgrent_function(int);
typedef enum nss_status endgrent_function(void);
typedef enum nss_status initgroups_function(const char *, gid_t, long *, long *, gid_t **, long,
					    int *);

static void *function(const struct source *s, const char *name)
{
	char symbol[96];

	snprintf(symbol, sizeof(symbol), "_nss_%s_%s", s->name, name);
	return dlsym(s->library, symbol);
}

bool source_fail(const char *source, char reason[REASON_MAX])
{
	return fail(reason, "source \"%s\" of nsswitch.conf does not answer: %m", source);
}

bool source_load(struct source *s, char reason[REASON_MAX])
{
	char file[64];
	const char *error;

	/* libc itself has the functions of "files" since glibc 2.34. */
	s->library = RTLD_DEFAULT;
	s->loaded = strcmp(s->name, "files") == 0 && function(s, "getgrnam_r");
	if (s->loaded)
		return true;
	/* The library stays loaded, as after libc's own lookups: libc may have loaded it before. */
	snprintf(file, sizeof(file), "libnss_%s.so.2", s->name);
	s->library = dlopen(file, RTLD_LAZY);
	error = s->library ? NULL : dlerror();
	s->loaded = s->library && (strcmp(s->name, "files") != 0 || function(s, "getgrnam_r"));
	if (s->loaded)
		return true;
	if (error && strncmp(error, file, strlen(file)) == 0 && strstr(error, strerror(ENOENT)))
		return false;
	errno = ELIBACC;
	return source_fail(s->name, reason);
}

static bool grow(struct buffer *b)
{
	size_t size = b->size ? b->size * 2 : 4096;
	char *data = size > BUFFER_MAX ? NULL : realloc(b->data, size);

	if (!data)
		return false;
	*b = (struct buffer){ data, size };
	return true;
}

/* Repeats a call, with a larger buffer each time, until the entry fits or memory runs out. */
#define CALL(status, error, b, call)                                                               \
	do {                                                                                       \
		(error) = (b)->size || grow(b) ? 0 : ENOMEM;                                       \
		(status) = (error) ? NSS_STATUS_UNAVAIL : (call);                                  \
	} while ((status) == NSS_STATUS_TRYAGAIN && (error) == ERANGE && grow(b))

/* Returns whether a source has found an entry. Writes the reason if the source has failed. */
static bool found(const struct source *s, enum nss_status status, int error, char reason[REASON_MAX])
{
	/* ESRCH means "not found" with any status: systemd's initgroups returns "unavailable". */
	if (status == NSS_STATUS_SUCCESS || status == NSS_STATUS_NOTFOUND || error == ESRCH)
		return status == NSS_STATUS_SUCCESS;
	errno = error ? error : EIO;
	return source_fail(s->name, reason);
}

bool source_user(const struct source *s, const char *name, struct passwd *entry, struct buffer *b,
		 char reason[REASON_MAX])
{
	getpwnam_function *getpwnam = (getpwnam_function *)function(s, "getpwnam_r");
	enum nss_status status;
	int error;

	if (!getpwnam)
		return false;
	CALL(status, error, b, getpwnam(name, entry, b->data, b->size, &error));
	return found(s, status, error, reason);
}

bool source_group(const struct source *s, const char *name, struct group *entry, struct buffer *b,
		  char reason[REASON_MAX])
{
	getgrnam_function *getgrnam = (getgrnam_function *)function(s, "getgrnam_r");
	enum nss_status status;
	int error;

	if (!getgrnam)
		return false;
	CALL(status, error, b, getgrnam(name, entry, b->data, b->size, &error));
	return found(s, status, error, reason);
}

bool source_group_of_id(const struct source *s, gid_t gid, struct group *entry, struct buffer *b,
			char reason[REASON_MAX])
{
	getgrgid_function *getgrgid = (getgrgid_function *)function(s, "getgrgid_r");
	enum nss_status status;
	int error;

	if (!getgrgid)
		return false;
	CALL(status, error, b, getgrgid(gid, entry, b->data, b->size, &error));
	return found(s, status, error, reason);
}

bool group_lists(const struct group *entry, const char *user)
{
	for (char **member = entry->gr_mem; *member; member++) {
		if (strcmp(*member, user) == 0)
			return true;
	}
	return false;
}

/* Makes room for one more group. */
static bool make_room(struct groups *g, char reason[REASON_MAX])
{
	long capacity = g->capacity ? g->capacity * 2 : 64;
	gid_t *gids;

	if (g->count < g->capacity)
		return true;
	gids = capacity > GROUPS_MAX ? NULL : reallocarray(g->gids, (size_t)capacity, sizeof(*gids));
	if (!gids)
		return fail(reason, "list of the user's groups: %s", strerror(ENOMEM));
	g->gids = gids;
	g->capacity = capacity;
	return true;
}

/* Adds the user's groups of a source that can only list all groups. */
static void add_by_listing(const struct source *s, const char *user, struct groups *g,
			   struct buffer *b, char reason[REASON_MAX])
{
	setgrent_function *setgrent = (setgrent_function *)function(s, "setgrent");
	getgrent_function *getgrent = (getgrent_function *)function(s, "getgrent_r");
	endgrent_function *endgrent = (endgrent_function *)function(s, "endgrent");
	enum nss_status status;
	struct group entry;
	int error;

	if (!setgrent || !getgrent || !endgrent)
		return;
	status = setgrent(0);
	if (!found(s, status, errno, reason))
		return;
	for (;;) {
		CALL(status, error, b, getgrent(&entry, b->data, b->size, &error));
		if (!found(s, status, error, reason))
			break;
		if (!group_lists(&entry, user))
			continue;
		if (!make_room(g, reason))
			break;
		g->gids[g->count++] = entry.gr_gid;
	}
	endgrent();
}

void source_groups_of_user(const struct source *s, const char *user, gid_t primary, struct groups *g,
			   struct buffer *b, char reason[REASON_MAX])
{
	initgroups_function *initgroups = (initgroups_function *)function(s, "initgroups_dyn");
	enum nss_status status;
	int error = 0;

	if (!initgroups) {
		add_by_listing(s, user, g, b, reason);
	} else if (make_room(g, reason)) { /* the source extends a list that there is */
		status = initgroups(user, primary, &g->count, &g->capacity, &g->gids, GROUPS_MAX, &error);
		found(s, status, error, reason);
	}
}
