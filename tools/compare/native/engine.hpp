// What every engine of the comparison is called through: C functions, a 64-byte message in, 64-byte reports out.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

/// One message, one cache line, as a feed or a gateway would hand it over.
struct CompareMessage {
    std::uint64_t id;
    std::int64_t price;
    std::int64_t qty;
    std::uint32_t owner;
    /// 0 place, 1 cancel, 2 modify.
    std::uint8_t action;
    /// 0 bid, 1 ask.
    std::uint8_t side;
    /// 0 limit GTC; the workloads use no other.
    std::uint8_t kind;
    std::uint8_t stp;
    std::uint64_t sent_ns;
    std::uint64_t reserved[3];
};

/// One consequence, one cache line: the fields of `touchline::Report`.
struct CompareReport {
    std::uint64_t sequence;
    std::uint64_t id;
    std::uint64_t taker_id;
    std::int64_t price;
    std::int64_t qty;
    std::int64_t remaining;
    std::int64_t taker_remaining;
    std::uint32_t owner;
    /// 0 accepted, 1 trade, 2 cancelled, 3 modified, 4 rejected.
    std::uint8_t kind;
    std::uint8_t reason;
    std::uint8_t side;
    std::uint8_t reserved;
};

/// Where reports go: a power of two of them, overwritten in a circle.
struct CompareRing {
    CompareReport* reports;
    std::uint64_t head;
    std::uint64_t mask;
};
}

static_assert(sizeof(CompareMessage) == 64 && sizeof(CompareReport) == 64);

inline CompareReport& next_report(CompareRing& ring) { return ring.reports[ring.head++ & ring.mask]; }
