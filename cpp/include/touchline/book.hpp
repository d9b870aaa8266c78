// The resting orders: an arena of orders in queues under price levels, and the indexes that find them.
//
// Owns all memory of the core. Knows nothing of messages and reports: `matching_core.hpp` decides, this file keeps. All
// links are 32-bit slot numbers, so an order takes 32 bytes and a level 32, two to a cache line.
//
// Costs: rest, remove, reduce, requeue O(1) when the level exists or keeps an order, O(log levels) when a level comes or
// goes; find O(1) expected; best O(1). Nothing is allocated except by `room_for_order` and `room_for_level`.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "touchline/id_index.hpp"
#include "touchline/level_index.hpp"
#include "touchline/message.hpp"
#include "touchline/storage.hpp"

namespace touchline {

inline constexpr std::uint32_t kNone = 0xFFFF'FFFF;

/// More slots than this do not fit the level field of an order.
inline constexpr std::uint32_t kSlotsMax = 1U << 28;

/// A resting order, or a free slot when `qty` is zero; `next` then leads to the next free slot.
struct Order {
    std::uint64_t id;
    std::int64_t qty;
    std::uint32_t prev;
    std::uint32_t next;
    std::uint32_t level : 29;
    /// The `SelfTrade` it arrived with: a modify that trades needs it again.
    std::uint32_t stp : 3;
    std::uint32_t owner;
};
static_assert(sizeof(Order) == 32);

/// A price level, or a free slot when `count` is zero; `head` then leads to the next free slot.
struct Level {
    std::int64_t price;
    /// Sum over the queue. Never overflows: an order that would make it is refused.
    std::int64_t qty;
    std::uint32_t head;
    std::uint32_t tail;
    std::uint32_t count;
    Side side;
    std::uint8_t reserved[3];
};
static_assert(sizeof(Level) == 32);

class Book {
public:
    /// An empty book. When the memory cannot be had its capacities stay zero and it takes no orders.
    Book(std::uint32_t orders, std::uint32_t levels, bool may_grow) noexcept : may_grow_(may_grow) {
        if (grow_orders(std::clamp(orders, 1U, kSlotsMax))) {
            (void)grow_levels(std::clamp(levels, 1U, kSlotsMax));
        }
    }

    // --- Finding -----------------------------------------------------------------------------------------------------

    std::uint32_t find(std::uint64_t id, std::uint32_t hash) const noexcept {
        return ids_.find(hash, [&](std::uint32_t slot) { return orders_[slot].id == id; });
    }

    std::uint32_t find(std::uint64_t id) const noexcept { return find(id, IdIndex::hash_of(id)); }

    /// The level at a price, or `kNone`.
    std::uint32_t find_level(Side side, std::int64_t price) const noexcept {
        if (levels_used_ == 0) {
            return kNone;
        }
        // A hint may be stale or another price's; the level itself tells.
        const std::uint32_t hint = hints_[static_cast<std::uint64_t>(price) & hint_mask_];
        const Level& hinted = levels_[hint];
        if (hinted.price == price && hinted.side == side && hinted.count != 0) {
            return hint;
        }
        return index(side).find(LevelIndex::key_of(side, price));
    }

    std::uint32_t best(Side side) const noexcept { return index(side).best(); }

    const Order& order(std::uint32_t slot) const noexcept { return orders_[slot]; }
    const Level& level(std::uint32_t slot) const noexcept { return levels_[slot]; }
    const Level& level_of(std::uint32_t order_slot) const noexcept { return levels_[orders_[order_slot].level]; }

    /// Whether an order of `side` at `price` could trade at once.
    bool crosses(Side side, std::int64_t price) const noexcept {
        const std::uint32_t touch = best(opposite(side));
        if (touch == kNone) {
            return false;
        }
        return side == Side::bid ? levels_[touch].price <= price : levels_[touch].price >= price;
    }

    /// Calls `visit(level)` from the side's best level on until it answers false.
    template <class Visit>
    void walk_levels(Side side, Visit&& visit) const noexcept {
        index(side).walk([&](std::int64_t, std::uint32_t slot) { return visit(levels_[slot]); });
    }

    std::uint32_t order_count() const noexcept { return order_count_; }
    std::uint32_t level_count(Side side) const noexcept { return index(side).count(); }
    std::uint32_t order_capacity() const noexcept { return static_cast<std::uint32_t>(orders_.size()); }

    std::size_t memory_bytes() const noexcept {
        return orders_.bytes() + levels_.bytes() + hints_.bytes() + ids_.bytes() + sides_[0].bytes() +
               sides_[1].bytes();
    }

    // --- Room --------------------------------------------------------------------------------------------------------

    /// Whether one more order has a slot, after growth where that is allowed.
    bool room_for_order() noexcept {
        return free_order_ != kNone || orders_used_ < orders_.size() ||
               (may_grow_ && grow_orders(std::min<std::size_t>(orders_.size() * 2, kSlotsMax)));
    }

    /// Whether one more level has a slot, after growth where that is allowed.
    bool room_for_level() noexcept {
        return free_level_ != kNone || levels_used_ < levels_.size() ||
               (may_grow_ && grow_levels(std::min<std::size_t>(levels_.size() * 2, kSlotsMax)));
    }

    // --- Changing ----------------------------------------------------------------------------------------------------

