// bnn_tf._core: core for NumPy, without TensorFlow. For the Python layers' shape questions, the packed runtime and the tests.
//
// Arrays of any float type come in and are converted to float32 in C order; anything else, like a wrong shape, is a ValueError
// with core's sentence. The interpreter's lock is free while core computes.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/arguments.h"
#include "core/backend.h"
#include "core/conv_grad.h"
#include "core/executor.h"
#include "core/geometry.h"
#include "core/options.h"
#include "core/packed_kernel.h"
#include "core/pool.h"
#include "core/sign_conv.h"
#include "core/team.h"
#include "core/xnor_conv.h"
#include "py/packed_model.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace bnn {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Bits = py::array_t<int32_t, py::array::c_style>;
using Size = std::optional<int64_t>;  // None in Python: not known yet
using Pair = std::array<int64_t, 2>;
using Quad = std::array<int64_t, 4>;

void Check(const Message& error) {
  if (!error.empty()) throw py::value_error(error);
}

// ---- Arguments

template <size_t n>
std::array<int64_t, n> Known(const std::array<Size, n>& sizes) {
  std::array<int64_t, n> known;
  std::transform(sizes.begin(), sizes.end(), known.begin(), [](Size size) { return size.value_or(kUnknown); });
  return known;
}

Size Unknown(int64_t size) { return size == kUnknown ? Size() : Size(size); }

Sizes ShapeOf(const py::array& array) { return Sizes(array.shape(), array.shape() + array.ndim()); }

Floats AsFloats(const std::string& op, const std::string& argument, const py::array& array) {
  if (array.dtype().kind() != 'f') {
    Check(op + ": `" + argument + "` must be an array of floats. Got dtype " + std::string(py::str(array.dtype())) +
          ". Convert it with " + argument + ".astype(\"float32\").");
  }
  return py::array_t<float, py::array::c_style | py::array::forcecast>(array);
}

// ---- Geometry

struct ConvArguments {
  Pair strides;
  std::string padding;
  Quad explicit_padding;
  Pair dilations;
  int64_t groups;
};

ConvRequest Request(const std::string& op, const ConvArguments& a) {
  ConvRequest request;
  request.op = op;
  request.strides = a.strides;
  request.dilations = a.dilations;
  request.groups = a.groups;
  request.padding = a.padding;
  request.explicit_padding = a.explicit_padding;
  return request;
}

ConvGeometry ConvOf(const std::string& op, const py::array& x, const py::array& kernel, const ConvArguments& a) {
  ConvGeometry g;
  Check(ConvOfShapes(Request(op, a), ShapeOf(x), ShapeOf(kernel), &g));
  return g;
}

ConvGeometry DenseOf(const std::string& op, const py::array& x, const py::array& kernel) {
  ConvGeometry g;
  Check(DenseOfShapes(op, ShapeOf(x), ShapeOf(kernel), &g));
  return g;
}

ConvGeometry KernelOf(const std::string& op, const Sizes& shape, int64_t groups) {
  ConvGeometry g;
  Check(KernelOfShape(op, shape, groups, &g));
  return g;
}

// ---- Running

class Call {
 public:
  Call(const std::string& backend, int threads) : parallel_(CheckedThreads(threads)) {
    Check(backend.empty() ? ActiveBackend(&backend_) : FindBackend(backend, &backend_));
  }
  Executor executor() const { return {*backend_, parallel_}; }

 private:
  static int CheckedThreads(int threads) {
    if (threads < 0) {
      Check("bnn_tf: `threads` must not be negative. Got " + std::to_string(threads) + ". Use 0 for as many as there are.");
    }
    return threads;
  }

  const Backend* backend_ = nullptr;
  PoolFor parallel_;
};

struct AlignedDelete {
  void operator()(void* data) const { ::operator delete(data, std::align_val_t(kScratchAlignment)); }
};
using Scratch = std::unique_ptr<void, AlignedDelete>;

Scratch AllocateScratch(int64_t bytes) { return Scratch(::operator new(bytes, std::align_val_t(kScratchAlignment))); }

