/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is a member, and can that be trusted?
 *
 * glibc hides outages. A chain of sources ("group: files ldap systemd") ends
 * with the word of its last source, so that a directory that is down looks like
 * "no such group" if systemd comes after it, and so does a /etc/group that cannot
 * be read; getgrouplist(3) skips sources that fail, or cannot be loaded, without
 * a word; nscd turns failures into "not found". So every source that
 * nsswitch.conf names is asked by itself, past all that, by the interface that
 * libc uses (glibc manual, "NSS Module Function Internals"): there each call has
 * a status. "Member" is believed from whichever source it comes, "not a member"
 * only if no source has failed.
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
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

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
	b->data = data;
	b->size = size;
	return true;
}

static void unproven(struct lookup *l, const char *what, int error)
{
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
	if (!copy_name(l->group, group))
		unproven(l, "group name", ENAMETOOLONG);
}

static bool lists(char *const *members, const char *user)
{
	for (; *members; members++) {
		if (strcmp(*members, user) == 0)
			return true;
	}
	return false;
}

/* A source of nsswitch.conf(5): { DATABASE_GROUP, "ldap" }. */
enum database { DATABASE_PASSWD, DATABASE_GROUP, DATABASE_INITGROUPS, DATABASES };

struct source {
	enum database database;
	char name[32];
};

struct sources {
	struct source list[SOURCES_MAX];
	size_t count;
};

static bool add_source(struct sources *s, enum database database, const char *name, size_t n)
{
	struct source *next = &s->list[s->count];

	if (s->count == SOURCES_MAX || n >= sizeof(next->name))
		return false;
	next->database = database;
	memcpy(next->name, name, n);
	next->name[n] = '\0';
	s->count++;
	return true;
}

/*
 * Takes the sources out of a line that begins with a database's name, as libc does:
 * from there on a colon is a blank; what stands in brackets says what to do, and ends
 * a word. A '#' is an ordinary character: before the database's name it makes another
 * of it, but of "files # ldap" glibc 2.36 asks ldap. False if there are too many.
 */
static bool read_line(struct sources *s, char *line)
{
	static const char *const names[DATABASES] = { "passwd", "group", "initgroups" };
	const char *white = " \t\r\n\v\f", *blanks = ": \t\r\n\v\f";
	enum database database = DATABASES;
	char *word;

	word = line + strspn(line, white);
	line = word + strcspn(word, blanks);
	for (size_t i = 0; i < DATABASES; i++) {
		if ((size_t)(line - word) == strlen(names[i]) &&
		    strncmp(word, names[i], strlen(names[i])) == 0)
			database = (enum database)i;
	}
	while (database != DATABASES) {
		line += strspn(line, blanks);
		word = line;
		line += strcspn(line, ": \t\r\n\v\f[");
		if (line > word && !add_source(s, database, word, (size_t)(line - word)))
			return false;
		if (*line == '[')
			line += strcspn(line, "]");
		if (!*line)
			break;
		line++;
	}
	return true;
}

static bool has(const struct sources *s, enum database database)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].database == database)
			return true;
	}
	return false;
}

/* A database without a line has libc's default; false if that makes too many. */
static bool add_defaults(struct sources *s)
{
	for (size_t i = DATABASE_PASSWD; i <= DATABASE_GROUP; i++) {
		if (!has(s, (enum database)i) && !add_source(s, (enum database)i, "files", 5))
			return false;
	}
	return true;
}

/* Reads nsswitch.conf(5); false with errno set if it cannot be read or understood. */
static bool read_sources(struct sources *s)
{
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	char *line = NULL;
	size_t size = 0;
	bool ok = f || errno == ENOENT;

	*s = (struct sources){ .count = 0 };
	errno = 0;
	/* glibc 2.36 does not see a last line without its newline. */
	while (f && ok && getline(&line, &size, f) >= 0)
		ok = (strchr(line, '\n') || add_defaults(s)) && read_line(s, line);
	if (f && ok && !feof(f))
		ok = false;
	free(line);
	if (f)
		fclose(f);
	ok = ok && add_defaults(s);
	if (!ok && !errno)
		errno = EINVAL;
	return ok;
}

