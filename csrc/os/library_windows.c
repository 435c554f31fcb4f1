/* LoadLibraryExW, GetProcAddress. What a module itself needs is looked for beside it and in the system's directory, nowhere
 * else: neither the current directory nor PATH. */
#include <stdio.h>
#include <string.h>

#include "library.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

void *lg_library_open(const char *path, char *why, size_t size) {
  wchar_t wide[4096];
  HMODULE library = NULL;
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, (int)(sizeof wide / sizeof wide[0])) > 0) {
    for (wchar_t *p = wide; *p != L'\0'; p++) {
      if (*p == L'/') *p = L'\\'; /* LoadLibraryExW takes no other */
    }
    library = LoadLibraryExW(wide, NULL, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
  }
  if (library == NULL) (void)snprintf(why, size, "Windows error %lu", (unsigned long)GetLastError());
  return library;
}

void *lg_library_find(void *library, const char *name) {
  FARPROC code = GetProcAddress((HMODULE)library, name);
  void *found = NULL;
  memcpy(&found, &code, sizeof found); /* ISO C has no cast for this */
  return found;
}

int lg_library_is_overlaid(void *library, const char *name) {
  (void)library;
  (void)name;
  return 0;
}

const void *lg_library_code(const char *name) {
  static const wchar_t *const modules[] = {L"ntdll.dll", L"ucrtbase.dll", L"msvcrt.dll", L"python3.dll"};
  for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
    HMODULE module = GetModuleHandleW(modules[i]);
    void *code = module == NULL ? NULL : lg_library_find(module, name);
    if (code != NULL) return code;
  }
  return NULL;
}
