/* What differs between Luas, as named properties. Part of lua_api.h.
 *
 * Contract: each name is defined for every Lua, and is 0 or 1 unless its line says otherwise. A Lua's stock behaviour is
 * meant, as its manual and its sources have it. Only this file and lua_api.h ask which Lua it is. */
#ifndef LG_TRAITS_H
#define LG_TRAITS_H

#define LG_IS_PUC_51 (LG_LUA == 501 && !LG_JIT)
#define LG_SINCE_52 (LG_LUA >= 502)
#define LG_SINCE_53 (LG_LUA >= 503)
#define LG_SINCE_54 (LG_LUA >= 504)
#define LG_SINCE_55 (LG_LUA >= 505)

/* A column for names, one for values, one for what they mean. */
/* clang-format off */

/* ---- the language and its C API ---- */
#define LG_HAS_INTEGERS        LG_SINCE_53     /* numbers are integers or floats; before they are floats only */
#define LG_HAS_FENV            (!LG_SINCE_52)  /* a function has its globals as its environment; later as its first upvalue */
#define LG_HAS_GLOBALSINDEX    (!LG_SINCE_52)  /* the globals are at a pseudo-index; later in the registry */
#define LG_HAS_CPCALL          (!LG_SINCE_52)  /* lua_cpcall() calls a C function without memory for pushing it */
#define LG_HAS_COMPARE         LG_SINCE_52     /* lua_compare(), lua_absindex(), lua_rawlen() and lua_tonumberx() */
#define LG_HAS_CALLK           LG_SINCE_52     /* lua_callk() and lua_pcallk(), of which the shorter names are macros */
#define LG_HAS_ROTATE          LG_SINCE_53     /* lua_rotate(), of which insert and remove are macros */
#define LG_HAS_USER_VALUES     LG_SINCE_54     /* lua_newuserdatauv() */
#define LG_HAS_TYPEERROR       LG_SINCE_54     /* luaL_typeerror(), which says what was given */
#define LG_HAS_CLOSE           LG_SINCE_54     /* to-be-closed variables, and coroutine.close */
#define LG_CLOSES_ITSELF       LG_SINCE_55     /* coroutine.close without an argument ends the running coroutine */
#define LG_LOAD_TAKES_MODE     LG_SINCE_52     /* lua_load() takes the mode */
#define LG_RESUME_TAKES_FROM   LG_SINCE_52     /* lua_resume() takes the coroutine that resumes */
#define LG_RESUME_COUNTS       LG_SINCE_54     /* lua_resume() says how many values it left */
#define LG_RESUME_REFUSES      LG_SINCE_52     /* lua_resume() itself says why a coroutine cannot be resumed, but for dead ones */
#define LG_GC_STEP_IS_SIZE     LG_SINCE_55     /* lua_gc() reads the size of a step as a size_t, in bytes */
#define LG_GC_HAS_PARAM        LG_SINCE_55     /* one option sets all parameters; before, setpause and setstepmul are options */
#define LG_GC_HAS_MAJORINC     (LG_LUA == 502) /* setmajorinc is one too */
#define LG_GC_HAS_ISRUNNING    (LG_SINCE_52 || LG_JIT == 21) /* isrunning is one */
#define LG_GC_HAS_MODES        (LG_LUA == 502 || LG_SINCE_54) /* generational and incremental are */
#define LG_GC_MODES_TELL       LG_SINCE_54     /* they say which mode it was */
#define LG_GC_MODES_TAKE_VALUES (LG_LUA == 504) /* they set parameters, which nothing reads */
#define LG_GC_MINOR_MULTIPLIER 20              /* such a parameter's value in a new state */
#define LG_GC_MAJOR_MULTIPLIER 100             /* another's */
#define LG_GC_STEP_SIZE        13              /* and a third one's */
#define LG_GC_COUNT_IS_TWO     (LG_LUA == 502) /* collectgarbage("count") gives the bytes beyond the last KiB too */
#define LG_GC_CHECKS_VALUE     (!LG_SINCE_54)  /* collectgarbage() wants a number, whatever the option */
#define LG_COLLECTING_RESTARTS (!LG_SINCE_52)  /* a collection or a step ends the stop */
#define LG_STOP_REFUSES_MEMORY (LG_LUA == 502) /* while the collector is stopped there is no emergency collection */
#define LG_TABLES_HAVE_FINALIZERS LG_SINCE_52  /* lua_setmetatable() marks tables whose metatable has __gc */
#define LG_ERROR_DROPS_TEXT    LG_SINCE_55     /* luaL_error() leaves out a text that it has no memory for */
#define LG_RETRIES_REFUSED     LG_SINCE_52     /* an allocation that is refused is tried again after a collection */
#define LG_RESUME_KNOWS_DEAD   LG_SINCE_54     /* an empty coroutine is dead only if it does not run */
#define LG_NEWSTATE_TAKES_SEED LG_SINCE_55     /* lua_newstate() takes a seed for its hashes */
#define LG_NEWSTATE_TAKES_OURS (LG_JIT != 20)  /* lua_newstate() takes an allocator of ours; LuaJIT 2.0 needs low addresses */
#define LG_HAS_OWN_ALLOCATOR   (LG_JIT != 0)   /* luaL_newstate() makes a state with an allocator that lua_close() wants back */
#define LG_HAS_COMPILER        (LG_JIT != 0)   /* machine code, which never looks at hooks; the compiler can be turned off */
#define LG_HAS_FFI             (LG_JIT != 0)   /* literals such as 1LL open the ffi library */
#define LG_HAS_JIT_VERSION     (LG_JIT != 0)   /* the jit library, and no symbol, says which release it is */
#define LG_HOOK_SET_IS_SLOW    LG_SINCE_54     /* lua_sethook() walks the whole call list */
#define LG_C_CALLS_UNCOUNTED   (LG_JIT != 0)   /* nested C calls are not counted, and errors walk the C stack */
#define LG_CHECKSTACK_RAISES   LG_IS_PUC_51    /* lua_checkstack() raises refused memory on the coroutine that it is asked of */
#define LG_CHECKSTACK_SPOILS   (LG_JIT != 0)   /* lua_checkstack() spoils a waiting coroutine when memory is refused */
#define LG_OPENERS_SET_GLOBALS (!LG_SINCE_52)  /* luaopen_* functions set globals themselves; coroutine comes with base */
#define LG_NAMES_BY_MODULE     LG_SINCE_52     /* messages name a library's function by the registry's table of modules */
#define LG_TELLS_TAIL_CALLS    LG_SINCE_52     /* lua_getinfo() says whether a level was a tail call ('t') */
#define LG_TELLS_NAME_KIND     LG_SINCE_53     /* a traceback says of what kind a function's name is */
#define LG_JOINS_IN_PLACE      LG_SINCE_53     /* lua_concat() makes no copy of long strings beside the result */
#define LG_BLOCK_MOST          (LG_JIT ? (size_t)INT_MAX - 4096 : SIZE_MAX / 4) /* bytes: more is refused in other words */
#define LG_SYNTAX_NAME_MOST    (LG_IS_PUC_51 ? 72 : LUA_IDSIZE - 1) /* bytes of a chunk's name that syntax errors show whole */
#define LG_SYNTAX_NAME_CUT     (LG_IS_PUC_51 ? 75 : LUA_IDSIZE - 1) /* what they show of a longer one */

