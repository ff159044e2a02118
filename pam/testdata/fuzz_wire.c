/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes what the login process does with the datagrams of its child, sockets and
 * descriptors included. A line is logged as it is. An answer counts once, if the login
 * process has none itself. The first verdict counts, and isolates nobody but a member. A
 * malformed message is an error. No descriptor stays open that nobody wants.
 *
 * The input is a byte, and one datagram after the other: the number of descriptors, the
 * kind of each, its size in two bytes, its bytes. Of the first byte the highest bit is 0 if
 * the login process knows a member; the rest is how many descriptors it may open.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/stat.h>

/* Instead of libc's: only root may look at process 1. */
static int stat_own(const char *path, struct stat *st)
{
	return (stat)(strcmp(path, "/proc/1/ns/net") == 0 ? "/proc/self/ns/net" : path, st);
}

#define stat(path, st) stat_own(path, st)
#include "../enter.c"
#include "../member.c"
#include "../module.c"
#include "../nsswitch.c"
#include "../open_session.c"
#include "../options.c"
#include "../parent.c"
#include "../reason.c"
#include "../shared.c"
#include "../source.c"
#include "../wire.c"

#include <sys/resource.h>

#include "fuzz.h"

#define DATAGRAMS_MAX 64
#define PLENTY 16 /* of descriptors; from here on there is no limit */

/* What is needed and not called. */
const struct module *const pamnet_module;

bool child_can_start_go(void)
{
	abort();
}

_Noreturn void child_run(struct request *request, pid_t parent)
{
	(void)request;
	(void)parent;
	abort();
}

enum kind_of_descriptor {
	NETWORK,
	MOUNT,
	DIRECTORY,
	PATH_DIRECTORY, /* one by O_PATH */
	UTS,
	PATH_NETWORK,
	REGULAR,
	DEVICE,
	SOCKET,
	DESCRIPTORS,
};

struct datagram {
	const uint8_t *kinds, *data;
	size_t nfds, size;
};

/* Those that were sent, up to the last; the one that is looked at now. */
static struct datagram datagrams[DATAGRAMS_MAX], *end, *now;

/* One descriptor of every kind. */
static const int *descriptors(void)
{
	static int fds[DESCRIPTORS];

	if (fds[NETWORK])
		return fds;
	fds[NETWORK] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	fds[MOUNT] = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	fds[DIRECTORY] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[PATH_DIRECTORY] = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[UTS] = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	fds[PATH_NETWORK] = open("/proc/self/ns/net", O_PATH | O_CLOEXEC);
	fds[REGULAR] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	fds[DEVICE] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[SOCKET] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; i < DESCRIPTORS; i++)
		MUST(fds[i] > 0);
	return fds;
}

/* By the answers up to now, and what is shared with the other modules. */
static enum membership known;
static void *shared;
static char handle; /* of PAM, which nobody looks into */
#define PAMH ((pam_handle_t *)&handle)

static bool is_answer(const struct datagram *d)
{
	if (d->size != 4 || d->nfds)
		return false;
	for (size_t i = 1; i < 4; i++) {
		if (!memchr("-mng", d->data[i], 4))
			return false;
	}
	return true;
}

/*
 * What a datagram is: MESSAGE_LOG, MESSAGE_ANSWER, the outcome of a verdict, or 0 if it is
 * malformed.
 */
static int meaning(const struct datagram *d)
{
	if (d->size >= 3 && d->data[0] == 'A')
		return is_answer(d) ? MESSAGE_ANSWER : 0;
	if (d->size < 3 || d->size > 1024)
		return 0;
	if (d->data[0] == 'L')
		return d->data[1] <= LOG_DEBUG && !d->nfds ? MESSAGE_LOG : 0;
	if (d->data[0] != 'V' || d->data[2] > 1)
		return 0;
	if (d->data[1] != 'I')
		return memchr("RU", d->data[1], 2) && !d->nfds ? d->data[1] : 0;
	for (size_t i = 0; i < d->nfds; i++) {
		uint8_t kind = d->kinds[i] % DESCRIPTORS;

		if (i < 2 ? kind != i : kind != DIRECTORY && kind != PATH_DIRECTORY)
			return 0;
	}
	return d->nfds == 4 ? 'I' : 0;
}

