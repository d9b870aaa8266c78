// The resting orders: an arena of orders in queues under price levels, and the indexes that find them.
//
// Owns all memory of the core. Knows nothing of messages and reports: `matching_core.hpp` decides, this file keeps. All
// links are 32-bit slot numbers, so an order takes 32 bytes and a level 32, two to a cache line.
//
// Costs: rest, remove, reduce, requeue, take_first O(1); O(log levels) when a level comes; find O(1) expected; best O(1).
// Nothing is allocated except by `room_for_order` and `room_for_level`.
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

class Book {
public:
    /// An empty book. When the memory cannot be had its capacities stay zero and it takes no orders.
    Book(std::uint32_t orders, std::uint32_t levels, bool may_grow) noexcept : may_grow_(may_grow) {
        if (grow_orders(std::clamp(orders, 1U, kSlotsMax))) {
            (void)grow_levels(std::clamp(levels, 1U, kSlotsMax));
        }
    }

    // --- Finding -----------------------------------------------------------------------------------------------------

    IdIndex::Found find(std::uint64_t id, std::uint64_t hash) const noexcept {
        return ids_.find(hash, [&](std::uint32_t slot) { return orders_[slot].id == id; });
    }

    bool contains(std::uint64_t id, std::uint64_t hash, IdIndex::Vacancy& vacancy) const noexcept {
        return ids_.contains(hash, vacancy, [&](std::uint32_t slot) { return orders_[slot].id == id; });
    }

    std::uint32_t find(std::uint64_t id) const noexcept { return find(id, IdIndex::hash_of(id)).slot; }

    /// Where the level of a price is, or would be put.
    LevelIndex::Spot find_level(Side side, std::int64_t price) const noexcept {
        if (hint_mask_ != 0) [[likely]] {
            // A hint may be stale or another price's; the level itself tells.
            const std::uint32_t hint = hints_[hint_of(price)];
            const Level& hinted = levels_[hint];
            if (hinted.price == price && hinted.count != 0 && hinted.side() == side) [[likely]] {
                return {kNone, 0, hint};
            }
        }
        return find_spot(side, price);
    }

    [[gnu::noinline]] LevelIndex::Spot find_spot(Side side, std::int64_t price) const noexcept {
        return index_.find(side, LevelIndex::key_of(side, price));
    }

    std::uint32_t best(Side side) const noexcept { return index_.best(side); }

    const Order& order(std::uint32_t slot) const noexcept { return orders_[slot]; }
    const Level& level(std::uint32_t slot) const noexcept { return levels_[slot]; }
    const Level& level_of(std::uint32_t order_slot) const noexcept { return levels_[orders_[order_slot].level]; }

    /// Whether an order of `side` at `price` could trade at once.
    bool crosses(Side side, std::int64_t price) const noexcept {
        const Side other = opposite(side);
        // Two comparisons and no branch on the side: which one it is, nobody can predict.
        const int is_within = index_.best_key(other) >= LevelIndex::key_of(other, price) ? 1 : 0;
        return (is_within & (index_.count(other) != 0 ? 1 : 0)) != 0;
    }

    /// Calls `visit(level)` from the side's best level on until it answers false.
    template <class Visit>
    void walk_levels(Side side, Visit&& visit) const noexcept {
        index_.walk(side, [&](std::int64_t, std::uint32_t slot) { return visit(levels_[slot]); });
    }

    std::uint32_t order_count() const noexcept { return order_count_; }
    std::uint32_t level_count(Side side) const noexcept { return index_.count(side); }
    std::uint32_t order_capacity() const noexcept { return static_cast<std::uint32_t>(orders_.size()); }

    std::size_t memory_bytes() const noexcept {
        return orders_.bytes() + levels_.bytes() + hints_.bytes() + ids_.bytes() + index_.bytes();
    }

    // --- Fetching ahead ----------------------------------------------------------------------------------------------
    // None of these changes anything, and a wrong guess costs a line of cache.

