// SPDX-License-Identifier: GPL-2.0
/*
 * mixes: what isolation costs whole workflows. The same functions, called one after the other in
 * one process with a plain allocator, and each in a domain of its own; both on one thread, and on
 * a thread that is made for each call. What they hand on is in memory that all of them have; what
 * they allocate is their own. With `vm-test/run --icount`, a nanosecond is an instruction.
 */
#include "bench.h"

#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>

#include <faasctl/domain.h>

#define STAGES	10

static void *(*volatile take)(size_t size);
static void (*volatile give)(void *p);

static unsigned int next_random(unsigned int *at)
{
	*at = *at * 1103515245 + 12345;
	return *at >> 16;
}

static void *need(size_t size)
{
	void *memory = take(size);

	if (!memory)
		abort();
	return memory;
}

/* ------------------------------------------------------------------------- image */

/* 1.6 MB: unpacked, made smaller, its edges found, and what is in it counted. */
#define SIDE	1280
#define SMALL	(SIDE / 2)

static unsigned char packed[SIDE * SIDE / 4], pixels[SIDE * SIDE], small[SMALL * SMALL],
	edges[SMALL * SMALL];
static unsigned int counts[256];

static void make_image(void)
{
	unsigned int at = 1;
	size_t i;

	for (i = 0; i < sizeof(packed); i++)
		packed[i] = next_random(&at);
}

static long image_unpack(void *arg)
{
	unsigned char *levels = need(256);
	size_t i;

	for (i = 0; i < 256; i++)
		levels[i] = i * i / 255;
	/* Two bits a pixel, around a level for each 16. */
	for (i = 0; i < sizeof(pixels); i++)
		pixels[i] = levels[packed[i / 16 * 4]] / 2 + (packed[i / 4] >> i % 4 * 2 & 3) * 40;
	give(levels);
	return 0;
}

static long image_shrink(void *arg)
{
	unsigned int *row = need(SMALL * sizeof(*row));
	size_t x, y;

	for (y = 0; y < SMALL; y++) {
		const unsigned char *a = pixels + 2 * y * SIDE, *b = a + SIDE;

		for (x = 0; x < SMALL; x++)
			row[x] = a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1];
		for (x = 0; x < SMALL; x++)
			small[y * SMALL + x] = row[x] / 4;
	}
	give(row);
	return 0;
}

static long image_edges(void *arg)
{
	size_t x, y;

	for (y = 1; y < SMALL - 1; y++)
		for (x = 1; x < SMALL - 1; x++) {
			const unsigned char *p = small + y * SMALL + x;
			int dx = p[1] - p[-1], dy = p[SMALL] - p[-SMALL];

			edges[y * SMALL + x] = (abs(dx) + abs(dy)) / 2;
		}
	return 0;
}

static long image_count(void *arg)
{
	size_t i;

	memset(counts, 0, sizeof(counts));
	for (i = 0; i < sizeof(edges); i++)
		counts[edges[i]]++;
	return 0;
}

/* ------------------------------------------------------------------------- trades */

/* Trades as text: parsed, held against eight rules, which list what they find; summed up. */
#define TRADES	2000
#define RULES	8

/**
 * struct trade - a trade
 * @id: its number
 * @price: in cents
 * @amount: how many
 */
struct trade {
	unsigned int id;
	unsigned int price;
	unsigned int amount;
};

static char trade_text[TRADES * 32];
static struct trade trades[TRADES];
static unsigned int found[RULES], all_found;

static void make_trades(void)
{
	unsigned int at = 2, i;
	char *to = trade_text;

	for (i = 0; i < TRADES; i++)
		to += sprintf(to, "%u,%u,%u\n", i, next_random(&at) % 100000,
			      next_random(&at) % 1000);
}

static long trades_parse(void *arg)
{
	char *from = trade_text;
	unsigned int i;

	for (i = 0; i < TRADES; i++) {
		trades[i].id = strtoul(from, &from, 10);
		trades[i].price = strtoul(from + 1, &from, 10);
		trades[i].amount = strtoul(from + 1, &from, 10);
	}
	return 0;
}

/**
 * struct finding - what a rule objects to
 * @next: the one before
 * @trade: which
 * @value: by how much
 */
struct finding {
	struct finding *next;
	unsigned int trade;
	unsigned int value;
};

static inline long hold_against(unsigned int rule)
{
	struct finding *all = NULL, *finding;
	unsigned int i, value, n = 0;

	for (i = 0; i < TRADES; i++) {
		value = trades[i].price * (rule + 1) % 977 + trades[i].amount;
		if (value < 1850)
			continue;
		finding = need(sizeof(*finding));
		*finding = (struct finding){ all, trades[i].id, value };
		all = finding;
	}
	while ((finding = all)) {
		all = finding->next;
		n += finding->value > 1900 ? 2 : 1;
		give(finding);
	}
	found[rule] = n;
	return 0;
}

