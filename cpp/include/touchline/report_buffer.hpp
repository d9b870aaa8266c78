// A sink that keeps the reports of one message, for callers that read them afterwards.
//
// Grows by doubling and then keeps its room: nothing is allocated once it has seen the largest sweep.
#pragma once

#include <cstddef>
#include <cstdlib>

#include "touchline/report.hpp"
#include "touchline/storage.hpp"

namespace touchline {

class ReportBuffer {
public:
    explicit ReportBuffer(std::size_t reports) noexcept { make_room(reports); }

    void clear() noexcept { count_ = 0; }

    void operator()(const Report& report) noexcept {
        if (count_ == reports_.size()) [[unlikely]] {
            make_room(count_ * 2 + 1);
        }
        reports_[count_++] = report;
    }

    const Report* data() const noexcept { return reports_.data(); }
    std::size_t count() const noexcept { return count_; }

private:
    void make_room(std::size_t reports) noexcept {
        // A message that has begun cannot be undone and a report must not be lost: without memory the process ends, as
        // it does when any other allocation of a program without exceptions fails.
        if (!reports_.grow(reports)) {
            std::abort();
        }
    }

    Storage<Report> reports_;
    std::size_t count_ = 0;
};

}  // namespace touchline
