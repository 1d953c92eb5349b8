// What holds in a child process after fork().
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace bnn::testing {

// Whether `test()` is true in a child of this process; a child that hangs dies of its alarm.
template <typename F>
bool HoldsInAChild(const F& test) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    std::_Exit(test() ? 0 : 1);
  }
  int status = -1;
  return child != -1 && waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace bnn::testing
