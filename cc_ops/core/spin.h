// Waiting awake, for a moment: what a thread does before it goes to sleep.
//
// Waking a sleeping thread costs some 50 us on a virtual machine, as much as a small layer, and the layers of a network follow
// each other within less. But whoever stays awake for long takes a processor from the next float op, or from the very thread it
// waits for.
#pragma once

#include <chrono>

namespace bnn {

inline constexpr std::chrono::microseconds kSpinTime{25};

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True once `ready()`; false if that takes longer than kSpinTime.
template <typename Ready>
bool SpinUntil(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace bnn
