// What the matching core answers: reports of messages, and views of the book.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "touchline/message.hpp"

namespace touchline {

enum class ReportKind : std::uint8_t { accepted = 0, trade = 1, cancelled = 2, modified = 3, rejected = 4 };

/// Why an order, or what was left of it, was taken out without trading.
enum class CancelReason : std::uint8_t { user = 0, ioc_rest = 1, fok = 2, market_rest = 3, self_trade = 4 };

/// Why a message was refused. A refused message changes nothing.
enum class Reject : std::uint8_t {
    quantity = 0,
    duplicate_id = 1,
    unknown_order = 2,
    would_cross = 3,
    level_overflow = 4,
    capacity = 5,
    malformed = 6,
};

/// One consequence of a message, one cache line. Fields that a kind does not name below are zero.
struct Report {
    /// Number of the report since construction, from 1, without gaps.
    std::uint64_t sequence = 0;
    /// The order it is about; for a trade the maker.
    std::uint64_t id = 0;
    /// Trade: the order that arrived.
    std::uint64_t taker_id = 0;
    /// Trade: the maker's price. Modified: the order's price.
    std::int64_t price = 0;
    /// Trade: lots traded now.
    std::int64_t qty = 0;
    /// Trade: what is left of the maker. Cancelled: what had not traded. Modified: what remains.
    std::int64_t remaining = 0;
    /// Trade: what is left of the taker at this moment.
    std::int64_t taker_remaining = 0;
    /// Trade: the maker's owner.
    std::uint32_t owner = 0;
    ReportKind kind = ReportKind::accepted;
    /// Cancelled: a `CancelReason`. Rejected: a `Reject`.
    std::uint8_t reason = 0;
    /// Trade: the taker's side.
    Side side = Side::bid;
    std::uint8_t reserved = 0;
};

static_assert(sizeof(Report) == 64 && offsetof(Report, side) == 62);
static_assert(std::is_trivially_copyable_v<Report>);

/// A price and everything resting there.
struct LevelView {
    std::int64_t price;
    std::int64_t qty;
};

static_assert(sizeof(LevelView) == 16 && offsetof(LevelView, qty) == 8);

/// A resting order as it is now.
struct OrderView {
    std::uint64_t id;
    std::int64_t price;
    std::int64_t remaining;
    std::uint32_t owner;
    Side side;
    std::uint8_t reserved[3];
};

static_assert(sizeof(OrderView) == 32 && offsetof(OrderView, side) == 28);

}  // namespace touchline
