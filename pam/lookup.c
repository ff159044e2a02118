/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is a member, and can that be trusted?
 *
 * glibc hides outages. A chain of sources ("group: files ldap systemd") ends
 * with the word of its last source, so that a directory that is down looks like
 * "no such group" if systemd comes after it; getgrouplist(3) skips sources that
 * fail without a word. "Member" is therefore always believed, but "not a member"
 * only if all sources are local and none left an error behind. Whatever else
 * comes out is unproven, and the child asks again, each source by itself.
 */
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

#define BUFFER_MAX (16U << 20) /* a group with some 500,000 members */
#define GROUPS_MAX 65536
#define SOURCES_MAX 24

struct buffer {
	char *data;
	size_t size;
};

/* Doubles the buffer; false when it may not grow or there is no memory. */
static bool grow(struct buffer *b)
{
	size_t size = b->size ? b->size * 2 : 4096;
	char *data;

	if (size > BUFFER_MAX)
		return false;
	data = realloc(b->data, size);
	if (!data)
		return false;
	*b = (struct buffer){ data, size };
	return true;
}

/* Repeats a getXXXnam_r call until its answer fits into the buffer. */
#define WITH_BUFFER(b, error, call)                                                                \
	do {                                                                                       \
		(error) = (call);                                                                  \
	} while ((error) == ERANGE && grow(b))

static void unproven(struct lookup *l, const char *what, int error)
{
	l->membership = MEMBERSHIP_UNPROVEN;
	snprintf(l->problem, sizeof(l->problem), "%s: %s", what, strerror(error));
}

