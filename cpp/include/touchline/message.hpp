// What may be asked of the matching core.
//
// Plain data of fixed layout: a message may come from another language or a file, so every enum is checked on arrival
// and a byte that names nothing is refused as `Reject::malformed`, never trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace touchline {

/// A side of the book. A trade whose aggressor is `bid` was a taker that bought.
enum class Side : std::uint8_t { bid = 0, ask = 1 };

constexpr Side opposite(Side side) noexcept { return side == Side::bid ? Side::ask : Side::bid; }

/// What the message asks for.
enum class Action : std::uint8_t {
    /// Place an order. Uses every field.
    place = 0,
    /// Remove a resting order. Uses `id`.
    cancel = 1,
    /// Change a resting order to `price` and remaining `qty`. Uses `id`, `price`, `qty`.
    modify = 2,
};

/// What an order does when it arrives.
enum class Kind : std::uint8_t {
    /// Trades what it can, the rest waits in the book.
    limit_gtc = 0,
    /// Trades what it can, the rest is cancelled.
    limit_ioc = 1,
    /// Trades whole or not at all.
    limit_fok = 2,
    /// Refused when it would trade.
    post_only = 3,
    /// Trades what it can at any price, the rest is cancelled. `price` is ignored.
    market = 4,
};

/// What happens when an order meets a resting order of the same owner. The arriving order's choice decides.
enum class SelfTrade : std::uint8_t { none = 0, expire_maker = 1, expire_taker = 2, expire_both = 3, decrement = 4 };

/// Orders of this owner are nobody's and never meet themselves.
inline constexpr std::uint32_t kNoOwner = 0;

struct Message {
    /// Name of the order: any 64-bit number.
    std::uint64_t id;
    /// Ticks; any 64-bit number.
    std::int64_t price;
    /// Lots, above zero. For `modify`: what shall remain.
    std::int64_t qty;
    /// For self-trade prevention.
    std::uint32_t owner;
    Action action;
    Side side;
    Kind kind;
    SelfTrade stp;
};

static_assert(sizeof(Message) == 32 && offsetof(Message, stp) == 31);
static_assert(std::is_trivially_copyable_v<Message>);

}  // namespace touchline
