// The resting orders: an arena of slots linked into queues, found by id and by price.
//
// A price is a level of the index, named by where it is there (`where`). Its reference leads to the order that is alone
// at it, or to the queue that two or more are. An order alone knows its level, one in a queue its queue, and the first of
// a queue the level as well; so everything is reached in a step or two from either end.
//
// Links are 32-bit slot numbers, so the arena can grow in place. Costs: rest, remove, take_first, reduce O(1), and O(log
// levels) when a level comes or goes; find by id O(1) expected; best O(1). Nothing is allocated except to make room.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "touchline/blocks.hpp"
#include "touchline/id_index.hpp"
#include "touchline/level_index.hpp"
#include "touchline/message.hpp"
#include "touchline/queues.hpp"
#include "touchline/storage.hpp"

namespace touchline {

inline constexpr std::uint32_t kNone = 0xFFFF'FFFF;

/// More orders or levels than this do not fit the links.
inline constexpr std::uint32_t kSlotsMax = 1U << 27;

/// A resting order, or a free slot when `qty` is zero; `next` then leads to the next free slot.
struct Order {
    std::uint64_t id;
    std::int64_t qty;
    /// The order before it in its queue; of the first one the queue's level. Of no meaning when alone.
    std::uint32_t prev;
    std::uint32_t next;
    /// Its queue, or its level when alone.
    std::uint32_t home : 28;
    std::uint32_t is_queued : 1;
    /// The `SelfTrade` it arrived with: a modify that trades needs it again.
    std::uint32_t stp : 3;
    std::uint32_t owner;
};
static_assert(sizeof(Order) == 32);

class Book {
public:
    /// An empty book. When the memory cannot be had its capacities stay zero and it takes no orders.
    Book(std::uint32_t orders, std::uint32_t levels, bool may_grow) noexcept : may_grow_(may_grow) {
        (void)grow(std::clamp(orders, 1U, kSlotsMax), std::clamp(levels, 1U, kSlotsMax));
    }

    // --- Finding -----------------------------------------------------------------------------------------------------

    template <class Search = PlainSearch>
    IdIndex::Found find(std::uint64_t id, std::uint64_t hash) const noexcept {
        return ids_.find<Search>(hash, [&](std::uint32_t slot) { return orders_[slot].id == id; });
    }

    template <class Search>
    bool contains(std::uint64_t id, std::uint64_t hash, IdIndex::Vacancy& vacancy) const noexcept {
        return ids_.contains<Search>(hash, vacancy, [&](std::uint32_t slot) { return orders_[slot].id == id; });
    }

    std::uint32_t find(std::uint64_t id) const noexcept { return find(id, IdIndex::hash_of(id)).slot; }

    /// The level of a price and what rests there.
    LevelIndex::Entry find_level(Side side, std::int64_t price) const noexcept {
        return index_.find(blocks_, side, LevelIndex::key_of(side, price));
    }

    /// Whether a price is likely to have a queue: then its hint is worth a look. There are four orders to a level.
    bool is_dense() const noexcept { return is_dense_; }

    /// The queue of a price when it has one and the hint for it is good, otherwise `kNone`: it may still have one. In a
    /// dense book only.
    std::uint32_t hinted_queue(Side side, std::int64_t price) const noexcept {
        // A hint names a level with a queue whose price has the same low bits, or the empty block 0. The key says whether
        // it is the price: no level of the other side has the same key and the same low bits of the price.
        const std::uint32_t hint = hints_[hint_of(price)];
        const LevelIndex::Leaf& leaf = LevelIndex::leaf_of(blocks_, hint);
        const std::uint32_t ref = leaf.refs[hint & 15];
        return leaf.keys[hint & 15] == LevelIndex::key_of(side, price) && ref != kNone ? ref & ~kQueued : kNone;
    }

    /// The best level of a side, or `kNone`.
    std::uint32_t best(Side side) const noexcept { return index_.best(side); }

    /// The price of the best level; of no meaning when there is none.
    std::int64_t best_price(Side side) const noexcept { return LevelIndex::key_of(side, index_.best_key(side)); }

