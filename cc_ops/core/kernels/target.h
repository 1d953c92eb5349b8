// Regions of code for an instruction set that the rest of the program may not use. They stand in the source, after every
// #include, so that no inline function of another header is compiled for a machine that may not be there.
#pragma once

#define BNN_PRAGMA(text) _Pragma(#text)

#if defined(__clang__)
#define BNN_TARGET_BEGIN(features) BNN_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define BNN_TARGET_END BNN_PRAGMA(clang attribute pop)
#else
#define BNN_TARGET_BEGIN(features) BNN_PRAGMA(GCC push_options) BNN_PRAGMA(GCC target(features))
#define BNN_TARGET_END BNN_PRAGMA(GCC pop_options)
#endif
