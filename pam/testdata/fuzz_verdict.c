/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzes what the login process does with the datagrams of its child, sockets and
 * descriptors included: a line is logged as it is, the first verdict counts, what
 * is malformed ends it all, and no descriptor stays open that nobody wants.
 *
 * The input is how many descriptors the login process may open, and one datagram
 * after the other: the number of descriptors, the kind of each, its size in two
 * bytes, its bytes.
 */
#include "../adopt.c"
#include "../lookup.c"
#include "../options.c"
#include "../session.c"
#include "../verdict.c"

#include <sys/resource.h>

#include "fuzz.h"

#define DATAGRAMS_MAX 64
#define PLENTY 16 /* of descriptors; from here on there is no limit */

/* What session.c needs and is not called. */
const struct module pamnet_module = { "pam_fuzz", "fuzz", KIND_NEWNET };

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
	KINDS,
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
	static int fds[KINDS];

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
	for (int i = 0; i < KINDS; i++)
		MUST(fds[i] > 0);
	return fds;
}

/* What a datagram is: MESSAGE_LOG, the outcome of a verdict, or 0 if it is malformed. */
static int meaning(const struct datagram *d)
{
	if (d->size < 3 || d->size > 1024)
		return 0;
	if (d->data[0] == 'L')
		return d->data[1] <= LOG_DEBUG && !d->nfds ? MESSAGE_LOG : 0;
	if (d->data[0] != 'V' || d->data[2] > 1)
		return 0;
	if (d->data[1] != 'I')
		return memchr("RUN", d->data[1], 3) && !d->nfds ? d->data[1] : 0;
	for (size_t i = 0; i < d->nfds; i++) {
		uint8_t kind = d->kinds[i] % KINDS;

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

/* Instead of libpam's. */
void pam_syslog(const pam_handle_t *pamh, int priority, const char *format, ...)
{
	char text[MESSAGE_MAX + 1];
	va_list args;

	(void)pamh;
	va_start(args, format);
	MUST(vsnprintf(text, sizeof(text), format, args) < (int)sizeof(text));
	va_end(args);
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
		fds[i] = descriptors()[d->kinds[i] % KINDS];
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

static void check_verdict(const struct verdict *v)
{
	const int got[] = { v->net, v->mnt, v->root, v->cwd };

	MUST(now < end && v->message == MESSAGE_VERDICT && (int)v->outcome == meaning(now));
	MUST(v->cwd_moved == now->data[2] && is_text_of(v->text, now, 3));
	for (size_t i = 0; i < now->nfds; i++) {
		struct stat sent, received;

		MUST(fcntl(got[i], F_GETFD) == FD_CLOEXEC);
		MUST(fstat(descriptors()[now->kinds[i] % KINDS], &sent) == 0);
		MUST(fstat(got[i], &received) == 0 && same(&sent, &received));
		close(got[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session s = { .options = { .timeout = 1, .debug = true } };
	int sockets[2];
	bool plenty = size == 0 || data[0] >= PLENTY, ok;
	struct verdict v;
	rlim_t limit;

	descriptors(); /* come first */
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	parse(size ? data + 1 : data, data + size);
	for (now = datagrams; now < end && send_datagram(sockets[1], now);)
		now++;
	end = now; /* those that went through */
	now = datagrams;
	close(sockets[1]);

	limit = set_limit(plenty ? FD_SETSIZE : (rlim_t)sockets[1] + data[0]);
	ok = await_verdict(&s, sockets[0], &v);
	set_limit(limit);
	if (ok)
		check_verdict(&v);
	else
		MUST(*s.reason && (now == end || !meaning(now) || !plenty));
	MUST(lowest_free() == sockets[1]); /* where the first descriptor was received */
	close(sockets[0]);
	return 0;
}
