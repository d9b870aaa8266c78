#include "touchline/bridge.hpp"

namespace touchline {

namespace {

// 1 024 reports are 64 KiB; a sweep through more orders than that doubles the buffer once and for all.
constexpr std::size_t kReportsAtStart = 1024;

Side side_of(std::uint8_t side) noexcept { return side == 0 ? Side::bid : Side::ask; }

}  // namespace

Bridge::Bridge(const Capacity& capacity) noexcept : core_(capacity), reports_(kReportsAtStart) {}

rust::Slice<const Report> Bridge::submit(const Message& message) noexcept {
    reports_.clear();
    core_.submit(message, reports_);
    return {reports_.data(), reports_.count()};
}

bool Bridge::best(std::uint8_t side, LevelView& out) const noexcept { return core_.best(side_of(side), out); }

std::int64_t Bridge::qty_at(std::uint8_t side, std::int64_t price) const noexcept {
    return core_.qty_at(side_of(side), price);
}

std::size_t Bridge::top(std::uint8_t side, rust::Slice<LevelView> out) const noexcept {
    return core_.top(side_of(side), out.data(), out.size());
}

bool Bridge::order(std::uint64_t id, OrderView& out) const noexcept { return core_.order(id, out); }

std::int64_t Bridge::ahead_of(std::uint64_t id) const noexcept { return core_.ahead_of(id); }

std::size_t Bridge::orders_at(std::uint8_t side, std::int64_t price, std::uint32_t& cursor,
                              rust::Slice<OrderView> out) const noexcept {
    return core_.orders_at(side_of(side), price, cursor, out.data(), out.size());
}

std::uint32_t Bridge::order_count() const noexcept { return core_.order_count(); }

std::uint32_t Bridge::level_count(std::uint8_t side) const noexcept { return core_.level_count(side_of(side)); }

std::uint32_t Bridge::order_capacity() const noexcept { return core_.order_capacity(); }

std::size_t Bridge::memory_bytes() const noexcept { return core_.memory_bytes(); }

CheckResult Bridge::check() const noexcept { return core_.check(); }

std::unique_ptr<Bridge> new_bridge(std::uint32_t orders, std::uint32_t levels, bool may_grow) noexcept {
    return std::make_unique<Bridge>(Capacity{orders, levels, may_grow});
}

}  // namespace touchline