#define RULE(n) static long trades_rule_##n(void *arg) { return hold_against(n); }
RULE(0)
RULE(1)
RULE(2)
RULE(3)
RULE(4)
RULE(5)
RULE(6)
RULE(7)

static long trades_sum(void *arg)
{
	unsigned int i;

	all_found = 0;
	for (i = 0; i < RULES; i++)
		all_found += found[i];
	return 0;
}

/* -------------------------------------------------------------------------- words */

/* A text of 64 KB: cut into words; counted, of 2000 different ones each allocated; an answer. */
#define WORDS	12000
#define LISTS	1024

static char text[65536], answer[4096];
static struct {
	unsigned short at;
	unsigned short size;
} words[WORDS];
static unsigned int n_words, total, different;

static void make_text(void)
{
	unsigned int at = 3, i = 0, size;

	while (i + 12 < sizeof(text)) {
		/* Its first three letters tell which it is. */
		unsigned int word = next_random(&at) % 2000;

		for (size = 3 + word % 7; size; size--, word = word / 26 + 7)
			text[i++] = (size & 1 ? 'a' : 'A') + word % 26;
		text[i++] = ' ';
	}
}

static long words_cut(void *arg)
{
	unsigned int i = 0, begin;

	for (n_words = 0; n_words < WORDS && i < sizeof(text) && text[i]; n_words++) {
		begin = i;
		for (; i < sizeof(text) && isalpha((unsigned char)text[i]); i++)
			text[i] = tolower((unsigned char)text[i]);
		words[n_words].at = begin;
		words[n_words].size = i - begin;
		i++;
	}
	return 0;
}

/**
 * struct entry - a word that was seen
 * @next: of its list
 * @n: how often
 * @size: of @word
 * @word: it
 */
struct entry {
	struct entry *next;
	unsigned int n;
	unsigned int size;
	char word[];
};

static struct entry *look_up(struct entry **lists, const char *word, unsigned int size)
{
	unsigned int hash = 5381, i;
	struct entry *entry;

	for (i = 0; i < size; i++)
		hash = hash * 33 + word[i];
	for (entry = lists[hash % LISTS]; entry; entry = entry->next)
		if (entry->size == size && !memcmp(entry->word, word, size))
			return entry;
	entry = need(sizeof(*entry) + size);
	*entry = (struct entry){ .next = lists[hash % LISTS], .size = size };
	memcpy(entry->word, word, size);
	lists[hash % LISTS] = entry;
	return entry;
}

static long words_count(void *arg)
{
	struct entry **lists = need(LISTS * sizeof(*lists)), *entry;
	unsigned int i;

	memset(lists, 0, LISTS * sizeof(*lists));
	total = 0;
	different = 0;
	for (i = 0; i < n_words; i++)
		total += look_up(lists, text + words[i].at, words[i].size)->n++ ? 1 : 2;
	for (i = 0; i < LISTS; i++)
		while ((entry = lists[i])) {
			lists[i] = entry->next;
			different++;
			give(entry);
		}
	give(lists);
	return 0;
}

static long words_answer(void *arg)
{
	char *line = need(200);
	unsigned int i;
	size_t at = 0;

	for (i = 0; i < 64; i++) {
		snprintf(line, 200, "{\"share\": %u, \"words\": %u, \"different\": %u}\n", i, total,
			 different);
		at += snprintf(answer + at, sizeof(answer) - at, "%.62s", line);
	}
	give(line);
	return 0;
}

/* ---------------------------------------------------------------------- measuring */

typedef long (*stage_fn)(void *arg);

/**
 * struct mix - a workflow
 * @name: its name
 * @what: in words
 * @runs: how often it runs each time
 * @stages: its functions, in order
 */
static const struct mix {
	const char *name;
	const char *what;
	int runs;
	stage_fn stages[STAGES + 1];
} mixes[] = {
	{ "image", "1.6 MB through 4 functions", 2,
	  { image_unpack, image_shrink, image_edges, image_count } },
	{ "trades", "2000 records through 10 functions", 20,
	  { trades_parse, trades_rule_0, trades_rule_1, trades_rule_2, trades_rule_3,
	    trades_rule_4, trades_rule_5, trades_rule_6, trades_rule_7, trades_sum } },
	{ "words", "64 KB of text through 3 functions", 10,
	  { words_cut, words_count, words_answer } },
};

static struct faasctl_domain *domains[STAGES];

static void run_plain(const struct mix *mix)
{
	int i;

	for (i = 0; mix->stages[i]; i++)
		mix->stages[i](NULL);
}

static void *run_stage(void *stage)
{
	const stage_fn *fn = stage;

	(*fn)(NULL);
	return NULL;
}

static void run_on_threads(const struct mix *mix)
{
	pthread_t thread;
	int i;

	for (i = 0; mix->stages[i]; i++)
		if (pthread_create(&thread, NULL, run_stage, (void *)&mix->stages[i]) ||
		    pthread_join(thread, NULL))
			die("no thread");
}

