// A libFuzzer target: bytes become messages, each is answered by the core and by a book of plain sorted lists, and the two
// must say the same. Built with clang's -fsanitize=fuzzer,address,undefined; tests/matching_scenarios.rs runs it on the
// corpus in tests/data/fuzz_matching.
//
// The first bytes choose capacities. Twelve bytes are then a message; prices and quantities are small numbers moved to
// places where arithmetic is tempted to overflow, ids come from a handful so that they meet.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "touchline/matching_core.hpp"

namespace {

using namespace touchline;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

struct Resting {
    std::uint64_t id;
    std::int64_t price;
    std::int64_t qty;
    std::uint32_t owner;
    SelfTrade stp;
};

/// docs/MATCHING.md read aloud: each side one list, best price first, oldest first.
class Lists {
public:
    Lists(std::uint32_t orders, std::uint32_t levels, bool may_grow)
        : orders_(orders), levels_(levels), may_grow_(may_grow) {}

    void submit(const Message& message, std::vector<Report>& out) {
        out_ = &out;
        const Reject refusal = carry_out(message);
        if (refusal != kNothing) {
            emit({.id = message.id, .kind = ReportKind::rejected, .reason = static_cast<std::uint8_t>(refusal)});
        }
    }

    const std::vector<Resting>& side(Side side) const { return sides_[static_cast<std::size_t>(side)]; }

    std::vector<LevelView> depth(Side wanted) const {
        std::vector<LevelView> levels;
        for (const Resting& order : side(wanted)) {
            if (levels.empty() || levels.back().price != order.price) {
                levels.push_back({order.price, 0});
            }
            levels.back().qty += order.qty;
        }
        return levels;
    }

private:
    static constexpr auto kNothing = static_cast<Reject>(0xFF);

    struct Taker {
        Resting order;
        Side side;
        bool any_price;
    };

    Reject carry_out(const Message& message) {
        if (message.action == Action::place) {
            return place(message);
        }
        if (message.action == Action::modify && message.qty <= 0) {
            return Reject::quantity;
        }
        if (message.action != Action::cancel && message.action != Action::modify) {
            return Reject::malformed;
        }
        for (const Side at : {Side::bid, Side::ask}) {
            std::vector<Resting>& list = list_of(at);
            const auto found =
                std::find_if(list.begin(), list.end(), [&](const Resting& order) { return order.id == message.id; });
            if (found == list.end()) {
                continue;
            }
            if (message.action == Action::cancel) {
                cancelled(message.id, found->qty, CancelReason::user);
                list.erase(found);
                return kNothing;
            }
            return modify(message, at, found);
        }
        return Reject::unknown_order;
    }

    Reject place(const Message& message) {
        if (message.side > Side::ask || message.kind > Kind::market || message.stp > SelfTrade::decrement) {
            return Reject::malformed;
        }
        if (message.qty <= 0) {
            return Reject::quantity;
        }
        for (const Side at : {Side::bid, Side::ask}) {
            for (const Resting& order : side(at)) {
                if (order.id == message.id) {
                    return Reject::duplicate_id;
                }
            }
        }
        const bool is_market = message.kind == Kind::market;
        Taker taker{{message.id, is_market ? 0 : message.price, message.qty, message.owner, message.stp},
                    message.side,
                    is_market};
        const std::vector<Resting>& makers = side(opposite(message.side));
        if (message.kind == Kind::post_only && !makers.empty() && within(taker, makers.front())) {
            return Reject::would_cross;
        }
        if (message.kind == Kind::limit_gtc || message.kind == Kind::post_only) {
            if (overflows(message.side, message.price, message.qty)) {
                return Reject::level_overflow;
            }
            if (!may_grow_ && (sides_[0].size() + sides_[1].size() == orders_ ||
                               (qty_at(message.side, message.price) == 0 && level_count() == levels_))) {
                return Reject::capacity;
            }
        }
        emit({.id = message.id, .kind = ReportKind::accepted});
        if (message.kind != Kind::limit_fok || fills(taker)) {
            trade(taker);
        }
        if (taker.order.qty != 0) {
            switch (message.kind) {
                case Kind::limit_gtc:
                case Kind::post_only: rest(taker); break;
                case Kind::limit_ioc: cancelled(message.id, taker.order.qty, CancelReason::ioc_rest); break;
                case Kind::limit_fok: cancelled(message.id, taker.order.qty, CancelReason::fok); break;
                case Kind::market: cancelled(message.id, taker.order.qty, CancelReason::market_rest); break;
            }
        }
        return kNothing;
    }

