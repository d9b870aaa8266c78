// What a textbook shows: an ordered map of levels, a list as the queue of each, a hash table from ids to places in them.
// Frozen: the comparison says how many times faster than this an engine is.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <unordered_map>

#include "engine.hpp"

namespace {

struct Order {
    std::uint64_t id;
    std::int64_t qty;
    std::uint32_t owner;
};

struct Level {
    std::int64_t qty = 0;
    std::list<Order> queue;
};

using Levels = std::map<std::int64_t, Level>;

struct Place {
    bool is_bid;
    Levels::iterator level;
    std::list<Order>::iterator order;
};

class Textbook {
public:
    explicit Textbook(std::uint32_t orders) { places_.reserve(orders); }

    void submit(const CompareMessage& message, CompareRing& ring) {
        if (message.action == 0) {
            place(message, ring);
        } else if (message.action == 1) {
            cancel(message, ring);
        } else {
            reject(message.id, ring);
        }
    }

private:
    void place(const CompareMessage& message, CompareRing& ring) {
        if (message.qty <= 0 || message.kind != 0 || places_.contains(message.id)) {
            return reject(message.id, ring);
        }
        emit(ring, {.id = message.id, .kind = 0});
        const bool is_bid = message.side == 0;
        std::int64_t remaining = message.qty;
        Levels& makers = is_bid ? asks_ : bids_;
        while (remaining > 0 && !makers.empty()) {
            const auto level = is_bid ? makers.begin() : std::prev(makers.end());
            if (is_bid ? level->first > message.price : level->first < message.price) {
                break;
            }
            Order& maker = level->second.queue.front();
            const std::int64_t qty = std::min(remaining, maker.qty);
            remaining -= qty;
            maker.qty -= qty;
            level->second.qty -= qty;
            emit(ring, {.id = maker.id,
                        .taker_id = message.id,
                        .price = level->first,
                        .qty = qty,
                        .remaining = maker.qty,
                        .taker_remaining = remaining,
                        .owner = maker.owner,
                        .kind = 1,
                        .side = message.side});
            if (maker.qty == 0) {
                places_.erase(maker.id);
                level->second.queue.pop_front();
                if (level->second.queue.empty()) {
                    makers.erase(level);
                }
            }
        }
        if (remaining > 0) {
            Levels& own = is_bid ? bids_ : asks_;
            const auto level = own.try_emplace(message.price).first;
            level->second.qty += remaining;
            level->second.queue.push_back({message.id, remaining, message.owner});
            places_.emplace(message.id, Place{is_bid, level, std::prev(level->second.queue.end())});
        }
    }

    void cancel(const CompareMessage& message, CompareRing& ring) {
        const auto found = places_.find(message.id);
        if (found == places_.end()) {
            return reject(message.id, ring);
        }
        const Place place = found->second;
        Level& level = place.level->second;
        emit(ring, {.id = message.id, .remaining = place.order->qty, .kind = 2});
        level.qty -= place.order->qty;
        level.queue.erase(place.order);
        if (level.queue.empty()) {
            (place.is_bid ? bids_ : asks_).erase(place.level);
        }
        places_.erase(found);
    }

    void reject(std::uint64_t id, CompareRing& ring) { emit(ring, {.id = id, .kind = 4}); }

    void emit(CompareRing& ring, CompareReport report) {
        report.sequence = ++sequence_;
        next_report(ring) = report;
    }

    Levels bids_;
    Levels asks_;
    std::unordered_map<std::uint64_t, Place> places_;
    std::uint64_t sequence_ = 0;
};

}  // namespace

extern "C" void* compare_textbook_new(std::uint32_t orders, std::uint32_t) { return new Textbook(orders); }

extern "C" void compare_textbook_free(void* engine) { delete static_cast<Textbook*>(engine); }

extern "C" void compare_textbook_submit(void* engine, const CompareMessage* message, CompareRing* ring) {
    static_cast<Textbook*>(engine)->submit(*message, *ring);
}