    /// Whether the orders reach beyond a processor's own caches: below that, fetching ahead only costs.
    bool is_large() const noexcept { return orders_used_ > kLargeOrders; }

    void prefetch_id(std::uint64_t hash) const noexcept { ids_.prefetch(hash); }

    void prefetch_order(std::uint64_t hash) const noexcept {
        if (const std::uint32_t slot = ids_.guess(hash); slot < orders_used_) {
            __builtin_prefetch(&orders_[slot], 1);
        }
    }

    /// The orders beside the one with that hash, which its removal writes to.
    void prefetch_neighbours(std::uint64_t hash) const noexcept {
        if (const std::uint32_t slot = ids_.guess(hash); slot < orders_used_) {
            const Order& order = orders_[slot];
            if (order.prev != kNone) {
                __builtin_prefetch(&orders_[order.prev], 1);
            }
            if (order.next != kNone) {
                __builtin_prefetch(&orders_[order.next], 1);
            }
            __builtin_prefetch(&levels_[order.level], 1);
        }
    }

    void prefetch_level(std::int64_t price) const noexcept {
        if (hint_mask_ != 0) {
            __builtin_prefetch(&levels_[hints_[hint_of(price)]], 1);
        }
    }

    /// The last order of a price's queue, which the next one's arrival writes to.
    void prefetch_tail(std::int64_t price) const noexcept {
        if (hint_mask_ != 0) {
            if (const std::uint32_t tail = levels_[hints_[hint_of(price)]].tail; tail < orders_used_) {
                __builtin_prefetch(&orders_[tail], 1);
            }
        }
    }

    /// The first order of a side, and the one after it.
    void prefetch_first(Side side) const noexcept {
        if (const std::uint32_t level = index_.best(side); level != kNone) {
            const Order& order = orders_[levels_[level].head];
            ids_.prefetch(IdIndex::hash_of(order.id));
            if (order.next != kNone) {
                __builtin_prefetch(&orders_[order.next], 1);
            }
        }
    }

    // --- Room --------------------------------------------------------------------------------------------------------

    /// Whether one more order has a slot, after growth where that is allowed.
    bool room_for_order() noexcept {
        return free_order_ != kNone || orders_used_ < orders_.size() || room_by_growth_for_order();
    }

    [[gnu::noinline]] bool room_by_growth_for_order() noexcept {
        return (may_grow_ && grow_orders(std::min<std::size_t>(orders_.size() * 2, kSlotsMax)));
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
        std::uint64_t hash;
        std::uint32_t owner;
        Side side;
        SelfTrade stp;
    };

    /// Puts an order at the end of its price's queue; `spot` is what `find_level` said of that price. There must be room.
    void rest(const Rest& rest, const LevelIndex::Spot& spot) noexcept {
        ids_.insert(rest.hash, put(rest, spot));
    }

    /// As `rest`, for an id whose place in the index is known.
    void rest(const Rest& rest, const LevelIndex::Spot& spot, const IdIndex::Vacancy& vacancy) noexcept {
        ids_.insert(rest.hash, vacancy, put(rest, spot));
    }

    /// Takes the order that `find` has found for that hash out, and its level when that was its last.
    void remove(const IdIndex::Found& found, std::uint64_t hash) noexcept {
        ids_.erase(hash, found);
        const Order& order = orders_[found.slot];
        Level& level = levels_[order.level];
        level.qty -= order.qty;
        if (--level.count == 0) {
            close_level(order.level);
        } else {
            unlink(found.slot);
        }
        free_order(found.slot);
    }