struct Packed {
  std::vector<uint32_t> bits;
  std::vector<float> alpha;
};

Packed Pack(const Executor& executor, const ConvGeometry& g, Scaling scaling, const float* kernel) {
  Packed packed{std::vector<uint32_t>(KernelLayout(g).total_words()), std::vector<float>(g.filters)};
  PackKernel(executor, g, scaling, kernel, packed.bits.data(), packed.alpha.data());
  return packed;
}

Scaling ScalingOf(const std::string& op, const std::string& text) {
  Scaling scaling;
  Check(ParseScaling(op, text, &scaling));
  return scaling;
}

XnorOptions XnorOf(const std::string& op, bool input_scaling, int64_t pad_value) {
  Check(CheckPadValue(op, pad_value));
  return {input_scaling, static_cast<int>(pad_value)};
}

PseudoGradient PseudoOf(const std::string& op, const std::string& argument, const std::string& text) {
  PseudoGradient pseudo;
  Check(ParseSte(op, argument, text, &pseudo.ste));
  if (pseudo.ste == Ste::kCustom) {
    Check(op + ": `" + argument +
          "` \"custom\" needs a tensor of pseudo-gradients, which NumPy's form does not take. Got \"custom\"; " +
          "expected \"identity\" or \"clip\". Use TensorFlow's op.");
  }
  return pseudo;
}

// `xnor` is null for a float input, here and below. Nothing of Python is touched.
void RunForward(const Executor& executor, const ConvGeometry& g, Scaling scaling, const XnorOptions* xnor, const float* x,
                const float* kernel, float* y) {
  const Packed packed = Pack(executor, g, scaling, kernel);
  const Scratch scratch = AllocateScratch(xnor ? XnorConvScratchBytes(executor, g, *xnor) : SignConvScratchBytes(executor, g));
  if (xnor) {
    XnorConv(executor, g, *xnor, x, packed.bits.data(), packed.alpha.data(), y, scratch.get());
  } else {
    SignConv(executor, g, x, packed.bits.data(), packed.alpha.data(), y, scratch.get());
  }
}

Floats Forward(const std::string& op, const ConvGeometry& g, const Sizes& shape, const py::array& x, const py::array& kernel,
               const std::string& scaling_text, const XnorOptions* xnor, const Call& call) {
  const Scaling scaling = ScalingOf(op, scaling_text);
  const Floats inputs = AsFloats(op, "x", x), weights = AsFloats(op, "kernel", kernel);
  Floats outputs(shape);
  const float *in = inputs.data(), *w = weights.data();
  float* out = outputs.mutable_data();
  if (!g.empty()) {
    py::gil_scoped_release unlocked;
    RunForward(call.executor(), g, scaling, xnor, in, w, out);
  }
  return outputs;
}

struct GradArrays {
  const float *x, *kernel, *dy;
  float *dx, *dkernel;
};

void RunBackward(const Executor& executor, const ConvGeometry& g, const KernelGradOptions& options, const XnorOptions* xnor,
                 const PseudoGradient& input, const GradArrays& a) {
  const Scratch scratch =
      AllocateScratch(xnor ? XnorConvGradScratchBytes(executor, g, *xnor) : SignConvGradScratchBytes(executor, g));
  if (xnor) {
    XnorConvGrad(executor, g, options, *xnor, input, a.x, a.kernel, a.dy, a.dx, a.dkernel, scratch.get());
  } else {
    SignConvGrad(executor, g, options, a.x, a.kernel, a.dy, a.dx, a.dkernel, scratch.get());
  }
}

