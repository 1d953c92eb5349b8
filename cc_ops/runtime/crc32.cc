#include "runtime/crc32.h"

#include <array>
#include <cstring>

namespace bnn {
namespace {

constexpr int kSlices = 8;
using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

// tables[s][b]: what byte b does to the checksum s bytes later.
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (int slice = 1; slice < kSlices; ++slice) {
      const uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = before >> 8 ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32(const void* data, int64_t bytes) {
  const auto* next = static_cast<const unsigned char*>(data);
  uint32_t crc = ~0u;
  for (; bytes >= kSlices; bytes -= kSlices, next += kSlices) {
    uint64_t word;
    std::memcpy(&word, next, sizeof word);  // little-endian, as the format is
    word ^= crc;
    crc = 0;
    for (int i = 0; i < kSlices; ++i) crc ^= kTables[kSlices - 1 - i][word >> (8 * i) & 0xFF];
  }
  for (; bytes > 0; --bytes) crc = crc >> 8 ^ kTables[0][(crc ^ *next++) & 0xFF];
  return ~crc;
}

}  // namespace bnn
