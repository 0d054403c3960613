/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Raw generic netlink messages: what a library would refuse to send has to be
 * sent here, too. No name here may be one of libnl's, which the tests are linked with.
 */
#ifndef _SELFTESTS_NL_H
#define _SELFTESTS_NL_H

#include <linux/faasin.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NL_END	0xffff		/* type of the attribute that ends a list */

/**
 * struct nl_attr - an attribute to send
 * @type: its number
 * @len: length of @data
 * @data: payload
 * @nest: or the list of attributes in it
 */
struct nl_attr {
	uint16_t type;
	uint16_t len;
	const void *data;
	const struct nl_attr *nest;
};

#define NL_STR(t, s)	{ (t), strlen(s) + 1, (s), NULL }
#define NL_U32(t, v)	{ (t), 4, &(uint32_t){ (v) }, NULL }
#define NL_U64(t, v)	{ (t), 8, &(uint64_t){ (v) }, NULL }
#define NL_RAW(t, p, n)	{ (t), (n), (p), NULL }
#define NL_NEST(t, ...)	\
	{ (t), 0, NULL, (const struct nl_attr[]){ __VA_ARGS__, { NL_END, 0, NULL, NULL } } }
#define NL_LIST(...)	\
	((const struct nl_attr[]){ __VA_ARGS__, { NL_END, 0, NULL, NULL } })
#define NL_NONE		((const struct nl_attr[]){ { NL_END, 0, NULL, NULL } })

/**
 * struct nl - a socket and what came back last
 * @fd: the socket
 * @family: number of the faasin family
 * @events: number of its multicast group
 * @seq: number of the newest request
 * @text: extended acknowledgment of the last one; "" if there was none
 * @intr: the last dump said that the state changed meanwhile
 * @parts: messages that the last dump took
 * @room: bytes in the buffer for those, which the kernel makes the most of; 0: as many as help
 * @len: bytes in @reply
 * @reply: the attributes of the last answer
 */
struct nl {
	int fd;
	uint16_t family;
	uint32_t events;
	uint32_t seq;
	char text[256];
	bool intr;
	unsigned int parts;
	size_t room;
	size_t len;
	char reply[16384];
};

/**
 * struct nl_msg - a message in the making
 * @len: bytes so far
 * @buf: they
 */
struct nl_msg {
	size_t len;
	char buf[65536];
};

/* Sockets. All return 0 or an error's number. */
int nl_open(struct nl *nl);
void nl_shut(struct nl *nl);
int nl_join_events(struct nl *nl);
int nl_family(int fd, const char *name, uint16_t *family, uint32_t *group);

/* Messages. */
struct nlmsghdr *nl_begin(struct nl *nl, struct nl_msg *msg, uint8_t cmd, uint16_t flags);
struct nlattr *nl_put(struct nl_msg *msg, uint16_t type, const void *data, size_t len);
void nl_put_list(struct nl_msg *msg, const struct nl_attr *list);
void nl_finish(struct nl_msg *msg, struct nlmsghdr *hdr);
int nl_post(struct nl *nl, const struct nl_msg *msg);

/* Lists that a test goes on to change: a copy, whose values stay where they are, and its end. */
#define nl_set(to, ...)	nl_copy(to, NL_LIST(__VA_ARGS__))
void nl_copy(struct nl_attr *to, const struct nl_attr *from);
struct nl_attr *nl_end(struct nl_attr *list);

/* A request and its acknowledgment, or, of the newest one, this alone: 0 or the (positive) error. */
int nl_transact(struct nl *nl, const struct nl_msg *msg);
int nl_answer(struct nl *nl);
int nl_call(struct nl *nl, uint8_t cmd, uint16_t flags, const struct nl_attr *list);

/* A dump: @fn for the attributes of each object. It stops the dump by
 * returning true: what is left unread goes with the socket.
 */
typedef bool (*nl_object_fn)(void *arg, const void *attrs, size_t len);
int nl_dump_start(struct nl *nl, uint8_t cmd, const struct nl_attr *list);
int nl_dump_some(struct nl *nl, nl_object_fn fn, void *arg, bool *done);
int nl_list(struct nl *nl, uint8_t cmd, const struct nl_attr *list, nl_object_fn fn,
	    void *arg);

/* The next event's attributes into @nl->reply. EAGAIN when none comes in time. */
int nl_event(struct nl *nl, int timeout_ms);

/* Attributes of an answer; of @nl->reply with nl_get_*(). */
const struct nlattr *nl_find(const void *attrs, size_t len, uint16_t type);
const void *nl_data(const struct nlattr *attr);
size_t nl_len(const struct nlattr *attr);
uint32_t nl_u32(const void *attrs, size_t len, uint16_t type);
uint64_t nl_u64(const void *attrs, size_t len, uint16_t type);
const char *nl_str(const void *attrs, size_t len, uint16_t type);
bool nl_has(const struct nl *nl, uint16_t type);
uint32_t nl_get_u32(const struct nl *nl, uint16_t type);
uint64_t nl_get_u64(const struct nl *nl, uint16_t type);
const char *nl_get_str(const struct nl *nl, uint16_t type);

#endif /* _SELFTESTS_NL_H */
