// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looks through ELF files: programs and shared objects for x86-64. */
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>

#include "../libfaasctl/internal.h"
#include "scan.h"

#define PAGE		4096ull
#define PAGE_DOWN(x)	((x) & ~(PAGE - 1))
#define PAGE_UP(x)	PAGE_DOWN((x) + PAGE - 1)
#define SIZE_MAX_FILE	(2ull << 30)

/**
 * struct image - a file
 * @elf: libelf's handle
 * @bytes: what is in it
 * @size: its size
 * @path: what it is called
 * @loads: the executable segments by address
 * @n_loads: how many
 */
struct image {
	Elf *elf;
	const uint8_t *bytes;
	size_t size;
	const char *path;
	GElf_Phdr *loads;
	size_t n_loads;
};

static int refuse(const struct image *image, struct faasctl_error *err,
		  const char *what)
{
	return faasctl__fail(err, ENOEXEC, "%.300s %s", image->path, what);
}

static int check_header(struct image *image, struct faasctl_error *err)
{
	GElf_Ehdr ehdr;

	if (elf_kind(image->elf) != ELF_K_ELF || !gelf_getehdr(image->elf, &ehdr))
		return refuse(image, err, "is no ELF file: name a program or a shared object");
	if (ehdr.e_machine != EM_X86_64 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(image, err, "is for another machine: only x86-64 is known here");
	if (ehdr.e_type != ET_DYN && ehdr.e_type != ET_EXEC)
		return refuse(image, err, "is neither a program nor a shared object: link it");
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const GElf_Phdr *x = a, *y = b;

	if (x->p_vaddr != y->p_vaddr)
		return x->p_vaddr < y->p_vaddr ? -1 : 1;
	return 0;
}

static int add_load(struct image *image, const GElf_Phdr *phdr,
		    struct faasctl_error *err)
{
	if (phdr->p_offset > image->size || phdr->p_filesz > image->size - phdr->p_offset)
		return faasctl__fail(err, ENOEXEC,
			"%.300s is cut short: code up to byte %llu, and the file has %zu",
			image->path,
			(unsigned long long)(phdr->p_offset + phdr->p_filesz),
			image->size);
	if ((phdr->p_vaddr ^ phdr->p_offset) & (PAGE - 1) || phdr->p_memsz < phdr->p_filesz ||
	    phdr->p_vaddr + phdr->p_memsz < phdr->p_vaddr ||
	    phdr->p_vaddr + phdr->p_memsz > UINT64_MAX - PAGE)
		return refuse(image, err, "has a segment that cannot be mapped");
	image->loads[image->n_loads++] = *phdr;
	return 0;
}

/* Whether the dynamic section at @phdr tells of relocations in code. */
static bool has_textrel(const struct image *image, const GElf_Phdr *phdr)
{
	Elf_Data *data = elf_getdata_rawchunk(image->elf, phdr->p_offset,
					      phdr->p_filesz, ELF_T_DYN);
	GElf_Dyn dyn;
	int i;

	for (i = 0; data && gelf_getdyn(data, i, &dyn) && dyn.d_tag != DT_NULL; i++)
		if (dyn.d_tag == DT_TEXTREL ||
		    (dyn.d_tag == DT_FLAGS && (dyn.d_un.d_val & DF_TEXTREL)))
			return true;
	return false;
}

static int look_at(struct image *image, const struct scan *scan,
		   const GElf_Phdr *phdr, bool *stack, struct faasctl_error *err)
{
	int ret;

	switch (phdr->p_type) {
	case PT_LOAD:
		if (!(phdr->p_flags & PF_X))
			return 0;
		ret = add_load(image, phdr, err);
		if (!ret && phdr->p_flags & PF_W)
			ret = scan_tell(scan, FAASCTL_SCAN_WRITABLE,
					phdr->p_vaddr, phdr->p_offset);
		return ret;
	case PT_DYNAMIC:
		return !has_textrel(image, phdr) ? 0 :
			scan_tell(scan, FAASCTL_SCAN_TEXTREL, phdr->p_vaddr,
				  phdr->p_offset);
	case PT_GNU_STACK:
		*stack = phdr->p_flags & PF_X;
		return 0;
	}
	return 0;
}

static int read_headers(struct image *image, const struct scan *scan,
			struct faasctl_error *err)
{
	bool stack = true;	/* what the loader takes for granted */
	size_t i, n;
	GElf_Phdr phdr;
	int ret = 0;

	if (elf_getphdrnum(image->elf, &n) || !n)
		return refuse(image, err, "has no program headers: link it");
	image->loads = calloc(n, sizeof(*image->loads));
	if (!image->loads)
		return faasctl__fail(err, ENOMEM, "out of memory");
	for (i = 0; !ret && i < n; i++) {
		if (!gelf_getphdr(image->elf, i, &phdr))
			return refuse(image, err, "is cut short: its program headers are missing");
		ret = look_at(image, scan, &phdr, &stack, err);
	}
	if (!ret && stack)
		ret = scan_tell(scan, FAASCTL_SCAN_EXECSTACK, 0, 0);
	qsort(image->loads, image->n_loads, sizeof(*image->loads), by_address);
	return ret;
}

/* Pages are mapped whole: what is around a segment in its first and last page, too. */
static int scan_load(const struct image *image, struct scan *scan,
		     const GElf_Phdr *phdr)
{
	uint64_t from = PAGE_DOWN(phdr->p_offset);
	uint64_t to = PAGE_UP(phdr->p_offset + phdr->p_filesz);

	if (!phdr->p_filesz)
		return 0;
	if (to > image->size)
		to = image->size;
	return scan_feed(scan, PAGE_DOWN(phdr->p_vaddr), from,
			 image->bytes + from, to - from);
}

FAASCTL_API int faasctl_scan_memory(const void *image, size_t size,
				    const char *path, faasctl_scan_fn fn,
				    void *arg, struct faasctl_error *err)
{
	struct image file = { .bytes = image, .size = size, .path = path };
	struct scan scan = { .fn = fn, .arg = arg, .path = path };
	size_t i;
	int ret;

	elf_version(EV_CURRENT);
	/* It is not written to: what is for another byte order is refused. */
	file.elf = elf_memory((char *)image, size);
	if (!file.elf)
		return refuse(&file, err, "is no ELF file: name a program or a shared object");
	ret = check_header(&file, err);
	if (!ret)
		ret = read_headers(&file, &scan, err);
	for (i = 0; !ret && i < file.n_loads; i++)
		ret = scan_load(&file, &scan, &file.loads[i]);
	free(file.loads);
	elf_end(file.elf);
	return ret;
}

/* The bytes of a file; the caller's to free. A mapping of it could shrink meanwhile. */
static int read_file(const char *path, uint8_t **bytes, size_t *size,
		     struct faasctl_error *err)
{
	_cleanup_(faasctl__closep) int fd = -1;
	struct stat st;
	ssize_t n;

	*bytes = NULL;
	*size = 0;
	/* A FIFO would be waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return faasctl__fail_errno(err, errno, "cannot open %.300s", path);
	if (!S_ISREG(st.st_mode))
		return faasctl__fail(err, EINVAL, "%.300s is not a regular file", path);
	if ((uint64_t)st.st_size > SIZE_MAX_FILE)
		return faasctl__fail(err, EFBIG, "%.300s is larger than 2 GiB", path);
	*bytes = malloc(st.st_size + 1);
	if (!*bytes)
		return faasctl__fail(err, ENOMEM, "out of memory");
	do {
		n = read(fd, *bytes + *size, st.st_size - *size);
		if (n < 0 && errno != EINTR)
			return faasctl__fail_errno(err, errno, "cannot read %.300s", path);
		*size += n > 0 ? n : 0;
	} while (n && *size < (size_t)st.st_size);
	return 0;
}

FAASCTL_API int faasctl_scan_file(const char *path, faasctl_scan_fn fn,
				  void *arg, struct faasctl_error *err)
{
	_cleanup_(faasctl__freep) uint8_t *bytes = NULL;
	size_t size;
	int ret;

	ret = read_file(path, &bytes, &size, err);
	return ret ? ret : faasctl_scan_memory(bytes, size, path, fn, arg, err);
}
