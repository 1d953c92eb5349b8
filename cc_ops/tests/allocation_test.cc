// That a call takes its memory from the scratch it is given and from nowhere else.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/conv_grad.h"
#include "core/packed_kernel.h"
#include "core/pool.h"
#include "core/sign_conv.h"
#include "core/xnor_conv.h"
#include "tests/sample_model.h"
#include "tests/sign_networks.h"

namespace {

std::atomic<int64_t> allocations = 0;

}  // namespace

// The whole test program allocates through these. Not inlined: GCC would see malloc behind one `new` and warn of another
// `delete`.
#define NOINLINE __attribute__((noinline))
NOINLINE void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
NOINLINE void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size ? size : 1);
}
NOINLINE void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  ++allocations;
  const auto align = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(align, (size / align + 1) * align);
}
NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
  if (void* memory = ::operator new(size, alignment, std::nothrow)) return memory;
  throw std::bad_alloc();
}
NOINLINE void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
NOINLINE void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
NOINLINE void operator delete(void* memory) noexcept { std::free(memory); }
NOINLINE void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace bnn {
namespace {

struct Aligned {
  explicit Aligned(int64_t bytes) : data(std::aligned_alloc(kScratchAlignment, RoundUp(bytes + 1, kScratchAlignment))) {}
  ~Aligned() { std::free(data); }
  void* data;
};

template <typename Call>
int64_t AllocationsOf(Call call) {
  const int64_t before = allocations;
  call();
  return allocations - before;
}

TEST(Allocation, TheCounterCounts) {
  EXPECT_EQ(AllocationsOf([] { ::operator delete(::operator new(8)); }), 1);
  constexpr std::align_val_t line{64};
  EXPECT_EQ(AllocationsOf([] { ::operator delete(::operator new(8, line), line); }), 1);
  EXPECT_EQ(AllocationsOf([] {}), 0);
}

TEST(Allocation, NoCallAllocates) {
  const SerialFor serial;
  for (const Backend* backend : SupportedBackends()) {
    SCOPED_TRACE(backend->name);
    // The lookup way, the FMA way, groups, K over a large kernel, strides whose gradient is no convolution.
    for (const auto& [kernel, channels, groups, stride] :
         {std::array<int64_t, 4>{3, 64, 1, 1}, {5, 3, 1, 2}, {3, 40, 2, 1}, {11, 8, 1, 1}}) {
      ConvRequest request;
      request.input = {2, 12, 13, channels};
      request.kernel = {kernel, kernel, channels / groups, 48};
      request.strides = {stride, stride};
      request.groups = groups;
      ConvGeometry g;
      ASSERT_EQ(MakeConv(request, &g), "");
      const Executor executor{*backend, serial};
      const XnorOptions options;
      std::vector<float> x(g.input_size(), 0.5f), w(g.kernel_size(), -0.5f), y(g.output_size(), 1.0f), alpha(g.filters);
      std::vector<float> dx(g.input_size()), dw(g.kernel_size());
      std::vector<uint32_t> bits(KernelLayout(g).total_words());
      Aligned xnor(XnorConvScratchBytes(executor, g, options)), sign(SignConvScratchBytes(executor, g));
      Aligned xnor_grad(XnorConvGradScratchBytes(executor, g, options)), sign_grad(SignConvGradScratchBytes(executor, g));

      EXPECT_EQ(AllocationsOf([&] { PackKernel(executor, g, Scaling::kChannel, w.data(), bits.data(), alpha.data()); }), 0);
      EXPECT_EQ(AllocationsOf([&] { XnorConv(executor, g, options, x.data(), bits.data(), alpha.data(), y.data(), xnor.data); }),
                0);
      EXPECT_EQ(AllocationsOf([&] { SignConv(executor, g, x.data(), bits.data(), alpha.data(), y.data(), sign.data); }), 0);
      EXPECT_EQ(AllocationsOf([&] {
                  SignConvGrad(executor, g, {}, x.data(), w.data(), y.data(), dx.data(), dw.data(), sign_grad.data);
                  XnorConvGrad(executor, g, {}, options, {}, x.data(), w.data(), y.data(), dx.data(), dw.data(), xnor_grad.data);
                }),
                0);
    }
  }
}

// A thousand calls on several threads make their jobs, the pool's threads and their queue once. How many jobs: one for each
// helper that is late for a call when the next begins, and one.
TEST(Allocation, SharingACallAllocatesNoMoreThanOnce) {
  const PoolFor pool(3);
  std::atomic<int64_t> done = 0;
  const auto count = Each([&](int64_t, int) { ++done; });
  const int64_t allocated = AllocationsOf([&] {
    for (int i = 0; i < 1000; ++i) pool.Run(64, count);
  });
  EXPECT_EQ(done, 64'000);
  EXPECT_LE(allocated, 20);
}

void CheckLaterRuns(const std::string& file, const Sizes& first, const Sizes& second) {
  std::unique_ptr<PackedModel> model;
  ASSERT_EQ(testing::LoadBytes(file, &model), "");
  std::vector<float> x(std::max(Elements(first), Elements(second)), 0.5f), y(100);
  const auto run = [&](const Sizes& shape) {
    Session session;
    ASSERT_TRUE(model->Open(shape, &session).empty());
    session.Run(x.data(), y.data());
  };
  EXPECT_GT(AllocationsOf([&] { run(first); }), 0);
  EXPECT_GT(AllocationsOf([&] { run(second); }), 0);
  EXPECT_EQ(AllocationsOf([&] {
              run(first);
              run(second);
              run(first);
            }),
            0);
}

// From the second run of a shape on, the packed runtime has its plan and its memory.
TEST(Allocation, NoLaterRunOfAPackedModelAllocates) {
  CheckLaterRuns(testing::SampleModel().Build(), {1, 12, 10, 3}, {2, 15, 11, 3});
  testing::Random random(98);
  testing::SignNetwork net({6, 6, 16}, testing::Numbers::kMonotone, &random);
  net.Conv(testing::Shape(1, 6, 6, 16).Kernel(3, 3, 20).Make());
  net.MaxPool(testing::Shape(1, 6, 6, 20).Kernel(2, 2, 20).Groups(20).Strides(2, 2).Make());
  net.Conv(testing::Shape(1, 3, 3, 20).Kernel(3, 3, 32).Make());
  net.Flatten();
  net.Dense(10);
  CheckLaterRuns(net.builder().Build(), {1, 6, 6, 16}, {3, 6, 6, 16});
}

}  // namespace
}  // namespace bnn
