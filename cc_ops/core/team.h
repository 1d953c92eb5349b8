// How many threads a call may use while others run too.
//
// Every call counts its threads in one number of the process, and takes helpers only while that number is below the processors
// (or below what the call itself asked for, if that is more). Calls that run side by side thus share the machine instead of each
// bringing a team of its own: with all processors busy, a call runs on its caller's thread alone.
#pragma once

namespace bnn {

// OMP_NUM_THREADS, else the processors that this process may use.
int DefaultThreads();

class Team {
 public:
  // The calling thread and up to `wanted` - 1 more, until destroyed.
  explicit Team(int wanted);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

 private:
  int size_;
};

}  // namespace bnn
