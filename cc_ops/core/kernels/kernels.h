// The backends there are, one file each. See core/backend.h for what a backend is.
#pragma once

#include "core/backend.h"

namespace bnn {

extern const Backend kPortable;
#if defined(__x86_64__)
extern const Backend kAvx2;
extern const Backend kAvx512;    // with VPOPCNTDQ
extern const Backend kAvx512Bw;  // without
#elif defined(__aarch64__)
extern const Backend kNeon;
#endif

}  // namespace bnn
