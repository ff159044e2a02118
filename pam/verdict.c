/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static bool is_namespace(int fd, int type)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == type;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * The same without asking the directory's server, which may hang, or deny root even that
 * (EACCES: a FUSE mount of a user). fchdir(2) takes nothing but a directory in any case.
 */
static bool is_working_directory(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return errno == EACCES;
	return S_ISDIR(st.stx_mode);
}

static void copy_text(struct verdict *v, const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		v->text[i] = text[i] < ' ' || text[i] == 127 ? '?' : (char)text[i];
	v->text[size] = '\0';
}

static bool decode_answer(struct verdict *v, const unsigned char *answer, size_t size)
{
	if (size != KINDS)
		return false;
	for (size_t i = 0; i < KINDS; i++) {
		v->answer[i] = answer[i];
		switch (v->answer[i]) {
		case UNKNOWN:
		case MEMBER:
		case NONMEMBER:
		case NO_GROUP:
			break;
		default:
			return false;
		}
	}
	return true;
}

bool verdict_decode(struct verdict *v, const unsigned char *data, size_t size, const int *fds,
		    size_t nfds)
{
	*v = (struct verdict){ .net = -1, .mnt = -1, .root = -1, .cwd = -1 };
	if (size < 3 || size > MESSAGE_MAX)
		return false;
	switch (data[0]) {
	case MESSAGE_LOG:
		v->message = MESSAGE_LOG;
		v->priority = data[1];
		copy_text(v, data + 2, size - 2);
		return data[1] <= 7 && nfds == 0;
	case MESSAGE_ANSWER:
		v->message = MESSAGE_ANSWER;
		return decode_answer(v, data + 1, size - 1) && nfds == 0;
	case MESSAGE_VERDICT:
		v->message = MESSAGE_VERDICT;
		break;
	default:
		return false;
	}
	v->outcome = data[1];
	v->cwd_moved = data[2];
	copy_text(v, data + 3, size - 3);
	if (data[2] > 1)
		return false;
	switch (data[1]) {
	case OUTCOME_REFUSED:
	case OUTCOME_UNKNOWN:
		return nfds == 0;
	case OUTCOME_ISOLATED:
		break;
	default:
		return false;
	}
	if (nfds != VERDICT_FDS)
		return false;
	v->net = fds[0];
	v->mnt = fds[1];
	v->root = fds[2];
	v->cwd = fds[3];
	return is_namespace(v->net, CLONE_NEWNET) && is_namespace(v->mnt, CLONE_NEWNS) &&
	       is_directory(v->root) && is_working_directory(v->cwd);
}