/* Whether text is what stands in a datagram after its head, without control characters. */
static bool is_text_of(const char *text, const struct datagram *d, size_t head)
{
	for (size_t i = head; i < d->size; i++) {
		uint8_t byte = d->data[i] < ' ' || d->data[i] == 127 ? '?' : d->data[i];

		if ((uint8_t)*text++ != byte)
			return false;
	}
	return !*text;
}

/* What the datagram answers to the question of this module, which is pam_usernet. */
static enum membership own_answer(const struct datagram *d)
{
	return d->data[1 + KIND_USERNET];
}

/* Passes over an answer that lets the login process wait for a verdict. */
static void pass_answer(void)
{
	if (now < end && meaning(now) == MESSAGE_ANSWER && known == UNKNOWN &&
	    own_answer(now) == MEMBER) {
		known = MEMBER;
		now++;
	}
}

/* Instead of libpam's. */
int pam_get_data(const pam_handle_t *pamh, const char *name, const void **data)
{
	MUST(pamh == PAMH && strcmp(name, SHARED_NAME) == 0);
	*data = shared;
	return shared ? PAM_SUCCESS : PAM_NO_MODULE_DATA;
}

int pam_set_data(pam_handle_t *pamh, const char *name, void *data,
		 void (*cleanup)(pam_handle_t *pamh, void *data, int error_status))
{
	MUST(pamh == PAMH && strcmp(name, SHARED_NAME) == 0 && !shared && cleanup == forget);
	shared = data;
	return PAM_SUCCESS;
}

void pam_syslog(const pam_handle_t *pamh, int priority, const char *format, ...)
{
	char text[MESSAGE_MAX + 1];
	va_list args;

	(void)pamh;
	va_start(args, format);
	MUST(vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text));
	va_end(args);
	pass_answer();
	MUST(now < end && meaning(now) == MESSAGE_LOG);
	MUST(priority == now->data[1] && is_text_of(text, now, 2));
	now++;
}

/* Takes the datagrams out of the input. */
static void parse(const uint8_t *data, const uint8_t *data_end)
{
	end = datagrams;
	while (data_end - data >= 3 && data_end - data >= data[0] + 3 &&
	       end < datagrams + DATAGRAMS_MAX) {
		struct datagram d = { .nfds = data[0], .kinds = data + 1 };

		data = d.kinds + d.nfds + 2;
		d.size = (size_t)(data[-2] << 8 | data[-1]);
		if (d.size > (size_t)(data_end - data))
			d.size = (size_t)(data_end - data);
		d.data = data;
		data += d.size;
		*end++ = d;
	}
}