/* ---- arguments of library functions ---- */
#define LG_INTS_FROM_DOUBLES   (LG_JIT != 0)   /* an int is made of a number by the C compiler, not by way of lua_Integer */
#define LG_STRING_INDEX_WIDE   (LG_IS_PUC_51 || LG_LUA == 502) /* positions in a string are lua_Integer where others are int */
#define LG_RESULTS_MOST        (LG_JIT ? (size_t)8001 : (size_t)INT_MAX) /* so many results of string.byte are too many */
#define LG_COROUTINES_ARE_LUA  LG_IS_PUC_51    /* only a Lua function can be a coroutine */
#define LG_WRAP_PLACES_NUMBERS (LG_IS_PUC_51 || LG_LUA == 502) /* coroutine.wrap() makes a text of an error that is a number */
#define LG_TEXT_RESUMES_NORMAL (LG_JIT ? "cannot resume running coroutine" : "cannot resume normal coroutine")
#define LG_TEXT_NO_COROUTINE   (LG_SINCE_53 ? "thread expected" : "coroutine expected")

/* ---- base ---- */
#define LG_HAS_RAWLEN          LG_SINCE_52     /* rawlen */
#define LG_HAS_LOADSTRING      (!LG_SINCE_52)  /* loadstring, and unpack as a global */
#define LG_HAS_GCINFO          (!LG_SINCE_52)  /* gcinfo */
#define LG_HAS_WARN            LG_SINCE_54     /* warn */
#define LG_NEGATIVE_LEVEL_TOLD LG_IS_PUC_51    /* getfenv() and setfenv() have words of their own for a negative level */
#define LG_LEVEL_ZERO_IS_CUT   (LG_JIT != 0)   /* setfenv() takes any number that is cut to 0 for level 0 */
#define LG_LOAD_IS_NEW         (!LG_IS_PUC_51) /* load() takes texts and numbers, a mode and globals; else functions only */
#define LG_LOAD_NAME_FIRST     (LG_JIT != 0)   /* load() looks at the name before the mode */
#define LG_LOAD_BARS_FIXED     LG_SINCE_55     /* a mode with 'B', for a text that stays where it is, is C's alone */
#define LG_TONUMBER_IS_STOCK   (LG_JIT != 0)   /* tonumber() has a scanner of its own that keeps to one pass */
#define LG_TOSTRING_CHECKED    LG_SINCE_53     /* __tostring must return a string */
#define LG_TOSTRING_ANYTHING   (!LG_SINCE_52)  /* what __tostring returns is handed on, even a number */
#define LG_METHODS_IN_METATABLE (!LG_SINCE_54) /* the metatable of streams is the table of their methods */
#define LG_PRINT_CALLS_TOSTRING (!LG_SINCE_54) /* print makes texts with the global tostring */
#define LG_HAS_TYPE_NAMES      LG_SINCE_53     /* a metatable's __name is its values' kind */
#define LG_XPCALL_IS_C         (!LG_JIT)       /* xpcall() is a C function */
#if LG_JIT
#define LG_TEXT_WRONG_MODE     "attempt to load chunk with wrong mode"
#else
#define LG_TEXT_WRONG_MODE     "attempt to load a text chunk (mode is '%s')"
#endif

