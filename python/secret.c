// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Secrets: objects whose content is in private memory of a stage. The object itself is everybody's,
 * and has its length and where it is, no more. What is done with the content is done here, and
 * what comes of it is a secret, too; ordinary memory gets it by reveal() only.
 *
 * Whatever calls Python may let other threads run, which can release a secret, or end its stage:
 * where content is, is asked anew after that.
 */
#include <string.h>

#include "private.h"
#include "window.h"

/* The first is the base of the others, and has no objects. */
static PyTypeObject *secret_type, *bytes_type, *buffer_type, *text_type;

/**
 * struct part - what a secret is made of
 * @of: a secret, a str if it is to be text, or what has a buffer
 * @buf: that buffer
 * @size: how many bytes it has
 * @length: how many characters, if it is text, else bytes
 */
struct part {
	PyObject *of;
	Py_buffer buf;
	size_t size, length;
};

static bool is_secret(PyObject *self)
{
	return PyObject_TypeCheck(self, secret_type);
}

/* The memory that it is in; NULL: it is no secret, or was released. */
struct private *secret_memory(PyObject *self)
{
	return is_secret(self) ? (struct private *)((struct secret *)self)->memory : NULL;
}

/* Its content, if this thread may look at it; else NULL with an exception. */
static unsigned char *open_secret(struct secret *secret)
{
	char *at;

	if (!secret->memory) {
		PyErr_SetString(PyExc_ValueError, "this secret was released");
		return NULL;
	}
	at = private_open((struct private *)secret->memory);
	return at ? (unsigned char *)at + secret->start : NULL;
}

/* ------------------------------------------------------------------- beginning and end */

/*
 * Nothing of Python's runs here: this can be in the middle of anything, where an exception of a
 * handler of signals would find nobody. Without memory for it the room is lost until the end of
 * the stage.
 */
static void give_back(PyObject *freed, PyObject *piece)
{
	PyObject *kind, *value, *traceback;

	PyErr_Fetch(&kind, &value, &traceback);
	PyList_Append(freed, piece);
	PyErr_Restore(kind, value, traceback);
}

/*
 * What is put into memory of a stage's takes a pool, whose take() gives a tuple: a Private, where
 * in there the piece is, a list, and what is put into that later. It is not believed.
 */
static struct secret *secret_new(PyTypeObject *type, PyObject *pool, size_t size)
{
	PyObject *taken, *memory, *freed, *piece;
	struct secret *secret = NULL;
	struct private *private;
	Py_ssize_t start;

	taken = PyObject_CallMethod(pool, "take", "n", (Py_ssize_t)size);
	if (!taken)
		return NULL;
	if (!PyTuple_Check(taken)) {
		PyErr_SetString(PyExc_TypeError, "take() of a pool gives a tuple");
		goto out;
	}
	if (!PyArg_ParseTuple(taken, "OnO!O:take", &memory, &start, &PyList_Type, &freed, &piece))
		goto out;
	private = private_is(memory) ? (struct private *)memory : NULL;
	if (!private || start < 0 || (size_t)start > private->size ||
	    size > private->size - start) {
		PyErr_SetString(PyExc_TypeError, "take() of a pool gives a piece of private memory");
		goto out;
	}
	secret = (struct secret *)type->tp_alloc(type, 0);
	if (!secret) {
		give_back(freed, piece);
		goto out;
	}
	secret->memory = Py_NewRef(memory);
	secret->pool = Py_NewRef(pool);
	secret->freed = Py_NewRef(freed);
	secret->piece = Py_NewRef(piece);
	secret->start = start;
	secret->size = size;
	secret->length = size;
	secret->next = private->secrets;
	secret->prev = &private->secrets;
	if (secret->next)
		secret->next->prev = &secret->next;
	private->secrets = secret;
out:
	Py_DECREF(taken);
	return secret;
}

/* Zeroes it, and gives its memory back. Nobody has a buffer of it. */
static void let_go(struct secret *secret)
{
	PyObject *memory = secret->memory;

	if (!memory)
		return;
	private_wipe((struct private *)memory, secret->start, secret->size);
	*secret->prev = secret->next;
	if (secret->next)
		secret->next->prev = secret->prev;
	secret->memory = NULL;
	/* When the stage is over nobody wants it. */
	if (!private_stale((struct private *)memory))
		give_back(secret->freed, secret->piece);
	Py_CLEAR(secret->pool);
	Py_CLEAR(secret->freed);
	Py_CLEAR(secret->piece);
	Py_DECREF(memory);
}

