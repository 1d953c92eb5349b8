// The gradients' oracle is reference.h itself, run on numbers that carry a derivative along ("dual numbers"): the formulas are
// differentiated as written, once for each variable, and nothing is derived by hand. Only sign has a derivative of its own, the
// straight-through estimator's.
#include "core/conv_grad.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/reference.h"
#include "tests/cases.h"
#include "tests/compare.h"
#include "tests/run.h"

namespace bnn::testing {
namespace {

// A value and its derivative by the variable in question. `size` and `dsize` are what both would be if nothing cancelled: what
// rounding errors are relative to.
struct Dual {
  Dual(double v = 0) : value(v), size(std::fabs(v)) {}  // NOLINT: numbers are constants
  double value, size, d = 0, dsize = 0;
  double dsign = 0;  // of a variable: the estimator's d sign(u)/du

  Dual& operator+=(const Dual& other) {
    value += other.value;
    size += other.size;
    d += other.d;
    dsize += other.dsize;
    return *this;
  }
};

Dual Make(double value, double size, double d, double dsize) {
  Dual dual(value);
  dual.size = size;
  dual.d = d;
  dual.dsize = dsize;
  return dual;
}

Dual operator*(const Dual& a, const Dual& b) {
  return Make(a.value * b.value, a.size * b.size, a.value * b.d + a.d * b.value, a.size * b.dsize + a.dsize * b.size);
}

Dual Sign(const Dual& u) { return Make(reference::Sign(u.value), 1, u.dsign * u.d, std::fabs(u.dsign * u.d)); }

Dual Abs(const Dual& u) {
  const double d = u.value > 0 ? u.d : u.value < 0 ? -u.d : 0;
  return Make(std::fabs(u.value), u.size, d, std::fabs(d));
}

struct Options {
  bool binary_input = true;
  KernelGradOptions kernel;
  XnorOptions xnor;
  Ste input_ste = Ste::kClip;
};

// A question, and the answer for some of the variables.
struct Problem {
  ConvGeometry g;
  Options options;
  std::vector<float> x, w, dy, x_pseudo, w_pseudo;
  std::vector<int64_t> at_x, at_w;
  std::vector<double> dx, dw, dx_size, dw_size;

