#include "texts.h"

#include <stdlib.h>
#include <string.h>

struct lg_text {
  const char *bytes;
  size_t len;
};

static int compare(const void *left, const void *right) {
  const struct lg_text *a = left;
  const struct lg_text *b = right;
  if (a->len != b->len) {
    return a->len < b->len ? -1 : 1;
  }
  return memcmp(a->bytes, b->bytes, a->len);
}

int lg_texts_fill(struct lg_texts *texts, PyObject *dict, PyObject **bad) {
  size_t most = (size_t)PyDict_Size(dict);
  texts->sorted = most > PY_SSIZE_T_MAX / sizeof *texts->sorted ? NULL : PyMem_Malloc(most * sizeof *texts->sorted);
  texts->count = 0;
  if (texts->sorted == NULL) {
    (void)PyErr_NoMemory();
    return -1;
  }
  Py_ssize_t pos = 0;
  PyObject *key = NULL;
  while (texts->count < most && PyDict_Next(dict, &pos, &key, NULL)) {
    if (!PyUnicode_Check(key)) {
      continue;
    }
    Py_INCREF(key); /* the error that it may have no UTF-8 is a new object */
    Py_ssize_t size = 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(key, &size);
    if (bytes == NULL) {
      if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        *bad = key;
        return 1;
      }
      Py_DECREF(key);
      return -1;
    }
    Py_DECREF(key); /* the dict holds it */
    texts->sorted[texts->count++] = (struct lg_text){bytes, (size_t)size};
  }
  qsort(texts->sorted, texts->count, sizeof *texts->sorted, compare);
  return 0;
}

int lg_texts_have(const struct lg_texts *texts, const char *bytes, size_t len) {
  const struct lg_text wanted = {bytes, len};
  return bsearch(&wanted, texts->sorted, texts->count, sizeof *texts->sorted, compare) != NULL;
}

void lg_texts_free(struct lg_texts *texts) {
  PyMem_Free(texts->sorted);
  texts->sorted = NULL;
  texts->count = 0;
}