static void library_of(char library[64], const char *source)
{
	snprintf(library, 64, "libnss_%s.so.2", source);
}

/* Sources that read files of this machine, and do as they are told by nobody. */
static bool all_local(const struct sources *s)
{
	static const char *const local[] = { "files", "systemd", "altfiles", "extrausers", "db" };
	size_t known = 0;

	for (size_t i = 0; i < s->count; i++) {
		for (size_t j = 0; j < sizeof(local) / sizeof(local[0]); j++)
			known += strcmp(s->list[i].name, local[j]) == 0;
	}
	return known == s->count;
}

/* What a source's library offers, by the names _nss_SOURCE_FUNCTION. */
typedef enum nss_status getpwnam_function(const char *, struct passwd *, char *, size_t, int *);
typedef enum nss_status getgrnam_function(const char *, struct group *, char *, size_t, int *);
typedef enum nss_status getgrgid_function(gid_t, struct group *, char *, size_t, int *);
typedef enum nss_status getgrent_function(struct group *, char *, size_t, int *);
typedef enum nss_status setgrent_function(int);
typedef enum nss_status endgrent_function(void);
typedef enum nss_status initgroups_function(const char *, gid_t, long *, long *, gid_t **, long,
					    int *);

/* A lookup on its way. */
struct inquiry {
	struct lookup *l;
	const char *user, *group;
	bool prefix; /* group is what stands before "-NAME" */
	struct buffer buffer;
	gid_t primary;
	gid_t *gids; /* the user's, without the primary one */
	long count, capacity;
	gid_t named[SOURCES_MAX]; /* the IDs that sources give the group */
	size_t nnamed;
	bool listed; /* the group's entry has the user */
	const struct source *source; /* the one asked now, and its library */
	void *library;
};

static void *function(const struct inquiry *q, const char *name)
{
	char symbol[96];

	snprintf(symbol, sizeof(symbol), "_nss_%s_%s", q->source->name, name);
	return dlsym(q->library, symbol);
}

/* Repeats a call to a source until its answer fits into the buffer. */
#define ASK(q, status, error, call)                                                                \
	do {                                                                                       \
		(error) = 0;                                                                       \
		(status) = (call);                                                                 \
	} while ((status) == NSS_STATUS_TRYAGAIN && (error) == ERANGE && grow(&(q)->buffer))

/* Whether a source has found something. One that has failed makes all unproven. */
static bool answers(struct inquiry *q, enum nss_status status, int error)
{
	char what[96];

	/* ESRCH says "no such", whatever the status: systemd's initgroups says "unavailable". */
	if (status == NSS_STATUS_SUCCESS || status == NSS_STATUS_NOTFOUND || error == ESRCH)
		return status == NSS_STATUS_SUCCESS;
	snprintf(what, sizeof(what), "source \"%s\" of nsswitch.conf does not answer",
		 q->source->name);
	unproven(q->l, what, error ? error : EIO);
	return false;
}

static bool ask_passwd(struct inquiry *q)
{
	getpwnam_function *getpwnam = (getpwnam_function *)function(q, "getpwnam_r");
	enum nss_status status;
	struct passwd entry;
	int error;

	if (!getpwnam)
		return false;
	ASK(q, status, error, getpwnam(q->user, &entry, q->buffer.data, q->buffer.size, &error));
	if (!answers(q, status, error))
		return false;
	if (!copy_name(q->l->user, entry.pw_name)) {
		unproven(q->l, "user name", ENAMETOOLONG);
		return false;
	}
	q->l->user_known = true;
	q->l->uid = entry.pw_uid;
	q->l->gid = q->primary = entry.pw_gid;
	return true;
}

static void ask_group(struct inquiry *q)
{
	getgrnam_function *getgrnam = (getgrnam_function *)function(q, "getgrnam_r");
	enum nss_status status;
	struct group entry;
	int error;

	if (!getgrnam)
		return;
	ASK(q, status, error, getgrnam(q->group, &entry, q->buffer.data, q->buffer.size, &error));
	if (!answers(q, status, error))
		return;
	q->named[q->nnamed++] = entry.gr_gid;
	q->listed |= lists(entry.gr_mem, q->l->user);
}

