// SPDX-License-Identifier: LGPL-2.1-or-later
/* Error texts, and the checks of names whose texts are their point. */
#include <limits.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

static void set(struct faasctl_error *err, int code, const char *format,
		va_list args)
{
	char *p;

	if (!err)
		return;
	err->code = code;
	vsnprintf(err->message, sizeof(err->message), format, args);

	/* One line, whatever names and paths were worked into it. */
	for (p = err->message; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
}

/* Notes the failure and returns the error to return. */
int faasctl__fail(struct faasctl_error *err, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(err, code, format, args);
	va_end(args);
	return -code;
}

/* The same with ": " and the errno's own text at the end. */
int faasctl__fail_errno(struct faasctl_error *err, int code, const char *format,
			...)
{
	va_list args;
	size_t len;

	if (!err)
		return -code;
	va_start(args, format);
	set(err, code, format, args);
	va_end(args);
	len = strlen(err->message);
	snprintf(err->message + len, sizeof(err->message) - len, ": %s",
		 strerror(code));
	return -code;
}

/* Listings have thousands of names, each of which is checked. */
static const bool name_char[UCHAR_MAX + 1] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
	['.'] = true, ['_'] = true, ['-'] = true,
};

FAASCTL_API int faasctl_name_check(const char *what, const char *name,
				   struct faasctl_error *err)
{
	size_t len = strlen(name);
	const char *p;

	if (!len)
		return faasctl__fail(err, EINVAL,
			"a %s name is empty: give it 1 to %d characters",
			what, FAASIN_NAME_MAX);
	for (p = name; *p; p++)
		if (!name_char[(unsigned char)*p])
			return faasctl__fail(err, EINVAL,
				"%s name \"%.80s\" contains \"%.*s\": use letters, digits, '.', '_' and '-'",
				what, name, (*p & 0x80) ? 4 : 1, p);
	if (len > FAASIN_NAME_MAX)
		return faasctl__fail(err, EINVAL,
			"%s name \"%.16s...\" has %zu characters: use at most %d",
			what, name, len, FAASIN_NAME_MAX);
	if (name[0] == '.')
		return faasctl__fail(err, EINVAL,
			"%s name \"%s\" begins with '.': begin it with another character",
			what, name);
	if (!strcmp(name, "self"))
		return faasctl__fail(err, EINVAL,
			"%s name \"self\" is reserved: choose another", what);
	return 0;
}

int faasctl__end_parse(const char *text, struct faasctl__end *end,
		       struct faasctl_error *err)
{
	_cleanup_(faasctl__freep) char *stage = NULL;
	const char *colon = strchr(text, ':');
	int ret;

	stage = colon ? strndup(text, colon - text) : strdup(text);
	if (!stage)
		return faasctl__fail(err, ENOMEM, "out of memory");
	ret = faasctl_name_check("stage", stage, err);
	if (!ret && colon)
		ret = faasctl_name_check("port", colon + 1, err);
	if (ret)
		return ret;
	strcpy(end->stage, stage);
	strcpy(end->port, colon ? colon + 1 : "");
	return 0;
}

int faasctl__end_next(const char **list, struct faasctl__end *end,
		      struct faasctl_error *err)
{
	_cleanup_(faasctl__freep) char *one = NULL;
	const char *comma;

	if (!*list)
		return -ENOENT;
	comma = strchr(*list, ',');
	one = comma ? strndup(*list, comma - *list) : strdup(*list);
	if (!one)
		return faasctl__fail(err, ENOMEM, "out of memory");
	*list = comma ? comma + 1 : NULL;
	return faasctl__end_parse(one, end, err);
}

FAASCTL_API int faasctl_end_check(const char *text, struct faasctl_error *err)
{
	struct faasctl__end end;

	return faasctl__end_parse(text, &end, err);
}