std::pair<Floats, Floats> Backward(const std::string& op, const ConvGeometry& g, const py::array& x, const py::array& kernel,
                                   const py::array& dy, const KernelGradOptions& options, const XnorOptions* xnor,
                                   const PseudoGradient& input, const Call& call) {
  Check(CheckShape(op, "dy", ShapeOf(dy), ConvOutputShape(g), "Pass the gradient of the op's output."));
  const Floats inputs = AsFloats(op, "x", x), weights = AsFloats(op, "kernel", kernel), grads = AsFloats(op, "dy", dy);
  Floats dx(ShapeOf(x)), dkernel(ShapeOf(kernel));
  const GradArrays arrays{inputs.data(), weights.data(), grads.data(), dx.mutable_data(), dkernel.mutable_data()};
  if (g.empty()) {
    std::fill_n(arrays.dx, dx.size(), 0.0f);
    std::fill_n(arrays.dkernel, dkernel.size(), 0.0f);
  } else {
    py::gil_scoped_release unlocked;
    RunBackward(call.executor(), g, options, xnor, input, arrays);
  }
  return {dx, dkernel};
}

// ---- The functions of the module

py::tuple ConvGeometryOf(const std::string& op, const std::array<Size, 4>& input, const std::array<Size, 4>& kernel, Pair strides,
                         const std::string& padding, Quad explicit_padding, Pair dilations, int64_t groups) {
  ConvRequest request = Request(op, {strides, padding, explicit_padding, dilations, groups});
  request.input = Known(input);
  request.kernel = Known(kernel);
  ConvGeometry g;
  Check(MakeConv(request, &g));
  return py::make_tuple(py::make_tuple(Unknown(g.batch), Unknown(g.h.out), Unknown(g.w.out), Unknown(g.filters)),
                        py::make_tuple(Unknown(g.h.before), Unknown(g.h.after), Unknown(g.w.before), Unknown(g.w.after)));
}

py::tuple DenseGeometryOf(const std::string& op, Size batch, Size input_channels, Size kernel_channels, Size filters) {
  ConvGeometry g;
  Check(MakeDense(op, batch.value_or(kUnknown), input_channels.value_or(kUnknown), kernel_channels.value_or(kUnknown),
                  filters.value_or(kUnknown), &g));
  return py::make_tuple(Unknown(g.w.out), Unknown(g.filters));
}

std::vector<std::string> Names(const std::vector<const Backend*>& backends) {
  std::vector<std::string> names;
  for (const Backend* backend : backends) names.push_back(backend->name);
  return names;
}

std::string ActiveName() {
  const Backend* backend;
  Check(ActiveBackend(&backend));
  return backend->name;
}

py::tuple PackKernelOf(const py::array& kernel, int64_t groups, const std::string& scaling, const std::string& backend,
                       int threads) {
  const std::string op = "BinaryPackKernel";
  const Scaling scale = ScalingOf(op, scaling);
  const ConvGeometry g = KernelOf(op, ShapeOf(kernel), groups);
  const Floats weights = AsFloats(op, "kernel", kernel);
  Bits bits(BitsShape(g));
  Floats alpha(AlphaShape(g));
  const float* w = weights.data();
  auto* words = reinterpret_cast<uint32_t*>(bits.mutable_data());
  float* scales = alpha.mutable_data();
  const Call call(backend, threads);
  {
    py::gil_scoped_release unlocked;
    PackKernel(call.executor(), g, scale, w, words, scales);
  }
  return py::make_tuple(bits, alpha);
}

Floats UnpackKernelOf(const Bits& bits, const Sizes& shape, int64_t groups) {
  const std::string op = "unpack_kernel";
  const ConvGeometry g = KernelOf(op, shape, groups);
  Check(CheckShape(op, "bits", ShapeOf(bits), BitsShape(g), "Pass what pack_kernel returned, and the kernel's shape."));
  Floats kernel(shape);
  UnpackKernel(g, reinterpret_cast<const uint32_t*>(bits.data()), kernel.mutable_data());
  return kernel;
}

Floats Conv2D(const py::array& x, const py::array& kernel, Pair strides, const std::string& padding, Quad explicit_padding,
              Pair dilations, int64_t groups, const std::string& scaling, const std::string& backend, int threads) {
  const std::string op = "BinaryConv2D";
  const ConvGeometry g = ConvOf(op, x, kernel, {strides, padding, explicit_padding, dilations, groups});
  return Forward(op, g, ConvOutputShape(g), x, kernel, scaling, nullptr, Call(backend, threads));
}

