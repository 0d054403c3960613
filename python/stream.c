// SPDX-License-Identifier: LGPL-2.1-or-later
/* Streams of ports: what they are told (ends, aborts, a context), and what they tell. */
#include <sys/ioctl.h>

#include <linux/faasin.h>

#include "core.h"

static PyTypeObject info_type;

/* An ioctl on the port: its answer, or -1 with an exception. */
static int control(PyObject *self, unsigned long call, void *arg, int but)
{
	struct handle *handle = handle_get(self);
	int ret;

	if (!handle)
		return -1;
	WAITING(ret, ret < 0 && errno == EINTR, ioctl(handle->fd, call, arg));
	if (ret && !PyErr_Occurred() && errno != but)
		port_error(port_of(self), errno, NULL);
	handle_put(handle);
	return PyErr_Occurred() ? -1 : ret;
}

static PyObject *port_end(PyObject *self, PyObject *unused)
{
	if (control(self, FAASIN_IOC_END, NULL, 0))
		return NULL;
	Py_RETURN_NONE;
}

/* What an abort is said to come from: nothing, a signal (an enum), or an exit status. */
static int abort_reason(PyObject *reason, struct faasin_abort *arg)
{
	PyObject *module, *type;
	int is_signal = 0;
	long code;

	arg->cause = FAASIN_CAUSE_REQUEST;
	if (reason == Py_None)
		return 0;
	code = PyLong_AsLong(reason);
	if (code == -1 && PyErr_Occurred())
		return -1;
	module = PyImport_ImportModule("signal");
	type = module ? PyObject_GetAttrString(module, "Signals") : NULL;
	if (type)
		is_signal = PyObject_IsInstance(reason, type);
	Py_XDECREF(module);
	if (!type || is_signal < 0) {
		Py_XDECREF(type);
		return -1;
	}
	Py_DECREF(type);
	if (code < 1 || code > (is_signal ? 64 : 255)) {
		PyErr_Format(PyExc_ValueError,
			     "%ld is no exit status of something that failed: 1 to 255", code);
		return -1;
	}
	arg->cause = is_signal ? FAASIN_CAUSE_SIGNAL : FAASIN_CAUSE_STATUS;
	arg->code = code;
	return 0;
}

static PyObject *port_abort(PyObject *self, PyObject *args)
{
	struct faasin_abort arg = { 0 };
	PyObject *reason = Py_None;

	if (!PyArg_ParseTuple(args, "|O:abort", &reason) || abort_reason(reason, &arg))
		return NULL;
	if (control(self, FAASIN_IOC_ABORT, &arg, 0))
		return NULL;
	Py_RETURN_NONE;
}

static PyStructSequence_Field info_fields[] = {
	{ "output", "the port is an output" },
	{ "ended", "the stream's end is known" },
	{ "aborted", "it was aborted" },
	{ "unlinked", "the link is gone" },
	{ "reader_gone", "the reader closed before the end" },
	{ "begun", "the stream has begun to be read" },
	{ "replaced", "the stage was replaced: others have its streams now" },
	{ "capacity", "of the link, in bytes; 0 of an input for several before its stream" },
	{ "link_generation", "the number of the link; 0 of an output for several, and as above" },
	{ "stream", "the number of the stream in its link, from 1; 0: none yet" },
	{ "unread", "bytes of the stream that were written and not read" },
	{ "position", "bytes of it that were written or, of an input, read" },
	{ "cause", "why it was aborted or closed early: a word of faasctl's" },
	{ "code", "the cause's signal or exit status" },
	{ NULL, NULL },
};

static PyStructSequence_Desc info_desc = {
	.name = "faasin.PortInfo",
	.doc = "What a port's stream is at, as Port.info() tells.",
	.fields = info_fields,
	.n_in_sequence = 14,
};

static PyObject *port_info(PyObject *self, PyObject *unused)
{
	static const unsigned int flags[] = {
		FAASIN_INFO_OUTPUT, FAASIN_INFO_ENDED, FAASIN_INFO_ABORTED, FAASIN_INFO_UNLINKED,
		FAASIN_INFO_READER_GONE, FAASIN_INFO_BEGUN, FAASIN_INFO_REPLACED,
	};
	struct faasin_port_info info;
	PyObject *all;
	size_t n = 0;

	if (control(self, FAASIN_IOC_INFO, &info, 0))
		return NULL;
	all = PyStructSequence_New(&info_type);
	if (!all)
		return NULL;
	for (; n < sizeof(flags) / sizeof(flags[0]); n++)
		PyStructSequence_SetItem(all, n, PyBool_FromLong(info.flags & flags[n]));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLongLong(info.capacity));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLongLong(info.link_generation));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLongLong(info.stream));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLongLong(info.unread));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLongLong(info.position));
	PyStructSequence_SetItem(all, n++, PyUnicode_FromString(faasctl_cause_name(info.cause)));
	PyStructSequence_SetItem(all, n++, PyLong_FromUnsignedLong(info.code));
	if (PyErr_Occurred())
		Py_CLEAR(all);
	return all;
}

static PyObject *get_context(PyObject *self, void *unused)
{
	struct faasin_context context = { 0 };
	int ret = control(self, FAASIN_IOC_GET_CONTEXT, &context, ENODATA);

	if (PyErr_Occurred())
		return NULL;
	if (ret)
		Py_RETURN_NONE;
	return PyBytes_FromStringAndSize((char *)context.data, context.length);
}

static int set_context(PyObject *self, PyObject *value, void *unused)
{
	struct faasin_context context = { 0 };
	Py_buffer data;

	if (!value) {
		PyErr_SetString(PyExc_AttributeError, "a stream's context cannot be deleted");
		return -1;
	}
	if (PyObject_GetBuffer(value, &data, PyBUF_SIMPLE))
		return -1;
	if (data.len < 1 || data.len > FAASIN_CONTEXT_MAX) {
		PyErr_Format(PyExc_ValueError, "a context has 1 to %d bytes, not %zd",
			     FAASIN_CONTEXT_MAX, data.len);
		PyBuffer_Release(&data);
		return -1;
	}
	context.length = data.len;
	memcpy(context.data, data.buf, data.len);
	PyBuffer_Release(&data);
	return control(self, FAASIN_IOC_SET_CONTEXT, &context, 0) ? -1 : 0;
}

PyMethodDef stream_methods[] = {
	{ "end", port_end, METH_NOARGS,
	  "end($self, /)\n--\n\n"
	  "End the stream, whoever else has the port open. Of an input: be done with it; what\n"
	  "is unread is dropped, and the writer gets BrokenPipeError." },
	{ "abort", port_abort, METH_VARARGS,
	  "abort($self, reason=None, /)\n--\n\n"
	  "Abort the stream of an output: the next stage gets what was written, and then\n"
	  "ConnectionAbortedError, never an end of file. reason: a signal.Signals, or an exit\n"
	  "status." },
	{ "info", port_info, METH_NOARGS,
	  "info($self, /)\n--\n\n"
	  "What the stream is at: a PortInfo." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef context_getset = {
	"context", get_context, set_context,
	"up to 55 bytes that a stream can be given once, for its readers; None: it has none",
	NULL
};

int stream_begin(PyObject *module)
{
	PyObject *descr = PyDescr_NewGetSet(port_type, &context_getset);
	int ret;

	if (!descr)
		return -1;
	ret = PyObject_SetAttrString((PyObject *)port_type, "context", descr);
	Py_DECREF(descr);
	if (ret || PyStructSequence_InitType2(&info_type, &info_desc))
		return -1;
	return PyModule_AddObjectRef(module, "PortInfo", (PyObject *)&info_type);
}
