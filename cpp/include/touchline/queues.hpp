// The heads of queues: what is known of a price at which two or more orders rest.
//
// Sixteen bytes each, eleven to a block. A block that has room stands in a list, one that is empty goes back to the arena;
// `gather` packs what is left in half-used blocks into few.
#pragma once

#include <bit>
#include <cstdint>

#include "touchline/blocks.hpp"

namespace touchline {

struct Queue {
    /// Sum over the queue. Never overflows: an order that would make it is refused.
    std::int64_t qty;
    std::uint32_t head;
    std::uint32_t tail;
};
static_assert(sizeof(Queue) == 16);

class Queues {
public:
    static constexpr std::uint32_t kPerBlock = 11;

    /// Queues are named by block and place: `block << 4 | place`.
    static Queue& at(Blocks& blocks, std::uint32_t queue) noexcept {
        return blocks.as<Room>(queue >> 4).queues[queue & 15];
    }
    static const Queue& at(const Blocks& blocks, std::uint32_t queue) noexcept {
        return blocks.as<Room>(queue >> 4).queues[queue & 15];
    }

    /// A queue of arbitrary content; takes a block at most.
    std::uint32_t take(Blocks& blocks) noexcept {
        if (first_ == 0) {
            const std::uint32_t block = blocks.take();
            blocks.as<Room>(block).holes = kAll;
            link(blocks, block);
        }
        const std::uint32_t block = first_;
        Room& room = blocks.as<Room>(block);
        const auto place = static_cast<std::uint32_t>(std::countr_zero(room.holes));
        room.holes &= room.holes - 1;
        if (room.holes == 0) {
            unlink(blocks, block);
        }
        ++count_;
        return block << 4 | place;
    }

    void give(Blocks& blocks, std::uint32_t queue) noexcept {
        const std::uint32_t block = queue >> 4;
        Room& room = blocks.as<Room>(block);
        if (room.holes == 0) {
            link(blocks, block);
        }
        room.holes |= 1U << (queue & 15);
        --count_;
        if (room.holes == kAll) {
            unlink(blocks, block);
            blocks.give(block);
        }
    }

    /// Moves queues out of half-used blocks until at most one is left; calls `moved(from, to)` with each.
    template <class Moved>
    void gather(Blocks& blocks, Moved&& moved) noexcept {
        while (first_ != 0 && blocks.as<Room>(first_).next != 0) {
            const std::uint32_t block = blocks.as<Room>(first_).next;
            const auto place = static_cast<std::uint32_t>(std::countr_zero(~blocks.as<Room>(block).holes));
            const std::uint32_t from = block << 4 | place;
            const std::uint32_t to = take(blocks);
            at(blocks, to) = at(blocks, from);
            moved(from, to);
            give(blocks, from);
        }
    }

    /// Whether the list of blocks with room is sound, for `check`.
    bool is_sound(const Blocks& blocks) const noexcept {
        std::uint32_t before = 0;
        for (std::uint32_t at = first_; at != 0; at = blocks.as<Room>(at).next) {
            const Room& room = blocks.as<Room>(at);
            if (room.holes == 0 || room.holes == kAll || room.before != before) {
                return false;
            }
            before = at;
        }
        return true;
    }

    /// How many places are free in blocks that have some, for `check`.
    std::uint32_t count_holes(const Blocks& blocks) const noexcept {
        std::uint32_t holes = 0;
        for (std::uint32_t at = first_; at != 0; at = blocks.as<Room>(at).next) {
            holes += static_cast<std::uint32_t>(std::popcount(blocks.as<Room>(at).holes));
        }
        return holes;
    }

    static bool is_taken(const Blocks& blocks, std::uint32_t queue) noexcept {
        return (queue & 15) < kPerBlock && (blocks.as<Room>(queue >> 4).holes >> (queue & 15) & 1) == 0;
    }

    std::uint32_t count() const noexcept { return count_; }

private:
    static constexpr std::uint32_t kAll = (1U << kPerBlock) - 1;

    struct alignas(64) Room {
        Queue queues[kPerBlock];
        /// The places that are free, as bits.
        std::uint32_t holes;
        /// Neighbours in the list of blocks with room.
        std::uint32_t before;
        std::uint32_t next;
        std::uint32_t unused;
    };

    void link(Blocks& blocks, std::uint32_t block) noexcept {
        Room& room = blocks.as<Room>(block);
        room.before = 0;
        room.next = first_;
        if (first_ != 0) {
            blocks.as<Room>(first_).before = block;
        }
        first_ = block;
    }

    void unlink(Blocks& blocks, std::uint32_t block) noexcept {
        const Room& room = blocks.as<Room>(block);
        if (room.next != 0) {
            blocks.as<Room>(room.next).before = room.before;
        }
        if (room.before != 0) {
            blocks.as<Room>(room.before).next = room.next;
        } else {
            first_ = room.next;
        }
    }

    /// The first block with room.
    std::uint32_t first_ = 0;
    std::uint32_t count_ = 0;
};

}  // namespace touchline
