/* The hooks that end a run from the inside or count its instructions. Once per Lua version.
 *
 * Contract: the hooks themselves run on the run's thread and may raise; lg_ops_arm() is async-signal-safe and only sets
 * one. None is installed while a run without max_instructions is within its time, but where its heap nears its limit. */
#ifndef LG_HOOKS_H
#define LG_HOOKS_H

#include "poll.h"

static void lg_budget_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  struct lg_state *st = lg_state_of(L);
  lg_spend(st, L);
  lg_poll(st, L);
}

/* Count this coroutine's instructions. Any count hook costs 1.4 to 2.5 times the run's time on 5.4 and 5.5. */
static void lg_budget_arm(lua_State *L, struct lg_state *st) {
  (void)lua_sethook(L, lg_budget_hook, LUA_MASKCOUNT,
                    st->budget.left < LG_BUDGET_STEP ? (int)st->budget.left + 1 : LG_BUDGET_STEP);
}

/* Hook a coroutine as the run in progress, if any, wants it while it is within its time. One that it creates inherits
 * that. */
static void lg_hook_steadily(lua_State *L, struct lg_state *st) {
  if (st->rq != NULL && st->rq->max_instructions > 0)
    lg_budget_arm(L, st);
  else
    (void)lua_sethook(L, NULL, 0, 0);
}

/* After a collection that left little: whether to collect again at the next instruction. What a caught error has unwound may still
 * be in the registers that the instructions after it write to, and what a refused script lets go of, it lets go of there. */
static int lg_collects_again(struct lg_state *st, int times) {
  int none = LG_INT_NONE;
  if (times <= 0 || st->meter.bound != st->meter.limit) return 0;
  st->ending.crowded = times;
  (void)atomic_compare_exchange_strong(&st->ending.flag, &none, LG_INT_CROWDED);
  return 1;
}

/* When a run is to end: raises on the next instruction of the coroutine it is armed on, and on each after that, so that
 * no pcall outlives it. When the heap nears its limit: collects. */
static void lg_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  struct lg_state *st = lg_state_of(L);
  if (st->budget.counted) lg_spend(st, L); /* the step that this hook cut short: how long it was is not known */
  int times = st->ending.crowded - 1;
  lg_poll(st, L);
  if (lg_collects_again(st, times)) return;
  /* Only a tick, or garbage: go on at full speed. A tick armed on a coroutine that died meanwhile may outlive its run. */
  lg_hook_steadily(L, st);
}

/* For a tick a counted run needs no other hook than its own, which is there within a step: another one would begin the step
 * anew, and the count depend on the clock. A heap that nears its limit cannot wait for a step, which may make much, and does
 * not depend on the clock.
 *
 * In 5.4 and 5.5 setting a hook goes through the whole call list, on time that the run needs to end. So one that has been set
 * a few times is not set again: the first may be lost, where it comes as Lua finds that there is none. */
static void lg_ops_arm(struct lg_state *st) {
  enum { LG_ARMS = 3 };
  lua_State *L = st->running;
  int ending = lg_is_interrupted(st);
  if (L == NULL || (st->budget.counted && !ending && !st->ending.crowded)) return;
  if (LG_HOOK_SET_IS_SLOW && st->ending.arms >= LG_ARMS && lua_gethook(L) == lg_hook) return;
  st->ending.arms += ending;
  (void)lua_sethook(L, lg_hook, LUA_MASKCOUNT, 1);
}

#endif
