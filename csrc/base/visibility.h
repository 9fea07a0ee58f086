/* Hides all symbols that are declared between VISIBILITY_PUSH and VISIBILITY_POP.
 *
 * It is a pragma, not a compiler flag, because LuaRocks and hosts build with flags of their own. */
#ifndef MOONWIRE_BASE_VISIBILITY_H
#define MOONWIRE_BASE_VISIBILITY_H

#if defined(__GNUC__) || defined(__clang__)
#define VISIBILITY_PUSH _Pragma("GCC visibility push(hidden)")
#define VISIBILITY_POP _Pragma("GCC visibility pop")
#else
#define VISIBILITY_PUSH
#define VISIBILITY_POP
#endif

#endif