static void add_gid(struct inquiry *q, gid_t gid)
{
	if (q->count == q->capacity) {
		long capacity = q->capacity ? q->capacity * 2 : 64;
		gid_t *more = capacity > GROUPS_MAX ?
				      NULL :
				      reallocarray(q->gids, (size_t)capacity, sizeof(*more));

		if (!more) {
			unproven(q->l, "group list", ENOMEM);
			return;
		}
		q->gids = more;
		q->capacity = capacity;
	}
	q->gids[q->count++] = gid;
}

/* The user's groups from a library that can only list all groups. */
static void ask_all_groups(struct inquiry *q)
{
	setgrent_function *setgrent = (setgrent_function *)function(q, "setgrent");
	getgrent_function *getgrent = (getgrent_function *)function(q, "getgrent_r");
	endgrent_function *endgrent = (endgrent_function *)function(q, "endgrent");
	enum nss_status status;
	struct group entry;
	int error;

	if (!setgrent || !getgrent || !endgrent)
		return;
	status = setgrent(0);
	if (!answers(q, status, errno))
		return;
	for (;;) {
		ASK(q, status, error, getgrent(&entry, q->buffer.data, q->buffer.size, &error));
		if (!answers(q, status, error))
			break;
		if (lists(entry.gr_mem, q->l->user))
			add_gid(q, entry.gr_gid);
	}
	endgrent();
}

static void ask_gids(struct inquiry *q)
{
	initgroups_function *initgroups = (initgroups_function *)function(q, "initgroups_dyn");
	enum nss_status status;
	int error = 0;

	if (!initgroups) {
		ask_all_groups(q);
		return;
	}
	if (!q->gids) { /* the library extends what is there */
		add_gid(q, (gid_t)-1);
		q->count = 0;
	}
	if (!q->gids)
		return;
	status = initgroups(q->l->user, q->primary, &q->count, &q->capacity, &q->gids, GROUPS_MAX,
			    &error);
	answers(q, status, error);
}

/*
 * Whether SSSD is there; else errno is set. Its library says "not found" while it
 * is not, if it was built with --enable-sss-default-nss-plugin, as Fedora's is.
 */
static bool sssd_answers(void)
{
	static const struct sockaddr_un address = { AF_UNIX, "/var/lib/sss/pipes/nss" };
	static const struct timeval patience = { .tv_sec = 2 }; /* when many ask at once */
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

/*
 * Opens the library of a source. One that is not installed is no source, for
 * libc either; one that is there and cannot be loaded has not answered.
 */
static bool open_source(struct inquiry *q, const struct source *source)
{
	char library[64];
	const char *error;

	q->source = source;
	library_of(library, source->name);
	/* libc has the functions of "files" since glibc 2.34; it is in every process. */
	q->library = RTLD_DEFAULT;
	if (strcmp(source->name, "files") == 0 && function(q, "getgrnam_r"))
		return true;
	/* Left open, as libc does: it may have asked the same source before. */
	q->library = dlopen(library, RTLD_LAZY);
	if (q->library && strcmp(source->name, "sss") == 0 && !sssd_answers()) {
		answers(q, NSS_STATUS_UNAVAIL, errno);
		return false;
	}
	error = q->library ? NULL : dlerror();
	if (q->library && (strcmp(source->name, "files") != 0 || function(q, "getgrnam_r")))
		return true;
	if (!error || strncmp(error, library, strlen(library)) != 0 ||
	    !strstr(error, strerror(ENOENT)))
		answers(q, NSS_STATUS_UNAVAIL, ELIBACC);
	return false;
}

/* Asks the sources of a database in turn, until ask has found all it wants. */
static void ask_sources(struct inquiry *q, const struct sources *s, enum database database,
			bool (*ask)(struct inquiry *q))
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i].database == database && open_source(q, &s->list[i]) && ask(q))
			break;
	}
}

