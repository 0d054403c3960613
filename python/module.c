// SPDX-License-Identifier: LGPL-2.1-or-later
/* The extension module: its exceptions, and what it consists of. */
#include <pthread.h>
#include <string.h>

#include <linux/faasin.h>

#include "private.h"
#include "window.h"

unsigned int forks;
PyObject *record_too_large, *stage_replaced, *stream_aborted;

/*
 * Raises the exception for an errno: an OSError that has it, with a text, and the port's path as
 * filename. Returns NULL.
 */
PyObject *port_error(struct port *port, int code, const char *text)
{
	PyObject *type = PyExc_OSError, *error, *path;
	const char *name = port->path ? port->path : port->name;

	if (code == EMSGSIZE)
		type = record_too_large;
	else if (code == ESTALE)
		type = stage_replaced;
	else if (code == ECONNABORTED)
		type = stream_aborted;
	if (code == ECONNABORTED && !text)
		text = "the stream was aborted";
	path = PyUnicode_DecodeFSDefault(name);
	if (!path)
		return NULL;
	error = PyObject_CallFunction(type, "isO", code, text ? text : strerror(code), path);
	Py_DECREF(path);
	if (error)
		PyErr_SetObject((PyObject *)Py_TYPE(error), error);
	Py_XDECREF(error);
	return NULL;
}

PyObject *no_pickle(PyObject *self, PyObject *unused)
{
	PyErr_Format(PyExc_TypeError, "cannot pickle '%s': it is of this process",
		     Py_TYPE(self)->tp_name);
	return NULL;
}

static void count_fork(void)
{
	forks++;
}

static PyObject *add_exception(PyObject *module, const char *name, const char *doc, PyObject *base)
{
	char full[64];
	PyObject *type;

	snprintf(full, sizeof(full), "faasin.%s", name);
	type = PyErr_NewExceptionWithDoc(full, doc, base, NULL);
	if (type && PyModule_AddObjectRef(module, name, type))
		Py_CLEAR(type);
	return type;
}

static int begin(PyObject *module)
{
	if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
		PyErr_SetString(PyExc_ImportError, "faasin works in the main interpreter only");
		return -1;
	}
	/* Objects of the first one would not be those of the second one's types. */
	if (port_type) {
		PyErr_SetString(PyExc_ImportError, "faasin cannot be loaded twice in a process");
		return -1;
	}
	if (Py_Version >> 16 != PY_VERSION_HEX >> 16) {
		PyErr_SetString(PyExc_ImportError,
				"faasin was built for another version of Python");
		return -1;
	}
	if (pthread_atfork(NULL, NULL, count_fork)) {
		PyErr_NoMemory();
		return -1;
	}
	record_too_large = add_exception(module, "RecordTooLarge",
		"A record that is larger than the link's window (errno EMSGSIZE).", PyExc_OSError);
	stage_replaced = add_exception(module, "StageReplaced",
		"The stage was replaced: other processes have its streams now (errno ESTALE).",
		PyExc_OSError);
	stream_aborted = add_exception(module, "StreamAborted",
		"The stage that wrote crashed, or aborted its stream: what was read is not all\n"
		"of it (errno ECONNABORTED).", PyExc_ConnectionAbortedError);
	if (!record_too_large || !stage_replaced || !stream_aborted)
		return -1;
	if (PyModule_AddStringConstant(module, "__version__", FAASIN_VERSION) ||
	    PyModule_AddIntMacro(module, FAASIN_RANGES_MAX) ||
	    PyModule_AddIntMacro(module, FAASIN_CONTEXT_MAX))
		return -1;
	if (port_begin(module) || extent_begin(module) || record_begin(module) ||
	    private_begin(module) || secret_begin(module))
		return -1;
	return 0;
}

static PyModuleDef_Slot slots[] = {
	{ Py_mod_exec, begin },
	{ 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "faasin._core",
	.m_doc = "What of faasin is in C.",
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
	return PyModuleDef_Init(&definition);
}
