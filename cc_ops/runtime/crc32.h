// The CRC-32 of zlib, gzip and PNG: polynomial 0xEDB88320, eight bytes a step (Intel's "slicing-by-8", Kounavis and Berry, 2005).
#pragma once

#include <cstdint>

namespace bnn {

uint32_t Crc32(const void* data, int64_t bytes);

}  // namespace bnn
