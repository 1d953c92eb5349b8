#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "runtime/file.h"

namespace bnn {
namespace {

// Pages are shared by all processes that run the model, and read from disk when first used.
class Mapping final : public Bytes {
 public:
  Mapping(const char* data, int64_t size) {
    data_ = data;
    size_ = size;
  }
  ~Mapping() override { munmap(const_cast<char*>(data_), size_); }
};

class Copy final : public Bytes {
 public:
  Copy(char* data, int64_t size) {
    data_ = data;
    size_ = size;
  }
  ~Copy() override { ::operator delete(const_cast<char*>(data_), std::align_val_t(kFileAlignment)); }
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Message CantOpen(const std::string& path) { return path + ": can't be opened: " + std::strerror(errno) + "."; }

}  // namespace

Message MapFile(const std::string& path, std::shared_ptr<const Bytes>* bytes) {
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe would wait for its writer
  struct stat status;
  if (descriptor.number() < 0 || fstat(descriptor.number(), &status) != 0) return CantOpen(path);
  if (!S_ISREG(status.st_mode)) return path + ": is no file. Expected a packed model, as bnn_tf.pack writes it.";
  if (status.st_size == 0) return path + ": is empty. Expected a packed model, as bnn_tf.pack writes it.";
  void* memory = mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, descriptor.number(), 0);
  if (memory == MAP_FAILED) return CantOpen(path);
  *bytes = std::make_shared<Mapping>(static_cast<const char*>(memory), status.st_size);
  return {};
}

Message CopyBytes(const void* data, int64_t size, std::shared_ptr<const Bytes>* bytes) {
  void* memory = ::operator new(size, std::align_val_t(kFileAlignment), std::nothrow);
  if (!memory) return "there is no memory for a copy of " + std::to_string(size) + " bytes.";
  std::memcpy(memory, data, size);
  *bytes = std::make_shared<Copy>(static_cast<char*>(memory), size);
  return {};
}

}  // namespace bnn
