// What this machine can do at most with the instructions of a backend: the inner loop's own instructions on registers, with no
// memory and no dependences between them. Measured in the same run as everything that is set against it.
#pragma once

#include <string>

namespace bnn::bench {

// In 10^9 operations a second on one core, two a multiply-add (or xor and count of one bit); 0 where there is no such loop.
struct Ceilings {
  double xnor = 0;
  double fma = 0;
};

// Of a backend, measured once a process.
const Ceilings& CeilingsOf(const std::string& backend);

}  // namespace bnn::bench
