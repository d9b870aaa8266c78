// Price-time priority matching of one instrument: the rules.
//
//   touchline::MatchingCore core({.orders = 16'384, .levels = 4'096, .may_grow = true});
//   core.submit(message, [](const touchline::Report& report) { ... });
//
// What each message does, with which reports in which order, is in docs/MATCHING.md; `tests/data/scenarios` shows it.
// No exceptions, no virtual calls, no clock, no thread. Nothing is allocated after construction while the declared
// capacity lasts; beyond it, storage doubles or the order is refused, as declared.
//
// Invariants between messages: the book is not crossed; every resting quantity is above zero; every level has orders.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "touchline/book.hpp"
#include "touchline/check.hpp"
#include "touchline/message.hpp"
#include "touchline/report.hpp"

namespace touchline {

struct Capacity {
    /// Resting orders, both sides together; at most `kSlotsMax`, more is taken as that.
    std::uint32_t orders = 16'384;
    /// Price levels, both sides together; likewise.
    std::uint32_t levels = 4'096;
    /// Whether storage doubles when used up; otherwise the order is refused.
    bool may_grow = true;
};

class MatchingCore {
public:
    explicit MatchingCore(const Capacity& capacity) noexcept
        : book_(capacity.orders, capacity.levels, capacity.may_grow) {}

    /// Carries out one message and calls `sink(const Report&)` with each consequence in order; at least one.
    /// The sink must not call the core.
    template <class Sink>
    void submit(const Message& message, Sink&& sink) noexcept {
#if defined(TOUCHLINE_X86)
        if (book_.reach() == Reach::avx512) {
            return submit_avx512(message, sink);
        }
        if (book_.reach() == Reach::avx2) {
            return submit_avx2(message, sink);
        }
#endif
        submit_by<PlainSearch>(message, sink);
    }

    /// Carries out `count` messages, `message_at(0)` first, exactly as `submit` would one after the other. When the book is
    /// larger than a processor's own caches, the memory that later messages will need is fetched meanwhile.
    template <class MessageAt, class Sink>
    void submit_batch(std::size_t count, MessageAt&& message_at, Sink&& sink) noexcept {
        if (!book_.is_large()) {
            for (std::size_t at = 0; at < count; ++at) {
                submit(message_at(at), sink);
            }
            return;
        }
        // Each stage needs what the one before has fetched: the index, then the order, then the orders beside it.
        for (std::size_t at = 0; at < std::min(count, kFetchId); ++at) {
            book_.prefetch_id(IdIndex::hash_of(message_at(at).id));
        }
        for (std::size_t at = 0; at < std::min(count, kFetchOrder); ++at) {
            prefetch_order(message_at(at));
        }
        for (std::size_t at = 0; at < std::min(count, kFetchQueue); ++at) {
            prefetch_queue(message_at(at));
        }
        for (std::size_t at = 0; at < count; ++at) {
            if (at + kFetchId < count) {
                book_.prefetch_id(IdIndex::hash_of(message_at(at + kFetchId).id));
            }
            if (at + kFetchOrder < count) {
                prefetch_order(message_at(at + kFetchOrder));
            }
            if (at + kFetchQueue < count) {
                prefetch_queue(message_at(at + kFetchQueue));
            }
            submit(message_at(at), sink);
        }
    }

    // --- Questions ---------------------------------------------------------------------------------------------------

    /// The best level of a side; false when the side is empty. O(1).
    bool best(Side side, LevelView& out) const noexcept {
        const std::uint32_t where = book_.best(side);
        if (where == kNone) {
            return false;
        }
        out = LevelView{book_.best_price(side), book_.qty_at(where)};
        return true;
    }

    /// The quantity resting at a price. O(1), O(log levels) at worst.
    std::int64_t qty_at(Side side, std::int64_t price) const noexcept {
        const std::uint32_t where = book_.find_level(side, price).where;
        return where == kNone ? 0 : book_.qty_at(where);
    }