/* ---- string ---- */
#define LG_REP_TAKES_SEPARATOR LG_LOAD_IS_NEW  /* rep(s, n, sep) */
#if LG_JIT
#define LG_REP_MOST            ((size_t)0x7fffff00) /* the largest result of rep */
#elif LG_SINCE_55
#define LG_REP_MOST            ((size_t)INT64_MAX < SIZE_MAX ? (size_t)INT64_MAX : SIZE_MAX)
#elif LG_SINCE_53
#define LG_REP_MOST            ((size_t)INT_MAX)
#else
#define LG_REP_MOST            (SIZE_MAX / 2)
#endif
#define LG_REP_LACKS_MEMORY    (LG_JIT == 21)  /* a larger one is called a lack of memory */
#define LG_TEXT_REP_TOO_LARGE  (LG_JIT ? "string length overflow" : "resulting string too large")
#define LG_CASE_IS_ASCII       (LG_JIT != 0)   /* upper and lower know ASCII's letters only, not the locale's */
#define LG_TEXT_CHAR_BEYOND    (LG_SINCE_52 ? "value out of range" : "invalid value") /* an argument of char */
#define LG_HAS_GFIND           (!LG_SINCE_52 && LG_JIT != 21) /* gfind, gmatch by its older name */
#define LG_FIND_FAILS_BEYOND   LG_SINCE_52     /* a search from beyond the end finds nothing, not even an empty match */
#define LG_FIND_START_IS_INT   (LG_JIT == 21)  /* a start that is no int counts as the smallest */
#define LG_SPECIALS_END_AT_NUL LG_HAS_GFIND    /* whether a pattern is plain text is seen by what stands before its first NUL */
#define LG_PATTERN_ENDS_AT_NUL (!LG_SINCE_52)  /* a NUL ends a pattern */
#define LG_MATCH_SKIPS_END     LG_SINCE_53     /* gmatch and gsub: no empty match where the match before it ended */
#define LG_MATCH_COUNTS_SKIPS  (LG_JIT != 0)   /* an optional item that matches nothing counts as a level of nesting */
#define LG_MATCH_DEPTH         (LG_IS_PUC_51 ? 1000 : 200) /* levels of nesting that a match may take */
#define LG_MATCH_DEPTH_SURE    (LG_IS_PUC_51 ? 100 : 200) /* levels that are possible on any C stack */
#define LG_HAS_CLASS_G         LG_LOAD_IS_NEW  /* %g, the printable characters but for the space */
#define LG_CAPTURES_ARE_NAMED  LG_SINCE_53     /* "invalid capture index" says which, in replacements and results */
#define LG_BACKREFS_ARE_NAMED  LG_SINCE_52     /* and in patterns */
#define LG_TEXT_NO_BALANCE     (LG_SINCE_52 ? "malformed pattern (missing arguments to '%%b')" : "unbalanced pattern")
#define LG_GMATCH_TAKES_START  LG_SINCE_54     /* gmatch(s, p, init) */
#define LG_GSUB_CHECKS_ESCAPES LG_SINCE_52     /* '%' in a replacement stands before a digit or '%' only */
#define LG_GSUB_MOST_IS_INT    (!LG_SINCE_52)  /* gsub's largest number of replacements is an int */
#define LG_GSUB_MOST_WRAPS     (LG_LUA == 502) /* it is a size_t, and a negative one very large */
#define LG_HAS_PACK            LG_SINCE_53     /* pack, packsize and unpack */
#define LG_PACK_MOST           (LG_SINCE_55 ? (size_t)INT64_MAX : (size_t)INT_MAX) /* bytes that a format may add up to */
#define LG_PACK_CHECKS_TOTAL   LG_SINCE_55     /* pack holds its result to that */
#define LG_PACK_ALIGN_IS_MAX   LG_SINCE_55     /* '!' aligns as max_align_t, before as the larger of double and pointer */
#define LG_PACKSIZE_ADDS_FIRST (LG_LUA == 503) /* packsize complains about the size before it does about 's' and 'z' */
#define LG_UNPACK_WANTS_ZERO   LG_SINCE_54     /* a 'z' without its zero is an error */
#define LG_UNPACK_FROM_ZERO    LG_SINCE_54     /* unpack from position 0 begins at the first byte */