    struct Rest {
        std::uint64_t id;
        std::int64_t price;
        std::int64_t qty;
        std::uint32_t hash;
        std::uint32_t owner;
        Side side;
        SelfTrade stp;
    };

    /// Puts an order at the end of the queue of `level`, or of a new level when that is `kNone`. There must be room.
    void rest(const Rest& rest, std::uint32_t level) noexcept {
        if (level == kNone) {
            level = take_level(rest.side, rest.price);
        }
        const std::uint32_t slot = take_order();
        Order& order = orders_[slot];
        order.id = rest.id;
        order.qty = rest.qty;
        order.level = level & (kSlotsMax * 2 - 1);
        order.stp = static_cast<std::uint32_t>(rest.stp) & 7;
        order.owner = rest.owner;
        append(slot);
        levels_[level].qty += rest.qty;
        ++levels_[level].count;
        ids_.insert(rest.hash, slot);
        ++order_count_;
    }

    /// Takes an order out, and its level when that was its last.
    void remove(std::uint32_t slot) noexcept { remove(slot, IdIndex::hash_of(orders_[slot].id)); }

    void remove(std::uint32_t slot, std::uint32_t hash) noexcept {
        ids_.erase(hash, slot);
        Order& order = orders_[slot];
        Level& level = levels_[order.level];
        level.qty -= order.qty;
        if (--level.count == 0) {
            index(level.side).erase(LevelIndex::key_of(level.side, level.price));
            level.head = free_level_;
            free_level_ = order.level;
        } else {
            unlink(slot);
        }
        order.qty = 0;
        order.next = free_order_;
        free_order_ = slot;
        --order_count_;
    }

    /// Takes `by` lots, fewer than it has, from an order that keeps its place.
    void reduce(std::uint32_t slot, std::int64_t by) noexcept {
        Order& order = orders_[slot];
        order.qty -= by;
        levels_[order.level].qty -= by;
    }

    /// Gives an order a larger quantity and the last place of its queue.
    void requeue(std::uint32_t slot, std::int64_t qty) noexcept {
        Order& order = orders_[slot];
        Level& level = levels_[order.level];
        level.qty += qty - order.qty;
        order.qty = qty;
        if (level.tail != slot) {
            unlink(slot);
            append(slot);
        }
    }

private:
    friend class Checker;

    LevelIndex& index(Side side) noexcept { return sides_[static_cast<std::size_t>(side)]; }
    const LevelIndex& index(Side side) const noexcept { return sides_[static_cast<std::size_t>(side)]; }

    bool grow_orders(std::size_t size) noexcept {
        // The index first: a larger index over a smaller arena is harmless, the reverse is not.
        return size > orders_.size() && ids_.reserve(size) && orders_.grow(size);
    }

    bool grow_levels(std::size_t size) noexcept {
        if (size <= levels_.size() || !sides_[0].reserve(size) || !sides_[1].reserve(size)) {
            return false;
        }
        const std::size_t hints = std::clamp<std::size_t>(std::bit_ceil(size), 256, 65'536);
        if (hints > hints_.size()) {
            // Old hints would lie in the wrong places, which is harmless: they only have to name some level.
            if (!hints_.grow(hints)) {
                return false;
            }
            hint_mask_ = hints - 1;
        }
        return levels_.grow(size);
    }

    std::uint32_t take_order() noexcept {
        if (free_order_ != kNone) {
            const std::uint32_t slot = free_order_;
            free_order_ = orders_[slot].next;
            return slot;
        }
        return orders_used_++;
    }

    std::uint32_t take_level(Side side, std::int64_t price) noexcept {
        std::uint32_t slot = free_level_;
        if (slot != kNone) {
            free_level_ = levels_[slot].head;
        } else {
            slot = levels_used_++;
        }
        levels_[slot] = Level{price, 0, kNone, kNone, 0, side, {}};
        hints_[static_cast<std::uint64_t>(price) & hint_mask_] = slot;
        index(side).insert(LevelIndex::key_of(side, price), slot);
        return slot;
    }

    void append(std::uint32_t slot) noexcept {
        Order& order = orders_[slot];
        Level& level = levels_[order.level];
        order.prev = level.tail;
        order.next = kNone;
        if (level.tail == kNone) {
            level.head = slot;
        } else {
            orders_[level.tail].next = slot;
        }
        level.tail = slot;
    }

    void unlink(std::uint32_t slot) noexcept {
        const Order& order = orders_[slot];
        Level& level = levels_[order.level];
        if (order.prev == kNone) {
            level.head = order.next;
        } else {
            orders_[order.prev].next = order.next;
        }
        if (order.next == kNone) {
            level.tail = order.prev;
        } else {
            orders_[order.next].prev = order.prev;
        }
    }

    Storage<Order> orders_;
    Storage<Level> levels_;
    /// From the low bits of a price to the level last opened there: found in one load, or searched for in the index.
    Storage<std::uint32_t> hints_;
    std::uint64_t hint_mask_ = 0;
    IdIndex ids_;
    LevelIndex sides_[2];
    std::uint32_t free_order_ = kNone;
    std::uint32_t free_level_ = kNone;
    /// Slots from these on have never been used.
    std::uint32_t orders_used_ = 0;
    std::uint32_t levels_used_ = 0;
    std::uint32_t order_count_ = 0;
    bool may_grow_;
};

}  // namespace touchline
