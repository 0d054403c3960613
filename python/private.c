// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Private memory of stages: pages with a protection key that is open in the threads of one stage
 * only. A thread begins with all keys closed but the first, or as the thread that made it is.
 *
 * This is not libfaasdomain: inside its domains nothing of the interpreter's could run that
 * another thread's collector looks at, what it stops is torn out of the interpreter, and outside
 * of domains all their keys are open. Here objects are everybody's; only buffers are private,
 * and what secrets (secret.c) have in there.
 *
 * A key belongs to its arena for the life of the process: threads that a stage left behind may
 * have it open still, so that nobody else can have it later.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"
#include "window.h"

static PyTypeObject *arena_type, *private_type;

/* Bits: keys of all arenas. */
static unsigned int arena_keys;

/**
 * struct arena - what is a stage's own in this interpreter
 * @key: its protection key
 */
struct arena {
	PyObject_HEAD
	int key;
};

/* ------------------------------------------------------------------------------ arenas */

static PyObject *arena_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct arena *arena;
	int key;

	key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
	if (key < 0)
		return PyErr_Format(PyExc_OSError, "this process has no protection keys (left): %s",
				    strerror(errno));
	arena = (struct arena *)type->tp_alloc(type, 0);
	if (!arena) {
		pkey_free(key);
		return NULL;
	}
	arena->key = key;
	arena_keys |= 1u << key;
	return (PyObject *)arena;
}

static void arena_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	type->tp_free(self);
	Py_DECREF(type);
}

/* Opens the keys in @open in this thread, and closes those of all other arenas. */
static unsigned int switch_keys(unsigned int open)
{
	unsigned int was = 0, left = arena_keys;
	int key;

	for (; left; left &= left - 1) {
		key = __builtin_ctz(left);
		if (!pkey_get(key))
			was |= 1u << key;
		pkey_set(key, open & 1u << key ? 0 : PKEY_DISABLE_ACCESS);
	}
	return was;
}

static PyObject *arena_enter(PyObject *self, PyObject *unused)
{
	return PyLong_FromUnsignedLong(switch_keys(1u << ((struct arena *)self)->key));
}

static PyObject *arena_leave(PyObject *self, PyObject *was)
{
	unsigned long open = PyLong_AsUnsignedLong(was);

	if (PyErr_Occurred())
		return NULL;
	switch_keys(open);
	Py_RETURN_NONE;
}

static PyMethodDef arena_methods[] = {
	{ "enter", arena_enter, METH_NOARGS,
	  "Opens its key in this thread, and closes all others'." },
	{ "leave", arena_leave, METH_O, "As it was before: what enter() returned." },
	{ NULL, NULL, 0, NULL },
};

/* ----------------------------------------------------------------------------- buffers */

static PyObject *private_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct private *private;
	PyObject *arena;
	Py_ssize_t size;

	if (!PyArg_ParseTuple(args, "On:Private", &arena, &size))
		return NULL;
	if (arena != Py_None && Py_TYPE(arena) != arena_type)
		return PyErr_Format(PyExc_TypeError, "neither an arena nor None");
	if (size < 1)
		return PyErr_Format(PyExc_ValueError, "%zd bytes cannot be allocated: it takes 1",
				    size);
	if ((size_t)size > SIZE_MAX / 2)
		return PyErr_NoMemory();
	private = (struct private *)type->tp_alloc(type, 0);
	if (!private)
		return NULL;
	private->size = size;
	private->mapped = (size + page - 1) & -page;
	private->forks = forks;
	private->at = mmap(NULL, private->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (private->at == MAP_FAILED)
		goto fail;
	if (arena != Py_None) {
		private->arena = Py_NewRef(arena);
		if (pkey_mprotect(private->at, private->mapped, PROT_READ | PROT_WRITE,
				  ((struct arena *)arena)->key))
			goto fail;
	} else if (mprotect(private->at, private->mapped, PROT_READ | PROT_WRITE)) {
		goto fail;
	}
	if (madvise(private->at, private->mapped, MADV_WIPEONFORK) ||
	    madvise(private->at, private->mapped, MADV_DONTDUMP))
		goto fail;
	return (PyObject *)private;
fail:
	if (errno == ENOMEM)
		PyErr_NoMemory();
	else
		PyErr_SetFromErrno(PyExc_OSError);
	if (private->at == MAP_FAILED)
		private->at = NULL;
	Py_DECREF(private);
	return NULL;
}

/* The kernel zeroes pages before anybody else gets them. */
static void unmap(struct private *private)
{
	if (private->at)
		munmap(private->at, private->mapped);
	private->at = NULL;
}

bool private_is(PyObject *self)
{
	return Py_TYPE(self) == private_type;
}

/* Whether it must not be used any more. */
bool private_stale(struct private *private)
{
	return private->ended || private->forks != forks;
}

/* Where it is, if this thread may look at it; else NULL with an exception. */
char *private_open(struct private *private)
{
	if (!private->at || private->ended)
		PyErr_SetString(PyExc_ValueError,
				"this private memory was released, or its stage is over");
	else if (private->forks != forks)
		PyErr_SetString(PyExc_ValueError,
				"this private memory belongs to the process that forked this one");
	else if (private->arena && pkey_get(((struct arena *)private->arena)->key))
		PyErr_SetString(PyExc_PermissionError, "this is private memory of another stage");
	else
		return private->at;
	return NULL;
}

/*
 * Zeroes a piece of it. That can be in any thread, which has its key open meanwhile: only here,
 * where nothing else of Python's can run.
 */