/* ---- string.format ---- */
#define LG_FORMAT_IS_OWN       (LG_JIT == 21)  /* LuaJIT 2.1 formats without the C library */
#define LG_FORMAT_BY_STOCK     (LG_JIT != 0)   /* a number's text is not the C library's: the stock function makes it */
#define LG_FORMAT_IS_STRICT    LG_SINCE_54     /* each conversion has its own flags, and %q takes no modifiers */
#define LG_FORMAT_NUMBERS      (LG_JIT == 20 ? "cdiouxXeEfgGaA" : "cdiouxXeEfFgGaA") /* LuaJIT's conversions of numbers */
#define LG_FORMAT_FLOATS       (LG_SINCE_53 ? "eEfgGaA" : "eEfgG") /* PUC Lua's conversions of floats */
#define LG_FORMAT_CHECKS_RANGE (LG_LUA == 502) /* a number that no integer stands for is an error for %d */
#define LG_FORMAT_CHAR_IS_C    (!LG_SINCE_52)  /* %c takes any number, and gives a C string */
#define LG_FORMAT_TEXTS_ONLY   LG_IS_PUC_51    /* %s takes strings and numbers only */
#define LG_FORMAT_ANY_TOSTRING (LG_JIT != 0)   /* what __tostring returns may be no string */
#define LG_FORMAT_TAKES_NULS   LG_SINCE_53     /* a plain %s takes a string with NULs, and another refuses it */
#define LG_FORMAT_HAS_LITERALS LG_SINCE_53     /* %q takes nil, booleans and numbers */
#define LG_FORMAT_HAS_INFINITY LG_SINCE_54     /* %q has a form for infinities and NaNs */
#define LG_FORMAT_HAS_POINTER  (LG_SINCE_54 || LG_JIT != 0) /* %p */
#if LG_JIT
#define LG_TEXT_NO_POINTER     "NULL"          /* %p of a value that has no address */
#else
#define LG_TEXT_NO_POINTER     "(null)"
#endif
#define LG_QUOTES_ONLY_CR      LG_IS_PUC_51    /* %q: of the control characters CR and NUL alone are escaped */
#define LG_QUOTES_ASCII        (LG_JIT != 0)   /* %q: control characters are ASCII's, not the locale's */

