// Binary weights, float input (BWN, Rastegari et al. 2016, equation 3):
//
//   y[n,p,q,o] = alpha[o] * sum_{i,j,c} x[n, p*s + i*d - top, q*s + j*d - left, c] * sign(w[i,j,c,o])
//
// in float32, with x = 0 outside the image.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"

namespace bnn {

int64_t SignConvScratchBytes(const Executor& executor, const ConvGeometry& g);

// x: NHWC input. bits, alpha: of PackKernel. y: NHWC output. `done` may be null.
void SignConv(const Executor& executor, const ConvGeometry& g, const float* x, const uint32_t* bits, const float* alpha, float* y,
              void* scratch, const PartDone* done = nullptr);

}  // namespace bnn
