#include "core/sign_pad.h"

#include "core/bit_runs.h"

namespace bnn {

void SignPad(const ParallelFor& parallel, const SignLayout& input, const SignLayout& output, const SignPadding& padding,
             const uint32_t* x, uint32_t* y) {
  const int64_t channels = output.group_channels(), columns = input.width * channels;
  const auto row = Each([&](int64_t item, int) {
    const int64_t p = item % output.height, group = item / output.height % output.groups,
                  n = item / output.height / output.groups;
    const int64_t h = p - padding.top;
    const bool inside = h >= 0 && h < input.height;
    const uint32_t* outside = padding.bits + group * SignPadWords(output);
    uint32_t* to = y + output.RowAt(n, group, p);
    BitWriter writer(to + output.first_bit() / kWordBits);
    for (int64_t q = 0; q < output.width;) {
      if (inside && q == padding.left) {
        writer.Append(x + input.RowAt(n, group, h), input.first_bit(), columns);
        q += input.width;
      } else {
        writer.Append(outside, 0, channels);
        ++q;
      }
    }
    writer.Finish();
    output.FillPadding(to);
  });
  parallel.Run(output.batch * output.groups * output.height, row);
}

}  // namespace bnn
