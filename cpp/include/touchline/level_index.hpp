// The price levels of one side in price order: a sorted list cut into chunks of at most 64, under a sorted directory.
//
// Keys are prices turned so that the best is the greatest on either side (`key_of`), so the touch is the end of the
// last chunk: the best level, the next best and the removal of the best cost O(1), an insertion near the touch moves a
// few dozen bytes, one far from it at most a chunk of them after O(log levels) steps. Nothing depends on how far apart
// prices lie.
//
// Invariants: keys ascend through the chunks; no chunk is empty; two neighbours together hold more than `kMergeAt`
// keys, so that `n` levels never need more than n/16 + 2 chunks; `separators_[i]` is above every key of chunk i-1 and
// at most the first key of chunk i (for i > 0).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "touchline/message.hpp"
#include "touchline/storage.hpp"

namespace touchline {

class LevelIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
    static constexpr std::uint32_t kChunkKeys = 64;
    static constexpr std::uint32_t kMergeAt = 32;

    /// Bitwise not turns the order of all 64-bit numbers round, without the overflow of a minus sign.
    static constexpr std::int64_t key_of(Side side, std::int64_t price) noexcept {
        return side == Side::bid ? price : ~price;
    }

    /// Makes room for that many levels. False when the memory cannot be had; what was there stays as it was.
    [[nodiscard]] bool reserve(std::size_t levels) noexcept {
        const std::size_t chunks = levels / 16 + 2;
        if (!chunks_.grow(chunks) || !separators_.grow(chunks) || !order_.grow(chunks) || !free_.grow(chunks)) {
            return false;
        }
        return true;
    }

    std::uint32_t best() const noexcept { return best_; }
    std::uint32_t count() const noexcept { return levels_; }

    /// The level with that key, or `kNone`.
    std::uint32_t find(std::int64_t key) const noexcept {
        if (directory_ == 0) {
            return kNone;
        }
        const Chunk& chunk = chunks_[order_[chunk_for(key)]];
        const std::uint32_t at = lower_bound(chunk, key);
        return at < chunk.count && chunk.keys[at] == key ? chunk.levels[at] : kNone;
    }

    /// Adds a level whose key is not there. There must be room.
    void insert(std::int64_t key, std::uint32_t level) noexcept {
        ++levels_;
        if (directory_ == 0) {
            const std::uint32_t fresh = take_chunk();
            chunks_[fresh].keys[0] = key;
            chunks_[fresh].levels[0] = level;
            chunks_[fresh].count = 1;
            order_[0] = fresh;
            separators_[0] = key;
            directory_ = 1;
            best_ = level;
            return;
        }
        std::uint32_t place = chunk_for(key);
        if (chunks_[order_[place]].count == kChunkKeys) {
            split(place);
            place += key >= separators_[place + 1] ? 1 : 0;
        }
        Chunk& chunk = chunks_[order_[place]];
        const std::uint32_t at = lower_bound(chunk, key);
        const std::uint32_t after = chunk.count - at;
        std::memmove(&chunk.keys[at + 1], &chunk.keys[at], after * sizeof(chunk.keys[0]));
        std::memmove(&chunk.levels[at + 1], &chunk.levels[at], after * sizeof(chunk.levels[0]));
        chunk.keys[at] = key;
        chunk.levels[at] = level;
        ++chunk.count;
        refresh_best();
    }

    /// Removes a key that is there.
    void erase(std::int64_t key) noexcept {
        --levels_;
        const std::uint32_t place = chunk_for(key);
        Chunk& chunk = chunks_[order_[place]];
        const std::uint32_t at = lower_bound(chunk, key);
        const std::uint32_t after = chunk.count - at - 1;
        std::memmove(&chunk.keys[at], &chunk.keys[at + 1], after * sizeof(chunk.keys[0]));
        std::memmove(&chunk.levels[at], &chunk.levels[at + 1], after * sizeof(chunk.levels[0]));
        --chunk.count;
        shrink(place);
        refresh_best();
    }

    /// Calls `visit(key, level)` from the best level on until it answers false.
    template <class Visit>
    void walk(Visit&& visit) const noexcept {
        for (std::uint32_t place = directory_; place-- > 0;) {
            const Chunk& chunk = chunks_[order_[place]];
            for (std::uint32_t at = chunk.count; at-- > 0;) {
                if (!visit(chunk.keys[at], chunk.levels[at])) {
                    return;
                }
            }
        }
    }

    /// Whether every invariant named above holds.
    bool is_sound() const noexcept {
        std::uint32_t seen = 0;
        bool has_last = false;
        std::int64_t last = 0;
        for (std::uint32_t place = 0; place < directory_; ++place) {
            const Chunk& chunk = chunks_[order_[place]];
            if (chunk.count == 0 || chunk.count > kChunkKeys) {
                return false;
            }
            if (place > 0) {
                const Chunk& before = chunks_[order_[place - 1]];
                if (before.count + chunk.count <= kMergeAt || separators_[place] <= last ||
                    separators_[place] > chunk.keys[0]) {
                    return false;
                }
            }
            for (std::uint32_t at = 0; at < chunk.count; ++at) {
                if (has_last && chunk.keys[at] <= last) {
                    return false;
                }
                last = chunk.keys[at];
                has_last = true;
            }
            seen += chunk.count;
        }
        if (seen != levels_ || directory_ + free_count_ != used_) {
            return false;
        }
        const std::uint32_t expected_best =
            directory_ == 0 ? kNone : chunks_[order_[directory_ - 1]].levels[chunks_[order_[directory_ - 1]].count - 1];
        return best_ == expected_best;
    }

