// SPDX-License-Identifier: GPL-2.0
/*
 * What is found in code that could undo protection keys: in ELF files made here, and in
 * this process. No module is needed.
 */
#include <elf.h>
#include <faasctl/domain.h>
#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"

#define MOST	16

/* What was found, in order. */
struct found {
	size_t n;
	struct faasctl_scan_hit hits[MOST];
	int answer;
};

static int note(const struct faasctl_scan_hit *hit, void *arg)
{
	struct found *found = arg;

	if (found->n < MOST)
		found->hits[found->n++] = *hit;
	return found->answer;
}

/*
 * A shared object of four pages: headers; code; code again, mapped where the first
 * piece ends; and data. Nothing in it is to be found until it is planted.
 */
struct object {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[4];
	uint8_t rest[4 * PAGE - sizeof(Elf64_Ehdr) - 4 * sizeof(Elf64_Phdr)];
};

_Static_assert(sizeof(struct object) == 4 * PAGE, "pages");

/* An object, and what came of looking through it. */
struct job {
	struct object *object;
	struct found found;
	struct faasctl_error err;
};

static Elf64_Phdr segment(uint32_t flags, uint64_t offset, uint64_t size)
{
	return (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = flags, .p_offset = offset, .p_vaddr = offset,
		.p_filesz = size, .p_memsz = size, .p_align = PAGE,
	};
}

static void job_new(struct job *job)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		abort();
	memcpy(o->ehdr.e_ident, ELFMAG, SELFMAG);
	o->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	o->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	o->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	o->ehdr.e_type = ET_DYN;
	o->ehdr.e_machine = EM_X86_64;
	o->ehdr.e_version = EV_CURRENT;
	o->ehdr.e_phoff = offsetof(struct object, phdr);
	o->ehdr.e_ehsize = sizeof(o->ehdr);
	o->ehdr.e_phentsize = sizeof(o->phdr[0]);
	o->ehdr.e_phnum = ARRAY_SIZE(o->phdr);
	o->phdr[0] = segment(PF_R | PF_X, PAGE, 100);
	o->phdr[1] = segment(PF_R | PF_X, 2 * PAGE, PAGE);
	o->phdr[2] = segment(PF_R | PF_W, 3 * PAGE, PAGE);
	o->phdr[3] = (Elf64_Phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
	memset(job, 0, sizeof(*job));
	job->object = o;
}

static int scan_size(struct job *job, size_t size)
{
	job->found.n = 0;
	return faasctl_scan_memory(job->object, size, "an object", note, &job->found, &job->err);
}

static int scan_object(struct job *job)
{
	return scan_size(job, sizeof(*job->object));
}

static void plant(struct job *job, size_t at, const void *bytes, size_t len)
{
	memcpy((uint8_t *)job->object + at, bytes, len);
}

FIXTURE(scan)
{
	struct job job;
};

FIXTURE_SETUP(scan)
{
	job_new(&self->job);
}

FIXTURE_TEARDOWN(scan)
{
	free(self->job.object);
}

TEST_F(scan, clean)
{
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(0, self->job.found.n);
}

/* What counts and what does not, and where. */
FIXTURE(bytes)
{
	struct job job;
};

FIXTURE_VARIANT(bytes)
{
	uint8_t bytes[8];
	size_t len;
	size_t at;
	int kind;	/* -1: nothing is found */
	uint64_t found_at;
};

#define BYTES(name_, kind_, at_, found_, ...)					\
	FIXTURE_VARIANT_ADD(bytes, name_)					\
	{									\
		.bytes = { __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ }),	\
		.at = at_, .kind = kind_, .found_at = found_,			\
	}

