// The loops as the compiler makes them for every machine of the architecture: SSE2 on x86-64, NEON on 64-bit ARM.
#include "runtime/kernels/loops.h"

namespace bnn {
namespace {

#define BNN_LOOPS_NAME "portable"
#include "runtime/kernels/loops.inc.h"

}  // namespace

const Loops kPortableLoops = kLoops;

}  // namespace bnn