    Reject modify(const Message& message, Side at, std::vector<Resting>::iterator found) {
        if (message.price == found->price && message.qty <= found->qty) {
            found->qty = message.qty;
            modified(message.id, message.price, message.qty);
            return kNothing;
        }
        const std::vector<Resting> before = list_of(at);
        Taker taker{*found, at, false};
        taker.order.price = message.price;
        taker.order.qty = message.qty;
        list_of(at).erase(found);
        const bool overflow = overflows(at, message.price, message.qty);
        if (overflow || (!may_grow_ && qty_at(at, message.price) == 0 && level_count() == levels_)) {
            list_of(at) = before;
            return overflow ? Reject::level_overflow : Reject::capacity;
        }
        modified(message.id, message.price, message.qty);
        trade(taker);
        if (taker.order.qty != 0) {
            rest(taker);
        }
        return kNothing;
    }

    bool overflows(Side at, std::int64_t price, std::int64_t qty) const { return qty_at(at, price) > kMax - qty; }

    static bool within(const Taker& taker, const Resting& maker) {
        return taker.any_price ||
               (taker.side == Side::bid ? maker.price <= taker.order.price : maker.price >= taker.order.price);
    }

    void trade(Taker& taker) {
        std::vector<Resting>& makers = list_of(opposite(taker.side));
        while (taker.order.qty != 0 && !makers.empty() && within(taker, makers.front())) {
            Resting& maker = makers.front();
            const std::int64_t qty = std::min(maker.qty, taker.order.qty);
            const bool is_own = taker.order.owner != kNoOwner && taker.order.owner == maker.owner;
            switch (is_own ? taker.order.stp : SelfTrade::none) {
                case SelfTrade::none:
                    maker.qty -= qty;
                    taker.order.qty -= qty;
                    emit({.id = maker.id,
                          .taker_id = taker.order.id,
                          .price = maker.price,
                          .qty = qty,
                          .remaining = maker.qty,
                          .taker_remaining = taker.order.qty,
                          .owner = maker.owner,
                          .kind = ReportKind::trade,
                          .side = taker.side});
                    break;
                case SelfTrade::expire_maker: expire(maker); break;
                case SelfTrade::expire_taker: expire(taker.order); break;
                case SelfTrade::expire_both:
                    expire(maker);
                    expire(taker.order);
                    break;
                case SelfTrade::decrement:
                    lose(maker, qty);
                    lose(taker.order, qty);
                    break;
            }
            if (maker.qty == 0) {
                makers.erase(makers.begin());
            }
        }
    }

    void expire(Resting& order) {
        cancelled(order.id, order.qty, CancelReason::self_trade);
        order.qty = 0;
    }

    void lose(Resting& order, std::int64_t qty) {
        if (order.qty == qty) {
            return expire(order);
        }
        order.qty -= qty;
        modified(order.id, order.price, order.qty);
    }

    /// Played on a copy: an order fills whole when its trades add up to it.
    bool fills(const Taker& taker) const {
        Lists copy = *this;
        std::vector<Report> reports;
        copy.out_ = &reports;
        Taker twin = taker;
        copy.trade(twin);
        std::int64_t left = taker.order.qty;
        for (const Report& report : reports) {
            left -= report.kind == ReportKind::trade ? report.qty : 0;
        }
        return left == 0;
    }

    void rest(const Taker& taker) {
        std::vector<Resting>& list = list_of(taker.side);
        const auto place = std::find_if(list.begin(), list.end(), [&](const Resting& other) {
            return taker.side == Side::bid ? other.price < taker.order.price : other.price > taker.order.price;
        });
        list.insert(place, taker.order);
    }

    std::int64_t qty_at(Side at, std::int64_t price) const {
        std::int64_t sum = 0;
        for (const Resting& order : side(at)) {
            sum += order.price == price ? order.qty : 0;
        }
        return sum;
    }

