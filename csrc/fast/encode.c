/* Python objects -> wire bytes. */
#include "convert.h"

#include <assert.h>
#include <limits.h>

#include "../guard/wire.h"
#include "foreign.h"
#include "texts.h"
#include "trail.h"

/* Each walk that is done again knows one level of mappings more; beyond that, what they hold changes with every look. */
static const int most_walks = LG_WIRE_MAX_DEPTH + 2;

struct encoder {
  struct lg_fast_state *state;
  struct lg_buf *out;
  long long max_int;
  struct lg_foreign foreign;
  struct lg_trail trail;
};

static int encode(struct encoder *e, PyObject *object);

/* Set ScriptSerializationError; `why` is taken. Always -1. */
static int refuse(const struct encoder *e, PyObject *why) {
  PyObject *path = why == NULL ? NULL : lg_trail_path(&e->trail);
  if (path != NULL) {
    PyObject *make = e->state->objects[LG_FAST_SERIALIZATION_ERROR];
    (void)lg_fast_raise(PyObject_CallFunctionObjArgs(make, why, path, NULL));
  }
  Py_XDECREF(path);
  Py_XDECREF(why);
  return -1;
}

static int appended(int rc) {
  if (rc == 0) {
    return 0;
  }
  (void)PyErr_NoMemory();
  return -1;
}

static int encode_int(struct encoder *e, PyObject *object) {
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (value == -1 && PyErr_Occurred()) {
    return -1;
  }
  if (overflow != 0 || value > e->max_int || value < -e->max_int - (e->max_int == LLONG_MAX)) {
    const char *kind = e->max_int == LLONG_MAX ? "64-bit integers" : "floats, exact up to 2**53";
    PyObject *text = lg_shown(object, 60);
    PyObject *why =
        text == NULL ? NULL : PyUnicode_FromFormat("%U does not fit: this Lua's numbers are %s", text, kind);
    Py_XDECREF(text);
    return refuse(e, why);
  }
  int64_t word = value;
  return appended(lg_wire_word(e->out, LG_W_INT, &word));
}

static int encode_text(struct encoder *e, PyObject *object) {
  Py_ssize_t size = 0;
  const char *text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == NULL) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
      return -1;
    }
    PyErr_Clear();
    PyObject *shortened = lg_shown(object, 60);
    PyObject *why = shortened == NULL
                        ? NULL
                        : PyUnicode_FromFormat("the text %U has a lone surrogate, which UTF-8 cannot hold", shortened);
    Py_XDECREF(shortened);
    return refuse(e, why);
  }
  return appended(lg_wire_str(e->out, text, (size_t)size));
}

static int encode_bytes(struct encoder *e, PyObject *object) {
  char *bytes = NULL;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(object, &bytes, &size) < 0) {
    return -1;
  }
  return appended(lg_wire_str(e->out, bytes, (size_t)size));
}

/* Note that `object` is being encoded; refuse what contains itself and what is nested too deeply. */
static int enter(struct encoder *e, PyObject *object) {
  for (int i = 0; i < e->trail.depth; i++) {
    if (e->trail.open[i] == object) {
      return refuse(e, PyUnicode_FromString("it contains itself"));
    }
  }
  if (e->trail.depth == LG_WIRE_MAX_DEPTH) {
    return refuse(e, PyUnicode_FromFormat("it is nested deeper than %d levels", LG_WIRE_MAX_DEPTH));
  }
  e->trail.open[e->trail.depth] = object;
  e->trail.key[e->trail.depth] = NULL;
  e->trail.index[e->trail.depth] = 0;
  e->trail.depth++;
  return 0;
}

static int encode_sequence(struct encoder *e, PyObject *object, int is_list) {
  Py_ssize_t n = is_list ? PyList_Size(object) : PyTuple_Size(object);
  uint64_t count = (uint64_t)n;
  if (enter(e, object) < 0 || appended(lg_wire_word(e->out, LG_W_LIST, &count)) < 0) {
    return -1;
  }
  for (Py_ssize_t i = 0; i < n; i++) {
    assert(e->trail.depth > 0); /* enter() counted this sequence, and every encode() leaves the count as it was */
    e->trail.index[e->trail.depth - 1] = i;
    PyObject *item = is_list ? PyList_GetItem(object, i) : PyTuple_GetItem(object, i);
    Py_XINCREF(item); /* showing a value in an error runs its __repr__, which may empty what holds it */
    int rc = item == NULL ? -1 : encode(e, item);
    Py_XDECREF(item);
    if (rc < 0) {
      return -1;
    }
  }
  e->trail.depth--;
  return 0;
}

static int encode_key(struct encoder *e, PyObject *key) {
  if (PyUnicode_Check(key) || PyBytes_Check(key) || PyLong_Check(key)) { /* bool is an int too */
    return encode(e, key);
  }
  if (PyFloat_Check(key)) {
    double value = PyFloat_AsDouble(key);
    if (value == value) {
      return encode(e, key);
    }
    return refuse(e, PyUnicode_FromString("a NaN cannot be a key in Lua"));
  }
  return refuse(e, PyObject_CallFunctionObjArgs(e->state->objects[LG_FAST_KEY_REFUSAL], key, NULL));
}