    /// Writes the best levels, best first, and returns how many. O(count).
    std::size_t top(Side side, LevelView* out, std::size_t count) const noexcept {
        std::size_t filled = 0;
        if (count > 0) {
            book_.walk_levels(side, [&](std::uint32_t where) {
                out[filled++] = LevelView{book_.price_at(where), book_.qty_at(where)};
                return filled < count;
            });
        }
        return filled;
    }

    /// A resting order; false when there is none of that id. O(1).
    bool order(std::uint64_t id, OrderView& out) const noexcept {
        const std::uint32_t slot = book_.find(id);
        if (slot == kNone) {
            return false;
        }
        out = view_of(slot);
        return true;
    }

    /// The quantity before an order at its level, or -1 when there is no such order. O(orders before it).
    std::int64_t ahead_of(std::uint64_t id) const noexcept {
        const std::uint32_t slot = book_.find(id);
        if (slot == kNone) {
            return -1;
        }
        std::int64_t ahead = 0;
        for (std::uint32_t at = book_.before(slot); at != kNone; at = book_.before(at)) {
            ahead += book_.order(at).qty;
        }
        return ahead;
    }

    /// Writes the orders of a level in priority order, up to `count` at a time, and returns how many. `cursor` is 0 for
    /// the first call and 0 again when the level is done; the core must not change between the calls. O(count).
    std::size_t orders_at(Side side, std::int64_t price, std::uint32_t& cursor, OrderView* out,
                          std::size_t count) const noexcept {
        std::uint32_t at = kNone;
        if (cursor != 0) {
            at = cursor - 1;
        } else if (const std::uint32_t where = book_.find_level(side, price).where; where != kNone) {
            at = book_.first_at(where);
        }
        std::size_t filled = 0;
        for (; at != kNone && filled < count; at = book_.order(at).next) {
            out[filled++] = view_of(at);
        }
        // kNone plus one is zero: the level is done.
        cursor = at + 1;
        return filled;
    }

    std::uint32_t order_count() const noexcept { return book_.order_count(); }
    std::uint32_t level_count(Side side) const noexcept { return book_.level_count(side); }
    std::uint32_t order_capacity() const noexcept { return book_.order_capacity(); }
    std::size_t memory_bytes() const noexcept { return book_.memory_bytes(); }

    /// Compares arena, levels and indexes with each other. O(everything).
    CheckResult check() const noexcept { return Checker::run(book_); }

private:
    static constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    static constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

    /// An order while it trades.
    struct Taker {
        std::uint64_t id;
        /// The worst price it takes.
        std::int64_t limit;
        /// What reports call its price: zero for a market order.
        std::int64_t price;
        std::int64_t remaining;
        std::uint32_t owner;
        Side side;
        SelfTrade stp;
    };

    // --- Fetching ahead ----------------------------------------------------------------------------------------------

    /// How many messages ahead each stage of `submit_batch` works.
    static constexpr std::size_t kFetchId = 12;
    static constexpr std::size_t kFetchOrder = 8;
    static constexpr std::size_t kFetchQueue = 4;

    void prefetch_order(const Message& message) const noexcept {
        if (message.action != Action::place) {
            book_.prefetch_order(IdIndex::hash_of(message.id));
        } else if (message.side <= Side::ask && book_.crosses(message.side, message.price)) {
            book_.prefetch_first(opposite(message.side));
        } else {
            book_.prefetch_level(message.price);
        }
    }

    void prefetch_queue(const Message& message) const noexcept {
        if (message.action != Action::place) {
            book_.prefetch_neighbours(IdIndex::hash_of(message.id));
        } else if (message.side <= Side::ask && book_.crosses(message.side, message.price)) {
            book_.prefetch_second(opposite(message.side));
        } else {
            book_.prefetch_tail(message.price);
        }
    }