/* ---- tonumber ---- */
#define LG_NUMERALS_ARE_C      LG_IS_PUC_51    /* strtod()'s numerals: inf, nan, the locale's white space; strtoul()'s bases */
#define LG_HEX_ROUNDS_DIGITS   (LG_LUA == 502) /* a hexadecimal numeral may be rounded at each digit */
#define LG_BASE_TEN_IS_A_BASE  LG_SINCE_52     /* tonumber(s, 10) reads digits only, and wants a string first */

/* ---- table ---- */
#define LG_TABLE_METAMETHODS   LG_SINCE_53     /* table functions use metamethods, and take what has them for a table */
#define LG_TABLE_LENGTH_META   LG_SINCE_52     /* the length is what __len says */
#define LG_STRINGS_NEED_NO_LEN LG_SINCE_55     /* a string stands for a table without __len */
#define LG_TEXT_LENGTH_KIND    (LG_SINCE_53 ? "an integer" : "a number") /* "object length is not ..." */
#define LG_TABLE_CHECKS_PLACE  LG_SINCE_52     /* insert and remove refuse positions that are not in the table */
#define LG_TABLE_PLACE_WRAPS   LG_SINCE_54     /* they compare without signs */
#define LG_REMOVE_PLACE_ARG    (LG_SINCE_54 ? 2 : 1) /* the argument that remove's complaint names */
#define LG_TABLE_PLACE_IS_ANY  (LG_JIT == 21)  /* remove and move take any number for a position */
#define LG_TABLE_IS_LUA        (LG_JIT == 21)  /* some functions are written in Lua: an argument that is not there is nil */
#define LG_HAS_TABLE_MOVE      (LG_SINCE_53 || LG_JIT == 21) /* move */
#define LG_HAS_MAXN            (LG_LUA <= 503) /* maxn; in 5.3 for compatibility */
#define LG_HAS_FOREACH         (!LG_SINCE_52)  /* foreach, foreachi, getn and setn */
#define LG_HAS_TABLE_UNPACK    LG_SINCE_52     /* pack and unpack */
#define LG_HAS_TABLE_CREATE    LG_SINCE_55     /* create */
#define LG_CONCAT_LENGTH_FIRST LG_SINCE_53     /* concat takes the length before its other arguments */
#define LG_CONCAT_TABLE_FIRST  (LG_JIT != 0)   /* concat looks at the table before the separator */
#define LG_CONCAT_WIDE_INDEX   LG_SINCE_54     /* concat's complaint has a lua_Integer, before an int */
#define LG_UNPACK_TABLES_ONLY  (!LG_SINCE_53)  /* unpack takes tables only */
#define LG_UNPACK_MOST         (LG_JIT ? 8000 : INT_MAX - 10) /* one result more than these is too many */
#define LG_UNPACK_CHECKS_TABLE LG_SINCE_55     /* unpack takes what has the metamethods, and its length first */
#define LG_SORT_IS_NEW         LG_SINCE_53     /* the quicksort with random pivots, which ends its scans one earlier */
#define LG_SORT_IS_LOOSE       LG_IS_PUC_51    /* its scans may go one beyond the range */