static bool send_datagram(int socket, const struct datagram *d)
{
	union {
		char bytes[CMSG_SPACE(UINT8_MAX * sizeof(int))];
		struct cmsghdr header;
	} control = { .header = { CMSG_LEN(d->nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { (void *)d->data, d->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int *fds = (int *)CMSG_DATA(&control.header);

	for (size_t i = 0; i < d->nfds; i++)
		fds[i] = descriptors()[d->kinds[i] % DESCRIPTORS];
	if (d->nfds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(d->nfds * sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* The lowest descriptor that is free. */
static int lowest_free(void)
{
	int fd = dup(descriptors()[DEVICE]);

	MUST(fd >= 0);
	close(fd);
	return fd;
}

/* Lets no descriptor be opened from max on; returns what the limit was. */
static rlim_t set_limit(rlim_t max)
{
	struct rlimit limit;
	rlim_t was;

	MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	was = limit.rlim_cur;
	limit.rlim_cur = max;
	MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	return was;
}

static void check_verdict(const struct message *m)
{
	const int got[] = { m->net, m->mnt, m->root, m->cwd };

	MUST(now < end && m->type == MESSAGE_VERDICT && (int)m->outcome == meaning(now));
	MUST(m->cwd_moved == now->data[2] && is_text_of(m->text, now, 3));
	for (size_t i = 0; i < now->nfds; i++) {
		struct stat sent, received;

		MUST(fcntl(got[i], F_GETFD) == FD_CLOEXEC);
		MUST(fstat(descriptors()[now->kinds[i] % DESCRIPTORS], &sent) == 0);
		MUST(fstat(got[i], &received) == 0 && same(&sent, &received));
		close(got[i]);
	}
}

/* Whether a datagram ends it all. */
static bool is_wrong(const struct datagram *d)
{
	switch (meaning(d)) {
	case 0:
		return true;
	case MESSAGE_ANSWER:
		return known != UNKNOWN || own_answer(d) == UNKNOWN;
	default:
		return false;
	}
}

/* The other modules learn of what the user is a non-member, and nothing else. */
static void check_shared(const struct datagram *answer)
{
	for (int kind = 0; kind < KINDS; kind++) {
		const char *group = kind == KIND_USERNET ? "net" : pamnet_modules[kind].group;
		enum membership expected = UNKNOWN;

		if (answer && (answer->data[1 + kind] == 'n' || answer->data[1 + kind] == 'g'))
			expected = answer->data[1 + kind];
		MUST(shared_get(PAMH, "alice", kind, group) == expected);
		MUST(shared_get(PAMH, "alice", kind, "another") == UNKNOWN);
		MUST(shared_get(PAMH, "bob", kind, group) == UNKNOWN);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct login l = {
		.pamh = PAMH,
		.request = { .module = &pamnet_modules[KIND_USERNET], .user = "alice" },
		.options = { .group = "net", .timeout = 1, .debug = true },
	};
	int sockets[2];
	rlim_t allowed = size ? data[0] & 0x7f : PLENTY, limit;
	bool plenty = allowed >= PLENTY, knows = !size || !(data[0] & 0x80), ok;
	const struct datagram *answer = NULL;
	struct message m;
	struct child c = { .timeout = 1 };

	descriptors(); /* come first */
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	parse(size ? data + 1 : data, data + size);
	for (now = datagrams; now < end && send_datagram(sockets[1], now);)
		now++;
	end = now; /* those that went through */
	now = datagrams;
	close(sockets[1]);
	l.membership = known = knows ? MEMBER : UNKNOWN;

	limit = set_limit(plenty ? FD_SETSIZE : (rlim_t)sockets[1] + allowed);
	c.socket = sockets[0];
	c.deadline = now_ms() + 1000;
	ok = await_verdict(&l, &c, &m);
	set_limit(limit);
	for (const struct datagram *d = datagrams; !knows && d < end && !answer; d++) {
		if (meaning(d) != MESSAGE_LOG)
			answer = d;
	}
	pass_answer();
	if (ok && m.type == MESSAGE_ANSWER) {
		MUST(now < end && meaning(now) == MESSAGE_ANSWER && known == UNKNOWN);
		MUST(is_nonmember(l.membership) && l.membership == own_answer(now));
	} else if (ok && m.outcome == OUTCOME_ISOLATED && known != MEMBER) {
		MUST(meaning(now) == OUTCOME_ISOLATED && apply_verdict(&l, &c, &m) == PAM_ABORT && *l.reason);
	} else if (ok) {
		MUST(l.membership == known);
		check_verdict(&m);
	} else {
		MUST(*l.reason && (now == end || is_wrong(now) || !plenty));
	}
	if (l.membership == UNKNOWN || !answer || meaning(answer) != MESSAGE_ANSWER)
		answer = NULL;
	check_shared(answer);
	if (l.saved)
		location_close(&l.before);
	MUST(lowest_free() == sockets[1]); /* where the first descriptor was received */
	close(sockets[0]);
	free(shared);
	shared = NULL;
	return 0;
}