    // --- Messages ----------------------------------------------------------------------------------------------------

    template <class Search, class Sink>
    void submit_by(const Message& message, Sink& sink) noexcept {
        if (message.action == Action::place) {
            return place<Search>(message, sink);
        }
        if (message.action == Action::cancel) {
            return cancel<Search>(message, sink);
        }
        if (message.action == Action::modify) {
            return modify(message, sink);
        }
        reject(message.id, Reject::malformed, sink);
    }

#if defined(TOUCHLINE_X86)
    // The common ways of a message in one piece, so that all of it is for the processor at hand.

    template <class Sink>
    [[gnu::flatten]] TOUCHLINE_AVX2 void submit_avx2(const Message& message, Sink& sink) noexcept {
        submit_by<Avx2Search>(message, sink);
    }

    template <class Sink>
    [[gnu::flatten]] TOUCHLINE_AVX512 void submit_avx512(const Message& message, Sink& sink) noexcept {
        submit_by<Avx512Search>(message, sink);
    }
#endif

    template <class Search, class Sink>
    void place(const Message& message, Sink& sink) noexcept {
        const bool is_malformed =
            message.side > Side::ask || message.kind > Kind::market || message.stp > SelfTrade::decrement;
        if (is_malformed || message.qty <= 0) [[unlikely]] {
            return reject(message.id, is_malformed ? Reject::malformed : Reject::quantity, sink);
        }
        const std::uint64_t hash = IdIndex::hash_of(message.id);
        IdIndex::Vacancy vacancy;
        if (book_.contains<Search>(message.id, hash, vacancy)) [[unlikely]] {
            return reject(message.id, Reject::duplicate_id, sink);
        }
        if (message.kind != Kind::limit_gtc || book_.crosses(message.side, message.price)) {
            return place_otherwise(message, hash, sink);
        }
        if (book_.is_dense() && book_.has_free_order()) {
            const std::uint32_t queue = book_.hinted_queue(message.side, message.price);
            if (queue != kNone) [[likely]] {
                return place_beside(message, hash, vacancy, queue, sink);
            }
        }
        place_apart<Search>(message, hash, vacancy, sink);
    }

    /// An order that only rests, at a price whose queue is known.
    template <class Sink>
    void place_beside(const Message& message, std::uint64_t hash, const IdIndex::Vacancy& vacancy, std::uint32_t queue,
                      Sink& sink) noexcept {
        if (book_.queue_qty(queue) > kMax - message.qty) [[unlikely]] {
            return reject(message.id, Reject::level_overflow, sink);
        }
        emit(sink, Report{.id = message.id, .kind = ReportKind::accepted});
        book_.join({message.id, message.price, message.qty, hash, message.owner, message.side, message.stp}, queue,
                   vacancy);
    }

    /// An order that only rests, at a price of which nothing is known.
    template <class Search, class Sink>
    void place_apart(const Message& message, std::uint64_t hash, const IdIndex::Vacancy& vacancy, Sink& sink) noexcept {
        if (!book_.has_room()) [[unlikely]] {
            return place_tightly(message, hash, sink);
        }
        const std::uint32_t slot = book_.next_order();
        const LevelIndex::Entry level = book_.enter<Search>(message.side, message.price, slot);
        if (level.ref != slot && book_.qty_of(level.ref) > kMax - message.qty) [[unlikely]] {
            return reject(message.id, Reject::level_overflow, sink);
        }
        emit(sink, Report{.id = message.id, .kind = ReportKind::accepted});
        book_.rest({message.id, message.price, message.qty, hash, message.owner, message.side, message.stp}, slot,
                   level, vacancy);
    }

