// The core as Rust sees it: one call per message, reports handed back as a slice of a buffer that stays here.
//
// The only header that knows of cxx. C++ users include touchline/matching_core.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "rust/cxx.h"
#include "touchline/check.hpp"
#include "touchline/matching_core.hpp"
#include "touchline/message.hpp"
#include "touchline/report.hpp"
#include "touchline/report_buffer.hpp"

namespace touchline {

class Bridge {
public:
    explicit Bridge(const Capacity& capacity) noexcept;

    rust::Slice<const Report> submit(const Message& message) noexcept;

    bool best(std::uint8_t side, LevelView& out) const noexcept;
    std::int64_t qty_at(std::uint8_t side, std::int64_t price) const noexcept;
    std::size_t top(std::uint8_t side, rust::Slice<LevelView> out) const noexcept;
    bool order(std::uint64_t id, OrderView& out) const noexcept;
    std::int64_t ahead_of(std::uint64_t id) const noexcept;
    std::size_t orders_at(std::uint8_t side, std::int64_t price, std::uint32_t& cursor,
                          rust::Slice<OrderView> out) const noexcept;
    std::uint32_t order_count() const noexcept;
    std::uint32_t level_count(std::uint8_t side) const noexcept;
    std::uint32_t order_capacity() const noexcept;
    std::size_t memory_bytes() const noexcept;
    CheckResult check() const noexcept;

private:
    MatchingCore core_;
    ReportBuffer reports_;
};

std::unique_ptr<Bridge> new_bridge(std::uint32_t orders, std::uint32_t levels, bool may_grow) noexcept;

}  // namespace touchline
