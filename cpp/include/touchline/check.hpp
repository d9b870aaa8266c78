// The exhaustive check: walks arena, levels and indexes and compares each with the others.
//
// For tests and debug runs only; takes time in proportion to the whole book and allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "touchline/book.hpp"

namespace touchline {

/// What is broken. Any of these is a bug in the core, or memory that something else has written to.
enum class Fault : std::uint8_t {
    none = 0,
    /// A side's index is out of order, badly cut or miscounted.
    level_index = 1,
    /// An index entry and its level disagree on price or side.
    level_identity = 2,
    /// A queue's links do not agree with each other, or its ends with the level.
    queue_links = 3,
    /// A level's quantity or count is not that of its queue.
    level_sums = 4,
    /// An order has no quantity, or names another level.
    order_fields = 5,
    /// An order is not found by its id, or the index holds more than the orders.
    id_index = 6,
    /// Resting and free slots together are not all the slots ever used.
    order_slots = 7,
    /// As for orders.
    level_slots = 8,
    /// Best bid at or above best ask.
    crossed = 9,
};

struct CheckResult {
    /// The order slot, level slot or entry where it was found; a meaningful place is known by `fault`.
    std::uint32_t slot;
    Fault fault;
    std::uint8_t reserved[3];
};

static_assert(sizeof(CheckResult) == 8 && offsetof(CheckResult, fault) == 4);

class Checker {
public:
    static CheckResult run(const Book& book) noexcept {
        CheckResult result = broken(Fault::none, 0);
        std::uint32_t orders = 0;
        std::uint32_t levels = 0;
        std::uint64_t gone_past = 0;
        if (!book.index_.is_sound(book.levels_.data())) {
            return broken(Fault::level_index, 0);
        }
        for (const Side side : {Side::bid, Side::ask}) {
            book.index_.walk(side, [&](std::int64_t key, std::uint32_t slot) {
                ++levels;
                result = check_level(book, side, key, slot, orders, gone_past);
                return result.fault == Fault::none;
            });
            if (result.fault != Fault::none) {
                return result;
            }
        }
        if (orders != book.order_count_ || book.ids_.count_entries() != orders ||
            book.ids_.count_gone_past() != gone_past) {
            return broken(Fault::id_index, orders);
        }
        if (orders + count_free_orders(book) != book.orders_used_ || book.orders_used_ > book.orders_.size()) {
            return broken(Fault::order_slots, book.free_order_);
        }
        if (levels + count_free_levels(book) != book.levels_used_ || book.levels_used_ > book.levels_.size()) {
            return broken(Fault::level_slots, book.free_level_);
        }
        const std::uint32_t bid = book.best(Side::bid);
        if (bid != kNone && book.crosses(Side::bid, book.levels_[bid].price)) {
            return broken(Fault::crossed, bid);
        }
        return result;
    }

private:
    static CheckResult broken(Fault fault, std::uint32_t slot) noexcept { return CheckResult{slot, fault, {}}; }

    static CheckResult check_level(const Book& book, Side side, std::int64_t key, std::uint32_t slot,
                                   std::uint32_t& orders, std::uint64_t& gone_past) noexcept {
        if (slot >= book.levels_used_) {
            return broken(Fault::level_identity, slot);
        }
        const Level& level = book.levels_[slot];
        if (level.side() != side || LevelIndex::key_of(side, level.price) != key || level.count == 0 ||
            book.find_level(side, level.price).level != slot) {
            return broken(Fault::level_identity, slot);
        }
        std::int64_t qty = 0;
        std::uint32_t count = 0;
        std::uint32_t before = kNone;
        for (std::uint32_t at = level.head; at != kNone; at = book.orders_[at].next) {
            // A queue longer than the level says is either miscounted or a ring.
            if (at >= book.orders_used_ || book.orders_[at].prev != before || count == level.count) {
                return broken(Fault::queue_links, at);
            }
            const Order& order = book.orders_[at];
            if (order.qty <= 0 || order.level != slot || order.stp > 4) {
                return broken(Fault::order_fields, at);
            }
            if (order.qty > std::numeric_limits<std::int64_t>::max() - qty) {
                return broken(Fault::level_sums, slot);
            }
            const std::uint64_t hash = IdIndex::hash_of(order.id);
            const IdIndex::Found found = book.find(order.id, hash);
            if (found.slot != at) {
                return broken(Fault::id_index, at);
            }
            gone_past += book.ids_.distance(hash, found);
            qty += order.qty;
            ++count;
            before = at;
        }
        if (level.tail != before) {
            return broken(Fault::queue_links, slot);
        }
        if (qty != level.qty || count != level.count) {
            return broken(Fault::level_sums, slot);
        }
        orders += count;
        return broken(Fault::none, 0);
    }

    /// Free slots, or more than were ever used when the list is a ring or leads to a slot in use.
    static std::uint32_t count_free_orders(const Book& book) noexcept {
        std::uint32_t count = 0;
        for (std::uint32_t at = book.free_order_; at != kNone; at = book.orders_[at].next) {
            if (at >= book.orders_used_ || book.orders_[at].qty != 0 || count > book.orders_used_) {
                return kNone;
            }
            ++count;
        }
        return count;
    }

    static std::uint32_t count_free_levels(const Book& book) noexcept {
        std::uint32_t count = 0;
        for (std::uint32_t at = book.free_level_; at != kNone; at = book.levels_[at].head) {
            if (at >= book.levels_used_ || book.levels_[at].count != 0 || count > book.levels_used_) {
                return kNone;
            }
            ++count;
        }
        return count;
    }
};

}  // namespace touchline
