// What a child process after fork() must know: it has its parent's memory, with every lock as it was, but of its threads only the
// one that forked. A lock that another thread held just then is never released.
#pragma once

namespace bnn {

// How many forks lie between this process and the one that loaded this code. Whoever keeps a lock between calls keeps this number
// beside it, and in a process of another number leaves both alone.
int ForkCount();

}  // namespace bnn