/* Refuse a key of bytes whose text is a key, too: in Lua both are one string, and one of the two values would be lost. Not
 * looked up in the dict itself, where bytes would be compared with text. `texts` is filled when it is first asked. */
static int check_bytes_key(struct encoder *e, PyObject *dict, PyObject *key, struct lg_texts *texts) {
  PyObject *bad = NULL;
  int rc = texts->sorted == NULL ? lg_texts_fill(texts, dict, &bad) : 0;
  if (rc > 0) {
    e->trail.key[e->trail.depth - 1] = bad;
    rc = encode(e, bad); /* refuses it */
    Py_DECREF(bad);
  }
  char *bytes = NULL;
  Py_ssize_t length = 0;
  if (rc < 0 || PyBytes_AsStringAndSize(key, &bytes, &length) < 0) {
    return -1;
  }
  if (lg_texts_have(texts, bytes, (size_t)length)) {
    return refuse(e, PyUnicode_FromString("the key is there as str and as bytes, one string in Lua"));
  }
  return 0;
}

static int encode_pairs(struct encoder *e, PyObject *object, struct lg_texts *texts) {
  Py_ssize_t pos = 0;
  PyObject *key = NULL;
  PyObject *value = NULL;
  while (PyDict_Next(object, &pos, &key, &value)) {
    assert(e->trail.depth > 0); /* as in encode_sequence() */
    Py_INCREF(key);             /* as above */
    Py_INCREF(value);
    e->trail.key[e->trail.depth - 1] = key;
    int rc = PyBytes_Check(key) ? check_bytes_key(e, object, key, texts) : 0;
    if (rc == 0) {
      rc = encode_key(e, key) < 0 ? -1 : encode(e, value);
    }
    Py_DECREF(key);
    Py_DECREF(value);
    if (rc < 0) {
      return -1;
    }
  }
  return 0;
}

static int encode_dict(struct encoder *e, PyObject *object) {
  uint64_t count = (uint64_t)PyDict_Size(object);
  if (enter(e, object) < 0 || appended(lg_wire_word(e->out, LG_W_MAP, &count)) < 0) {
    return -1;
  }
  struct lg_texts texts = {NULL, 0};
  int rc = encode_pairs(e, object, &texts);
  if (texts.sorted != NULL) {
    lg_texts_free(&texts);
  }
  e->trail.depth -= rc == 0; /* else it is part of the path */
  return rc;
}

/* What a mapping holds; anything else is refused. */
static int encode_foreign(struct encoder *e, PyObject *object) {
  PyObject *form = NULL;
  int known = lg_foreign_find(&e->foreign, object, &form);
  if (known <= 0) {
    return known; /* it is asked about when this walk is over; then there will be another */
  }
  if (PyUnicode_Check(form)) {
    Py_INCREF(form);
    return refuse(e, form);
  }
  return encode(e, form);
}

static int encode(struct encoder *e, PyObject *object) {
  if (PyUnicode_Check(object)) {
    return encode_text(e, object);
  }
  if (object == Py_None) {
    return appended(lg_wire_tag_only(e->out, LG_W_NIL));
  }
  if (object == Py_True || object == Py_False) {
    return appended(lg_wire_tag_only(e->out, object == Py_True ? LG_W_TRUE : LG_W_FALSE));
  }
  if (PyLong_Check(object)) {
    return encode_int(e, object);
  }
  if (PyFloat_Check(object)) {
    double value = PyFloat_AsDouble(object);
    return appended(lg_wire_word(e->out, LG_W_FLOAT, &value));
  }
  if (PyDict_Check(object)) {
    return encode_dict(e, object);
  }
  if (PyList_Check(object) || PyTuple_Check(object)) {
    return encode_sequence(e, object, PyList_Check(object));
  }
  if (PyBytes_Check(object)) {
    return encode_bytes(e, object);
  }
  return encode_foreign(e, object);
}

/* Walk over the data as often as it takes to meet nothing unknown in it. */
static int walk(struct encoder *e, PyObject *object) {
  const size_t start = e->out->len;
  int rc = encode(e, object);
  for (int walks = 1; rc == 0 && lg_foreign_met(&e->foreign); walks++) {
    e->out->len = start;
    if (walks == most_walks) {
      return refuse(e, PyUnicode_FromString("its mappings hold something else with every look"));
    }
    rc = lg_foreign_ask(&e->foreign, e->state, e->trail.root);
    rc = rc < 0 ? -1 : encode(e, object);
  }
  return rc;
}

int lg_encode(struct lg_fast_state *state, PyObject *object, const char *root, long long max_int, struct lg_buf *out) {
  struct encoder e;
  e.state = state;
  e.out = out;
  e.trail.root = root;
  e.max_int = max_int;
  e.foreign = (struct lg_foreign){{NULL, 0, 0}, NULL};
  e.trail.depth = 0;
  int rc = walk(&e, object);
  lg_foreign_free(&e.foreign);
  return rc;
}
