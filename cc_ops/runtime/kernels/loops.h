// The loops of each instruction set, for the one file that chooses.
#pragma once

#include "runtime/loops.h"

namespace bnn {

extern const Loops kPortableLoops;
#if defined(__x86_64__)
extern const Loops kAvx2Loops;
extern const Loops kAvx512Loops;
#endif

}  // namespace bnn