    const Order& order(std::uint32_t slot) const noexcept { return orders_[slot]; }

    std::int64_t price_at(std::uint32_t where) const noexcept {
        return LevelIndex::key_of(LevelIndex::side_at(blocks_, where), LevelIndex::key_at(blocks_, where));
    }

    Side side_at(std::uint32_t where) const noexcept { return LevelIndex::side_at(blocks_, where); }

    std::int64_t qty_at(std::uint32_t where) const noexcept {
        return qty_of(LevelIndex::ref_at(blocks_, where));
    }

    /// What rests at the level with that reference.
    std::int64_t qty_of(std::uint32_t ref) const noexcept {
        return (ref & kQueued) != 0 ? queue(ref & ~kQueued).qty : orders_[ref].qty;
    }

    /// The first order of a level; `next` leads on.
    std::uint32_t first_at(std::uint32_t where) const noexcept {
        const std::uint32_t ref = LevelIndex::ref_at(blocks_, where);
        return (ref & kQueued) != 0 ? queue(ref & ~kQueued).head : ref;
    }

    /// The level of a resting order.
    std::uint32_t level_of(std::uint32_t slot) const noexcept {
        const Order& order = orders_[slot];
        return order.is_queued != 0 ? orders_[queue(order.home).head].prev : order.home;
    }

    /// The queue that an order is in, or `kNone` when it is alone.
    std::uint32_t queue_of(std::uint32_t slot) const noexcept {
        return orders_[slot].is_queued != 0 ? orders_[slot].home : kNone;
    }

    std::int64_t queue_qty(std::uint32_t queue) const noexcept { return this->queue(queue).qty; }

    /// The order before one in its queue, or `kNone`.
    std::uint32_t before(std::uint32_t slot) const noexcept {
        const Order& order = orders_[slot];
        return order.is_queued == 0 || queue(order.home).head == slot ? kNone : order.prev;
    }

    /// Whether an order of `side` at `price` could trade at once.
    bool crosses(Side side, std::int64_t price) const noexcept {
        const Side other = opposite(side);
        // Two comparisons and no branch on the side: which one it is, nobody can predict.
        const int is_within = index_.best_key(other) >= LevelIndex::key_of(other, price) ? 1 : 0;
        return (is_within & (index_.count(other) != 0 ? 1 : 0)) != 0;
    }

    /// Calls `visit(where)` from the side's best level on until it answers false.
    template <class Visit>
    void walk_levels(Side side, Visit&& visit) const noexcept {
        index_.walk(blocks_, side, visit);
    }

    std::uint32_t order_count() const noexcept { return order_count_; }
    std::uint32_t level_count(Side side) const noexcept { return index_.count(side); }
    std::uint32_t order_capacity() const noexcept { return static_cast<std::uint32_t>(orders_.size()); }

    std::size_t memory_bytes() const noexcept {
        return orders_.bytes() + blocks_.bytes() + hints_.bytes() + ids_.bytes() + index_.bytes();
    }

    Reach reach() const noexcept { return index_.reach(); }

    // --- Fetching ahead ----------------------------------------------------------------------------------------------
    // None of these changes anything, and a wrong guess costs a line of cache.

    /// Whether the orders reach beyond a processor's own caches: below that, fetching ahead only costs.
    bool is_large() const noexcept { return orders_used_ > kLargeOrders; }

    void prefetch_id(std::uint64_t hash) const noexcept { ids_.prefetch(hash); }

    void prefetch_order(std::uint64_t hash) const noexcept {
        if (const std::uint32_t slot = ids_.guess(hash); slot < orders_used_) {
            fetch_line(&orders_[slot]);
        }
    }

    /// The orders beside the one with that hash, which its removal writes to.
    void prefetch_neighbours(std::uint64_t hash) const noexcept {
        if (const std::uint32_t slot = ids_.guess(hash); slot < orders_used_) {
            const Order& order = orders_[slot];
            if (order.is_queued == 0) {
                fetch_line(LevelIndex::line_of(blocks_, order.home));
                return;
            }
            fetch_line(&queue(order.home));
            for (const std::uint32_t beside : {order.prev, order.next}) {
                if (beside < orders_used_) {
                    fetch_line(&orders_[beside]);
                }
            }
        }
    }