    /// As that, when there may be no room, or only for some orders.
    template <class Sink>
    TOUCHLINE_APART void place_tightly(const Message& message, std::uint64_t hash, Sink& sink) noexcept {
        const std::uint32_t ref = book_.find_level(message.side, message.price).ref;
        if (ref != kNone && book_.qty_of(ref) > kMax - message.qty) {
            return reject(message.id, Reject::level_overflow, sink);
        }
        if (!make_room(ref == kNone)) {
            return reject(message.id, Reject::capacity, sink);
        }
        emit(sink, Report{.id = message.id, .kind = ReportKind::accepted});
        book_.rest({message.id, message.price, message.qty, hash, message.owner, message.side, message.stp});
    }

    /// Makes room for an order that may rest, before anything happens, so that what has begun can always end. False when
    /// there is none.
    bool make_room(bool opens_level) noexcept {
        if ((opens_level && !book_.room_for_level()) || !book_.room_for_order()) {
            return false;
        }
        if (!book_.has_blocks()) [[unlikely]] {
            book_.pack();
        }
        return true;
    }

    /// Whatever may trade, or is not plain.
    template <class Sink>
    TOUCHLINE_APART void place_otherwise(const Message& message, std::uint64_t hash, Sink& sink) noexcept {
        const bool is_market = message.kind == Kind::market;
        const std::int64_t limit = !is_market ? message.price : message.side == Side::bid ? kMax : kMin;
        const bool crosses = book_.crosses(message.side, limit);
        if (crosses && message.kind == Kind::post_only) {
            return reject(message.id, Reject::would_cross, sink);
        }
        const bool may_rest = message.kind == Kind::limit_gtc || message.kind == Kind::post_only;
        if (may_rest && !crosses) {
            return place_tightly(message, hash, sink);
        }
        // The book is not crossed, so its own side has no level at a price that crosses.
        if (may_rest && !make_room(true)) {
            return reject(message.id, Reject::capacity, sink);
        }

        emit(sink, Report{.id = message.id, .kind = ReportKind::accepted});
        Taker taker{message.id,    limit,        is_market ? 0 : message.price, message.qty,
                    message.owner, message.side, message.stp};
        if (crosses && (message.kind != Kind::limit_fok || can_fill(taker))) {
            match(taker, sink);
        }
        if (taker.remaining == 0) {
            return;
        }
        switch (message.kind) {
            case Kind::limit_gtc:
            case Kind::post_only:
                return book_.rest({taker.id, message.price, taker.remaining, hash, taker.owner, taker.side, taker.stp});
            case Kind::limit_ioc: return cancelled(taker.id, taker.remaining, CancelReason::ioc_rest, sink);
            case Kind::limit_fok: return cancelled(taker.id, taker.remaining, CancelReason::fok, sink);
            case Kind::market: return cancelled(taker.id, taker.remaining, CancelReason::market_rest, sink);
        }
    }

    template <class Search, class Sink>
    void cancel(const Message& message, Sink& sink) noexcept {
        const std::uint64_t hash = IdIndex::hash_of(message.id);
        const IdIndex::Found found = book_.find<Search>(message.id, hash);
        if (found.slot == kNone) [[unlikely]] {
            return reject(message.id, Reject::unknown_order, sink);
        }
        cancelled(message.id, book_.order(found.slot).qty, CancelReason::user, sink);
        book_.remove(found, hash);
    }