BYTES(wrpkru, FAASCTL_SCAN_WRPKRU, PAGE, PAGE, 0x0f, 0x01, 0xef);
BYTES(wrpkru_odd, FAASCTL_SCAN_WRPKRU, PAGE + 7, PAGE + 7, 0x0f, 0x01, 0xef);
BYTES(wrpkru_last, FAASCTL_SCAN_WRPKRU, 3 * PAGE - 3, 3 * PAGE - 3, 0x0f, 0x01, 0xef);
/* Of a segment that ends earlier in its page, the page's rest is mapped. */
BYTES(wrpkru_behind, FAASCTL_SCAN_WRPKRU, PAGE + 2000, PAGE + 2000, 0x0f, 0x01, 0xef);
/* In the middle of mov $0xef010f, %eax. */
BYTES(wrpkru_inside, FAASCTL_SCAN_WRPKRU, PAGE + 16, PAGE + 17, 0xb8, 0x0f, 0x01, 0xef, 0x00);
BYTES(wrpkru_prefixed, FAASCTL_SCAN_WRPKRU, PAGE + 16, PAGE + 17, 0x66, 0x0f, 0x01, 0xef);
BYTES(wrpkru_doubled, FAASCTL_SCAN_WRPKRU, PAGE + 16, PAGE + 17, 0x0f, 0x0f, 0x01, 0xef);
/* Across two segments that meet in memory. */
BYTES(border_1, FAASCTL_SCAN_WRPKRU, 2 * PAGE - 1, 2 * PAGE - 1, 0x0f, 0x01, 0xef);
BYTES(border_2, FAASCTL_SCAN_WRPKRU, 2 * PAGE - 2, 2 * PAGE - 2, 0x0f, 0x01, 0xef);
BYTES(border_xrstor, FAASCTL_SCAN_XRSTOR, 2 * PAGE - 2, 2 * PAGE - 2, 0x0f, 0xae, 0x28);
BYTES(xrstor_rax, FAASCTL_SCAN_XRSTOR, PAGE + 9, PAGE + 9, 0x0f, 0xae, 0x28);
BYTES(xrstor64, FAASCTL_SCAN_XRSTOR, PAGE + 9, PAGE + 10, 0x48, 0x0f, 0xae, 0x2f);
BYTES(xrstor_byte, FAASCTL_SCAN_XRSTOR, PAGE + 9, PAGE + 9, 0x0f, 0xae, 0x6c, 0x24, 0x40);
BYTES(xrstor_long, FAASCTL_SCAN_XRSTOR, PAGE + 9, PAGE + 9, 0x0f, 0xae, 0xaf, 0x00, 0x01, 0x00, 0x00);
BYTES(lfence, -1, PAGE + 9, 0, 0x0f, 0xae, 0xe8);
BYTES(xsave, -1, PAGE + 9, 0, 0x0f, 0xae, 0x20);
BYTES(fxrstor, -1, PAGE + 9, 0, 0x0f, 0xae, 0x08);
BYTES(rdpkru, -1, PAGE + 9, 0, 0x0f, 0x01, 0xee);
BYTES(cut_1, -1, 3 * PAGE - 1, 0, 0x0f, 0x01, 0xef);
BYTES(cut_2, -1, 3 * PAGE - 2, 0, 0x0f, 0x01, 0xef);
BYTES(not_code, -1, 3 * PAGE + 16, 0, 0x0f, 0x01, 0xef);

FIXTURE_SETUP(bytes)
{
	job_new(&self->job);
	plant(&self->job, variant->at, variant->bytes, variant->len);
}

FIXTURE_TEARDOWN(bytes)
{
	free(self->job.object);
}

TEST_F(bytes, found)
{
	struct found *found = &self->job.found;

	EXPECT_EQ(0, scan_object(&self->job));
	if (variant->kind < 0) {
		EXPECT_EQ(0, found->n);
		return;
	}
	ASSERT_EQ(1, found->n);
	EXPECT_EQ(variant->kind, (int)found->hits[0].kind);
	EXPECT_EQ(variant->found_at, found->hits[0].address);
	EXPECT_EQ(variant->found_at, found->hits[0].offset);
	EXPECT_STREQ("an object", found->hits[0].path);
}

/* Pieces that do not meet in memory make nothing together, whatever the file looks like. */
TEST_F(scan, apart)
{
	self->job.object->phdr[1].p_vaddr += 16 * PAGE;
	plant(&self->job, 2 * PAGE - 1, "\x0f\x01\xef", 3);
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(0, self->job.found.n);
}

/* Where they meet in memory they do, though not in the file, and in whatever order they come. */
TEST_F(scan, meeting)
{
	Elf64_Phdr first = self->job.object->phdr[0];

	self->job.object->phdr[0] = self->job.object->phdr[1];
	self->job.object->phdr[1] = first;
	self->job.object->phdr[0].p_vaddr = PAGE;
	self->job.object->phdr[1].p_vaddr = 2 * PAGE;
	plant(&self->job, 3 * PAGE - 2, "\x0f\x01", 2);
	plant(&self->job, PAGE, "\xef", 1);
	EXPECT_EQ(0, scan_object(&self->job));
	ASSERT_EQ(1, self->job.found.n);
	EXPECT_EQ(2 * PAGE - 2, self->job.found.hits[0].address);
	EXPECT_EQ(3 * PAGE - 2, self->job.found.hits[0].offset);
}

TEST_F(scan, several)
{
	plant(&self->job, PAGE + 1, "\x0f\x01\xef\x0f\xae\x28", 6);
	plant(&self->job, 2 * PAGE + 5, "\x0f\x01\xef", 3);
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(3, self->job.found.n);
}