/* Of memory that stays for now, as buffers of it are in use: what has none of these. */
void secrets_wipe(struct private *private)
{
	struct secret *secret;

	for (secret = private->secrets; secret; secret = secret->next)
		if (!secret->exports)
			private_wipe(private, secret->start, secret->size);
}

/* What it refers to does not refer to secrets: there are no cycles. */
static void secret_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	let_go((struct secret *)self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *secret_release(PyObject *self, PyObject *unused)
{
	struct secret *secret = (struct secret *)self;

	if (secret->exports && !private_stale((struct private *)secret->memory))
		return PyErr_Format(PyExc_BufferError,
				    "%zd buffers of this secret are in use: release them first",
				    secret->exports);
	if (!secret->exports)
		let_go(secret);
	Py_RETURN_NONE;
}

static PyObject *secret_enter(PyObject *self, PyObject *unused)
{
	return Py_NewRef(self);
}

static PyObject *secret_exit(PyObject *self, PyObject *args)
{
	/* The frames of an exception may have buffers of it still; it is not to be hidden. */
	if (((struct secret *)self)->exports && PyTuple_GET_SIZE(args) &&
	    PyTuple_GET_ITEM(args, 0) != Py_None)
		Py_RETURN_NONE;
	return secret_release(self, NULL);
}

/* ------------------------------------------------------------------- what is put into one */

static void part_end(struct part *part)
{
	if (part->buf.obj)
		PyBuffer_Release(&part->buf);
}

/* Looks at what is to become a part of a secret text, or of secret bytes. */
static int part_begin(struct part *part, PyObject *of, bool text)
{
	Py_ssize_t size;

	*part = (struct part){ .of = of };
	if (is_secret(of) && (Py_TYPE(of) == text_type) == text) {
		part->size = ((struct secret *)of)->size;
		part->length = ((struct secret *)of)->length;
		return open_secret((struct secret *)of) ? 0 : -1;
	}
	if (text && PyUnicode_Check(of)) {
		size = text_size(of);
		part->size = size;
		part->length = PyUnicode_GET_LENGTH(of);
		return size < 0 ? -1 : 0;
	}
	if (text || is_secret(of) || !PyObject_CheckBuffer(of)) {
		PyErr_Format(PyExc_TypeError, "a secret %s does not take '%s'",
			     text ? "text" : "of bytes", Py_TYPE(of)->tp_name);
		return -1;
	}
	if (PyObject_GetBuffer(of, &part->buf, PyBUF_SIMPLE))
		return -1;
	part->size = part->buf.len;
	part->length = part->size;
	return 0;
}

/* Puts it there. Nothing of Python's runs between this look and its end. */
static int part_write(const struct part *part, unsigned char *to)
{
	const unsigned char *from = part->buf.buf;

	if (is_secret(part->of)) {
		from = open_secret((struct secret *)part->of);
		if (!from)
			return -1;
	} else if (!part->buf.obj) {
		text_write(part->of, to);
		return 0;
	}
	if (part->size)
		memcpy(to, from, part->size);
	return 0;
}

/* A secret of one part or two. */
static struct secret *join(PyTypeObject *type, PyObject *pool, struct part *parts, size_t n)
{
	size_t size = 0, length = 0, i;
	struct secret *secret;
	unsigned char *to;

	for (i = 0; i < n; i++) {
		size += parts[i].size;
		length += parts[i].length;
	}
	if (size > PY_SSIZE_T_MAX) {
		PyErr_NoMemory();
		return NULL;
	}
	secret = secret_new(type, pool, size);
	if (!secret)
		return NULL;
	to = open_secret(secret);
	for (i = 0; to && i < n; to += parts[i++].size)
		if (part_write(&parts[i], to))
			break;
	if (i < n) {
		Py_DECREF(secret);
		return NULL;
	}
	secret->length = length;
	return secret;
}

static PyObject *make_secret(PyObject *module, PyObject *args)
{
	PyTypeObject *type = bytes_type;
	struct secret *secret;
	PyObject *pool, *of;
	struct part part;

	if (!PyArg_ParseTuple(args, "OO:make_secret", &pool, &of))
		return NULL;
	if (PyUnicode_Check(of))
		type = text_type;
	else if (PyByteArray_Check(of))
		type = buffer_type;
	if (is_secret(of) || (type == bytes_type && !PyObject_CheckBuffer(of)))
		return PyErr_Format(PyExc_TypeError,
				    "a secret is made of str or what is like bytes, not of '%s'",
				    Py_TYPE(of)->tp_name);
	if (part_begin(&part, of, type == text_type))
		return NULL;
	secret = join(type, pool, &part, 1);
	part_end(&part);
	return (PyObject *)secret;
}

/* A pid can be the same in a child, that of another namespace; this is not. */
static PyObject *count_forks(PyObject *module, PyObject *unused)
{
	return PyLong_FromUnsignedLong(forks);
}

/* left + right, of which one is a secret, whose kind and pool the result has. */
static PyObject *secret_add(PyObject *left, PyObject *right)
{
	PyObject *mine = is_secret(left) ? left : right;
	struct secret *secret = NULL;
	struct part parts[2];
	PyObject *pool;
	bool text = Py_TYPE(mine) == text_type;

	if (!open_secret((struct secret *)mine))
		return NULL;
	/* Whose buffer is asked for could release it. */
	pool = Py_NewRef(((struct secret *)mine)->pool);
	if (part_begin(&parts[0], left, text))
		goto out;
	if (!part_begin(&parts[1], right, text)) {
		secret = join(Py_TYPE(mine), pool, parts, 2);
		part_end(&parts[1]);
	}
	part_end(&parts[0]);
out:
	Py_DECREF(pool);
	return (PyObject *)secret;
}

/* A secret of a piece of another one. */
static struct secret *piece_of(PyTypeObject *type, struct secret *of, size_t start, size_t size)
{
	PyObject *pool = Py_NewRef(of->pool);
	struct secret *secret = secret_new(type, pool, size);
	unsigned char *to = secret ? open_secret(secret) : NULL, *from;

	Py_DECREF(pool);
	from = to ? open_secret(of) : NULL;
	if (from) {
		memcpy(to, from + start, size);
		return secret;
	}
	Py_XDECREF(secret);
	return NULL;
}

static PyObject *secret_slice(PyObject *self, PyObject *key)
{
	struct secret *of = (struct secret *)self, *secret;
	Py_ssize_t begin, end, step, length;
	size_t start, size;
	unsigned char *at;

	if (!PySlice_Check(key))
		return PyErr_Format(PyExc_TypeError,
				    "a secret has slices, which are secrets, and no items: reveal() shows them");
	if (PySlice_Unpack(key, &begin, &end, &step))
		return NULL;
	length = PySlice_AdjustIndices(of->length, &begin, &end, step);
	if (step != 1)
		return PyErr_Format(PyExc_ValueError, "slices of a secret are in one piece");
	at = open_secret(of);
	if (!at)
		return NULL;
	start = begin;
	size = length;
	if (Py_TYPE(self) == text_type) {
		start = text_skip(at, of->size, begin);
		size = text_skip(at + start, of->size - start, length);
	}
	secret = piece_of(Py_TYPE(self), of, start, size);
	if (secret)
		secret->length = length;
	return (PyObject *)secret;
}

static PyObject *secret_encode(PyObject *self, PyObject *unused)
{
	struct secret *of = (struct secret *)self;

	if (!open_secret(of))
		return NULL;
	return (PyObject *)piece_of(bytes_type, of, 0, of->size);
}

static PyObject *secret_decode(PyObject *self, PyObject *unused)
{
	struct secret *of = (struct secret *)self, *secret;
	unsigned char *at;
	Py_ssize_t length;

	if (!open_secret(of))
		return NULL;
	secret = piece_of(text_type, of, 0, of->size);
	at = secret ? open_secret(secret) : NULL;
	if (!at) {
		Py_XDECREF(secret);
		return NULL;
	}
	/* Of the copy: nobody changes it. */
	length = text_length(at, secret->size);
	if (length < 0) {
		Py_DECREF(secret);
		return PyErr_Format(PyExc_ValueError, "this secret is not UTF-8");
	}
	secret->length = length;
	return (PyObject *)secret;
}

/* ----------------------------------------------------------------------- what it tells */

/* In a time that depends on the size only. */
static bool is_same(const unsigned char *a, const unsigned char *b, size_t size)
{
	volatile unsigned char differ = 0;
	size_t i;

	for (i = 0; i < size; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* Whether it is of the same kind, and has the same content; -1 with an exception. */
static int compare(struct secret *secret, PyObject *other)
{
	unsigned char *at, *copy = NULL;
	const unsigned char *beside;
	struct part part;
	int same = -1;

	if (part_begin(&part, other, Py_TYPE(secret) == text_type))
		return -1;
	at = open_secret(secret);
	beside = part.buf.buf;
	if (is_secret(other)) {
		beside = open_secret((struct secret *)other);
	} else if (!part.buf.obj) {
		copy = PyMem_Malloc(part.size + 1);
		if (copy)
			text_write(other, copy);
		else
			PyErr_NoMemory();
		beside = copy;
	}
	if (at && (beside || !part.size) && !PyErr_Occurred())
		same = part.size == secret->size && is_same(at, beside, part.size);
	if (copy)
		explicit_bzero(copy, part.size);
	PyMem_Free(copy);
	part_end(&part);
	return same;
}

static PyObject *secret_compare(PyObject *self, PyObject *other, int op)
{
	bool text = Py_TYPE(self) == text_type;
	int same;

	if (op != Py_EQ && op != Py_NE)
		Py_RETURN_NOTIMPLEMENTED;
	if (is_secret(other) ? (Py_TYPE(other) == text_type) != text :
	    text ? !PyUnicode_Check(other) : !PyObject_CheckBuffer(other))
		Py_RETURN_NOTIMPLEMENTED;
	same = compare((struct secret *)self, other);
	return same < 0 ? NULL : PyBool_FromLong(same == (op == Py_EQ));
}

static PyObject *secret_reveal(PyObject *self, PyObject *unused)
{
	struct secret *secret = (struct secret *)self;
	PyObject *view;
	int collects;

	/* The collector runs Python, where anybody could ask for a buffer. */
	collects = PyGC_Disable();
	secret->revealing = true;
	view = PyMemoryView_FromObject(self);
	secret->revealing = false;
	if (collects)
		PyGC_Enable();
	return view;
}

static int secret_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct secret *secret = (struct secret *)self;
	unsigned char *at;

	view->obj = NULL;
	if (!secret->revealing) {
		PyErr_SetString(PyExc_TypeError,
				"a secret does not give its content by itself: use reveal()");
		return -1;
	}
	at = open_secret(secret);
	if (!at || PyBuffer_FillInfo(view, self, at, secret->size, Py_TYPE(self) != buffer_type,
				     flags))
		return -1;
	secret->exports++;
	private_hold((struct private *)secret->memory);
	return 0;
}

static void secret_releasebuffer(PyObject *self, Py_buffer *view)
{
	struct secret *secret = (struct secret *)self;

	struct private *private = (struct private *)secret->memory;

	/* The stage's end left it, and a neighbour can keep its page. */
	if (!--secret->exports && private->ended)
		private_wipe(private, secret->start, secret->size);
	private_let_go(private);
}

static Py_ssize_t secret_length(PyObject *self)
{
	return ((struct secret *)self)->length;
}

static bool is_gone(PyObject *self)
{
	struct private *private = secret_memory(self);

	return !private || !private->at || private_stale(private);
}

static PyObject *secret_repr(PyObject *self)
{
	return PyUnicode_FromFormat("<%s of %zd %s%s>", Py_TYPE(self)->tp_name, secret_length(self),
				    Py_TYPE(self) == text_type ? "characters" : "bytes",
				    is_gone(self) ? ", released" : "");
}

static PyObject *get_released(PyObject *self, void *unused)
{
	return PyBool_FromLong(is_gone(self));
}

static PyObject *get_nbytes(PyObject *self, void *unused)
{
	return PyLong_FromSize_t(((struct secret *)self)->size);
}

static PyObject *get_protection(PyObject *self, void *unused)
{
	struct private *private = secret_memory(self);

	if (!private)
		Py_RETURN_NONE;
	return private_protection(private);
}

static PyMethodDef methods[] = {
	{ "reveal", secret_reveal, METH_NOARGS,
	  "reveal($self, /)\n--\n\n"
	  "Its content, as a memoryview: with secret.reveal() as view. Of text, the UTF-8. What is\n"
	  "copied out of it is ordinary memory." },
	{ "release", secret_release, METH_NOARGS,
	  "release($self, /)\n--\n\n"
	  "Zero it and give its memory back. BufferError if memoryviews of it are in use; it can be\n"
	  "called again." },
	{ "__enter__", secret_enter, METH_NOARGS, NULL },
	{ "__exit__", secret_exit, METH_VARARGS, "Releases it." },
	{ "__reduce__", no_pickle, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyMethodDef bytes_methods[] = {
	{ "decode", secret_decode, METH_NOARGS,
	  "decode($self, /)\n--\n\nA SecretStr of its bytes, which are UTF-8; ValueError if not." },
	{ NULL, NULL, 0, NULL },
};

static PyMethodDef text_methods[] = {
	{ "encode", secret_encode, METH_NOARGS,
	  "encode($self, /)\n--\n\nA SecretBytes of its UTF-8." },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef getset[] = {
	{ "nbytes", get_nbytes, NULL, "how many bytes it has", NULL },
	{ "released", get_released, NULL, "whether it was released, or its stage is over", NULL },
	{ "protection", get_protection, NULL,
	  "what keeps others away: 'keys' or 'process'; None: it was released", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyMethodDef functions[] = {
	{ "make_secret", make_secret, METH_VARARGS, NULL },
	{ "count_forks", count_forks, METH_NOARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

PyDoc_STRVAR(secret_doc,
"What a stage keeps from the others, from faasin.secret(): its content is in memory of the stage's\n"
"own. Comparing (in a time that depends on the size only), adding and slicing make no copy\n"
"elsewhere, and take that stage: elsewhere they are PermissionError, and ValueError after its end.\n"
"Its length is no secret. It has no hash, cannot be pickled, and is printed without its content.");

PyDoc_STRVAR(bytes_doc, "A Secret of bytes.");
PyDoc_STRVAR(buffer_doc, "A Secret of bytes that can be changed: what reveal() gives is writable.");
PyDoc_STRVAR(text_doc, "A Secret of text, kept as UTF-8.");

static PyTypeObject *add_type(PyObject *module, const char *name, unsigned int more,
			      PyType_Slot *slots, PyTypeObject *base)
{
	PyType_Spec spec = {
		.name = name,
		.basicsize = sizeof(struct secret),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
			 Py_TPFLAGS_DISALLOW_INSTANTIATION | more,
		.slots = slots,
	};
	PyObject *type = PyType_FromModuleAndSpec(module, &spec, (PyObject *)base);

	if (type && PyModule_AddObjectRef(module, strchr(name, '.') + 1, type))
		Py_CLEAR(type);
	return (PyTypeObject *)type;
}

int secret_begin(PyObject *module)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)secret_doc },
		{ Py_tp_dealloc, secret_dealloc },
		{ Py_tp_repr, secret_repr },
		{ Py_tp_hash, PyObject_HashNotImplemented },
		{ Py_tp_richcompare, secret_compare },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, getset },
		{ Py_nb_add, secret_add },
		{ Py_mp_length, secret_length },
		{ Py_mp_subscript, secret_slice },
		{ Py_bf_getbuffer, secret_getbuffer },
		{ Py_bf_releasebuffer, secret_releasebuffer },
		{ 0, NULL },
	};
	PyType_Slot bytes_slots[] = {
		{ Py_tp_doc, (void *)bytes_doc },
		{ Py_tp_methods, bytes_methods },
		{ 0, NULL },
	};
	PyType_Slot buffer_slots[] = {
		{ Py_tp_doc, (void *)buffer_doc },
		{ Py_tp_methods, bytes_methods },
		{ 0, NULL },
	};
	PyType_Slot text_slots[] = {
		{ Py_tp_doc, (void *)text_doc },
		{ Py_tp_methods, text_methods },
		{ 0, NULL },
	};

	secret_type = add_type(module, "faasin.Secret", Py_TPFLAGS_BASETYPE, slots, NULL);
	if (!secret_type)
		return -1;
	bytes_type = add_type(module, "faasin.SecretBytes", 0, bytes_slots, secret_type);
	buffer_type = add_type(module, "faasin.SecretBuffer", 0, buffer_slots, secret_type);
	text_type = add_type(module, "faasin.SecretStr", 0, text_slots, secret_type);
	if (!bytes_type || !buffer_type || !text_type)
		return -1;
	return PyModule_AddFunctions(module, functions);
}
