// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ports: opening, closing, attributes. */
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/faasin.h>

#include "core.h"
#include "window.h"

PyTypeObject *port_type;
Py_ssize_t port_offset;

static PyTypeObject *port_base;
static struct port *open_ports;

/* ----------------------------------------------------------------- open and close */

/*
 * Without the GIL. A window that was mapped before a fork is the parent's: there is nothing to
 * unmap, or something else by now.
 */
static int close_handle(struct handle *handle)
{
	if (handle->forks == forks)
		faasctl_window_close(handle->win);
	return close(handle->fd) && errno != EINTR ? errno : 0;
}

/* Lets go of a handle; the last one closes. Returns 0 or the errno of that. */
int handle_put(struct handle *handle)
{
	int ret;

	if (--handle->refs)
		return 0;
	UNLOCKED(ret = close_handle(handle));
	PyMem_Free(handle);
	return ret;
}

static void list_add(struct port *port)
{
	port->next = open_ports;
	port->prev = &open_ports;
	if (open_ports)
		open_ports->prev = &port->next;
	open_ports = port;
}

static void list_del(struct port *port)
{
	if (!port->prev)
		return;
	*port->prev = port->next;
	if (port->next)
		port->next->prev = port->prev;
	port->prev = NULL;
}

/*
 * An output is opened for reading, too: windows take that. Who may only write has it all the
 * same, without windows. Returns a descriptor or -errno.
 */
static int open_path(const char *path, bool output, int flags)
{
	int fd = open(path, flags | (output ? O_RDWR : O_RDONLY));

	if (fd < 0 && errno == EACCES && output)
		fd = open(path, flags | O_WRONLY);
	return fd < 0 ? -errno : fd;
}

/* What else can be opened by that path is no port: a FIFO, say, or a file. */
static int check_port(int fd)
{
	struct faasin_port_info info;

	return ioctl(fd, FAASIN_IOC_INFO, &info) ? -(errno == EBADF ? ENOTTY : errno) : 0;
}

static int open_handle(struct port *port, int more)
{
	int flags = O_CLOEXEC | more | (port->blocking ? 0 : O_NONBLOCK), fd, ret;
	struct faasctl_error err = { 0 };
	struct handle *handle;
	char path[PATH_MAX];

	ret = find_port(port->name, path, sizeof(path), &err);
	if (ret) {
		port_error(port, -ret, err.message);
		return -1;
	}
	WAITING(fd, fd == -EINTR, open_path(path, port->output, flags));
	if (PyErr_Occurred()) {
		if (fd >= 0)
			UNLOCKED(close(fd));
		return -1;
	}
	PyMem_Free(port->path);
	port->path = PyMem_Malloc(strlen(path) + 1);
	if (port->path)
		strcpy(port->path, path);
	if (fd < 0) {
		port_error(port, -fd, NULL);
		return -1;
	}
	UNLOCKED(ret = check_port(fd));
	if (!ret && more && port->blocking && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK))
		ret = -errno;
	handle = ret ? NULL : PyMem_Calloc(1, sizeof(*handle));
	/* Another thread may have opened it meanwhile, or closed the port. */
	if (!handle || port->handle || port->closed) {
		PyMem_Free(handle);
		UNLOCKED(close(fd));
		if (ret)
			port_error(port, -ret,
				   ret == -ENOTTY ? "this is not a port of a workflow" : NULL);
		else if (!handle)
			PyErr_NoMemory();
		return ret || !handle ? -1 : 0;
	}
	handle->refs = 1;
	handle->fd = fd;
	port->handle = handle;
	list_add(port);
	return 0;
}

static int check_usable(struct port *port)
{
	if (!port->name) {
		PyErr_SetString(PyExc_ValueError, "this port was not initialized");
		return -1;
	}
	if (port->closed) {
		PyErr_Format(PyExc_ValueError, "port %s is closed", port->name);
		return -1;
	}
	return 0;
}

/* A reference to the port's handle, which is opened if it was not; NULL with an exception. */
struct handle *handle_get(PyObject *self)
{
	struct port *port = port_of(self);

	if (check_usable(port))
		return NULL;
	if (!port->handle && open_handle(port, 0))
		return NULL;
	if (check_usable(port))
		return NULL;
	port->handle->refs++;
	return port->handle;
}