TEST_F(scan, stopped)
{
	plant(&self->job, PAGE + 1, "\x0f\x01\xef\x0f\xae\x28", 6);
	self->job.found.answer = -EDOM;
	EXPECT_EQ(-EDOM, scan_object(&self->job));
	EXPECT_EQ(1, self->job.found.n);
}

TEST_F(scan, writable)
{
	self->job.object->phdr[1].p_flags |= PF_W;
	EXPECT_EQ(0, scan_object(&self->job));
	ASSERT_EQ(1, self->job.found.n);
	EXPECT_EQ(FAASCTL_SCAN_WRITABLE, (int)self->job.found.hits[0].kind);
	EXPECT_EQ(2 * PAGE, self->job.found.hits[0].offset);
}

TEST_F(scan, stack)
{
	self->job.object->phdr[3].p_flags |= PF_X;
	EXPECT_EQ(0, scan_object(&self->job));
	ASSERT_EQ(1, self->job.found.n);
	EXPECT_EQ(FAASCTL_SCAN_EXECSTACK, (int)self->job.found.hits[0].kind);
	/* To say nothing means the same. */
	self->job.object->ehdr.e_phnum--;
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(1, self->job.found.n);
}

TEST_F(scan, relocations)
{
	Elf64_Dyn dyn[] = { { DT_FLAGS, { DF_TEXTREL } }, { DT_NULL, { 0 } } };

	plant(&self->job, 3 * PAGE, dyn, sizeof(dyn));
	self->job.object->phdr[2].p_type = PT_DYNAMIC;
	self->job.object->phdr[2].p_filesz = sizeof(dyn);
	EXPECT_EQ(0, scan_object(&self->job));
	ASSERT_EQ(1, self->job.found.n);
	EXPECT_EQ(FAASCTL_SCAN_TEXTREL, (int)self->job.found.hits[0].kind);
	dyn[0] = (Elf64_Dyn){ DT_TEXTREL, { 0 } };
	plant(&self->job, 3 * PAGE, dyn, sizeof(dyn));
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(1, self->job.found.n);
	dyn[0] = (Elf64_Dyn){ DT_FLAGS, { DF_BIND_NOW } };
	plant(&self->job, 3 * PAGE, dyn, sizeof(dyn));
	EXPECT_EQ(0, scan_object(&self->job));
	EXPECT_EQ(0, self->job.found.n);
}

#define EXPECT_REFUSED(what, ...)						\
do {										\
	EXPECT_EQ(-ENOEXEC, __VA_ARGS__);					\
	EXPECT_EQ(ENOEXEC, self->job.err.code);					\
	EXPECT_NE(NULL, strstr(self->job.err.message, what))			\
		TH_LOG("it said: %s", self->job.err.message);			\
	EXPECT_EQ(0, self->job.found.n);						\
} while (0)

TEST_F(scan, refusals)
{
	struct object *o = self->job.object, whole = *o;

	EXPECT_REFUSED("is no ELF file", scan_size(&self->job, 0));
	EXPECT_REFUSED("is no ELF file", scan_size(&self->job, 3));
	o->ehdr.e_ident[0] = '#';
	EXPECT_REFUSED("is no ELF file", scan_object(&self->job));
	*o = whole;
	o->ehdr.e_machine = EM_AARCH64;
	EXPECT_REFUSED("for another machine", scan_object(&self->job));
	*o = whole;
	o->ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	EXPECT_REFUSED("for another machine", scan_object(&self->job));
	*o = whole;
	o->ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	EXPECT_EQ(-ENOEXEC, scan_object(&self->job));
	*o = whole;
	o->ehdr.e_type = ET_REL;
	EXPECT_REFUSED("neither a program nor a shared object", scan_object(&self->job));
	*o = whole;
	o->ehdr.e_phnum = 0;
	EXPECT_REFUSED("no program headers", scan_object(&self->job));
	*o = whole;
	o->phdr[1].p_vaddr++;
	EXPECT_REFUSED("cannot be mapped", scan_object(&self->job));
	*o = whole;
	o->phdr[1].p_vaddr = -PAGE;
	o->phdr[1].p_memsz = 3 * PAGE;
	EXPECT_REFUSED("cannot be mapped", scan_object(&self->job));
}

/* However much of it is missing. */
TEST_F(scan, truncated)
{
	size_t size;

	for (size = 0; size < 3 * PAGE; size += 97) {
		EXPECT_EQ(-ENOEXEC, scan_size(&self->job, size))
			TH_LOG("%zu bytes", size);
	}
	EXPECT_REFUSED("is cut short", scan_size(&self->job, 3 * PAGE - 1));
	/* Data that is not there is not for us to tell. */
	EXPECT_EQ(0, scan_size(&self->job, 3 * PAGE));
}