  std::string Describe() const {
    std::string text = bnn::testing::Describe(g) + ", scaling " + std::to_string(static_cast<int>(options.kernel.scaling)) +
                       ", scale_gradient " + std::to_string(options.kernel.scale_gradient) + ", ste " +
                       std::to_string(static_cast<int>(options.kernel.kernel.ste));
    if (!options.binary_input) return text;
    return text + ", input_scaling " + std::to_string(options.xnor.input_scaling) + ", pad_value " +
           std::to_string(options.xnor.pad_value) + ", input_ste " + std::to_string(static_cast<int>(options.input_ste));
  }
};

std::vector<Dual> Variables(const std::vector<float>& u, Ste ste, const std::vector<float>& pseudo) {
  std::vector<Dual> variables(u.begin(), u.end());
  for (size_t i = 0; i < u.size(); ++i) {
    variables[i].dsign = ste == Ste::kCustom ? pseudo[i] : ste == Ste::kClip ? std::fabs(u[i]) <= 1 : 1;
  }
  return variables;
}

// d loss / d variable, the loss being sum(dy * y).
Dual Loss(const Problem& problem, const std::vector<Dual>& x, const std::vector<Dual>& w) {
  const ConvGeometry& g = problem.g;
  std::vector<Dual> constant = w;
  for (Dual& value : constant) value.d = 0;
  const std::vector<Dual> alpha =
      reference::Alpha(g, problem.options.kernel.scaling, problem.options.kernel.scale_gradient ? w : constant);
  std::vector<Dual> y;
  if (problem.options.binary_input) {
    const std::vector<Dual> ones(g.output_size(), 1.0);
    y = reference::XnorConv(g, x, w, alpha, problem.options.xnor.input_scaling ? reference::InputScale(g, x) : ones,
                            problem.options.xnor.pad_value);
  } else {
    y = reference::SignConv(g, x, w, alpha);
  }
  Dual loss;
  for (size_t i = 0; i < y.size(); ++i) loss += Dual(problem.dy[i]) * y[i];
  return loss;
}

// All of `count` where they are few, else some of them.
std::vector<int64_t> Choose(int64_t count, int64_t wanted, Random* random) {
  std::vector<int64_t> chosen(std::min(count, wanted));
  std::iota(chosen.begin(), chosen.end(), 0);
  if (count > wanted) {
    for (int64_t& index : chosen) index = random->Int(0, count - 1);
  }
  return chosen;
}

// `at_w`: for which weights; empty for as many as are affordable.
Problem Solve(const ConvGeometry& g, const Options& options, Random* random, std::vector<int64_t> at_w = {}) {
  Problem problem;
  problem.g = g;
  problem.options = options;
  const auto values = [&](int64_t count) {
    std::vector<float> u = random->Values(count);
    for (float& value : u) {
      if (random->Int(0, 15) == 0) value = std::copysign(1.0f, value);  // the edge of "clip" belongs to it
    }
    return u;
  };
  problem.x = values(g.input_size());
  problem.w = values(g.kernel_size());
  problem.dy = random->Values(g.output_size());
  problem.x_pseudo = random->Values(g.input_size());
  problem.w_pseudo = random->Values(g.kernel_size());

  // A derivative costs a whole convolution.
  const int64_t affordable = 150000 / std::max<int64_t>(1, g.output_size() * g.run());
  problem.at_x = Choose(g.input_size(), std::max<int64_t>(3, affordable), random);
  problem.at_w = at_w.empty() ? Choose(g.kernel_size(), std::max<int64_t>(3, affordable), random) : std::move(at_w);
  std::vector<Dual> x = Variables(problem.x, options.input_ste, problem.x_pseudo);
  std::vector<Dual> w = Variables(problem.w, options.kernel.kernel.ste, problem.w_pseudo);
  const auto differentiate = [&](const std::vector<int64_t>& at, std::vector<Dual>* u, std::vector<double>* d,
                                 std::vector<double>* size) {
    for (int64_t index : at) {
      (*u)[index].d = (*u)[index].dsize = 1;
      const Dual loss = Loss(problem, x, w);
      (*u)[index].d = (*u)[index].dsize = 0;
      d->push_back(loss.d);
      size->push_back(loss.dsize);
    }
  };
  differentiate(problem.at_x, &x, &problem.dx, &problem.dx_size);
  differentiate(problem.at_w, &w, &problem.dw, &problem.dw_size);
  return problem;
}

Options RandomOptions(bool binary_input, Random* random) {
  const std::vector<Ste> stes = {Ste::kIdentity, Ste::kClip, Ste::kCustom};
  Options options;
  options.binary_input = binary_input;
  options.kernel.scaling = random->Of<Scaling>({Scaling::kChannel, Scaling::kTensor, Scaling::kNone});
  options.kernel.scale_gradient = random->Chance(0.7);
  options.kernel.kernel.ste = random->Of(stes);
  options.xnor.input_scaling = random->Chance(0.6);
  options.xnor.pad_value = static_cast<int>(random->Int(-1, 1));
  options.input_ste = random->Of(stes);
  return options;
}

// The problems are the same for every backend, so they are solved once.
const std::vector<Problem>& ProblemsOverShapes() {
  static const std::vector<Problem> problems = [] {
    Random random(60);
    std::vector<ConvGeometry> shapes = RandomShapes(60, 40000, &random);
    for (const ConvGeometry& g : ListedShapes()) {
      if (g.output_size() * g.run() <= 60000) shapes.push_back(g);
    }
    std::vector<Problem> solved;
    for (const ConvGeometry& g : shapes) {
      for (bool binary_input : {false, true}) solved.push_back(Solve(g, RandomOptions(binary_input, &random), &random));
    }
    // A kernel whose rows are worked on in three chunks of a hundred: a weight of every tenth row, the first of each chunk among
    // them.
    const ConvGeometry large = Shape(1, 1, 1, 300).Kernel(1, 1, 130).Make();
    std::vector<int64_t> at_w;
    for (int64_t row = 0; row < large.run(); row += 10) at_w.push_back(row * large.filters + row % large.filters);
    for (Scaling scaling : {Scaling::kChannel, Scaling::kTensor}) {
      Options options;
      options.binary_input = false;
      options.kernel.scaling = scaling;
      options.kernel.kernel.ste = Ste::kClip;
      solved.push_back(Solve(large, options, &random, at_w));
    }
    return solved;
  }();
  return problems;
}

const std::vector<Problem>& ProblemsOverOptions() {
  static const std::vector<Problem> problems = [] {
    Random random(61);
    const ConvGeometry g = Shape(2, 3, 4, 4).Kernel(3, 2, 6).Groups(2).Make();
    std::vector<Problem> solved;
    for (Scaling scaling : {Scaling::kChannel, Scaling::kTensor, Scaling::kNone}) {
      for (bool scale_gradient : {false, true}) {
        for (Ste ste : {Ste::kIdentity, Ste::kClip, Ste::kCustom}) {
          Options options;
          options.kernel.scaling = scaling;
          options.kernel.scale_gradient = scale_gradient;
          options.kernel.kernel.ste = ste;
          options.binary_input = false;
          solved.push_back(Solve(g, options, &random));
          options.binary_input = true;
          for (Ste input_ste : {Ste::kIdentity, Ste::kClip, Ste::kCustom}) {
            for (bool input_scaling : {false, true}) {
              for (int pad_value : {-1, 0, 1}) {
                options.input_ste = input_ste;
                options.xnor = {input_scaling, pad_value};
                solved.push_back(Solve(g, options, &random));
              }
            }
          }
        }
      }
    }
    return solved;
  }();
  return problems;
}

struct Gradients {
  std::vector<float> dx, dw;
};

Gradients RunGradients(const Executor& executor, const Problem& problem, Guard guard) {
  const ConvGeometry& g = problem.g;
  const Options& options = problem.options;
  const Guarded<float> x(problem.x, guard), w(problem.w, guard), dy(problem.dy, guard);
  const Guarded<float> x_pseudo(problem.x_pseudo, guard), w_pseudo(problem.w_pseudo, guard);
  Guarded<float> dx(g.input_size(), guard), dw(g.kernel_size(), guard);
  // What is not "custom" has no values.
  const auto pseudo = [](Ste ste, const Guarded<float>& values) {
    return PseudoGradient{ste, ste == Ste::kCustom ? values.data() : nullptr};
  };
  KernelGradOptions kernel = options.kernel;
  kernel.kernel = pseudo(options.kernel.kernel.ste, w_pseudo);
  if (options.binary_input) {
    Guarded<char> scratch(XnorConvGradScratchBytes(executor, g, options.xnor), guard);
    XnorConvGrad(executor, g, kernel, options.xnor, pseudo(options.input_ste, x_pseudo), x.data(), w.data(), dy.data(), dx.data(),
                 dw.data(), scratch.data());
  } else {
    Guarded<char> scratch(SignConvGradScratchBytes(executor, g), guard);
    SignConvGrad(executor, g, kernel, x.data(), w.data(), dy.data(), dx.data(), dw.data(), scratch.data());
  }
  return {dx.Values(), dw.Values()};
}

class ConvGradTest : public BackendTest {
 protected:
  // alpha is off by at most 34 roundings, K by channels/8 + 10, each of three sums in a row by 8 (see SignConvTest) of what it
  // would be without cancellation.
  static std::vector<double> Bound(const ConvGeometry& g, std::vector<double> sizes) {
    const double roundings = 34 + static_cast<double>(g.group_channels()) / 8 + 10 + 3 * 8;
    for (double& size : sizes) size *= roundings * kRounding;
    return sizes;
  }