    /// Takes the first order of a level out, and the level when that was its last. Answers the next order, or `kNone`.
    std::uint32_t take_first(std::uint32_t at_level) noexcept {
        Level& level = levels_[at_level];
        const std::uint32_t slot = level.head;
        const Order& order = orders_[slot];
        const std::uint32_t next = order.next;
        if (next != kNone) {
            __builtin_prefetch(&orders_[next], 1);
        }
        ids_.erase(IdIndex::hash_of(order.id), slot);
        level.qty -= order.qty;
        level.head = next;
        free_order(slot);
        if (--level.count == 0) {
            close_level(at_level);
        } else {
            orders_[next].prev = kNone;
        }
        return next;
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

    /// One and a quarter megabytes of orders and index.
    static constexpr std::uint32_t kLargeOrders = 32'768;

    bool grow_orders(std::size_t size) noexcept {
        if (size <= orders_.size()) {
            return false;
        }
        // The new index first: when its memory cannot be had, or that of the arena, everything stays as it was.
        IdIndex larger;
        if (!larger.reserve(size) || !orders_.grow(size)) {
            return false;
        }
        for (std::uint32_t slot = 0; slot < orders_used_; ++slot) {
            if (orders_[slot].qty != 0) {
                larger.insert(IdIndex::hash_of(orders_[slot].id), slot);
            }
        }
        ids_.swap(larger);
        return true;
    }

    bool grow_levels(std::size_t size) noexcept {
        if (size <= levels_.size() || !index_.reserve(size)) {
            return false;
        }
        const std::size_t hints = std::clamp<std::size_t>(std::bit_ceil(size), 256, 65'536);
        if (hints > hints_.size()) {
            // Old hints would lie in the wrong places, which is harmless: they only have to name some level.
            if (!hints_.grow(hints)) {
                return false;
            }
        }
        if (!levels_.grow(size)) {
            return false;
        }
        hint_mask_ = hints_.size() - 1;
        return true;
    }

    std::size_t hint_of(std::int64_t price) const noexcept {
        return static_cast<std::uint64_t>(price) & hint_mask_;
    }

    std::uint32_t take_order() noexcept {
        if (free_order_ != kNone) [[likely]] {
            const std::uint32_t slot = free_order_;
            free_order_ = orders_[slot].next;
            return slot;
        }
        return orders_used_++;
    }

    void free_order(std::uint32_t slot) noexcept {
        orders_[slot].qty = 0;
        orders_[slot].next = free_order_;
        free_order_ = slot;
        --order_count_;
    }

    /// A new level whose queue will start with `first`.
    [[gnu::noinline]] std::uint32_t open_level(Side side, std::int64_t price, const LevelIndex::Spot& spot, std::uint32_t first) noexcept {
        std::uint32_t slot = free_level_;
        if (slot != kNone) {
            free_level_ = levels_[slot].head;
        } else {
            slot = levels_used_++;
        }
        levels_[slot] = Level{price, 0, first, kNone, 0, static_cast<std::uint32_t>(side)};
        hints_[hint_of(price)] = slot;
        index_.insert(levels_.data(), spot, slot);
        return slot;
    }

    [[gnu::noinline]] void close_level(std::uint32_t slot) noexcept {
        index_.erase(levels_.data(), slot);
        levels_[slot].head = free_level_;
        free_level_ = slot;
    }

    std::uint32_t put(const Rest& rest, const LevelIndex::Spot& spot) noexcept {
        const std::uint32_t slot = take_order();
        std::uint32_t at_level = spot.level;
        std::uint32_t before = kNone;
        if (at_level == kNone) [[unlikely]] {
            at_level = open_level(rest.side, rest.price, spot, slot);
        } else {
            before = levels_[at_level].tail;
            orders_[before].next = slot;
        }
        Level& level = levels_[at_level];
        level.tail = slot;
        level.qty += rest.qty;
        ++level.count;
        Order& order = orders_[slot];
        order.id = rest.id;
        order.qty = rest.qty;
        order.prev = before;
        order.next = kNone;
        order.level = at_level & (kSlotsMax * 2 - 1);
        order.stp = static_cast<std::uint32_t>(rest.stp) & 7;
        order.owner = rest.owner;
        ++order_count_;
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
    LevelIndex index_;
    std::uint32_t free_order_ = kNone;
    std::uint32_t free_level_ = kNone;
    /// Slots from these on have never been used.
    std::uint32_t orders_used_ = 0;
    std::uint32_t levels_used_ = 0;
    std::uint32_t order_count_ = 0;
    bool may_grow_;
};

}  // namespace touchline
