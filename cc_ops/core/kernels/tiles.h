// Cuts rows x blocks into register tiles and calls `Tile::Run<rows, blocks>` on each.
//
// Rows are cut evenly (49 rows with tiles of at most 6 give nine tiles of 5 and 6, not eight of 6 and one of 1: a thin tile costs
// almost as much as a full one). A panel of blocks stays in the cache while all rows pass by it.
//
// Included by each backend and instantiated inside its target region, so everything is a template on the backend's own type.
#pragma once

#include <cstdint>

namespace bnn {
namespace {

// How many rows a tile of this many blocks has at most.
template <typename Tile, int kBlocks>
inline constexpr int kTileRows = Tile::kMaxRows;

template <typename Tile, int kBlocks, int kRows, typename Gemm>
void RunRows(const Gemm& gemm, int64_t rows, int64_t row, int64_t column) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return RunRows<Tile, kBlocks, kRows - 1>(gemm, rows, row, column);
  }
  Tile::template Run<kRows, kBlocks>(gemm, row, column);
}

template <typename Tile, int kBlocks, typename Gemm>
void RunPanel(const Gemm& gemm, int64_t rows, int64_t column) {
  constexpr int kMaxRows = kTileRows<Tile, kBlocks>;
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t row = tile * rows / tiles, next = (tile + 1) * rows / tiles;
    RunRows<Tile, kBlocks, kMaxRows>(gemm, next - row, row, column);
  }
}

template <typename Tile, int kBlocks, typename Gemm>
void RunBlocks(const Gemm& gemm, int64_t rows, int64_t blocks, int64_t column) {
  if constexpr (kBlocks > 1) {
    if (blocks < kBlocks) return RunBlocks<Tile, kBlocks - 1>(gemm, rows, blocks, column);
  }
  RunPanel<Tile, kBlocks>(gemm, rows, column);
}

template <typename Tile, typename Gemm>
void ForTiles(const Gemm& gemm, int64_t rows, int64_t blocks) {
  constexpr int64_t kLanesPerBlock = 16;
  for (int64_t block = 0; block < blocks; block += Tile::kMaxBlocks) {
    RunBlocks<Tile, Tile::kMaxBlocks>(gemm, rows, blocks - block, block * kLanesPerBlock);
  }
}

}  // namespace
}  // namespace bnn
