// The floor: a call over the C ABI that reads a 64-byte message and appends one 64-byte report. Frozen: every figure of
// the comparison is a ratio to this one.

#include "engine.hpp"

extern "C" void* compare_null_new(std::uint32_t, std::uint32_t) {
    static char nothing;
    return &nothing;
}

extern "C" void compare_null_free(void*) {}

extern "C" __attribute__((noinline)) void compare_null_submit(void*, const CompareMessage* message, CompareRing* ring) {
    CompareReport& report = next_report(*ring);
    report.sequence = message->reserved[0];
    report.id = message->id;
    report.taker_id = message->reserved[1];
    report.price = message->price;
    report.qty = message->qty;
    report.remaining = static_cast<std::int64_t>(message->reserved[2]);
    report.taker_remaining = static_cast<std::int64_t>(message->sent_ns);
    report.owner = message->owner;
    report.kind = message->action;
    report.reason = message->kind;
    report.side = message->side;
    report.reserved = message->stp;
}
