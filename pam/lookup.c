/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child_sssd.h"

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

/* Doubles the buffer. Returns false if it is at its limit, or there is no memory. */
static bool grow(struct lookup *l)
{
	size_t size = l->buffer_size ? l->buffer_size * 2 : 4096;
	char *buffer;

	if (size > BUFFER_MAX)
		return false;
	buffer = realloc(l->buffer, size);
	if (!buffer)
		return false;
	l->buffer = buffer;
	l->buffer_size = size;
	return true;
}

static void set_problem(char problem[LOOKUP_NAME_MAX], const char *what, int error)
{
	snprintf(problem, LOOKUP_NAME_MAX, "%s: %s", what, strerror(error));
}

static bool copy_name(char to[LOOKUP_NAME_MAX], const char *from)
{
	size_t n = strlen(from);

	if (n >= LOOKUP_NAME_MAX)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

static bool lists(char *const *members, const char *user)
{
	for (; *members; members++) {
		if (strcmp(*members, user) == 0)
			return true;
	}
	return false;
}

static void *function(const struct library *lib, const char *name)
{
	char symbol[96];

	snprintf(symbol, sizeof(symbol), "_nss_%s_%s", lib->source->name, name);
	return dlsym(lib->handle, symbol);
}

/* Repeats a call to a source until the answer fits into the buffer. */
#define ASK(l, status, error, call)                                                                \
	do {                                                                                       \
		(error) = 0;                                                                       \
		(status) = (call);                                                                 \
	} while ((status) == NSS_STATUS_TRYAGAIN && (error) == ERANGE && grow(l))

/* Returns whether a source has found something; sets problem if the source has failed. */
static bool answers(const char *source, enum nss_status status, int error,
		    char problem[LOOKUP_NAME_MAX])
{
	char what[96];

	/* ESRCH is "no such", whatever the status: systemd's initgroups returns "unavailable". */
	if (status == NSS_STATUS_SUCCESS || status == NSS_STATUS_NOTFOUND || error == ESRCH)
		return status == NSS_STATUS_SUCCESS;
	snprintf(what, sizeof(what), "source \"%s\" of nsswitch.conf does not answer", source);
	set_problem(problem, what, error ? error : EIO);
	return false;
}

/*
 * Loads the library of a source. Returns false if the source cannot be asked. That is a
 * problem, unless the library is not installed: libc skips such a source, too.
 */
static bool load(struct library *lib, const struct source *source, char problem[LOOKUP_NAME_MAX])
{
	char file[64];
	const char *error;

	*lib = (struct library){ source, RTLD_DEFAULT };
	/* libc itself has the functions of "files" since glibc 2.34. */
	if (strcmp(source->name, "files") == 0 && function(lib, "getgrnam_r"))
		return true;
	snprintf(file, sizeof(file), "libnss_%s.so.2", source->name);
	/* It stays loaded, as after libc's own lookups: libc may have loaded it before. */
	lib->handle = dlopen(file, RTLD_LAZY);
	error = lib->handle ? NULL : dlerror();
	if (lib->handle && (strcmp(source->name, "files") != 0 || function(lib, "getgrnam_r")))
		return true;
	if (!error || strncmp(error, file, strlen(file)) != 0 || !strstr(error, strerror(ENOENT)))
		answers(source->name, NSS_STATUS_UNAVAIL, ELIBACC, problem);
	return false;
}

/* Loads the libraries, one for all databases that name the same source. */
static void load_all(struct lookup *l, const struct sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		const struct source *source = &sources->list[i];
		struct library *next = &l->libraries[l->nlibraries];
		size_t before = 0, loaded = 0;

		while (strcmp(sources->list[before].name, source->name) != 0)
			before++;
		if (before == i) {
			l->nlibraries += load(next, source, l->problem);
			continue;
		}
		while (loaded < l->nlibraries &&
		       strcmp(l->libraries[loaded].source->name, source->name) != 0)
			loaded++;
		if (loaded < l->nlibraries) {
			*next = (struct library){ source, l->libraries[loaded].handle };
			l->nlibraries++;
		}
	}
}

