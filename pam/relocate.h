/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs in the child. Carries out the relocations of Go's data, which
 * build/module/deferrelocations has taken from the dynamic linker. The login process never reads
 * Go's data, so that a non-member's login is spared the writes to some 60 pages.
 */
#ifndef PAMNET_RELOCATE_H
#define PAMNET_RELOCATE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Where the relocations are in the module: zeros if the dynamic linker carries them out. */
struct relocations {
	uint64_t table; /* of Elf64_Rela: its address, less that of the module */
	uint64_t count;
};

/*
 * Sets page and size to the pages that the dynamic linker has made read-only in a module
 * (RELRO). The dynamic linker rounds both ends down: of the last page, only a part may be RELRO.
 */
static inline void find_relro(char *module, char **page, size_t *size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)module;
	const Elf64_Phdr *segment = (const Elf64_Phdr *)(module + header->e_phoff);
	uint64_t mask = -(uint64_t)sysconf(_SC_PAGESIZE);

	*page = module;
	*size = 0;
	for (int i = 0; i < header->e_phnum; i++, segment++) {
		if (segment->p_type != PT_GNU_RELRO)
			continue;
		*page = module + (segment->p_vaddr & mask);
		*size = ((segment->p_vaddr + segment->p_memsz) & mask) - (segment->p_vaddr & mask);
	}
}

/*
 * Carries out the relocations r of a module, and leaves RELRO read-only. Returns false with
 * errno set if memory cannot be made writable. A module linked without
 * build/module/deferred-start.ld has no r, and nothing to relocate.
 */
static inline bool relocate(char *module, const struct relocations *r)
{
	const Elf64_Rela *table;
	char *page;
	size_t size;

	if (!r || !r->count)
		return true;
	find_relro(module, &page, &size);
	if (mprotect(page, size, PROT_READ | PROT_WRITE) < 0)
		return false;
	madvise(page, size, MADV_POPULATE_WRITE); /* cheaper than a fault for each page; Linux 5.14 */
	table = (const Elf64_Rela *)(module + r->table);
	for (uint64_t i = 0; i < r->count; i++)
		*(uint64_t *)(module + table[i].r_offset) = (uint64_t)module + (uint64_t)table[i].r_addend;
	return mprotect(page, size, PROT_READ) == 0;
}

#endif
