// The loops for 256-bit registers.
#if defined(__x86_64__)

#include "core/kernels/target.h"
#include "runtime/kernels/loops.h"

BNN_TARGET_BEGIN("avx2")

namespace bnn {
namespace {

#define BNN_LOOPS_NAME "avx2"
#include "runtime/kernels/loops.inc.h"

}  // namespace

const Loops kAvx2Loops = kLoops;

}  // namespace bnn

BNN_TARGET_END

#endif  // __x86_64__