    void prefetch_level(std::int64_t price) const noexcept {
        fetch_line(LevelIndex::line_of(blocks_, hints_[hint_of(price)]));
    }

    /// The last order of a price's queue, which the next one's arrival writes to.
    void prefetch_tail(std::int64_t price) const noexcept {
        const std::uint32_t ref = LevelIndex::ref_at(blocks_, hints_[hint_of(price)]);
        if (ref == kNone) {
            return;
        }
        const std::uint32_t tail = (ref & kQueued) != 0 ? queue(ref & ~kQueued).tail : ref;
        if (tail < orders_used_) {
            fetch_line(&orders_[tail]);
        }
    }

    /// The first order of a side.
    void prefetch_first(Side side) const noexcept {
        if (const std::uint32_t level = index_.best(side); level != kNone) {
            fetch_line(&orders_[first_at(level)]);
        }
    }

    /// The place of a side's first order in the index of ids, and the order after it.
    void prefetch_second(Side side) const noexcept {
        if (const std::uint32_t level = index_.best(side); level != kNone) {
            const Order& order = orders_[first_at(level)];
            ids_.prefetch(IdIndex::hash_of(order.id));
            if (order.next != kNone) {
                fetch_line(&orders_[order.next]);
            }
        }
    }

    // --- Room --------------------------------------------------------------------------------------------------------

    bool has_free_order() const noexcept { return free_order_ != kNone || orders_used_ < orders_.size(); }

    /// Whether one more order has a slot, after growth where that is allowed.
    bool room_for_order() noexcept { return has_free_order() || room_by_growth_for_order(); }

    TOUCHLINE_APART bool room_by_growth_for_order() noexcept {
        const std::size_t larger = std::min<std::size_t>(orders_.size() * 2, kSlotsMax);
        return may_grow_ && larger > orders_.size() && grow(larger, levels_max_);
    }

    /// Whether an order may rest at whatever price, without growth or a `pack` before.
    bool has_room() const noexcept {
        return has_free_order() && index_.count(Side::bid) + index_.count(Side::ask) < levels_max_ && has_blocks();
    }

    /// Whether there is a block: whatever an order that rests opens, level or queue, takes one at most.
    bool has_blocks() const noexcept { return blocks_.has_room() && index_.has_room(); }

    /// Makes leaves and queues take as few blocks as they can, after which there is one for whatever there is room for.
    /// Levels take other places.
    TOUCHLINE_APART void pack() noexcept {
        queues_.gather(blocks_, [&](std::uint32_t, std::uint32_t to) {
            const Queue& queue = this->queue(to);
            LevelIndex::set_ref(blocks_, orders_[queue.head].prev, to | kQueued);
            for (std::uint32_t slot = queue.head; slot != kNone; slot = orders_[slot].next) {
                orders_[slot].home = to & kHomeMask;
            }
        });
        index_.pack(blocks_, Follow{*this});
    }