void private_wipe(struct private *private, size_t start, size_t size)
{
	int key = 0, was = 0;

	if (!private->at || private->forks != forks)
		return;
	if (private->arena) {
		key = ((struct arena *)private->arena)->key;
		was = pkey_get(key);
	}
	if (was)
		pkey_set(key, 0);
	explicit_bzero(private->at + start, size);
	if (was)
		pkey_set(key, was);
}

/* A buffer of it is in use. */
void private_hold(struct private *private)
{
	private->exports++;
	all_exports++;
}

void private_let_go(struct private *private)
{
	all_exports--;
	if (!--private->exports && private->ended)
		unmap(private);
}

static int private_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct private *private = (struct private *)self;
	char *at = private_open(private);

	view->obj = NULL;
	if (!at || PyBuffer_FillInfo(view, self, at, private->size, 0, flags))
		return -1;
	private_hold(private);
	return 0;
}

static void private_releasebuffer(PyObject *self, Py_buffer *view)
{
	private_let_go((struct private *)self);
}

/* The memory that a buffer of @owner's is in; NULL: not private memory. */
struct private *private_behind(PyObject *owner)
{
	if (owner && private_is(owner))
		return (struct private *)owner;
	return owner ? secret_memory(owner) : NULL;
}

static PyObject *private_release(PyObject *self, PyObject *unused)
{
	struct private *private = (struct private *)self;

	if (private->exports && !private_stale(private))
		return PyErr_Format(PyExc_BufferError,
				    "%zd buffers of this memory are in use: release them first",
				    private->exports);
	if (!private->exports)
		unmap(private);
	Py_RETURN_NONE;
}

static PyObject *private_end(PyObject *self, PyObject *unused)
{
	struct private *private = (struct private *)self;

	private->ended = true;
	if (private->exports)
		secrets_wipe(private);
	else
		unmap(private);
	return PyBool_FromLong(private->exports);
}

static PyObject *private_exit(PyObject *self, PyObject *args)
{
	if (((struct private *)self)->exports && PyTuple_GET_SIZE(args) &&
	    PyTuple_GET_ITEM(args, 0) != Py_None)
		Py_RETURN_NONE;
	return private_release(self, NULL);
}

static PyObject *private_enter(PyObject *self, PyObject *unused)
{
	return Py_NewRef(self);
}

static Py_ssize_t private_length(PyObject *self)
{
	return ((struct private *)self)->size;
}

static PyObject *get_released(PyObject *self, void *unused)
{
	struct private *private = (struct private *)self;

	return PyBool_FromLong(!private->at || private_stale(private));
}

PyObject *private_protection(struct private *private)
{
	return PyUnicode_FromString(private->arena ? "keys" : "process");
}

static PyObject *get_protection(PyObject *self, void *unused)
{
	return private_protection((struct private *)self);
}

/* Only arenas are referred to, which refer to nothing: there are no cycles. */
static void private_dealloc(PyObject *self)
{
	struct private *private = (struct private *)self;
	PyTypeObject *type = Py_TYPE(self);

	unmap(private);
	Py_XDECREF(private->arena);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef private_methods[] = {
	{ "release", private_release, METH_NOARGS,
	  "release($self, /)\n--\n\n"
	  "Give the memory back, which zeroes it. BufferError if memoryviews of it are in use; it\n"
	  "can be called again." },
	{ "_end", private_end, METH_NOARGS, NULL },
	{ "__enter__", private_enter, METH_NOARGS, NULL },
	{ "__exit__", private_exit, METH_VARARGS, "Releases the memory." },
	{ "__reduce__", no_pickle, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef private_getset[] = {
	{ "released", get_released, NULL, "whether it was released, or its stage is over", NULL },
	{ "protection", get_protection, NULL, "what keeps others away: 'keys' or 'process'", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(private_doc,
"Memory of one stage, zeroed, from faasin.private(). memoryview(private) gives access, inside the\n"
"stage; elsewhere that is PermissionError. It is gone when the stage ends. What is copied out of\n"
"it (bytes, slices of bytes) is ordinary memory.");

int private_begin(PyObject *module)
{
	PyType_Slot arena_slots[] = {
		{ Py_tp_new, arena_new },
		{ Py_tp_dealloc, arena_dealloc },
		{ Py_tp_methods, arena_methods },
		{ 0, NULL },
	};
	PyType_Slot private_slots[] = {
		{ Py_tp_doc, (void *)private_doc },
		{ Py_tp_new, private_new },
		{ Py_tp_dealloc, private_dealloc },
		{ Py_tp_methods, private_methods },
		{ Py_tp_getset, private_getset },
		{ Py_sq_length, private_length },
		{ Py_bf_getbuffer, private_getbuffer },
		{ Py_bf_releasebuffer, private_releasebuffer },
		{ 0, NULL },
	};
	PyType_Spec spec = {
		.name = "faasin.Arena",
		.basicsize = sizeof(struct arena),
		.flags = Py_TPFLAGS_DEFAULT,
		.slots = arena_slots,
	};

	arena_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	spec.name = "faasin.Private";
	spec.basicsize = sizeof(struct private);
	spec.slots = private_slots;
	private_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
	if (!arena_type || !private_type ||
	    PyModule_AddObjectRef(module, "Arena", (PyObject *)arena_type))
		return -1;
	return PyModule_AddObjectRef(module, "Private", (PyObject *)private_type);
}
