#include "runtime/loops.h"

#include "runtime/kernels/loops.h"

namespace bnn {

const Loops& LoopsFor(const std::string& backend) {
#if defined(__x86_64__)
  if (backend.rfind("avx512", 0) == 0) return kAvx512Loops;
  if (backend == "avx2") return kAvx2Loops;
#endif
  (void)backend;
  return kPortableLoops;
}

}  // namespace bnn