    std::size_t bytes() const noexcept {
        return chunks_.bytes() + separators_.bytes() + order_.bytes() + free_.bytes();
    }

private:
    struct Chunk {
        std::int64_t keys[kChunkKeys];
        std::uint32_t levels[kChunkKeys];
        std::uint32_t count;
        std::uint32_t reserved;
    };
    static_assert(sizeof(Chunk) == 64 * 12 + 8);

    /// Where in the directory a key is, or would go. The directory must not be empty.
    std::uint32_t chunk_for(std::int64_t key) const noexcept {
        // Most keys are near the touch: ask the last chunk before searching.
        std::uint32_t high = directory_ - 1;
        if (high == 0 || separators_[high] <= key) {
            return high;
        }
        // The last place in [0, high) whose separator is at most the key; the first chunk takes whatever is lower.
        std::uint32_t low = 0;
        while (high - low > 1) {
            const std::uint32_t middle = low + (high - low) / 2;
            if (separators_[middle] <= key) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return low;
    }

    static std::uint32_t lower_bound(const Chunk& chunk, std::int64_t key) noexcept {
        const std::int64_t* const first = chunk.keys;
        return static_cast<std::uint32_t>(std::lower_bound(first, first + chunk.count, key) - first);
    }

    std::uint32_t take_chunk() noexcept {
        const std::uint32_t taken = free_count_ > 0 ? free_[--free_count_] : used_++;
        chunks_[taken].count = 0;
        return taken;
    }

    void open_place(std::uint32_t place) noexcept {
        const std::uint32_t after = directory_ - place;
        std::memmove(&separators_[place + 1], &separators_[place], after * sizeof(std::int64_t));
        std::memmove(&order_[place + 1], &order_[place], after * sizeof(std::uint32_t));
        ++directory_;
    }

    void close_place(std::uint32_t place) noexcept {
        free_[free_count_++] = order_[place];
        const std::uint32_t after = directory_ - place - 1;
        std::memmove(&separators_[place], &separators_[place + 1], after * sizeof(std::int64_t));
        std::memmove(&order_[place], &order_[place + 1], after * sizeof(std::uint32_t));
        --directory_;
    }

    /// Moves the upper half of a full chunk into a new one after it.
    void split(std::uint32_t place) noexcept {
        constexpr std::uint32_t half = kChunkKeys / 2;
        const std::uint32_t fresh = take_chunk();
        Chunk& lower = chunks_[order_[place]];
        Chunk& upper = chunks_[fresh];
        std::memcpy(upper.keys, lower.keys + half, half * sizeof(lower.keys[0]));
        std::memcpy(upper.levels, lower.levels + half, half * sizeof(lower.levels[0]));
        lower.count = half;
        upper.count = half;
        open_place(place + 1);
        order_[place + 1] = fresh;
        separators_[place + 1] = upper.keys[0];
    }

    /// Restores the invariants after a chunk has lost a key.
    void shrink(std::uint32_t place) noexcept {
        const std::uint32_t count = chunks_[order_[place]].count;
        if (count > kMergeAt) {
            return;
        }
        if (count == 0) {
            close_place(place);
        } else if (place > 0 && chunks_[order_[place - 1]].count + count <= kMergeAt) {
            merge_into(place - 1);
        } else if (place + 1 < directory_ && chunks_[order_[place + 1]].count + count <= kMergeAt) {
            merge_into(place);
        }
    }

    /// Moves everything of the chunk after `place` to the end of the one at `place`.
    void merge_into(std::uint32_t place) noexcept {
        Chunk& lower = chunks_[order_[place]];
        const Chunk& upper = chunks_[order_[place + 1]];
        std::memcpy(lower.keys + lower.count, upper.keys, upper.count * sizeof(lower.keys[0]));
        std::memcpy(lower.levels + lower.count, upper.levels, upper.count * sizeof(lower.levels[0]));
        lower.count += upper.count;
        close_place(place + 1);
    }

    void refresh_best() noexcept {
        if (directory_ == 0) {
            best_ = kNone;
            return;
        }
        const Chunk& last = chunks_[order_[directory_ - 1]];
        best_ = last.levels[last.count - 1];
    }

    Storage<Chunk> chunks_;
    /// The directory, worst chunk first: a key that parts each chunk from the one before, and which chunk it is.
    Storage<std::int64_t> separators_;
    Storage<std::uint32_t> order_;
    Storage<std::uint32_t> free_;
    std::uint32_t directory_ = 0;
    std::uint32_t used_ = 0;
    std::uint32_t free_count_ = 0;
    std::uint32_t levels_ = 0;
    std::uint32_t best_ = kNone;
};

}  // namespace touchline