static int port_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static char *names[] = { "port", "mode", "blocking", "lazy", NULL };
	struct port *port = port_of(self);
	int blocking = 1, lazy = 0;
	const char *mode = "r";
	PyObject *path;
	bool output;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|s$pp:Port", names, PyUnicode_FSConverter,
					 &path, &mode, &blocking, &lazy))
		return -1;
	output = !strcmp(mode, "w") || !strcmp(mode, "wb");
	if (!output && strcmp(mode, "r") && strcmp(mode, "rb")) {
		PyErr_Format(PyExc_ValueError, "mode '%s' is neither 'r' nor 'w'", mode);
		goto fail;
	}
	if (port->name) {
		PyErr_SetString(PyExc_ValueError, "a port cannot be initialized twice");
		goto fail;
	}
	port->name = PyMem_Malloc(PyBytes_GET_SIZE(path) + 1);
	if (!port->name) {
		PyErr_NoMemory();
		goto fail;
	}
	strcpy(port->name, PyBytes_AS_STRING(path));
	Py_DECREF(path);
	port->self = self;
	port->output = output;
	port->blocking = blocking;
	return lazy ? 0 : open_handle(port, 0);
fail:
	Py_DECREF(path);
	return -1;
}

/* Closes it, or keeps it. Returns an errno. */
static int port_end_use(struct port *port)
{
	struct handle *handle = port->handle;

	port->closed = true;
	port->handle = NULL;
	list_del(port);
	extents_drop(port, handle);
	return !handle || port->kept ? 0 : handle_put(handle);
}

static PyObject *port_close(PyObject *self, PyObject *unused)
{
	struct port *port = port_of(self);
	int code;

	if (port->closed)
		Py_RETURN_NONE;
	if (port->exports) {
		PyErr_Format(PyExc_BufferError,
			     "port %s: %zd buffers of its memory are in use: release them first",
			     port->name, port->exports);
		return NULL;
	}
	code = port_end_use(port);
	if (code)
		return port_error(port, code, NULL);
	Py_RETURN_NONE;
}

static void port_finalize(PyObject *self)
{
	PyObject *type, *value, *traceback;
	struct port *port = port_of(self);

	if (!port->handle || port->kept)
		return;
	PyErr_Fetch(&type, &value, &traceback);
	if (PyErr_ResourceWarning(self, 1, "unclosed port %R", self))
		PyErr_WriteUnraisable(self);
	/* In a cycle with memory of its own: others of the same garbage may look at that still. */
	if (!port->exports)
		port_end_use(port);
	PyErr_Restore(type, value, traceback);
}

static void port_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	struct port *port = port_of(self);
	struct handle *handle;

	/* Closes it, while it is an object still: others can run meanwhile. */
	if (PyObject_CallFinalizerFromDealloc(self) < 0)
		return;
	/* Its memory is gone: each extent has a reference to the port. */
	handle = port->kept ? NULL : port->handle;
	list_del(port);
	file_free(port);
	PyMem_Free(port->name);
	PyMem_Free(port->path);
	port_base->tp_dealloc(self);
	Py_DECREF(type);
	/* Lets go of the GIL: not before. */
	if (handle)
		handle_put(handle);
}

static int port_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	return port_base->tp_traverse(self, visit, arg);
}

static int port_clear(PyObject *self)
{
	return port_base->tp_clear(self);
}

/*
 * Opens a lazy port as far as that needs no waiting. Returns whether it is open: one that is
 * linked to nothing is not.
 */
static PyObject *port_open_now(PyObject *self, PyObject *unused)
{
	struct port *port = port_of(self);

	if (check_usable(port))
		return NULL;
	if (!port->handle && open_handle(port, O_NONBLOCK)) {
		if (!PyErr_ExceptionMatches(PyExc_OSError))
			return NULL;
		PyErr_Clear();
	}
	return PyBool_FromLong(!!port->handle);
}

/* In a child: closes its copy of the descriptor, whatever its parent does with it. */
static PyObject *port_forget(PyObject *self, PyObject *unused)
{
	struct port *port = port_of(self);

	/* Calls of threads that are not here have the handle for ever. */
	if (port->handle) {
		close(port->handle->fd);
		port->handle->fd = -1;
	}
	port_end_use(port);
	Py_RETURN_NONE;
}