    template <class Sink>
    TOUCHLINE_APART void modify(const Message& message, Sink& sink) noexcept {
        if (message.qty <= 0) {
            return reject(message.id, Reject::quantity, sink);
        }
        const std::uint64_t hash = IdIndex::hash_of(message.id);
        const IdIndex::Found found = book_.find(message.id, hash);
        const std::uint32_t slot = found.slot;
        if (slot == kNone) {
            return reject(message.id, Reject::unknown_order, sink);
        }
        const Order order = book_.order(slot);
        const std::uint32_t old_level = book_.level_of(slot);
        if (message.price == book_.price_at(old_level)) {
            if (message.qty > order.qty) {
                if (book_.qty_at(old_level) - order.qty > kMax - message.qty) {
                    return reject(message.id, Reject::level_overflow, sink);
                }
                book_.requeue(slot, message.qty);
            } else {
                book_.reduce(slot, order.qty - message.qty);
            }
            return modified(message.id, message.price, message.qty, sink);
        }

        const Side side = book_.side_at(old_level);
        const bool crosses = book_.crosses(side, message.price);
        const std::uint32_t level = book_.find_level(side, message.price).where;
        if (level != kNone && book_.qty_at(level) > kMax - message.qty) {
            return reject(message.id, Reject::level_overflow, sink);
        }
        // An order alone at its old price leaves the room of that level for the new one.
        if (level == kNone && order.is_queued != 0 && !book_.room_for_level()) {
            return reject(message.id, Reject::capacity, sink);
        }
        if (!book_.has_blocks()) {
            book_.pack();
        }
        book_.remove(found, hash);
        modified(message.id, message.price, message.qty, sink);
        Taker taker{message.id,  message.price, message.price, message.qty,
                    order.owner, side,          static_cast<SelfTrade>(order.stp)};
        if (crosses) {
            match(taker, sink);
        }
        if (taker.remaining != 0) {
            book_.rest({taker.id, message.price, taker.remaining, hash, taker.owner, side, taker.stp});
        }
    }

    // --- Trading -----------------------------------------------------------------------------------------------------

    /// Trades a taker against the other side, best price and first in the queue first, until it is done or meets no
    /// price within its limit. `remaining` is zero afterwards when the order is done, however it ended.
    template <class Sink>
    void match(Taker& taker, Sink& sink) noexcept {
        const Side other = opposite(taker.side);
        const bool may_meet_itself = taker.stp != SelfTrade::none && taker.owner != kNoOwner;
        while (taker.remaining != 0 && book_.crosses(taker.side, taker.limit)) {
            const std::int64_t price = book_.best_price(other);
            std::uint32_t slot = book_.first_at(book_.best(other));
            const std::uint32_t queue = book_.queue_of(slot);
            if (queue != kNone && !may_meet_itself && book_.queue_qty(queue) <= taker.remaining) {
                // All of it: the queue need not be kept in order meanwhile.
                do {
                    (void)trade(taker, slot, price, sink);
                    slot = book_.forget_order(slot);
                } while (slot != kNone);
                book_.take_best(other, queue);
                continue;
            }
            do {
                if (may_meet_itself && book_.order(slot).owner == taker.owner) [[unlikely]] {
                    prevent(taker, slot, sink);
                    break;
                }
                if (const std::int64_t qty = trade(taker, slot, price, sink); qty != book_.order(slot).qty) {
                    book_.reduce(slot, qty);
                    return;
                }
                slot = book_.take_first(other, slot);
            } while (taker.remaining != 0 && slot != kNone);
        }
    }

    /// Reports a trade with a maker, which keeps its quantity for now; answers how much.
    template <class Sink>
    std::int64_t trade(Taker& taker, std::uint32_t slot, std::int64_t price, Sink& sink) noexcept {
        const Order& maker = book_.order(slot);
        if (maker.next != kNone) {
            fetch_line(&book_.order(maker.next));
        }
        const std::int64_t qty = std::min(taker.remaining, maker.qty);
        taker.remaining -= qty;
        emit(sink, Report{.id = maker.id,
                          .taker_id = taker.id,
                          .price = price,
                          .qty = qty,
                          .remaining = maker.qty - qty,
                          .taker_remaining = taker.remaining,
                          .owner = maker.owner,
                          .kind = ReportKind::trade,
                          .side = taker.side});
        return qty;
    }

    static bool meets_itself(const Taker& taker, const Order& maker) noexcept {
        return taker.stp != SelfTrade::none && taker.owner != kNoOwner && taker.owner == maker.owner;
    }