/*
 * The uid by libc's word, where our own reading of nsswitch.conf has come to
 * nothing: root must be known as root. Nothing else is made of it.
 */
static void find_uid(struct inquiry *q)
{
	struct passwd entry, *p = NULL;
	int error;

	do
		error = getpwnam_r(q->user, &entry, q->buffer.data, q->buffer.size, &p);
	while (error == ERANGE && grow(&q->buffer));
	if (p) {
		q->l->user_known = true;
		q->l->uid = p->pw_uid;
		q->l->gid = p->pw_gid;
	}
}

static bool ask_groups(struct inquiry *q)
{
	if (!q->prefix)
		ask_group(q);
	ask_gids(q);
	return false;
}

static bool is_member_of(const struct inquiry *q, gid_t gid)
{
	if (q->l->user_known && gid == q->primary)
		return true;
	for (long i = 0; i < q->count; i++) {
		if (q->gids[i] == gid && gid != (gid_t)-1)
			return true;
	}
	return false;
}

/* Looks among the names of a group ID for one that begins with the prefix. */
static void ask_name(struct inquiry *q, const struct sources *s, gid_t gid)
{
	size_t n = strlen(q->group);

	for (size_t i = 0; i < s->count; i++) {
		getgrgid_function *getgrgid;
		enum nss_status status;
		struct group entry;
		int error;

		if (s->list[i].database != DATABASE_GROUP || !open_source(q, &s->list[i]))
			continue;
		getgrgid = (getgrgid_function *)function(q, "getgrgid_r");
		if (!getgrgid)
			continue;
		ASK(q, status, error, getgrgid(gid, &entry, q->buffer.data, q->buffer.size, &error));
		if (!answers(q, status, error) || strncmp(entry.gr_name, q->group, n) != 0 ||
		    entry.gr_name[n] != '-')
			continue;
		if (q->l->group[0])
			q->l->several |= strcmp(q->l->group, entry.gr_name) != 0;
		else
			found(q->l, entry.gr_name);
	}
}

/* Draws the conclusion from what the sources have said. */
static void conclude(struct inquiry *q, const struct sources *s)
{
	struct lookup *l = q->l;

	if (q->prefix) {
		if (l->user_known)
			ask_name(q, s, q->primary);
		for (long i = 0; i < q->count; i++)
			ask_name(q, s, q->gids[i]);
	} else {
		bool member = q->listed;

		for (size_t i = 0; i < q->nnamed; i++)
			member |= is_member_of(q, q->named[i]);
		if (member)
			found(l, q->group);
	}
	/*
	 * Whatever another source would have said. But of somebody whose account is out of
	 * sight nobody knows the uid, nor how the name is spelt.
	 */
	if (l->group[0] && (l->user_known || !l->problem[0]))
		l->membership = MEMBERSHIP_MEMBER;
	else if (!l->problem[0])
		l->membership = MEMBERSHIP_NONE;
	l->group_missing = !q->prefix && !q->nnamed && l->membership == MEMBERSHIP_NONE;
}

void lookup(struct lookup *l, enum kind kind, const char *user, const char *group)
{
	struct inquiry q = {
		.l = l,
		.user = user,
		.group = group,
		.prefix = kind == KIND_GROUPNET,
		.primary = (gid_t)-1,
	};
	struct sources s;

	*l = (struct lookup){ .membership = MEMBERSHIP_UNPROVEN };
	if (!grow(&q.buffer)) {
		unproven(l, "lookup", ENOMEM);
	} else if (!read_sources(&s)) {
		unproven(l, "/etc/nsswitch.conf", errno);
		find_uid(&q);
	} else if (!copy_name(l->user, user)) {
		unproven(l, "user name", ENAMETOOLONG);
	} else {
		l->local = all_local(&s);
		ask_sources(&q, &s, DATABASE_PASSWD, ask_passwd);
		ask_sources(&q, &s, DATABASE_GROUP, ask_groups);
		ask_sources(&q, &s, DATABASE_INITGROUPS, ask_groups);
		conclude(&q, &s);
	}
	free(q.buffer.data);
	free(q.gids);
}
