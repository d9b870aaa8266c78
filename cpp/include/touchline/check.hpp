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
    /// Leaves, queues and free blocks together are not all the blocks ever used.
    blocks = 8,
    /// Best bid at or above best ask.
    crossed = 9,
    /// A hint names no level with a queue, or one that belongs elsewhere.
    hints = 10,
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
        Sums sums;
        std::uint32_t leaves = 0;
        if (book.levels_max_ == 0) {
            return result;
        }
        if (!book.index_.is_sound(book.blocks_, leaves)) {
            return broken(Fault::level_index, 0);
        }
        for (const Side side : {Side::bid, Side::ask}) {
            book.walk_levels(side, [&](std::uint32_t where) {
                result = check_level(book, side, where, sums);
                return result.fault == Fault::none;
            });
            if (result.fault != Fault::none) {
                return result;
            }
        }
        if (sums.orders != book.order_count_ || book.ids_.count_entries() != sums.orders ||
            book.ids_.count_gone_past() != sums.gone_past) {
            return broken(Fault::id_index, sums.orders);
        }
        if (sums.orders + count_free_orders(book) != book.orders_used_ || book.orders_used_ > book.orders_.size()) {
            return broken(Fault::order_slots, book.free_order_);
        }
        if (sums.queues != book.queues_.count() || sums.levels > book.levels_max_ || !are_blocks_sound(book, leaves)) {
            return broken(Fault::blocks, leaves);
        }
        for (std::size_t at = 0; at <= book.hint_mask_; ++at) {
            const std::uint32_t hint = book.hints_[at];
            if (hint != 0 && (!has_queue(book, hint) || book.hint_of(book.price_at(hint)) != at)) {
                return broken(Fault::hints, hint);
            }
        }
        if (book.best(Side::bid) != kNone && book.crosses(Side::bid, book.best_price(Side::bid))) {
            return broken(Fault::crossed, book.best(Side::bid));
        }
        return result;
    }

private:
    struct Sums {
        std::uint32_t orders = 0;
        std::uint32_t levels = 0;
        std::uint32_t queues = 0;
        std::uint64_t gone_past = 0;
    };

    static CheckResult broken(Fault fault, std::uint32_t place) noexcept { return CheckResult{place, fault, {}}; }

    static CheckResult check_level(const Book& book, Side side, std::uint32_t where, Sums& sums) noexcept {
        ++sums.levels;
        if (book.side_at(where) != side || book.find_level(side, book.price_at(where)).where != where) {
            return broken(Fault::level_identity, where);
        }
        const std::uint32_t ref = LevelIndex::ref_at(book.blocks_, where);
        const bool is_queue = (ref & Book::kQueued) != 0;
        const std::uint32_t home = is_queue ? ref & ~Book::kQueued : where;
        if (is_queue && !Queues::is_taken(book.blocks_, home)) {
            return broken(Fault::queue_links, where);
        }
        sums.queues += is_queue ? 1 : 0;
        std::int64_t qty = 0;
        std::uint32_t count = 0;
        std::uint32_t before = is_queue ? where : kNone;
        std::uint32_t last = kNone;
        for (std::uint32_t at = book.first_at(where); at != kNone; at = book.orders_[at].next) {
            // More orders than there are: a ring.
            if (at >= book.orders_used_ || (is_queue && book.orders_[at].prev != before) || count == book.order_count_) {
                return broken(Fault::queue_links, at);
            }
            const Order& order = book.orders_[at];
            if (order.qty <= 0 || order.home != home || (order.is_queued != 0) != is_queue || order.stp > 4) {
                return broken(Fault::order_fields, at);
            }
            if (order.qty > std::numeric_limits<std::int64_t>::max() - qty) {
                return broken(Fault::level_sums, where);
            }
            const std::uint64_t hash = IdIndex::hash_of(order.id);
            const IdIndex::Found found = book.find(order.id, hash);
            if (found.slot != at) {
                return broken(Fault::id_index, at);
            }
            sums.gone_past += book.ids_.distance(hash, found);
            qty += order.qty;
            ++count;
            before = at;
            last = at;
        }
        if (is_queue ? count < 2 || book.queue(home).tail != last : count != 1) {
            return broken(Fault::queue_links, where);
        }
        if (qty != book.qty_at(where)) {
            return broken(Fault::level_sums, where);
        }
        sums.orders += count;
        return broken(Fault::none, 0);
    }

    static bool has_queue(const Book& book, std::uint32_t where) noexcept {
        const std::uint32_t ref = LevelIndex::ref_at(book.blocks_, where);
        return (ref & Book::kQueued) != 0 && Queues::is_taken(book.blocks_, ref & ~Book::kQueued) &&
               book.orders_[book.queue(ref & ~Book::kQueued).head].prev == where;
    }

    /// Whether leaves and queues take all the blocks that are taken, and the list of blocks with room is in order.
    static bool are_blocks_sound(const Book& book, std::uint32_t leaves) noexcept {
        const std::uint32_t places = book.queues_.count() + book.queues_.count_holes(book.blocks_);
        return book.queues_.is_sound(book.blocks_) && places % Queues::kPerBlock == 0 &&
               leaves + places / Queues::kPerBlock == book.blocks_.count_taken();
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
};

}  // namespace touchline