    /// Whether one more level may come, by growth where that is allowed.
    bool room_for_level() noexcept {
        const std::size_t levels = index_.count(Side::bid) + index_.count(Side::ask);
        if (levels < levels_max_) [[likely]] {
            return true;
        }
        const std::size_t larger = std::min<std::size_t>(levels_max_ * 2, kSlotsMax);
        return may_grow_ && larger > levels_max_ && grow(orders_.size(), larger);
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

    /// The slot of the order that rests next. There must be one.
    std::uint32_t next_order() const noexcept { return free_order_ != kNone ? free_order_ : orders_used_; }

    /// The level of a price and what rests there: a new one for `slot`, which is `next_order`, when there was none. Then
    /// `rest` must follow. There must be room.
    template <class Search>
    LevelIndex::Entry enter(Side side, std::int64_t price, std::uint32_t slot) noexcept {
        return index_.enter_by<Search>(blocks_, side, LevelIndex::key_of(side, price), slot, Follow{*this});
    }

    /// Puts an order at the end of its price's queue; `slot` is `next_order`, `level` what `enter` has said of the price.
    void rest(const Rest& rest, std::uint32_t slot, const LevelIndex::Entry& level,
              const IdIndex::Vacancy& vacancy) noexcept {
        put(rest, slot, level);
        ids_.insert(rest.hash, vacancy, slot);
    }

    /// As that, for a price and an id of which nothing is known. There must be room.
    void rest(const Rest& rest) noexcept {
        const std::int64_t key = LevelIndex::key_of(rest.side, rest.price);
        const std::uint32_t slot = next_order();
        put(rest, slot, index_.enter(blocks_, rest.side, key, slot, Follow{*this}));
        ids_.insert(rest.hash, slot);
    }

    /// As that, for a price whose queue is known.
    void join(const Rest& rest, std::uint32_t queue, const IdIndex::Vacancy& vacancy) noexcept {
        const std::uint32_t slot = next_order();
        append(slot, queue, rest);
        ids_.insert(rest.hash, vacancy, slot);
    }

    /// Takes the order that `find` has found for that hash out, and its level when that was its last.
    void remove(const IdIndex::Found& found, std::uint64_t hash) noexcept {
        ids_.erase(hash, found);
        const Order& order = orders_[found.slot];
        if (order.is_queued != 0) {
            unlink(found.slot);
        } else {
            index_.erase(blocks_, order.home, Follow{*this});
        }
        free_order(found.slot);
    }

    /// Takes the first order of a side's best level, `slot`, out, and the level when that was its last. Answers the next
    /// order of the level, or `kNone`.
    std::uint32_t take_first(Side side, std::uint32_t slot) noexcept {
        const Order& order = orders_[slot];
        const std::uint32_t next = order.next;
        if (order.is_queued != 0) {
            Queue& queue = this->queue(order.home);
            queue.qty -= order.qty;
            queue.head = next;
            orders_[next].prev = index_.best(side);
            if (queue.tail == next) {
                leave_alone(next, order.home);
            }
        } else {
            index_.erase_best(blocks_, side);
        }
        forget_order(slot);
        return next;
    }

    /// Takes a side's best level out with all of its queue, whose orders `forget_order` has taken.
    void take_best(Side side, std::uint32_t queue) noexcept {
        forget_hint(index_.best(side));
        queues_.give(blocks_, queue);
        index_.erase_best(blocks_, side);
    }

    /// Takes an order out of arena and id index, and nothing else. Answers the next of its queue, or `kNone`.
    std::uint32_t forget_order(std::uint32_t slot) noexcept {
        const std::uint32_t next = orders_[slot].next;
        ids_.erase(IdIndex::hash_of(orders_[slot].id), slot);
        free_order(slot);
        return next;
    }

    /// Takes `by` lots, fewer than it has, from an order that keeps its place.
    void reduce(std::uint32_t slot, std::int64_t by) noexcept {
        Order& order = orders_[slot];
        order.qty -= by;
        if (order.is_queued != 0) {
            queue(order.home).qty -= by;
        }
    }

    /// Gives an order a larger quantity and the last place of its queue.
    void requeue(std::uint32_t slot, std::int64_t qty) noexcept {
        Order& order = orders_[slot];
        if (order.is_queued == 0) {
            order.qty = qty;
            return;
        }
        Queue& queue = this->queue(order.home);
        queue.qty += qty - order.qty;
        order.qty = qty;
        if (queue.tail != slot) {
            const std::uint32_t next = order.next;
            orders_[next].prev = order.prev;
            if (queue.head == slot) {
                queue.head = next;
            } else {
                orders_[order.prev].next = next;
            }
            orders_[queue.tail].next = slot;
            order.prev = queue.tail;
            order.next = kNone;
            queue.tail = slot;
        }
    }

private:
    friend class Checker;

    /// One and a quarter megabytes of orders and index.
    static constexpr std::uint32_t kLargeOrders = 32'768;
    /// In the reference of a level: it is a queue and not an order.
    static constexpr std::uint32_t kQueued = 1U << 31;

    /// What the index calls when a level takes another place.
    struct Follow {
        Book& book;

        void operator()(std::uint32_t ref, std::int64_t key, Side side, std::uint32_t from,
                        std::uint32_t to) const noexcept {
            if ((ref & kQueued) == 0) {
                book.orders_[ref].home = to & kHomeMask;
                return;
            }
            book.orders_[book.queue(ref & ~kQueued).head].prev = to;
            std::uint32_t& hint = book.hints_[book.hint_of(LevelIndex::key_of(side, key))];
            hint = hint == from ? to : hint;
        }
    };

    Queue& queue(std::uint32_t queue) noexcept { return Queues::at(blocks_, queue); }
    const Queue& queue(std::uint32_t queue) const noexcept { return Queues::at(blocks_, queue); }

    // --- Room --------------------------------------------------------------------------------------------------------

    /// Blocks that so many orders on so many levels need at worst, after `pack`. A queue has two orders at least: the more
    /// queues there are, the fewer levels. Both ends of that trade, and the turn between them, are looked at.
    static std::size_t blocks_for(std::size_t orders, std::size_t levels) noexcept {
        const auto with_queues = [&](std::size_t queues) {
            return LevelIndex::blocks_for(std::min(levels, orders - queues)) + queues / Queues::kPerBlock + 2;
        };
        const std::size_t most = std::min(levels, orders / 2);
        const std::size_t turn = std::min(most, orders - std::min(orders, levels));
        return std::max({with_queues(0), with_queues(turn), with_queues(most)});
    }

    bool grow(std::size_t orders, std::size_t levels) noexcept {
        const std::size_t hints =
            std::clamp<std::size_t>(std::min(std::bit_ceil(levels), std::bit_floor(orders / 4)), 256, 65'536);
        // Everything that may fail first: when memory cannot be had, what there is stays as it was.
        IdIndex larger;
        const std::size_t blocks = blocks_for(orders, levels);
        if (!index_.reserve(blocks) || !blocks_.reserve(blocks) || !hints_.grow(hints) ||
            (orders > orders_.size() && !larger.reserve(orders)) || !orders_.grow(orders)) {
            return false;
        }
        LevelIndex::clear_first(blocks_);
        if (larger.bytes() != 0) {
            for (std::uint32_t slot = 0; slot < orders_used_; ++slot) {
                if (orders_[slot].qty != 0) {
                    larger.insert(IdIndex::hash_of(orders_[slot].id), slot);
                }
            }
            ids_.swap(larger);
        }
        levels_max_ = levels;
        if (hints_.size() != hint_mask_ + 1) {
            hint_mask_ = hints_.size() - 1;
            std::fill(hints_.data(), hints_.data() + hints_.size(), 0);
            for (const Side side : {Side::bid, Side::ask}) {
                walk_levels(side, [&](std::uint32_t where) {
                    if ((LevelIndex::ref_at(blocks_, where) & kQueued) != 0) {
                        hints_[hint_of(price_at(where))] = where;
                    }
                    return true;
                });
            }
        }
        return true;
    }

    // --- Levels ------------------------------------------------------------------------------------------------------

    std::size_t hint_of(std::int64_t price) const noexcept { return static_cast<std::uint64_t>(price) & hint_mask_; }

    /// A hint must not outlive its queue.
    void forget_hint(std::uint32_t where) noexcept {
        std::uint32_t& hint = hints_[hint_of(price_at(where))];
        hint = hint == where ? 0 : hint;
    }

    // --- Orders ------------------------------------------------------------------------------------------------------

    void free_order(std::uint32_t slot) noexcept {
        orders_[slot].qty = 0;
        orders_[slot].next = free_order_;
        free_order_ = slot;
        --order_count_;
    }

    /// Takes the slot `next_order` and writes the order whole, so that nothing of it need be read: a word that is read
    /// while half of it is on its way to the cache makes the processor wait.
    void fill_order(std::uint32_t slot, const Rest& rest, std::uint32_t prev, std::uint32_t home,
                    std::uint32_t is_queued) noexcept {
        Order& order = orders_[slot];
        if (slot == free_order_) [[likely]] {
            free_order_ = order.next;
        } else {
            ++orders_used_;
        }
        order.id = rest.id;
        order.qty = rest.qty;
        order.prev = prev;
        order.next = kNone;
        order.home = home & kHomeMask;
        order.is_queued = is_queued & 1;
        order.stp = static_cast<std::uint32_t>(rest.stp) & 7;
        order.owner = rest.owner;
        ++order_count_;
    }

    void put(const Rest& rest, std::uint32_t slot, const LevelIndex::Entry& level) noexcept {
        if (level.ref == slot) [[likely]] {
            fill_order(slot, rest, kNone, level.where, 0);
            is_dense_ = order_count_ / 4 >= index_.count(Side::bid) + index_.count(Side::ask);
        } else if ((level.ref & kQueued) == 0) {
            fill_order(slot, rest, level.ref, 0, 1);
            start_queue(level.where, level.ref, slot);
        } else {
            append(slot, level.ref & ~kQueued, rest);
        }
    }

    void append(std::uint32_t slot, std::uint32_t queue, const Rest& rest) noexcept {
        Queue& queue_at = this->queue(queue);
        orders_[queue_at.tail].next = slot;
        fill_order(slot, rest, queue_at.tail, queue, 1);
        queue_at.tail = slot;
        queue_at.qty += rest.qty;
    }

    /// The second order of a level joins the one that was alone.
    TOUCHLINE_APART void start_queue(std::uint32_t where, std::uint32_t first, std::uint32_t second) noexcept {
        const std::uint32_t at = queues_.take(blocks_);
        queue(at) = Queue{orders_[first].qty + orders_[second].qty, first, second};
        LevelIndex::set_ref(blocks_, where, at | kQueued);
        hints_[hint_of(price_at(where))] = where;
        orders_[first].prev = where;
        orders_[first].next = second;
        for (const std::uint32_t slot : {first, second}) {
            orders_[slot].home = at & kHomeMask;
            orders_[slot].is_queued = 1;
        }
    }

    /// The one order that is left of a queue, its head, is alone again.
    TOUCHLINE_APART void leave_alone(std::uint32_t slot, std::uint32_t queue) noexcept {
        Order& order = orders_[slot];
        forget_hint(order.prev);
        LevelIndex::set_ref(blocks_, order.prev, slot);
        order.home = order.prev & kHomeMask;
        order.is_queued = 0;
        queues_.give(blocks_, queue);
    }

    /// Takes an order out of its queue, which has another.
    void unlink(std::uint32_t slot) noexcept {
        const Order& order = orders_[slot];
        const std::uint32_t at = order.home;
        Queue& queue = this->queue(at);
        queue.qty -= order.qty;
        if (queue.head == slot) {
            queue.head = order.next;
            orders_[order.next].prev = order.prev;
        } else {
            orders_[order.prev].next = order.next;
            if (queue.tail == slot) {
                queue.tail = order.prev;
            } else {
                orders_[order.next].prev = order.prev;
            }
        }
        if (queue.head == queue.tail) [[unlikely]] {
            leave_alone(queue.head, at);
        }
    }

    static constexpr std::uint32_t kHomeMask = (1U << 28) - 1;

    Storage<Order> orders_;
    Blocks blocks_;
    /// From the low bits of a price to the queue last started there: found in one load, or searched for in the index. Kept
    /// in every book, as any may become dense.
    Storage<std::uint32_t> hints_;
    std::uint64_t hint_mask_ = 0;
    IdIndex ids_;
    LevelIndex index_;
    Queues queues_;
    std::size_t levels_max_ = 0;
    std::uint32_t free_order_ = kNone;
    /// Slots from this one on have never been used.
    std::uint32_t orders_used_ = 0;
    std::uint32_t order_count_ = 0;
    bool may_grow_;
    bool is_dense_ = false;
};

}  // namespace touchline
