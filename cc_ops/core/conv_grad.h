// Gradients of both convolutions: the formulas differentiated as written, alpha and K included, with d sign(u)/du replaced by a
// straight-through estimator. With P[k,o] = sum over pixels of (input sign or value)[k] * dy[o] * K,
//
//   dw[k,o]  = alpha[o] * P[k,o] * ste(w[k,o])  +  sgn(w[k,o]) / n * dalpha[o],     dalpha[o] = sum_k sign(w[k,o]) * P[k,o]
//   dx       = ste(x) * convT(dy * alpha * K, sign(w))  +  sgn(x) / c * dA,         dA = windowsT(dK) / (kh*kw)
//   dK       = sum_o dy[o] * alpha[o] * sum(sign x * sign w)
//
// where sgn(0) = 0 is the derivative of |u|, n the weights that share an alpha, c the channels of a group. `sgn(w)/n * dalpha`
// falls away without scaling (or where alpha is held constant), the K terms without input scaling; the float-input form has
// no ste(x), no K.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "core/geometry.h"
#include "core/options.h"
#include "core/xnor_conv.h"

namespace bnn {

struct PseudoGradient {
  Ste ste = Ste::kIdentity;
  const float* values = nullptr;  // kCustom: d sign(u)/du, one value an element of u
};

struct KernelGradOptions {
  Scaling scaling = Scaling::kChannel;
  bool scale_gradient = true;  // false: alpha is a constant
  PseudoGradient kernel;
};

int64_t SignConvGradScratchBytes(const Executor& executor, const ConvGeometry& g);

// x, dx: NHWC input. kernel, dkernel: HWIO latent weights. dy: NHWC output.
void SignConvGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const float* x,
                  const float* kernel, const float* dy, float* dx, float* dkernel, void* scratch);

int64_t XnorConvGradScratchBytes(const Executor& executor, const ConvGeometry& g, const XnorOptions& xnor);

void XnorConvGrad(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const XnorOptions& xnor,
                  const PseudoGradient& input, const float* x, const float* kernel, const float* dy, float* dx, float* dkernel,
                  void* scratch);

}  // namespace bnn