static PyObject *port_keep(PyObject *self, PyObject *unused)
{
	port_of(self)->kept = true;
	Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------ attributes */

static PyObject *port_fileno(PyObject *self, PyObject *unused)
{
	struct handle *handle = handle_get(self);
	int fd;

	if (!handle)
		return NULL;
	fd = handle->fd;
	handle_put(handle);
	return PyLong_FromLong(fd);
}

static PyObject *get_closed(PyObject *self, void *unused)
{
	return PyBool_FromLong(port_of(self)->closed);
}

static PyObject *get_opened(PyObject *self, void *unused)
{
	return PyBool_FromLong(!!port_of(self)->handle);
}

static PyObject *get_name(PyObject *self, void *unused)
{
	struct port *port = port_of(self);
	const char *name = port->path ? port->path : port->name;

	return PyUnicode_DecodeFSDefault(name ? name : "");
}

static PyObject *get_mode(PyObject *self, void *unused)
{
	return PyUnicode_FromString(port_of(self)->output ? "wb" : "rb");
}

static PyObject *get_blocking(PyObject *self, void *unused)
{
	return PyBool_FromLong(port_of(self)->blocking);
}

static int set_blocking(PyObject *self, PyObject *value, void *unused)
{
	struct port *port = port_of(self);
	int on = value ? PyObject_IsTrue(value) : -1, flags;

	if (!value)
		PyErr_SetString(PyExc_AttributeError, "blocking cannot be deleted");
	if (on < 0 || check_usable(port))
		return -1;
	if (port->handle) {
		flags = fcntl(port->handle->fd, F_GETFL);
		flags = on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
		if (fcntl(port->handle->fd, F_SETFL, flags)) {
			port_error(port, errno, NULL);
			return -1;
		}
	}
	port->blocking = on;
	return 0;
}

static PyObject *port_repr(PyObject *self)
{
	PyObject *name = get_name(self, NULL), *text;
	struct port *port = port_of(self);

	if (!name)
		return NULL;
	text = PyUnicode_FromFormat("<faasin.Port %R mode='%s'%s>", name,
				    port->output ? "wb" : "rb",
				    port->closed ? " closed" : port->handle ? "" : " not opened");
	Py_DECREF(name);
	return text;
}

static PyObject *port_readable(PyObject *self, PyObject *unused)
{
	return check_usable(port_of(self)) ? NULL : PyBool_FromLong(!port_of(self)->output);
}

static PyObject *port_writable(PyObject *self, PyObject *unused)
{
	return check_usable(port_of(self)) ? NULL : PyBool_FromLong(port_of(self)->output);
}

/*
 * Leaving a with block: by an exception, the stream of an output is aborted. sys.exit() with a
 * failure leaves it open, so that the exit status counts, by the link's rule.
 */
static PyObject *port_exit(PyObject *self, PyObject *args)
{
	PyObject *type = Py_None, *value = Py_None, *traceback = Py_None, *code, *ret;
	struct port *port = port_of(self);
	bool success = true;

	if (!PyArg_ParseTuple(args, "|OOO:__exit__", &type, &value, &traceback))
		return NULL;
	if (type == Py_None || !port->output)
		return port_close(self, NULL);
	if (PyErr_GivenExceptionMatches(type, PyExc_SystemExit)) {
		code = PyObject_GetAttrString(value, "code");
		if (!code)
			return NULL;
		success = code == Py_None || (PyLong_Check(code) && !PyObject_IsTrue(code));
		Py_DECREF(code);
		if (success)
			return port_close(self, NULL);
		return port_keep(self, NULL);
	}
	if (!port->closed && !port->handle) {
		ret = port_open_now(self, NULL);
		Py_XDECREF(ret);
	}
	if (port->handle) {
		ret = PyObject_CallMethod(self, "abort", NULL);
		if (!ret)
			return NULL;
		Py_DECREF(ret);
	}
	/* What the exception's frames still have of its memory is not to hide the exception. */
	if (port->exports)
		Py_RETURN_NONE;
	return port_close(self, NULL);
}

PyMethodDef port_methods[] = {
	{ "close", port_close, METH_NOARGS,
	  "close($self, /)\n--\n\n"
	  "Close the port. The last close of an output ends its stream; of an input, drops\n"
	  "what was not read. BufferError if buffers of its memory are in use." },
	{ "fileno", port_fileno, METH_NOARGS,
	  "fileno($self, /)\n--\n\n"
	  "The descriptor, for select, poll and asyncio. Opens the port if it was not." },
	{ "readable", port_readable, METH_NOARGS,
	  "readable($self, /)\n--\n\nWhether it is an input." },
	{ "writable", port_writable, METH_NOARGS,
	  "writable($self, /)\n--\n\nWhether it is an output." },
	{ "__exit__", port_exit, METH_VARARGS,
	  "Closes the port; after an exception, an output's stream is aborted." },
	{ "_open_now", port_open_now, METH_NOARGS, NULL },
	{ "_forget", port_forget, METH_NOARGS, NULL },
	{ "_keep", port_keep, METH_NOARGS, NULL },
	{ "__reduce__", no_pickle, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef port_getset[] = {
	{ "closed", get_closed, NULL, "whether close() was called", NULL },
	{ "opened", get_opened, NULL,
	  "whether it is open: a lazy one is from its first use on", NULL },
	{ "name", get_name, NULL, "its path, or its name before it was opened", NULL },
	{ "mode", get_mode, NULL, "'rb' or 'wb'", NULL },
	{ "blocking", get_blocking, set_blocking,
	  "whether calls wait; if not, read() and write() are None where they would have to,\n"
	  "and all else raises BlockingIOError. It holds for all who share the open file.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(port_doc,
"Port(port, mode='r', *, blocking=True, lazy=False)\n--\n\n"
"A port of a stage: a binary file. port: its name or its path. mode: 'r' or 'w'.\n\n"
"Opening waits until the port is linked, unless blocking is false; a lazy one is opened\n"
"when it is first used. What an input reads by lines, or by peek(), is read ahead; nothing\n"
"else is. Writing is not buffered. Errors are OSError, with errno, and the port as filename.\n"
"Leaving a with block by an exception aborts the stream of an output.");

static PyObject *ports_open(PyObject *module, PyObject *unused)
{
	PyObject *list = PyList_New(0);
	struct port *port;

	for (port = open_ports; list && port; port = port->next)
		if (PyList_Append(list, port->self))
			Py_CLEAR(list);
	return list;
}

static PyMethodDef functions[] = {
	{ "open_ports", ports_open, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

/* The members of the type are spread over the files by what they are about. */
static int add_methods(PyMethodDef *methods)
{
	PyObject *descr;
	int ret;

	for (; methods->ml_name; methods++) {
		descr = PyDescr_NewMethod(port_type, methods);
		if (!descr)
			return -1;
		ret = PyObject_SetAttrString((PyObject *)port_type, methods->ml_name, descr);
		Py_DECREF(descr);
		if (ret)
			return ret;
	}
	return 0;
}

int port_begin(PyObject *module)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)port_doc },
		{ Py_tp_init, port_init },
		{ Py_tp_finalize, port_finalize },
		{ Py_tp_dealloc, port_dealloc },
		{ Py_tp_traverse, port_traverse },
		{ Py_tp_clear, port_clear },
		{ Py_tp_repr, port_repr },
		{ Py_tp_methods, port_methods },
		{ Py_tp_getset, port_getset },
		{ 0, NULL },
	};
	PyType_Spec spec = {
		.name = "faasin.Port",
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
		.slots = slots,
	};
	PyObject *io = PyImport_ImportModule("io"), *base, *all, *done;

	if (!io)
		return -1;
	all = PyObject_GetAttrString(io, "BufferedIOBase");
	Py_DECREF(io);
	/* Of that class the one in C: what is made from here cannot have its metaclass. */
	io = PyImport_ImportModule("_io");
	base = io ? PyObject_GetAttrString(io, "_BufferedIOBase") : NULL;
	Py_XDECREF(io);
	if (!all || !base)
		return -1;
	port_base = (PyTypeObject *)base;
	port_offset = (port_base->tp_basicsize + 15) & -16;
	spec.basicsize = port_offset + sizeof(struct port);
	port_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, base);
	if (!port_type || add_methods(file_methods) || add_methods(stream_methods) ||
	    add_methods(window_methods) || add_methods(record_port_methods))
		return -1;
	done = PyObject_CallMethod(all, "register", "O", port_type);
	Py_DECREF(all);
	if (!done)
		return -1;
	Py_DECREF(done);
	if (PyModule_AddFunctions(module, functions) || stream_begin(module))
		return -1;
	return PyModule_AddObjectRef(module, "Port", (PyObject *)port_type);
}