/* ---- utf8, math, bit operations ---- */
#define LG_HAS_UTF8            LG_SINCE_53     /* the utf8 library */
#define LG_UTF8_HAS_LAX        LG_SINCE_54     /* codes up to 2^31 where the script asks for it, no surrogates where not */
#define LG_UTF8_ZERO_IS_END    (LG_LUA == 503) /* codes' iterator takes 1 from a position first */
#define LG_UTF8_OFFSET_HAS_END LG_SINCE_55     /* offset also returns where the character ends */
#define LG_TEXT_OUT_OF_RANGE   (LG_SINCE_54 ? "out of bounds" : "out of range")
#if LG_SINCE_54
#define LG_TEXT_OUT_OF(what)   what " out of bounds"
#define LG_TEXT_OUT_OF_PLACE   "position out of bounds"
#else
#define LG_TEXT_OUT_OF(what)   what " out of string"
#define LG_TEXT_OUT_OF_PLACE   "position out of range"
#endif
#define LG_RANDOM_IS_FRESH     LG_SINCE_54     /* numbers differ from run to run; randomseed() has two seeds, and returns them */
#define LG_RANDOM_TAKES_ZERO   LG_SINCE_54     /* random(0) is an integer of 64 random bits */
#define LG_RANDOM_ANY_INTERVAL LG_SINCE_54     /* an interval may be larger than an integer */
#define LG_RANDOM_IS_TAUS      (LG_JIT != 0)   /* random() is LuaJIT's own Tausworthe generator */
#define LG_RANDOM_IS_UNCHECKED (LG_JIT != 0)   /* random() takes any interval and any number of arguments */
#define LG_RANDOM_BOUNDS_ARE_INT LG_IS_PUC_51  /* random()'s bounds are ints */
#define LG_RANDOMSEED_OPTIONAL (LG_JIT == 21)  /* randomseed() works without an argument */
#define LG_MIN_TAKES_NAN       (LG_JIT != 0)   /* min and max: what is not before the best so far takes its place */
#define LG_HAS_BIT             (LG_JIT != 0)   /* the bit library, whose functions want at least one argument */
#define LG_BIT_TAKES_CDATA     (LG_JIT == 21)  /* its functions take 64-bit literals such as 1LL */
#define LG_HAS_BIT32           (LG_LUA == 502) /* the bit32 library */
#if LG_HAS_BIT
#define LG_BIT_NAME            "bit"
#define lg_luaopen_bit         luaopen_bit
#else
#define LG_BIT_NAME            "bit32"
#define lg_luaopen_bit         luaopen_bit32
#endif

/* ---- io ---- */
#define LG_READ_NEEDS_STAR     (LG_IS_PUC_51 || LG_LUA == 502 || LG_JIT == 20) /* a format of reading begins with '*' */
#define LG_READ_KEEPS_ENDS     (!LG_IS_PUC_51) /* the format L, a line with its end */
#define LG_READ_ANY_COUNT      LG_IS_PUC_51    /* any number is a count of bytes, where others lack memory */
#define LG_READ_WANTS_TEXT     LG_SINCE_53     /* what is no format is complained about as what is no string */
#define LG_WRITE_GIVES_FILE    LG_SINCE_52     /* write() returns the file */
#define LG_WRITE_IS_SHORT      (LG_LUA == 503 || LG_LUA == 504) /* a float is written with 14 digits, not as tostring() has it */
#define LG_LINES_TAKES_FORMATS (!LG_IS_PUC_51) /* lines() takes formats */
#define LG_LINES_GIVES_FILE    LG_SINCE_54     /* io.lines() returns the file as a fourth value, to be closed */
#define LG_LINES_MOST          (LG_SINCE_53 ? 250 : LG_JIT ? 58 : 17) /* formats that lines() takes */
#define LG_TEXT_LINES_MOST     (LG_LUA == 502 ? "too many options" : "too many arguments")
#define LG_FILE_ERROR_IS_ARG   (!LG_SINCE_52)  /* a file that cannot be opened is an error of the argument that names it */
#define LG_TEXT_DEFAULT_FILE   (LG_SINCE_54 ? "default" : "standard") /* "... input file is closed" */
#define LG_OPEN_CHECKS_MODE    LG_SINCE_52     /* open() looks at the mode before the C library does */
#define LG_DEFAULT_IS_NAMED    (LG_JIT != 0)   /* what is no file is complained about as what is no name of one */
#define LG_CLOSE_IS_SHARED     (LG_LUA == 502 || LG_JIT != 0) /* a file's close() is io.close, which without an argument closes the default output */
#define LG_CLOSE_MISSES_NIL    LG_IS_PUC_51    /* a file's close() without one complains about nil */
#define LG_SEEK_CHECKS_OFFSET  (LG_LUA == 502) /* an offset that is no integer is an error */