static bool copy_name(char to[LOOKUP_NAME_MAX], const char *from)
{
	size_t n = strlen(from);

	if (n >= LOOKUP_NAME_MAX)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

static void found(struct lookup *l, const char *group)
{
	if (!copy_name(l->group, group)) {
		unproven(l, "group name", ENAMETOOLONG);
		return;
	}
	l->membership = MEMBERSHIP_MEMBER;
}

static bool lists(char *const *members, const char *user)
{
	for (; *members; members++) {
		if (strcmp(*members, user) == 0)
			return true;
	}
	return false;
}

/*
 * The user's group IDs in getgrouplist(3)'s order, the primary one first; to be
 * freed. NULL with errno set if they cannot be had or a source has failed.
 */
static gid_t *group_ids(const char *user, gid_t primary, int *count)
{
	int capacity = 64;
	gid_t *gids = NULL;

	for (;;) {
		gid_t *more = reallocarray(gids, (size_t)capacity, sizeof(*gids));
		int status;

		if (!more)
			break;
		gids = more;
		*count = capacity;
		errno = 0;
		status = getgrouplist(user, primary, gids, count);
		if (status >= 0 && (errno == 0 || errno == ESRCH))
			return gids; /* ESRCH is how a source says "in no group" */
		if (status >= 0 || *count <= capacity || *count > GROUPS_MAX) {
			if (!errno)
				errno = ENOMEM;
			break;
		}
		capacity = *count;
	}
	int error = errno;

	free(gids);
	errno = error;
	return NULL;
}

/* Members of one group: newnet, usernet. */
static void lookup_group(struct lookup *l, const char *group, gid_t primary, struct buffer *b)
{
	struct group entry, *g;
	gid_t *gids;
	int error, count;

	WITH_BUFFER(b, error, getgrnam_r(group, &entry, b->data, b->size, &g));
	if (error) {
		unproven(l, "getgrnam_r", error);
		return;
	}
	if (!g) {
		l->group_missing = true;
		l->membership = MEMBERSHIP_NONE;
		return;
	}
	if (lists(g->gr_mem, l->user) || (l->user_known && g->gr_gid == primary)) {
		found(l, group);
		return;
	}
	gids = group_ids(l->user, primary, &count);
	if (!gids) {
		unproven(l, "getgrouplist", errno);
		return;
	}
	l->membership = MEMBERSHIP_NONE;
	for (int i = 0; i < count; i++) {
		if (gids[i] == g->gr_gid && gids[i] != (gid_t)-1)
			found(l, group);
	}
	free(gids);
}

/* Members of the groups PREFIX-NAME: groupnet. The first one counts. */
static void lookup_prefix(struct lookup *l, const char *prefix, gid_t primary, struct buffer *b)
{
	size_t n = strlen(prefix);
	int error, count;
	gid_t *gids = group_ids(l->user, primary, &count);

	if (!gids) {
		unproven(l, "getgrouplist", errno);
		return;
	}
	l->membership = MEMBERSHIP_NONE;
	for (int i = 0; i < count && l->membership != MEMBERSHIP_UNPROVEN; i++) {
		struct group entry, *g;

		if (gids[i] == (gid_t)-1)
			continue;
		WITH_BUFFER(b, error, getgrgid_r(gids[i], &entry, b->data, b->size, &g));
		if (error)
			unproven(l, "getgrgid_r", error);
		else if (!g || strncmp(g->gr_name, prefix, n) != 0 || g->gr_name[n] != '-')
			continue;
		else if (l->membership == MEMBERSHIP_MEMBER)
			l->several |= strcmp(l->group, g->gr_name) != 0;
		else
			found(l, g->gr_name);
	}
	free(gids);
}

static void lookup_once(struct lookup *l, enum kind kind, const char *user, const char *group)
{
	struct buffer b = { NULL, 0 };
	struct passwd entry, *p = NULL;
	gid_t primary = (gid_t)-1;
	int error;

	*l = (struct lookup){ .membership = MEMBERSHIP_UNPROVEN };
	if (!grow(&b)) {
		unproven(l, "lookup", ENOMEM);
		return;
	}
	WITH_BUFFER(&b, error, getpwnam_r(user, &entry, b.data, b.size, &p));
	if (error) {
		unproven(l, "getpwnam_r", error);
	} else if (!copy_name(l->user, p ? p->pw_name : user)) {
		unproven(l, "user name", ENAMETOOLONG);
	} else {
		if (p) {
			l->user_known = true;
			l->uid = p->pw_uid;
			primary = p->pw_gid;
		}
		if (kind == KIND_GROUPNET)
			lookup_prefix(l, group, primary, &b);
		else
			lookup_group(l, group, primary, &b);
	}
	free(b.data);
}

/* A source of nsswitch.conf(5): { "group", "ldap" }. */
struct source {
	char database[12];
	char name[32];
};

struct sources {
	struct source list[SOURCES_MAX];
	size_t count;
	char lines[3][512]; /* the databases' lines, without comments, as they stand */
};

static const char *const databases[3] = { "passwd", "group", "initgroups" };

/* Takes the sources out of one database's line; false if there are too many. */
static bool read_line(struct sources *s, size_t database, const char *line)
{
	char copy[sizeof(s->lines[0])], *rest = copy, *word;
	bool action = false; /* inside [NOTFOUND=return ...] */

	snprintf(s->lines[database], sizeof(s->lines[0]), "%s", line);
	memcpy(copy, s->lines[database], sizeof(copy));
	while ((word = strsep(&rest, " \t\n"))) {
		struct source *next = &s->list[s->count];

		if (*word == '[')
			action = true;
		if (*word && !action) {
			if (s->count == SOURCES_MAX || strlen(word) >= sizeof(next->name))
				return false;
			snprintf(next->database, sizeof(next->database), "%s", databases[database]);
			snprintf(next->name, sizeof(next->name), "%s", word);
			s->count++;
		}
		if (action && strchr(word, ']'))
			action = false;
	}
	return true;
}

/* Reads nsswitch.conf(5); false with errno set if it cannot be read or understood. */
static bool read_sources(struct sources *s)
{
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	char line[sizeof(s->lines[0])];
	bool ok = true;

	*s = (struct sources){ .count = 0 };
	if (!f)
		return errno == ENOENT && read_line(s, 0, "files") && read_line(s, 1, "files");
	errno = 0;
	while (ok && fgets(line, sizeof(line), f)) {
		char *start = line + strspn(line, " \t");

		if (!strchr(line, '\n') && !feof(f))
			ok = false;
		start[strcspn(start, "#")] = '\0';
		for (size_t i = 0; ok && i < 3; i++) {
			size_t n = strlen(databases[i]);

			if (strncmp(start, databases[i], n) == 0 && start[n] == ':')
				ok = read_line(s, i, start + n + 1);
		}
	}
	if (ferror(f) || !ok)
		ok = false;
	if (!ok && !errno)
		errno = EINVAL;
	fclose(f);
	return ok;
}

/* Sources that read files of this machine and cannot be away. */
static bool is_local(const char *source)
{
	static const char *const local[] = { "files", "systemd", "altfiles", "extrausers", "db" };

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (strcmp(source, local[i]) == 0)
			return true;
	}
	return false;
}

