/* QueryPerformanceCounter, which does not fail since Windows XP, and GetSystemTimePreciseAsFileTime. */
#include "clock.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

int64_t lg_now_ns(void) {
  LARGE_INTEGER now;
  LARGE_INTEGER frequency;
  (void)QueryPerformanceFrequency(&frequency);
  (void)QueryPerformanceCounter(&now);
  int64_t whole = now.QuadPart / frequency.QuadPart;
  return whole * 1000000000 + now.QuadPart % frequency.QuadPart * 1000000000 / frequency.QuadPart;
}

/* A FILETIME counts steps of 100 ns from 1601 on. */
int64_t lg_wall_ns(void) {
  const int64_t until_1970 = INT64_C(116444736000000000);
  FILETIME time;
  GetSystemTimePreciseAsFileTime(&time);
  return (((int64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) - until_1970) * 100;
}
