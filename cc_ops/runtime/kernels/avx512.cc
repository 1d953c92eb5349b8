// The loops for 512-bit registers.
#if defined(__x86_64__)

#include "core/kernels/target.h"
#include "runtime/kernels/loops.h"

BNN_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")

namespace bnn {
namespace {

#define BNN_LOOPS_NAME "avx512"
#include "runtime/kernels/loops.inc.h"

}  // namespace

const Loops kAvx512Loops = kLoops;

}  // namespace bnn

BNN_TARGET_END

#endif  // __x86_64__