static void run_in_domains(const struct mix *mix)
{
	struct faasctl_error err;
	int i;

	for (i = 0; mix->stages[i]; i++)
		if (faasctl_domain_call(domains[i], mix->stages[i], NULL, NULL, &err))
			die("%s", err.message);
}

static void run_started(const struct mix *mix)
{
	struct faasctl_error err;
	int i;

	for (i = 0; mix->stages[i]; i++)
		if (faasctl_domain_start(domains[i], mix->stages[i], NULL, &err) ||
		    faasctl_domain_join(domains[i], NULL, &err))
			die("%s", err.message);
}

/* Who runs them: this thread, or one for each, which is made for it. */
enum way {
	BY_ONE,
	BY_EACH,
	WAYS,
};

static const struct {
	const char *what;
	const char *key;
	void (*plain)(const struct mix *mix);
	void (*isolated)(const struct mix *mix);
} ways[WAYS] = {
	[BY_ONE] = { "one thread", "", run_plain, run_in_domains },
	[BY_EACH] = { "a thread each", "_threads", run_on_threads, run_started },
};

static double measure(const struct mix *mix, void (*run)(const struct mix *mix))
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < mix->runs; i++)
		run(mix);
	return (double)(now_ns() - start) / mix->runs;
}

/**
 * struct results - what was measured
 * @by: by who ran it and workflow
 */
struct results {
	struct spread by[WAYS][ARRAY_SIZE(mixes)];
};

static void measure_all(struct results *results, bool isolated)
{
	void (*run)(const struct mix *mix);
	size_t k;
	int i, way;

	for (way = 0; way < WAYS; way++) {
		run = isolated ? ways[way].isolated : ways[way].plain;
		for (k = 0; k < ARRAY_SIZE(mixes); k++) {
			/* Whatever comes only once. */
			run(&mixes[k]);
			for (i = 0; i < repeats(); i++)
				spread_add(&results->by[way][k], measure(&mixes[k], run));
		}
	}
}

/* Returns false if there are no keys: what is handed on here, processes would not have. */
static bool begin_domains(void)
{
	struct faasctl_domains_info info;
	struct faasctl_error err;
	char name[16];
	int i;

	if (faasctl_domains_begin(NULL, &err))
		die("%s", err.message);
	faasctl_domains_info(&info);
	if (!info.threads) {
		printf("\n## mixes\n\nNot measured: %s.\n", info.why);
		return false;
	}
	for (i = 0; i < STAGES; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		if (faasctl_domain_new(name, NULL, &domains[i], &err))
			die("%s", err.message);
	}
	return true;
}

/* What came of it, so that both did the same. */
static unsigned long result(void)
{
	unsigned long sum = all_found + total * 31ul + different * 1009ul;
	size_t i;

	for (i = 0; i < 256; i++)
		sum = sum * 33 + counts[i];
	for (i = 0; i < sizeof(answer); i++)
		sum = sum * 33 + answer[i];
	return sum;
}

static void print_one(FILE *json, int way, size_t k, const struct results *plain,
		      const struct results *isolated)
{
	double before = median(&plain->by[way][k]), after = median(&isolated->by[way][k]);

	printf("| %s | %s | %s | %.0f | %.0f | %.2f |\n", mixes[k].name, mixes[k].what,
	       ways[way].what, before, after, 100 * (after / before - 1));
	fprintf(json, "%s\"%s%s\": {\"plain\": ", way || k ? ", " : "", mixes[k].name,
		ways[way].key);
	spread_json(&plain->by[way][k], json);
	fputs(", \"domains\": ", json);
	spread_json(&isolated->by[way][k], json);
	fputc('}', json);
}

static void print(FILE *json, const struct results *plain, const struct results *isolated)
{
	size_t k;
	int way;

	printf("\n## mixes\n\n| workflow | what | on | plain, ns | in domains, ns | more, %% |\n"
	       "| --- | --- | --- | ---: | ---: | ---: |\n");
	for (way = 0; way < WAYS; way++)
		for (k = 0; k < ARRAY_SIZE(mixes); k++)
			print_one(json, way, k, plain, isolated);
}

int main(void)
{
	static struct results plain, isolated;
	void *jemalloc = dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_NOLOAD);
	FILE *json = open_json();
	unsigned long plain_result;

	if (!jemalloc)
		die("no libjemalloc.so.2 is loaded");
	make_image();
	make_trades();
	make_text();
	pin(0);
	take = (void *(*)(size_t))dlsym(jemalloc, "malloc");
	give = (void (*)(void *))dlsym(jemalloc, "free");
	measure_all(&plain, false);
	plain_result = result();
	take = malloc;
	give = free;
	fputc('{', json);
	if (begin_domains()) {
		measure_all(&isolated, true);
		if (result() != plain_result)
			die("in domains something else came of it");
		print(json, &plain, &isolated);
	}
	close_json(json);
	return 0;
}
