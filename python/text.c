// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text as UTF-8, without what Python's own codecs leave of it in ordinary memory: objects, buffers
 * on the stack, and in exceptions all of what could not be decoded.
 */
#include "private.h"

static unsigned int units(Py_UCS4 c)
{
	return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* How many bytes a str takes; -1 with an exception if it is none that UTF-8 has. */
Py_ssize_t text_size(PyObject *text)
{
	Py_ssize_t size = 0, i;
	Py_UCS4 c;

	if (PyUnicode_READY(text))
		return -1;
	for (i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
		c = PyUnicode_READ_CHAR(text, i);
		if (c >= 0xd800 && c < 0xe000) {
			PyErr_SetString(PyExc_ValueError, "this text has surrogates, which UTF-8 has not");
			return -1;
		}
		size += units(c);
	}
	return size;
}

/* Writes what text_size() measured. */
void text_write(PyObject *text, unsigned char *to)
{
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	Py_ssize_t i;
	unsigned int n, left;
	Py_UCS4 c;

	for (i = 0; i < PyUnicode_GET_LENGTH(text); i++, to += n) {
		c = PyUnicode_READ_CHAR(text, i);
		n = units(c);
		for (left = n - 1; left; left--, c >>= 6)
			to[left] = 0x80 | (c & 0x3f);
		to[0] = first[n] | c;
	}
}

/* How many characters UTF-8 has; -1: it is none. */
Py_ssize_t text_length(const unsigned char *at, size_t size)
{
	const unsigned char *end = at + size;
	Py_ssize_t length = 0;
	unsigned int n, i;
	Py_UCS4 c;

	for (; at < end; at += n, length++) {
		n = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
		if (*at > 0xf4 || (n == 2 && *at < 0xc2) || n > (size_t)(end - at))
			return -1;
		c = n == 1 ? *at : *at & (0x7f >> n);
		for (i = 1; i < n; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return -1;
			c = c << 6 | (at[i] & 0x3f);
		}
		if (units(c) != n || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return -1;
	}
	return length;
}

/* How many bytes the first @n characters take. */
size_t text_skip(const unsigned char *at, size_t size, size_t n)
{
	size_t i;

	for (i = 0; i < size; i++)
		if ((at[i] & 0xc0) != 0x80 && !n--)
			break;
	return i;
}