    /// Carries out self-trade prevention between a taker and the first order of the other side: the maker's report first.
    template <class Sink>
    TOUCHLINE_APART void prevent(Taker& taker, std::uint32_t slot, Sink& sink) noexcept {
        const Side other = opposite(taker.side);
        const Order maker = book_.order(slot);
        if (taker.stp == SelfTrade::decrement) {
            const std::int64_t qty = std::min(taker.remaining, maker.qty);
            if (qty == maker.qty) {
                book_.take_first(other, slot);
                cancelled(maker.id, qty, CancelReason::self_trade, sink);
            } else {
                book_.reduce(slot, qty);
                modified(maker.id, book_.best_price(other), maker.qty - qty, sink);
            }
            taker.remaining -= qty;
            if (taker.remaining == 0) {
                cancelled(taker.id, qty, CancelReason::self_trade, sink);
            } else {
                modified(taker.id, taker.price, taker.remaining, sink);
            }
            return;
        }
        if (taker.stp != SelfTrade::expire_taker) {
            book_.take_first(other, slot);
            cancelled(maker.id, maker.qty, CancelReason::self_trade, sink);
        }
        if (taker.stp != SelfTrade::expire_maker) {
            cancelled(taker.id, taker.remaining, CancelReason::self_trade, sink);
            taker.remaining = 0;
        }
    }

    /// Whether a taker would trade its whole quantity. Resting orders of the same owner count as nothing under
    /// `expire_maker`, and end the count under the other modes, which would cost the taker quantity.
    bool can_fill(const Taker& taker) const noexcept {
        const bool may_meet_itself = taker.stp != SelfTrade::none && taker.owner != kNoOwner;
        std::int64_t wanted = taker.remaining;
        book_.walk_levels(opposite(taker.side), [&](std::uint32_t level) {
            const std::int64_t price = book_.price_at(level);
            if (taker.side == Side::bid ? price > taker.limit : price < taker.limit) {
                return false;
            }
            if (!may_meet_itself) {
                wanted -= std::min(wanted, book_.qty_at(level));
                return wanted > 0;
            }
            for (std::uint32_t slot = book_.first_at(level); slot != kNone && wanted > 0; slot = book_.order(slot).next) {
                const Order& maker = book_.order(slot);
                if (!meets_itself(taker, maker)) {
                    wanted -= std::min(wanted, maker.qty);
                } else if (taker.stp != SelfTrade::expire_maker) {
                    return false;
                }
            }
            return wanted > 0;
        });
        return wanted == 0;
    }

    // --- Reports -----------------------------------------------------------------------------------------------------

    template <class Sink>
    void emit(Sink& sink, Report report) noexcept {
        report.sequence = ++sequence_;
        sink(static_cast<const Report&>(report));
    }

    template <class Sink>
    void cancelled(std::uint64_t id, std::int64_t remaining, CancelReason reason, Sink& sink) noexcept {
        emit(sink, Report{.id = id,
                          .remaining = remaining,
                          .kind = ReportKind::cancelled,
                          .reason = static_cast<std::uint8_t>(reason)});
    }

    template <class Sink>
    void modified(std::uint64_t id, std::int64_t price, std::int64_t remaining, Sink& sink) noexcept {
        emit(sink, Report{.id = id, .price = price, .remaining = remaining, .kind = ReportKind::modified});
    }

    template <class Sink>
    TOUCHLINE_APART void reject(std::uint64_t id, Reject reason, Sink& sink) noexcept {
        emit(sink, Report{.id = id, .kind = ReportKind::rejected, .reason = static_cast<std::uint8_t>(reason)});
    }

    OrderView view_of(std::uint32_t slot) const noexcept {
        const Order& order = book_.order(slot);
        const std::uint32_t level = book_.level_of(slot);
        return OrderView{order.id, book_.price_at(level), order.qty, order.owner, book_.side_at(level), {}};
    }

    Book book_;
    std::uint64_t sequence_ = 0;
};

}  // namespace touchline