Floats ConvInput2D(const py::array& x, const py::array& kernel, Pair strides, const std::string& padding, Quad explicit_padding,
                   Pair dilations, int64_t groups, const std::string& scaling, bool input_scaling, int64_t pad_value,
                   const std::string& backend, int threads) {
  const std::string op = "BinaryConvInput2D";
  const ConvGeometry g = ConvOf(op, x, kernel, {strides, padding, explicit_padding, dilations, groups});
  const XnorOptions xnor = XnorOf(op, input_scaling, pad_value);
  return Forward(op, g, ConvOutputShape(g), x, kernel, scaling, &xnor, Call(backend, threads));
}

Floats Dense(const py::array& x, const py::array& kernel, const std::string& scaling, const std::string& backend, int threads) {
  const std::string op = "BinaryDense";
  const ConvGeometry g = DenseOf(op, x, kernel);
  return Forward(op, g, DenseOutputShape(g), x, kernel, scaling, nullptr, Call(backend, threads));
}

Floats DenseInput(const py::array& x, const py::array& kernel, const std::string& scaling, bool input_scaling,
                  const std::string& backend, int threads) {
  const std::string op = "BinaryDenseInput";
  const ConvGeometry g = DenseOf(op, x, kernel);
  const XnorOptions xnor{input_scaling, 0};
  return Forward(op, g, DenseOutputShape(g), x, kernel, scaling, &xnor, Call(backend, threads));
}

std::pair<Floats, Floats> Conv2DGrad(const py::array& x, const py::array& kernel, const py::array& dy, Pair strides,
                                     const std::string& padding, Quad explicit_padding, Pair dilations, int64_t groups,
                                     const std::string& scaling, const std::string& ste, const std::string& backend,
                                     int threads) {
  const std::string op = "BinaryConv2DGrad";
  const ConvGeometry g = ConvOf(op, x, kernel, {strides, padding, explicit_padding, dilations, groups});
  const KernelGradOptions options{ScalingOf(op, scaling), true, PseudoOf(op, "ste", ste)};
  return Backward(op, g, x, kernel, dy, options, nullptr, {}, Call(backend, threads));
}

std::pair<Floats, Floats> ConvInput2DGrad(const py::array& x, const py::array& kernel, const py::array& dy, Pair strides,
                                          const std::string& padding, Quad explicit_padding, Pair dilations, int64_t groups,
                                          const std::string& scaling, const std::string& ste, bool input_scaling,
                                          int64_t pad_value, const std::string& input_ste, const std::string& backend,
                                          int threads) {
  const std::string op = "BinaryConvInput2DGrad";
  const ConvGeometry g = ConvOf(op, x, kernel, {strides, padding, explicit_padding, dilations, groups});
  const KernelGradOptions options{ScalingOf(op, scaling), true, PseudoOf(op, "ste", ste)};
  const XnorOptions xnor = XnorOf(op, input_scaling, pad_value);
  return Backward(op, g, x, kernel, dy, options, &xnor, PseudoOf(op, "input_ste", input_ste), Call(backend, threads));
}

// ---- Their arguments in Python

auto ConvArgs() {
  return std::make_tuple("strides"_a = Pair{1, 1}, "padding"_a = "same", "explicit_padding"_a = Quad{0, 0, 0, 0},
                         "dilations"_a = Pair{1, 1}, "groups"_a = 1, "scaling"_a = "channel");
}

auto InputArgs() { return std::make_tuple("input_scaling"_a = true, "pad_value"_a = 0); }

auto RunArgs() { return std::make_tuple("backend"_a = "", "threads"_a = 0); }

template <typename Function, typename... Tuples>
void Define(py::module_& m, const char* name, Function function, const char* doc, const Tuples&... tuples) {
  std::apply([&](const auto&... args) { m.def(name, function, args..., doc); }, std::tuple_cat(tuples...));
}