static bool all_local(void)
{
	struct sources s;

	if (!read_sources(&s))
		return false;
	for (size_t i = 0; i < s.count; i++) {
		if (!is_local(s.list[i].name))
			return false;
	}
	return true;
}

void lookup_quick(struct lookup *l, enum kind kind, const char *user, const char *group)
{
	lookup_once(l, kind, user, group);
	if (l->membership == MEMBERSHIP_NONE && (!l->user_known || l->group_missing || !all_local()))
		l->membership = MEMBERSHIP_UNPROVEN;
}

/*
 * Whether libc could load the source's library. One that is not installed is no
 * source, for libc either; one that is there but was not loaded (no descriptor,
 * no memory) has never been asked.
 */
static bool is_loaded_or_absent(const char *source)
{
	char library[64];
	void *handle;

	if (strcmp(source, "files") == 0)
		return true; /* inside libc since glibc 2.34 */
	snprintf(library, sizeof(library), "libnss_%s.so.2", source);
	handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	if (handle) {
		dlclose(handle);
		return true;
	}
	errno = 0;
	handle = dlopen(library, RTLD_LAZY);
	if (handle)
		dlclose(handle);
	return !handle && errno == ENOENT;
}

/* Asks one source alone; 0 if it gave an answer, whichever, else an errno. */
static int ask(const struct source *source, const char *user, const char *group, struct buffer *b)
{
	bool passwd = strcmp(source->database, "passwd") == 0;
	struct passwd pw, *p;
	struct group gr, *g;
	int error;

	if (__nss_configure_lookup(passwd ? "passwd" : "group", source->name) < 0)
		return errno;
	if (passwd)
		WITH_BUFFER(b, error, getpwnam_r(user, &pw, b->data, b->size, &p));
	else
		WITH_BUFFER(b, error, getgrnam_r(group, &gr, b->data, b->size, &g));
	if (!error && !is_loaded_or_absent(source->name))
		error = ELIBACC;
	return error;
}

/* True if every source answers; else l says which one does not. */
static bool all_answer(struct lookup *l, const struct sources *s, const char *user,
		       const char *group)
{
	struct buffer b = { NULL, 0 };
	int error = grow(&b) ? 0 : ENOMEM;
	char what[96] = "lookup";

	for (size_t i = 0; i < s->count && !error; i++) {
		error = ask(&s->list[i], user, group, &b);
		snprintf(what, sizeof(what), "%s source \"%s\" of nsswitch.conf does not answer",
			 s->list[i].database, s->list[i].name);
	}
	free(b.data);
	for (size_t i = 0; i < 3 && !error; i++) {
		if (s->lines[i][0] && __nss_configure_lookup(databases[i], s->lines[i]) < 0)
			error = errno;
	}
	if (error)
		unproven(l, what, error);
	return !error;
}

void lookup_strict(struct lookup *l, enum kind kind, const char *user, const char *group)
{
	struct lookup result;
	struct sources s;

	*l = (struct lookup){ .membership = MEMBERSHIP_UNPROVEN };
	if (!read_sources(&s)) {
		unproven(l, "/etc/nsswitch.conf", errno);
		return;
	}
	/* A source that answers before and after has answered in between. */
	if (!all_answer(l, &s, user, group))
		return;
	lookup_once(&result, kind, user, group);
	if (result.membership == MEMBERSHIP_MEMBER || all_answer(l, &s, user, group))
		*l = result;
}
