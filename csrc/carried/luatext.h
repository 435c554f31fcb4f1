/* Forced into every file of a Lua by MSVC (/FI): its functions go to the named section. Other compilers' assembly is
   rewritten instead. */
#pragma code_seg(".luatext")
