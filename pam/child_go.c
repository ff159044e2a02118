/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of Go's runtime, with nothing to read that a caller has set. Everything here runs in the
 * child, except child_can_start_go().
 */
#define _GNU_SOURCE
#include "child.h"

#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

#include "relocate.h"

#define LAST_FILE 3		 /* the highest descriptor of the child */
#define STACK_SIZE (256UL << 10) /* of the child's first thread, as Go gets to know it */

/*
 * Go's entries of DT_INIT_ARRAY. build/module/deferred-start.ld keeps them from the dynamic
 * linker. They are weak, since a module linked without the script has none.
 */
typedef void go_init(int argc, char **argv, char **envp);
extern go_init *const pamnet_go_init_start[] __attribute__((weak));
extern go_init *const pamnet_go_init_end[] __attribute__((weak));

/* Go's relocations, which build/module/deferrelocations has taken from the dynamic linker. */
extern const struct relocations pamnet_go_relocations __attribute__((weak));
extern char __ehdr_start[] __attribute__((visibility("hidden")));

/* Of runtime/cgo: the C side of an exported function calls it first. */
extern size_t _cgo_wait_runtime_init_done(void);

/* What Go's runtime looks for in the auxiliary vector. */
static const unsigned long auxiliary[] = {
	AT_PAGESZ, AT_RANDOM, AT_SECURE, AT_SYSINFO_EHDR, AT_HWCAP, AT_HWCAP2,
};
#define AUXILIARY (sizeof(auxiliary) / sizeof(auxiliary[0]))

/*
 * The block that the kernel puts on a program's stack: argv, environment, auxiliary vector.
 * Go's runtime reads this one, and so nothing that the user of su or sudo exports.
 */
static struct {
	char *argv[2], *environment[4];
	struct {
		unsigned long type, value;
	} vector[AUXILIARY + 1];
} block = {
	.argv = { "pam_net" },
	.environment = { "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1" },
};

static pthread_t starter; /* the thread that has called child_start_go */

bool child_can_start_go(void)
{
	return pamnet_go_init_start != NULL;
}

/*
 * Go calls this instead of pthread_getattr_np(3), by the linker's --wrap, for the stack of each
 * thread of C's that enters Go. For a process's first thread, libc would read /proc/self/maps
 * line by line.
 */
int __real_pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes);
int __wrap_pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes);

int __wrap_pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t top = ((uintptr_t)__builtin_frame_address(0) + 4 * page) & -page;
	int error;

	if (!pthread_equal(thread, starter))
		return __real_pthread_getattr_np(thread, attributes);
	error = pthread_attr_init(attributes);
	return error ? error : pthread_attr_setstack(attributes, (void *)(top - STACK_SIZE), STACK_SIZE);
}

/*
 * Leaves the runtime no room for another open file while it starts. The runtime looks for the
 * cgroup's limit of processors, whatever GOMAXPROCS is, and would read the whole mount table:
 * ten thousand lines beside as many networks.
 */
bool child_start_go(void)
{
	struct rlimit files, none;

	if (!relocate(__ehdr_start, &pamnet_go_relocations))
		return false;
	starter = pthread_self();
	mallopt(M_ARENA_MAX, 1); /* one for each thread takes more time than it saves */
	for (size_t i = 0; i < AUXILIARY; i++) {
		block.vector[i].type = auxiliary[i];
		block.vector[i].value = getauxval(auxiliary[i]);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return false;
	none = files;
	none.rlim_cur = LAST_FILE + 1;
	if (setrlimit(RLIMIT_NOFILE, &none) < 0)
		return false;
	for (go_init *const *init = pamnet_go_init_start; init < pamnet_go_init_end; init++)
		(*init)(1, block.argv, block.environment);
	_cgo_wait_runtime_init_done();
	return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

char **child_environment(void)
{
	return block.environment;
}