/* ---- modules ---- */
#define LG_HAS_MODULE          (!LG_SINCE_52)  /* module, and package.seeall */
#define LG_RENAME_NAMES_FILE   (!LG_SINCE_52)  /* a failed os.rename tells the first of its names */
#define LG_HAS_SEARCHPATH      (!LG_IS_PUC_51) /* package.searchpath */
#define LG_SEARCHERS           (LG_SINCE_52 ? "searchers" : "loaders") /* package's list of what finds a module */
#define LG_SEARCHER_IS_BARE    LG_SINCE_54     /* what a searcher says has no line break in front */
#define LG_REQUIRE_MARKS       (!LG_SINCE_52)  /* require marks a module that is being loaded, and so finds loops */
#define LG_LOADER_TAKES_DATA   LG_SINCE_52     /* a loader gets what its searcher returned beside it */
#define LG_REQUIRE_GIVES_DATA  LG_SINCE_54     /* and require returns that, too */
#define LG_PRELOAD_IS_FIELD    (!LG_SINCE_52)  /* the table of preloaded modules is what package.preload is at the time */
#if LG_SINCE_52 || LG_JIT == 21
#define LG_CONFIG_END          "\n"            /* what package.config ends with */
#else
#define LG_CONFIG_END          ""
#endif

/* ---- debug ---- */
#define LG_TRACE_FIRST         (LG_SINCE_53 ? 10 : 12) /* levels at the top of a traceback that is too long */
#define LG_TRACE_LAST          (LG_SINCE_53 ? 11 : 10) /* and at its end */
#define LG_TRACE_COUNTS        LG_SINCE_54     /* it says how many are left out */
#define LG_TRACE_NAMES_FIRST   (LG_LUA == 503 || LG_LUA == 504) /* a name in a library comes before the name in the code */
#define LG_TRACE_NAMES_C_ONLY  (LG_LUA == 502) /* only C functions have names in libraries; from 5.3 on all have */
#define LG_TEXT_TRACE_C        (LG_IS_PUC_51 ? "?" : "in ?") /* a C function without a name */
#define LG_TRACE_TAKES_NIL     LG_SINCE_52     /* nil is no message; before it is one that comes back as it is */
#define LG_INFO_LEVELS_FIRST   LG_JIT          /* a numeral is a level */
#define LG_INFO_WANTS_NUMBER   LG_SINCE_53     /* what is neither function nor level is complained about as what is no number */
#define LG_INFO_REFUSES_MARK   LG_SINCE_54     /* options that begin with '>' get a complaint of their own */
#define LG_INFO_PARAMETERS     LG_SINCE_52     /* how many parameters a function has, and whether it takes more */
#define LG_INFO_BY_STOCK       (LG_JIT != 0)   /* only its own debug.getinfo knows how many parameters a function has */
#define LG_TELLS_SOURCE_LENGTH LG_SINCE_54     /* lua_getinfo() gives the length of a source's name */
#define LG_TELLS_TRANSFERS     LG_SINCE_54     /* which values a call or return transfers ('r') */
#define LG_TELLS_EXTRA_ARGUMENTS LG_SINCE_55   /* how many arguments a function got beside its parameters */
#define LG_INFO_OPTIONS        (LG_SINCE_54 ? "SlnrtufL" : LG_SINCE_52 ? "SlntufL" : "SlnufL")

/* ---- os ---- */
#define LG_DATE_YEAR_FIRST     LG_SINCE_54     /* the fields of a date are set and read from the year on */
#define LG_DATE_FIELD_IS_HALF  (LG_LUA == 503) /* a date's field may be half an int */
#define LG_DATE_RAISES         LG_SINCE_53     /* what cannot be represented is an error, before nil */
#define LG_TEXT_DATE_BEYOND    (LG_SINCE_54 ? "date" : "time") /* "... result cannot be represented in this installation" */
#define LG_TIME_NORMALIZES     LG_SINCE_53     /* time() writes the fields back as they are properly */
#define LG_DATE_ENDS_AT_NUL    (!LG_SINCE_53)  /* a NUL ends date()'s format */
#define LG_DATE_CHECKS         LG_SINCE_52     /* date() refuses conversions that it does not know */
#define LG_DATE_HAS_C99        LG_SINCE_53     /* it knows those of C99, with E and O */
#define LG_DATE_TAKES_WIDTHS   (LG_JIT == 21)  /* it hands flags and widths to the C library */
/* clang-format on */

#endif
