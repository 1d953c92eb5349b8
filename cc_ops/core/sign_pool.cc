#include "core/sign_pool.h"

#include <algorithm>

#include "core/bit_runs.h"

namespace bnn {
namespace {

struct And {
  static uint32_t Join(uint32_t a, uint32_t b) { return a & b; }
};
struct Or {
  static uint32_t Join(uint32_t a, uint32_t b) { return a | b; }
};

class Call {
 public:
  Call(const Executor& executor, const ConvGeometry& g, const SignLayout& input, const SignLayout& output,
       const FallingSigns& falling, void* memory)
      : executor_(executor), g_(g), input_(input), output_(output), falling_(falling), scratch_(memory) {
    lines_ = scratch_.Take<uint32_t>(input.row_words(), executor.parallel.workers());
    fallen_ = scratch_.Take<uint32_t>(falling.bits ? FallenWords() : 0, executor.parallel.workers());
  }

  int64_t bytes() const { return scratch_.bytes(); }

  void Run(const uint32_t* x, uint32_t* y) const {
    const auto row = Each([&](int64_t item, int worker) {
      const int64_t p = item % g_.h.out, group = item / g_.h.out % output_.groups, n = item / g_.h.out / output_.groups;
      RunRow(x, n, group, p, y + output_.RowAt(n, group, p), worker);
    });
    executor_.parallel.Run(g_.batch * output_.groups * g_.h.out, row);
  }

 private:
  int64_t FallenWords() const { return FallingWords(output_) + 1; }

  void RunRow(const uint32_t* x, int64_t n, int64_t group, int64_t p, uint32_t* y, int worker) const {
    uint32_t* to = y + output_.first_bit() / kWordBits;
    Reduce<And>(x, n, group, p, to, worker);
    if (falling_.bits) {
      const int64_t words = FallingWords(output_);
      uint32_t* fallen = fallen_ + worker * FallenWords();
      Reduce<Or>(x, n, group, p, fallen, worker);
      const uint32_t* falls = falling_.bits + (group * falling_.rows + (falling_.rows > 1 ? p : 0)) * words;
      for (int64_t word = 0; word < words; ++word) to[word] = (to[word] & ~falls[word]) | (fallen[word] & falls[word]);
    }
    output_.FillPadding(y);
  }

  template <typename Op>
  void Reduce(const uint32_t* x, int64_t n, int64_t group, int64_t p, uint32_t* to, int worker) const {
    // First the rows of the windows, whole words of all columns at once.
    const Axis::Range rows = g_.h.Inside(p);
    const int64_t words = input_.row_words();
    const uint32_t* line = x + input_.RowAt(n, group, g_.h.At(p, rows.first));
    if (rows.size() > 1) {
      uint32_t* joined = lines_ + worker * words;
      std::copy_n(line, words, joined);
      for (int64_t i = rows.first + 1; i < rows.last; ++i) {
        const uint32_t* next = x + input_.RowAt(n, group, g_.h.At(p, i));
        for (int64_t word = 0; word < words; ++word) joined[word] = Op::Join(joined[word], next[word]);
      }
      line = joined;
    }
    const int64_t channels = output_.group_channels();
    BitWriter writer(to);
    for (int64_t q = 0; q < g_.w.out; ++q) {
      const Axis::Range taps = g_.w.Inside(q);
      const int64_t first = input_.first_bit() + g_.w.At(q, taps.first) * channels, step = g_.w.dilation * channels;
      for (int64_t c = 0; c < channels; c += kWordBits) {
        const int64_t count = std::min<int64_t>(kWordBits, channels - c);
        uint32_t bits = ReadBits(line, first + c, count);
        for (int64_t tap = 1; tap < taps.size(); ++tap) bits = Op::Join(bits, ReadBits(line, first + tap * step + c, count));
        writer.Append(bits, count);
      }
    }
    writer.Finish();
  }

  const Executor& executor_;
  const ConvGeometry& g_;
  const SignLayout &input_, &output_;
  const FallingSigns& falling_;
  ScratchCursor scratch_;
  uint32_t* lines_;   // of each worker: the rows of a window joined
  uint32_t* fallen_;  // of each worker: a row of the output
};

}  // namespace

int64_t SignPoolScratchBytes(const Executor& executor, const ConvGeometry& g, const SignLayout& input, const SignLayout& output,
                             const FallingSigns& falling) {
  return Call(executor, g, input, output, falling, nullptr).bytes();
}

void SignPool(const Executor& executor, const ConvGeometry& g, const SignLayout& input, const SignLayout& output,
              const FallingSigns& falling, const uint32_t* x, uint32_t* y, void* scratch) {
  Call(executor, g, input, output, falling, scratch).Run(x, y);
}

}  // namespace bnn
