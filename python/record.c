// SPDX-License-Identifier: LGPL-2.1-or-later
/* Records: what was sent as one, received as one; and iteration over them. */
#include <string.h>

#include "window.h"

static PyTypeObject *record_type, *records_type;

/**
 * struct record - a record that was received
 * @extents: a tuple of its parts; NULL: cleared by the collector
 */
struct record {
	PyObject_HEAD
	PyObject *extents;
};

PyObject *record_new(PyObject *extents)
{
	struct record *record = PyObject_GC_New(struct record, record_type);

	if (!record)
		return NULL;
	record->extents = Py_NewRef(extents);
	PyObject_GC_Track(record);
	return (PyObject *)record;
}

static Py_ssize_t parts_of(PyObject *self)
{
	struct record *record = (struct record *)self;

	return record->extents ? PyTuple_GET_SIZE(record->extents) : 0;
}

static struct extent *part(PyObject *self, Py_ssize_t i)
{
	return (struct extent *)PyTuple_GET_ITEM(((struct record *)self)->extents, i);
}

static int record_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	view->obj = NULL;
	if (parts_of(self) == 1)
		return PyObject_GetBuffer((PyObject *)part(self, 0), view, flags);
	PyErr_Format(PyExc_BufferError,
		     "this record has %zd parts: use those in extents, or bytes()",
		     parts_of(self));
	return -1;
}

static Py_ssize_t record_length(PyObject *self)
{
	Py_ssize_t size = 0, i;

	for (i = 0; i < parts_of(self); i++)
		size += part(self, i)->part.iov_len;
	return size;
}

static PyObject *record_bytes(PyObject *self, PyObject *unused)
{
	PyObject *bytes;
	Py_ssize_t i;
	char *to;

	for (i = 0; i < parts_of(self); i++)
		if (extent_check(part(self, i)))
			return NULL;
	bytes = PyBytes_FromStringAndSize(NULL, record_length(self));
	if (!bytes)
		return NULL;
	to = PyBytes_AS_STRING(bytes);
	for (i = 0; i < parts_of(self); i++) {
		memcpy(to, part(self, i)->part.iov_base, part(self, i)->part.iov_len);
		to += part(self, i)->part.iov_len;
	}
	return bytes;
}

/* What is still had is given back at once; if a part is in use, nothing is. */
static int give_back(PyObject *self)
{
	struct extent *had[FAASIN_RANGES_MAX], *extent;
	struct port *port;
	Py_ssize_t i;
	size_t n = 0;

	for (i = 0; i < parts_of(self); i++) {
		extent = part(self, i);
		if (extent->state == EXTENT_GONE)
			continue;
		if (extent->forks != forks || !port_of(extent->port)->handle) {
			extent_gone(extent);
			continue;
		}
		if (extent_check_free(extent))
			return -1;
		had[n++] = extent;
	}
	if (!n)
		return 0;
	port = port_of(had[0]->port);
	return extents_give_back(port, port->handle, had, n);
}

static PyObject *record_release(PyObject *self, PyObject *unused)
{
	if (give_back(self))
		return NULL;
	Py_RETURN_NONE;
}

static bool in_use(PyObject *self)
{
	Py_ssize_t i;

	for (i = 0; i < parts_of(self); i++)
		if (part(self, i)->exports)
			return true;
	return false;
}

static PyObject *record_exit(PyObject *self, PyObject *args)
{
	if (PyTuple_GET_SIZE(args) && PyTuple_GET_ITEM(args, 0) != Py_None && in_use(self))
		Py_RETURN_NONE;
	return record_release(self, NULL);
}

static PyObject *record_enter(PyObject *self, PyObject *unused)
{
	Py_ssize_t i;

	for (i = 0; i < parts_of(self); i++)
		if (extent_check(part(self, i)))
			return NULL;
	return Py_NewRef(self);
}

static PyObject *get_extents(PyObject *self, void *unused)
{
	struct record *record = (struct record *)self;

	return record->extents ? Py_NewRef(record->extents) : PyTuple_New(0);
}

static PyObject *get_nbytes(PyObject *self, void *unused)
{
	return PyLong_FromSsize_t(record_length(self));
}

static PyObject *record_repr(PyObject *self)
{
	return PyUnicode_FromFormat("<faasin.Record of %zd bytes in %zd parts>",
				    record_length(self), parts_of(self));
}

static int record_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct record *)self)->extents);
	return 0;
}

