// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds instructions that write the key register, at any offset in code. */
#include "../libfaasctl/internal.h"
#include "scan.h"

FAASCTL_API const char *faasctl_scan_name(uint32_t kind)
{
	static const char *const names[] = {
		[FAASCTL_SCAN_WRPKRU] = "wrpkru",
		[FAASCTL_SCAN_XRSTOR] = "xrstor",
		[FAASCTL_SCAN_WRITABLE] = "writable-code",
		[FAASCTL_SCAN_TEXTREL] = "text-relocations",
		[FAASCTL_SCAN_EXECSTACK] = "executable-stack",
	};

	return kind < ARRAY_SIZE(names) ? names[kind] : "unknown";
}

/*
 * WRPKRU is 0f 01 ef. XRSTOR is 0f ae with 5 in the middle of the next byte, and an
 * operand in memory: with one in a register that is LFENCE. Prefixes come before and
 * change nothing of that. XRSTORS is the kernel's, and FXRSTOR knows no keys.
 */
static bool match(const uint8_t *code, enum faasctl_scan_kind *kind)
{
	if (code[0] != 0x0f)
		return false;
	if (code[1] == 0x01 && code[2] == 0xef)
		*kind = FAASCTL_SCAN_WRPKRU;
	else if (code[1] == 0xae && (code[2] & 0x38) == 0x28 && code[2] < 0xc0)
		*kind = FAASCTL_SCAN_XRSTOR;
	else
		return false;
	return true;
}

int scan_tell(const struct scan *scan, enum faasctl_scan_kind kind,
	      uint64_t address, uint64_t offset)
{
	struct faasctl_scan_hit hit = {
		.kind = kind,
		.address = address,
		.offset = offset,
		.path = scan->path,
	};

	return scan->fn(&hit, scan->arg);
}

/* What begins in the bytes kept from before. */
static int scan_border(struct scan *scan, const uint8_t *code, size_t len)
{
	uint8_t joined[2 * SCAN_KEEP];
	enum faasctl_scan_kind kind;
	unsigned int i, n;
	int ret = 0;

	memcpy(joined, scan->kept, scan->n_kept);
	n = len < SCAN_KEEP ? len : SCAN_KEEP;
	memcpy(joined + scan->n_kept, code, n);
	n += scan->n_kept;
	for (i = 0; !ret && i < scan->n_kept && i + 3 <= n; i++)
		if (match(joined + i, &kind))
			ret = scan_tell(scan, kind, scan->next - scan->n_kept + i,
					scan->from[i]);
	return ret;
}

static void scan_keep(struct scan *scan, uint64_t offset, const uint8_t *code,
		      size_t len)
{
	size_t i;

	for (i = len < SCAN_KEEP ? 0 : len - SCAN_KEEP; i < len; i++) {
		if (scan->n_kept == SCAN_KEEP) {
			memmove(scan->kept, scan->kept + 1, SCAN_KEEP - 1);
			memmove(scan->from, scan->from + 1,
				(SCAN_KEEP - 1) * sizeof(scan->from[0]));
			scan->n_kept--;
		}
		scan->kept[scan->n_kept] = code[i];
		scan->from[scan->n_kept] = offset + i;
		scan->n_kept++;
	}
}

/*
 * Looks through code that is at @address in memory and at @offset in its file. What it
 * continues, because it is adjacent to what came before, is taken into account.
 */
int scan_feed(struct scan *scan, uint64_t address, uint64_t offset,
	      const uint8_t *code, size_t len)
{
	enum faasctl_scan_kind kind;
	const uint8_t *at = code;
	int ret = 0;

	if (address != scan->next)
		scan->n_kept = 0;
	if (scan->n_kept)
		ret = scan_border(scan, code, len);
	while (!ret && len >= 3 && at <= code + len - 3) {
		at = memchr(at, 0x0f, code + len - 2 - at);
		if (!at)
			break;
		if (match(at, &kind))
			ret = scan_tell(scan, kind, address + (at - code),
					offset + (at - code));
		at++;
	}
	scan_keep(scan, offset, code, len);
	scan->next = address + len;
	return ret;
}