    std::size_t level_count() const { return depth(Side::bid).size() + depth(Side::ask).size(); }
    std::vector<Resting>& list_of(Side side) { return sides_[static_cast<std::size_t>(side)]; }

    void cancelled(std::uint64_t id, std::int64_t remaining, CancelReason reason) {
        emit({.id = id,
              .remaining = remaining,
              .kind = ReportKind::cancelled,
              .reason = static_cast<std::uint8_t>(reason)});
    }

    void modified(std::uint64_t id, std::int64_t price, std::int64_t remaining) {
        emit({.id = id, .price = price, .remaining = remaining, .kind = ReportKind::modified});
    }

    void emit(Report report) { out_->push_back(report); }

    std::vector<Resting> sides_[2];
    std::vector<Report>* out_ = nullptr;
    std::size_t orders_;
    std::size_t levels_;
    bool may_grow_;
};

[[noreturn]] void fail(std::size_t message, const char* what) {
    std::fprintf(stderr, "message %zu: %s\n", message, what);
    std::abort();
}

/// Byte for byte.
template <class T>
bool are_same(const std::vector<T>& one, const std::vector<T>& other) {
    return one.size() == other.size() &&
           (one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(T)) == 0);
}

std::int64_t far(std::uint8_t where, std::uint8_t by) {
    switch (where & 7) {
        case 0: return kMax - by;
        case 1: return kMin + by;
        case 2: return std::int64_t{by} << 32;
        case 3: return std::int64_t{by} << 12;
        default: return std::int64_t{by} - 100;
    }
}

std::int64_t amount(std::uint8_t where, std::uint8_t by) {
    return where % 32 == 0 ? kMax - by : where % 32 == 1 ? -std::int64_t{by} : std::int64_t{by} % 20 + (where % 32 != 2);
}

Message message_of(const std::uint8_t* bytes) {
    Message message{};
    message.id = bytes[0] % 64 == 63 ? ~std::uint64_t{0} - bytes[1] : bytes[1];
    message.action = static_cast<Action>(bytes[2] >= 250 ? bytes[2] : bytes[2] % 6 / 3 + bytes[2] % 2);
    message.price = far(bytes[3], bytes[4]);
    message.qty = amount(bytes[5], bytes[6]);
    message.side = static_cast<Side>(bytes[7] >= 250 ? bytes[7] : bytes[7] % 2);
    message.kind = static_cast<Kind>(bytes[8] >= 250 ? bytes[8] : bytes[8] < 128 ? 0 : bytes[8] % 5);
    message.stp = static_cast<SelfTrade>(bytes[9] >= 250 ? bytes[9] : bytes[9] % 5);
    message.owner = bytes[10] % 3;
    return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t head = 3;
    constexpr std::size_t length = 12;
    if (size < head) {
        return 0;
    }
    const std::uint32_t orders = 1U + data[0];
    const std::uint32_t levels = 1U + data[1];
    const bool may_grow = data[2] % 2 == 0;
    MatchingCore core({.orders = orders, .levels = levels, .may_grow = may_grow});
    Lists lists(orders, levels, may_grow);
    std::vector<Report> expected;
    std::vector<Report> found;
    std::uint64_t sequence = 0;
    for (std::size_t at = 0; head + (at + 1) * length <= size; ++at) {
        const Message message = message_of(data + head + at * length);
        expected.clear();
        found.clear();
        core.submit(message, [&](const Report& report) { found.push_back(report); });
        lists.submit(message, expected);
        for (Report& report : expected) {
            report.sequence = ++sequence;
        }
        if (!are_same(found, expected)) {
            fail(at, "the reports differ");
        }
        if (core.check().fault != Fault::none) {
            fail(at, "the check found a fault");
        }
        for (const Side side : {Side::bid, Side::ask}) {
            const std::vector<LevelView> depth = lists.depth(side);
            std::vector<LevelView> top(depth.size() + 1);
            top.resize(core.top(side, top.data(), top.size()));
            if (!are_same(top, depth)) {
                fail(at, "the depth differs");
            }
        }
    }
    return 0;
}