static int record_clear(PyObject *self)
{
	Py_CLEAR(((struct record *)self)->extents);
	return 0;
}

static void record_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	record_clear(self);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

static PyMethodDef record_methods[] = {
	{ "release", record_release, METH_NOARGS,
	  "release($self, /)\n--\n\n"
	  "Give all of the memory back. BufferError if buffers of it (memoryviews) are in\n"
	  "use; it can be called again." },
	{ "__bytes__", record_bytes, METH_NOARGS, "A copy of all of it." },
	{ "__enter__", record_enter, METH_NOARGS, NULL },
	{ "__exit__", record_exit, METH_VARARGS, "Releases the memory." },
	{ "__reduce__", no_pickle, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef record_getset[] = {
	{ "extents", get_extents, NULL, "its parts, a tuple of Extents", NULL },
	{ "nbytes", get_nbytes, NULL, "how many bytes it has", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(record_doc,
"What Port.receive() gives: memory of the window, read-only, not copied. memoryview(record)\n"
"works if it was sent in one part; extents has all parts, and bytes(record) copies. It is good\n"
"until release(), the end of its with block, or the next round of a loop over records().");

/* -------------------------------------------------------------------------- iteration */

/**
 * struct records - iterates over a port's records
 * @port: the Port
 * @last: the record that was given last, or NULL
 */
struct records {
	PyObject_HEAD
	PyObject *port;
	PyObject *last;
};

static PyObject *records_new(PyObject *self, PyObject *unused)
{
	struct records *records = PyObject_GC_New(struct records, records_type);

	if (!records)
		return NULL;
	records->port = Py_NewRef(self);
	records->last = NULL;
	PyObject_GC_Track(records);
	return (PyObject *)records;
}

/* What the loop is done with is given back, but for what has buffers in use. */
static PyObject *records_next(PyObject *self)
{
	struct records *records = (struct records *)self;
	PyObject *record, *last = records->last;
	int ret;

	records->last = NULL;
	if (last) {
		ret = in_use(last) ? 0 : give_back(last);
		Py_DECREF(last);
		if (ret)
			return NULL;
	}
	record = records->port ? PyObject_CallMethod(records->port, "receive", NULL) : NULL;
	if (record == Py_None)
		Py_CLEAR(record);
	else if (record && Py_TYPE(record) == record_type)
		Py_XSETREF(records->last, Py_NewRef(record));
	return record;
}

static int records_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct records *)self)->port);
	Py_VISIT(((struct records *)self)->last);
	return 0;
}

static int records_clear(PyObject *self)
{
	Py_CLEAR(((struct records *)self)->port);
	Py_CLEAR(((struct records *)self)->last);
	return 0;
}

static void records_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	records_clear(self);
	PyObject_GC_Del(self);
	Py_DECREF(type);
}

PyMethodDef record_port_methods[] = {
	{ "records", records_new, METH_NOARGS,
	  "records($self, /)\n--\n\n"
	  "Iterate over the records to the end of the stream. Each is released when the next\n"
	  "one is asked for, unless memoryviews of it are in use." },
	{ NULL, NULL, 0, NULL },
};

int record_begin(PyObject *module)
{
	PyType_Slot record_slots[] = {
		{ Py_tp_doc, (void *)record_doc },
		{ Py_tp_dealloc, record_dealloc },
		{ Py_tp_traverse, record_traverse },
		{ Py_tp_clear, record_clear },
		{ Py_tp_repr, record_repr },
		{ Py_tp_methods, record_methods },
		{ Py_tp_getset, record_getset },
		{ Py_sq_length, record_length },
		{ Py_bf_getbuffer, record_getbuffer },
		{ 0, NULL },
	};
	PyType_Slot records_slots[] = {
		{ Py_tp_dealloc, records_dealloc },
		{ Py_tp_traverse, records_traverse },
		{ Py_tp_clear, records_clear },
		{ Py_tp_iter, PyObject_SelfIter },
		{ Py_tp_iternext, records_next },
		{ 0, NULL },
	};
	PyType_Spec spec = {
		.name = "faasin.Record",
		.basicsize = sizeof(struct record),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
			 Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = record_slots,
	};

	record_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	spec.name = "faasin.Records";
	spec.basicsize = sizeof(struct records);
	spec.slots = records_slots;
	records_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!record_type || !records_type)
		return -1;
	return PyModule_AddObjectRef(module, "Record", (PyObject *)record_type);
}