/* Sets problem if SSSD is a source and away: its library may have returned "not found". */
static void check_sssd(const struct lookup *l, char problem[LOOKUP_NAME_MAX])
{
	for (size_t i = 0; i < l->nlibraries; i++) {
		if (strcmp(l->libraries[i].source->name, "sss") == 0) {
			if (!sssd_answers())
				answers("sss", NSS_STATUS_UNAVAIL, errno, problem);
			return;
		}
	}
}

static bool ask_account(struct lookup *l, const struct library *lib)
{
	getpwnam_function *getpwnam = (getpwnam_function *)function(lib, "getpwnam_r");
	enum nss_status status;
	struct passwd entry;
	int error;

	if (!getpwnam)
		return false;
	ASK(l, status, error, getpwnam(l->asked, &entry, l->buffer, l->buffer_size, &error));
	if (!answers(lib->source->name, status, error, l->problem))
		return false;
	if (!copy_name(l->user, entry.pw_name)) {
		set_problem(l->problem, "user name", ENAMETOOLONG);
		return false;
	}
	l->user_known = true;
	l->uid = entry.pw_uid;
	l->gid = entry.pw_gid;
	return true;
}

static void add_gid(struct lookup *l, gid_t gid)
{
	if (l->count == l->capacity) {
		long capacity = l->capacity ? l->capacity * 2 : 64;
		gid_t *more = capacity > GROUPS_MAX ?
				      NULL :
				      reallocarray(l->gids, (size_t)capacity, sizeof(*more));

		if (!more) {
			set_problem(l->problem, "group list", ENOMEM);
			return;
		}
		l->gids = more;
		l->capacity = capacity;
	}
	l->gids[l->count++] = gid;
}

/* Adds the user's groups from a source that can only list all groups. */
static void ask_all_groups(struct lookup *l, const struct library *lib)
{
	setgrent_function *setgrent = (setgrent_function *)function(lib, "setgrent");
	getgrent_function *getgrent = (getgrent_function *)function(lib, "getgrent_r");
	endgrent_function *endgrent = (endgrent_function *)function(lib, "endgrent");
	enum nss_status status;
	struct group entry;
	int error;

	if (!setgrent || !getgrent || !endgrent)
		return;
	status = setgrent(0);
	if (!answers(lib->source->name, status, errno, l->problem))
		return;
	for (;;) {
		ASK(l, status, error, getgrent(&entry, l->buffer, l->buffer_size, &error));
		if (!answers(lib->source->name, status, error, l->problem))
			break;
		if (lists(entry.gr_mem, l->user))
			add_gid(l, entry.gr_gid);
	}
	endgrent();
}

static void ask_gids(struct lookup *l, const struct library *lib)
{
	initgroups_function *initgroups = (initgroups_function *)function(lib, "initgroups_dyn");
	gid_t primary = l->user_known ? l->gid : (gid_t)-1;
	enum nss_status status;
	int error = 0;

	if (!initgroups) {
		ask_all_groups(l, lib);
		return;
	}
	if (!l->gids) { /* the source extends what is there */
		add_gid(l, (gid_t)-1);
		l->count = 0;
	}
	if (!l->gids)
		return;
	status = initgroups(l->user, primary, &l->count, &l->capacity, &l->gids, GROUPS_MAX, &error);
	answers(lib->source->name, status, error, l->problem);
}

void lookup_begin(struct lookup *l, const struct sources *sources, const char *user)
{
	*l = (struct lookup){ .asked = user };
	if (!grow(l)) {
		set_problem(l->problem, "lookup", ENOMEM);
		return;
	}
	if (!copy_name(l->user, user)) {
		set_problem(l->problem, "user name", ENAMETOOLONG);
		return;
	}
	load_all(l, sources);
	for (size_t i = 0; i < l->nlibraries && !l->user_known; i++) {
		if (l->libraries[i].source->database == DATABASE_PASSWD)
			ask_account(l, &l->libraries[i]);
	}
	for (size_t i = 0; i < l->nlibraries; i++) {
		if (l->libraries[i].source->database != DATABASE_PASSWD)
			ask_gids(l, &l->libraries[i]);
	}
}