TEST_F(scan, file)
{
	char path[] = "/tmp/faasin-scan.XXXXXX";
	int fd = mkstemp(path);

	ASSERT_LE(0, fd);
	plant(&self->job, PAGE + 1, "\x0f\x01\xef", 3);
	EXPECT_EQ((long)sizeof(*self->job.object), sys(write(fd, self->job.object, sizeof(*self->job.object))));
	EXPECT_EQ(0, faasctl_scan_file(path, note, &self->job.found, &self->job.err));
	ASSERT_EQ(1, self->job.found.n);
	EXPECT_STREQ(path, self->job.found.hits[0].path);
	EXPECT_EQ(0, ftruncate(fd, (3ull << 30)));
	EXPECT_EQ(-EFBIG, faasctl_scan_file(path, note, &self->job.found, &self->job.err));
	unlink(path);
	close(fd);
	EXPECT_EQ(-ENOENT, faasctl_scan_file(path, note, &self->job.found, &self->job.err));
	EXPECT_NE(NULL, strstr(self->job.err.message, path));
	EXPECT_EQ(-EINVAL, faasctl_scan_file("/tmp", note, &self->job.found, &self->job.err));
	ASSERT_EQ(0, mkfifo(path, 0600));
	EXPECT_EQ(-EINVAL, faasctl_scan_file(path, note, &self->job.found, NULL));
	unlink(path);
}

/* Whatever else there is: an instruction in these pages. */
static bool found_at(const struct found *found, const void *at, int kind)
{
	size_t i;

	for (i = 0; i < found->n; i++)
		if (found->hits[i].address == (uintptr_t)at && (int)found->hits[i].kind == kind)
			return true;
	return false;
}

TEST_F(scan, process)
{
	uint8_t *code = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, code);
	/* Mappings that differ, so that the kernel keeps them apart. */
	memcpy(code + 2 * PAGE - 1, "\x0f\x01\xef", 3);
	ASSERT_EQ(0, mprotect(code + PAGE, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(0, faasctl_scan_process(note, &self->job.found, &self->job.err));
	EXPECT_FALSE(found_at(&self->job.found, code + 2 * PAGE - 1, FAASCTL_SCAN_WRPKRU));

	self->job.found.n = 0;
	ASSERT_EQ(0, mprotect(code + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	EXPECT_EQ(0, faasctl_scan_process(note, &self->job.found, &self->job.err));
	EXPECT_TRUE(found_at(&self->job.found, code + 2 * PAGE - 1, FAASCTL_SCAN_WRPKRU));
	EXPECT_TRUE(found_at(&self->job.found, code + 2 * PAGE, FAASCTL_SCAN_WRITABLE));

	ASSERT_EQ(0, mprotect(code, 3 * PAGE, PROT_READ));
	self->job.found.n = 0;
	EXPECT_EQ(0, faasctl_scan_process(note, &self->job.found, &self->job.err));
	EXPECT_FALSE(found_at(&self->job.found, code + 2 * PAGE - 1, FAASCTL_SCAN_WRPKRU));
	munmap(code, 3 * PAGE);
}

/* Code that cannot be read is not passed over. */
TEST_F(scan, unreadable)
{
	void *code = mmap(NULL, PAGE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, code);
	EXPECT_EQ(-EACCES, faasctl_scan_process(note, &self->job.found, &self->job.err));
	EXPECT_NE(NULL, strstr(self->job.err.message, "not readable"));
	munmap(code, PAGE);
}

static atomic_bool looked;

static void *come_and_go(void *arg)
{
	while (!atomic_load(&looked))
		munmap(mmap(NULL, 16 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 16 * PAGE);
	return NULL;
}

/* What another thread unmaps meanwhile is no crash. */
TEST_F(scan, going)
{
	pthread_t thread;
	int i, ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, come_and_go, NULL));
	for (i = 0; i < 30; i++) {
		self->job.found.n = 0;
		ret = faasctl_scan_process(note, &self->job.found, &self->job.err);
		if (!ret)
			continue;
		EXPECT_EQ(-EAGAIN, ret);
		EXPECT_NE(NULL, strstr(self->job.err.message, "went while it was looked through"))
			TH_LOG("it said: %s", self->job.err.message);
	}
	atomic_store(&looked, true);
	pthread_join(thread, NULL);
}

TEST(names)
{
	EXPECT_STREQ("wrpkru", faasctl_scan_name(FAASCTL_SCAN_WRPKRU));
	EXPECT_STREQ("executable-stack", faasctl_scan_name(FAASCTL_SCAN_EXECSTACK));
	EXPECT_STREQ("unknown", faasctl_scan_name(FAASCTL_SCAN_EXECSTACK + 1));
}

TEST_HARNESS_MAIN