  static std::vector<float> At(const std::vector<float>& values, const std::vector<int64_t>& indices) {
    std::vector<float> some;
    for (int64_t index : indices) some.push_back(values[index]);
    return some;
  }

  // A failure names the place in the list of variables; where there are few, that is the place in memory.
  void Check(const Problem& problem, Guard guard) const {
    const Gradients got = RunGradients({backend(), kSerial}, problem, guard);
    const std::string where = Where(problem.Describe());
    ASSERT_TRUE(Agree(where + ", dx", {static_cast<int64_t>(problem.at_x.size())}, At(got.dx, problem.at_x), problem.dx,
                      Bound(problem.g, problem.dx_size)));
    ASSERT_TRUE(Agree(where + ", dkernel", {static_cast<int64_t>(problem.at_w.size())}, At(got.dw, problem.at_w), problem.dw,
                      Bound(problem.g, problem.dw_size)));
    for (float value : got.dx) ASSERT_TRUE(std::isfinite(value)) << where;
    for (float value : got.dw) ASSERT_TRUE(std::isfinite(value)) << where;
  }
};

TEST_P(ConvGradTest, EveryShape) {
  int turn = 0;
  for (const Problem& problem : ProblemsOverShapes()) {
    ASSERT_NO_FATAL_FAILURE(Check(problem, turn++ % 2 ? Guard::kAfter : Guard::kBefore));
  }
}

TEST_P(ConvGradTest, EveryOption) {
  for (const Problem& problem : ProblemsOverOptions()) ASSERT_NO_FATAL_FAILURE(Check(problem, Guard::kAfter));
}

TEST_P(ConvGradTest, ThreadsChangeNoBit) {
  Random random(62);
  const ThreadFor two(2), three(3);
  const BackwardsFor backwards;
  for (const ConvGeometry& g :
       {Shape(3, 9, 8, 70).Kernel(3, 3, 130).Make(), Shape(2, 6, 6, 6).Kernel(2, 3, 9).Groups(3).Strides(2, 1).Make(),
        Shape(1, 5, 5, 33).Kernel(3, 3, 17).Dilations(2, 2).Make(), Shape(1, 1, 1, 200).Kernel(1, 1, 70).Make()}) {
    for (bool binary_input : {false, true}) {
      Problem problem;
      problem.g = g;
      problem.options = RandomOptions(binary_input, &random);
      if (g.run() > 500) problem.options.kernel = {};  // through alpha, which is summed in several chunks there
      problem.x = random.Values(g.input_size());
      problem.w = random.Values(g.kernel_size());
      problem.dy = random.Values(g.output_size());
      problem.x_pseudo = random.Values(g.input_size());
      problem.w_pseudo = random.Values(g.kernel_size());
      const Gradients serial = RunGradients({backend(), kSerial}, problem, Guard::kAfter);
      for (float value : serial.dw) ASSERT_TRUE(std::isfinite(value)) << Where(problem.Describe());
      for (const ParallelFor* parallel : {static_cast<const ParallelFor*>(&two), static_cast<const ParallelFor*>(&three),
                                          static_cast<const ParallelFor*>(&backwards)}) {
        const Gradients other = RunGradients({backend(), *parallel}, problem, Guard::kAfter);
        const std::string where = Where(problem.Describe()) + ", " + std::to_string(parallel->workers()) + " workers";
        ASSERT_TRUE(Identical(where + ", dx", InputShape(g), other.dx, serial.dx));
        ASSERT_TRUE(Identical(where + ", dkernel", KernelShape(g), other.dw, serial.dw));
      }
    }
  }
}

TEST_P(ConvGradTest, AnEmptyOutputGivesZeros) {
  Random random(63);
  for (const Shape& shape : {Shape(0, 4, 4, 3), Shape(1, 0, 4, 3)}) {
    for (bool binary_input : {false, true}) {
      Problem problem;
      problem.g = shape.Make();
      problem.options.binary_input = binary_input;
      problem.w = random.Values(problem.g.kernel_size());
      const Gradients got = RunGradients({backend(), kSerial}, problem, Guard::kAfter);
      EXPECT_TRUE(got.dx.empty());
      EXPECT_EQ(got.dw, std::vector<float>(problem.g.kernel_size(), 0.0f));
    }
  }
}

BNN_FOR_EACH_BACKEND(ConvGradTest);

}  // namespace
}  // namespace bnn::testing
