// Our core behind the same calls: untrusted bytes in, every check of the library on.

#include "engine.hpp"
#include "touchline/matching_core.hpp"

namespace {

static_assert(sizeof(touchline::Report) == sizeof(CompareReport));

touchline::Message message_of(const CompareMessage& message) {
    return {message.id,
            message.price,
            message.qty,
            message.owner,
            static_cast<touchline::Action>(message.action),
            static_cast<touchline::Side>(message.side),
            static_cast<touchline::Kind>(message.kind),
            static_cast<touchline::SelfTrade>(message.stp)};
}

struct RingSink {
    CompareRing& ring;
    void operator()(const touchline::Report& report) const noexcept {
        *reinterpret_cast<touchline::Report*>(&next_report(ring)) = report;
    }
};

}  // namespace

extern "C" void* compare_touchline_new(std::uint32_t orders, std::uint32_t levels) {
    return new touchline::MatchingCore({.orders = orders, .levels = levels, .may_grow = false});
}

extern "C" void compare_touchline_free(void* engine) { delete static_cast<touchline::MatchingCore*>(engine); }

extern "C" void compare_touchline_submit(void* engine, const CompareMessage* message, CompareRing* ring) {
    static_cast<touchline::MatchingCore*>(engine)->submit(message_of(*message), RingSink{*ring});
}

extern "C" void compare_touchline_submit_batch(void* engine, const CompareMessage* messages, std::size_t count,
                                               CompareRing* ring) {
    static_cast<touchline::MatchingCore*>(engine)->submit_batch(
        count, [messages](std::size_t at) { return message_of(messages[at]); }, RingSink{*ring});
}

extern "C" std::uint64_t compare_touchline_bytes(void* engine) {
    return static_cast<const touchline::MatchingCore*>(engine)->memory_bytes();
}

// For a counter of instructions, which is told their names: the same call, by what the message comes to. The empty statement
// keeps each a call of its own.

extern "C" __attribute__((noinline)) void compare_counted_rest(void* engine, const CompareMessage* message,
                                                               CompareRing* ring) {
    compare_touchline_submit(engine, message, ring);
    asm volatile("");
}

extern "C" __attribute__((noinline)) void compare_counted_trade(void* engine, const CompareMessage* message,
                                                                CompareRing* ring) {
    compare_touchline_submit(engine, message, ring);
    asm volatile("" : : "r"(1));
}

extern "C" __attribute__((noinline)) void compare_counted_cancel(void* engine, const CompareMessage* message,
                                                                 CompareRing* ring) {
    compare_touchline_submit(engine, message, ring);
    asm volatile("" : : "r"(2));
}