void lookup_end(struct lookup *l)
{
	free(l->buffer);
	free(l->gids);
	l->buffer = NULL;
	l->gids = NULL;
}

static bool has_gid(const struct lookup *l, gid_t gid)
{
	if (l->user_known && gid == l->gid)
		return true;
	for (long i = 0; i < l->count; i++) {
		if (l->gids[i] == gid && gid != (gid_t)-1)
			return true;
	}
	return false;
}

static void match(struct answer *a, const char *group, gid_t gid, bool listed)
{
	if (a->group[0]) {
		a->several |= strcmp(a->group, group) != 0;
		return;
	}
	if (!copy_name(a->group, group))
		set_problem(a->problem, "group name", ENAMETOOLONG);
	a->gid = gid;
	a->listed = listed;
}

/* Asks a source for the group of this name. Returns whether the source has it. */
static bool ask_group(struct lookup *l, const struct library *lib, const char *group,
		      struct answer *a)
{
	getgrnam_function *getgrnam = (getgrnam_function *)function(lib, "getgrnam_r");
	enum nss_status status;
	struct group entry;
	bool listed;
	int error;

	if (!getgrnam)
		return false;
	ASK(l, status, error, getgrnam(group, &entry, l->buffer, l->buffer_size, &error));
	if (!answers(lib->source->name, status, error, a->problem))
		return false;
	listed = lists(entry.gr_mem, l->user);
	if (listed || has_gid(l, entry.gr_gid))
		match(a, group, entry.gr_gid, listed);
	return true;
}

/* Asks a source for the name of a group of the user's: a match begins with "PREFIX-". */
static void ask_name(struct lookup *l, const struct library *lib, gid_t gid, const char *prefix,
		     struct answer *a)
{
	getgrgid_function *getgrgid = (getgrgid_function *)function(lib, "getgrgid_r");
	size_t n = strlen(prefix);
	enum nss_status status;
	struct group entry;
	int error;

	if (!getgrgid)
		return;
	ASK(l, status, error, getgrgid(gid, &entry, l->buffer, l->buffer_size, &error));
	if (answers(lib->source->name, status, error, a->problem) &&
	    strncmp(entry.gr_name, prefix, n) == 0 && entry.gr_name[n] == '-')
		match(a, entry.gr_name, gid, false);
}

static void ask_names(struct lookup *l, gid_t gid, const char *prefix, struct answer *a)
{
	for (size_t i = 0; i < l->nlibraries; i++) {
		if (l->libraries[i].source->database == DATABASE_GROUP)
			ask_name(l, &l->libraries[i], gid, prefix, a);
	}
}

void lookup_ask(struct lookup *l, enum kind kind, const char *group, struct answer *a)
{
	bool exists = kind == KIND_GROUPNET;

	*a = (struct answer){ .membership = UNKNOWN };
	if (kind == KIND_GROUPNET && l->user_known)
		ask_names(l, l->gid, group, a);
	for (long i = 0; kind == KIND_GROUPNET && i < l->count; i++)
		ask_names(l, l->gids[i], group, a);
	for (size_t i = 0; kind != KIND_GROUPNET && i < l->nlibraries; i++) {
		if (l->libraries[i].source->database != DATABASE_PASSWD)
			exists |= ask_group(l, &l->libraries[i], group, a);
	}
	if (!a->group[0])
		check_sssd(l, a->problem);
	if (l->problem[0])
		memcpy(a->problem, l->problem, sizeof(a->problem));
	/* A member's uid must be known, and the spelling of the name: both are of the passwd entry. */
	if (a->group[0] && (l->user_known || !a->problem[0]))
		a->membership = MEMBER;
	else if (!a->problem[0])
		a->membership = exists ? NONMEMBER : NO_GROUP;
}

bool lookup_is_local_root(const char *user)
{
	static const struct sources files = { .list = { { DATABASE_PASSWD, "files" } }, .count = 1 };
	struct lookup l;
	bool root;

	lookup_begin(&l, &files, user);
	root = l.user_known && l.uid == 0;
	lookup_end(&l);
	return root;
}
