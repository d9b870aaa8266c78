// An arena of blocks of three cache lines, from which the level index takes its leaves and the queues their heads.
//
// One arena for both, because a book that has many levels has few queues and the other way round: what either may need at
// worst, together, is less than the sum. Block 0 is never handed out, so that zero can mean none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "touchline/storage.hpp"

namespace touchline {

class Blocks {
public:
    static constexpr std::size_t kBytes = 192;
    /// Numbers of blocks fit 24 bits, so that block and place fit 28.
    static constexpr std::size_t kMost = std::size_t{1} << 24;

    /// Room for so many blocks besides block 0. False, and nothing changed, when the memory cannot be had.
    [[nodiscard]] bool reserve(std::size_t blocks) noexcept { return blocks < kMost && blocks_.grow(blocks + 1); }

    /// Whether `take` may be called.
    bool has_room() const noexcept { return free_ != 0 || used_ < blocks_.size(); }

    /// Whether more than one in sixteen is free.
    bool has_plenty() const noexcept { return taken_ + blocks_.size() / 16 < blocks_.size(); }

    /// A block of arbitrary content. There must be room.
    std::uint32_t take() noexcept {
        ++taken_;
        if (free_ == 0) {
            return used_++;
        }
        const std::uint32_t block = free_;
        free_ = next_of(block);
        return block;
    }

    void give(std::uint32_t block) noexcept {
        std::memcpy(blocks_[block].bytes, &free_, sizeof(free_));
        free_ = block;
        --taken_;
    }

    /// The block as the plain data that its taker keeps there.
    template <class T>
    T& as(std::uint32_t block) noexcept {
        static_assert(sizeof(T) == kBytes && alignof(T) == 64);
        return *reinterpret_cast<T*>(blocks_.data() + block);
    }
    template <class T>
    const T& as(std::uint32_t block) const noexcept {
        static_assert(sizeof(T) == kBytes && alignof(T) == 64);
        return *reinterpret_cast<const T*>(blocks_.data() + block);
    }

    /// Blocks that are taken as the list of free ones tells, for `check`; `kMost` when that is not how many were counted.
    std::size_t count_taken() const noexcept {
        std::uint32_t free = 0;
        for (std::uint32_t at = free_; at != 0 && free <= used_; at = next_of(at)) {
            ++free;
        }
        return used_ - 1 - free == taken_ ? taken_ : kMost;
    }

    std::size_t bytes() const noexcept { return blocks_.bytes(); }

private:
    /// A free block starts with the number of the next free one, or zero. Copied and not assigned: the block was and will
    /// be data of another type.
    struct alignas(64) Block {
        unsigned char bytes[kBytes];
    };
    static_assert(sizeof(Block) == kBytes);

    std::uint32_t next_of(std::uint32_t block) const noexcept {
        std::uint32_t next = 0;
        std::memcpy(&next, blocks_[block].bytes, sizeof(next));
        return next;
    }

    Storage<Block> blocks_;
    std::uint32_t free_ = 0;
    /// Blocks from this one on have never been used.
    std::uint32_t used_ = 1;
    std::uint32_t taken_ = 0;
};

}  // namespace touchline