void DefineQuestions(py::module_& m) {
  m.def("conv_geometry", ConvGeometryOf, "op"_a, "input_shape"_a, "kernel_shape"_a, "strides"_a, "padding"_a,
        "explicit_padding"_a, "dilations"_a, "groups"_a,
        "Output shape (batch, height, width, filters) and padding (top, bottom, left, right); None where a size is not known.");
  m.def("dense_geometry", DenseGeometryOf, "op"_a, "batch"_a, "input_channels"_a, "kernel_channels"_a, "filters"_a,
        "Output shape (batch, filters); None where a size is not known.");
  m.def(
      "check_scaling", [](const std::string& op, const std::string& scaling) { ScalingOf(op, scaling); }, "op"_a, "scaling"_a,
      "Raises ValueError if `scaling` is no known word.");
  m.def(
      "check_ste",
      [](const std::string& op, const std::string& argument, const std::string& text) {
        Ste ste;
        Check(ParseSte(op, argument, text, &ste));
      },
      "op"_a, "argument"_a, "ste"_a, "Raises ValueError if the estimator is no known word.");
  m.def(
      "check_pad_value", [](const std::string& op, int64_t value) { Check(CheckPadValue(op, value)); }, "op"_a, "value"_a,
      "Raises ValueError unless `value` is -1, 0 or +1.");
  m.def("all_backends", [] { return Names(AllBackends()); }, "Backends that are compiled in, best first.");
  m.def("supported_backends", [] { return Names(SupportedBackends()); }, "Backends that this machine runs, best first.");
  m.def("active_backend", ActiveName, "The backend that BNN_TF_ISA forces, else the best.");
  m.def("threads", DefaultThreads, "Threads that a call uses: OMP_NUM_THREADS, else one a processor.");
}

void DefineOperations(py::module_& m) {
  const auto operands = std::make_tuple("x"_a, "kernel"_a);
  const auto grads = std::make_tuple("dy"_a);
  const auto scaling = std::make_tuple("scaling"_a = "channel");
  const auto ste = std::make_tuple("ste"_a = "identity");
  const auto input_ste = std::make_tuple("input_ste"_a = "clip");
  const auto input_scaling = std::make_tuple("input_scaling"_a = true);

  Define(m, "pack_kernel", PackKernelOf,
         "Bits [groups, blocks, words, 16] (int32) and alpha [filters] of a kernel of rank 4 or 2.",
         std::make_tuple("kernel"_a, "groups"_a = 1), scaling, RunArgs());
  m.def("unpack_kernel", UnpackKernelOf, "bits"_a, "shape"_a, "groups"_a = 1,
        "The kernel of shape `shape` that was packed, as +1 and -1.");
  Define(m, "binary_conv2d", Conv2D, "Float input [n, h, w, c], binary weights [kh, kw, c / groups, filters].", operands,
         ConvArgs(), RunArgs());
  Define(m, "binary_conv_input2d", ConvInput2D, "Binary input [n, h, w, c], binary weights [kh, kw, c / groups, filters].",
         operands, ConvArgs(), InputArgs(), RunArgs());
  Define(m, "binary_dense", Dense, "Float input [n, c], binary weights [c, units].", operands, scaling, RunArgs());
  Define(m, "binary_dense_input", DenseInput, "Binary input [n, c], binary weights [c, units].", operands, scaling, input_scaling,
         RunArgs());
  Define(m, "binary_conv2d_grad", Conv2DGrad, "Gradients (dx, dkernel) of binary_conv2d.", operands, grads, ConvArgs(), ste,
         RunArgs());
  Define(m, "binary_conv_input2d_grad", ConvInput2DGrad, "Gradients (dx, dkernel) of binary_conv_input2d.", operands, grads,
         ConvArgs(), ste, InputArgs(), input_ste, RunArgs());
}

}  // namespace
}  // namespace bnn

PYBIND11_MODULE(_core, m) {
  m.doc() = "Binary convolutions for NumPy arrays, without TensorFlow.";
  bnn::DefineQuestions(m);
  bnn::DefineOperations(m);
  bnn::DefinePackedModel(m);
}
