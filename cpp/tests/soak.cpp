// Messages of arbitrary bytes, hostile enum values included: the core answers each and stays sound.
//
// Also watches what the reports alone must add up to: every quantity that rests was accepted and has neither traded nor
// been cancelled, counted per order from the reports and compared with the book's answer.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include "touchline/matching_core.hpp"

namespace {

using namespace touchline;

std::uint64_t state = 42;

std::uint64_t next() {
    state += 0x9E37'79B9'7F4A'7C15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBULL;
    return z ^ (z >> 31);
}

/// A byte that is mostly a value of an enum with `values` values.
std::uint8_t enum_byte(std::uint64_t values) {
    return static_cast<std::uint8_t>(next() % 50 == 0 ? next() : next() % values);
}

Message any_message() {
    Message message{};
    message.id = next() % 3000;
    message.price = static_cast<std::int64_t>(next() % 400 == 0 ? next() : next() % 512);
    message.qty = static_cast<std::int64_t>(next() % 400 == 0 ? next() : 1 + next() % 60);
    message.owner = static_cast<std::uint32_t>(next() % 4);
    message.action = static_cast<Action>(enum_byte(3));
    message.side = static_cast<Side>(enum_byte(2));
    message.kind = static_cast<Kind>(enum_byte(5));
    message.stp = static_cast<SelfTrade>(enum_byte(5));
    return message;
}

[[noreturn]] void fail(std::uint64_t at, const char* what) {
    std::fprintf(stderr, "message %llu: %s\n", static_cast<unsigned long long>(at), what);
    std::exit(1);
}

void soak(const Capacity& capacity, std::uint64_t messages) {
    MatchingCore core(capacity);
    std::unordered_map<std::uint64_t, std::int64_t> open;
    std::uint64_t reports = 0;
    std::uint64_t trades = 0;
    for (std::uint64_t at = 0; at < messages; ++at) {
        const Message message = any_message();
        const std::uint64_t before = reports;
        core.submit(message, [&](const Report& report) {
            if (report.sequence != ++reports) {
                fail(at, "a report's number is not the next");
            }
            switch (report.kind) {
                case ReportKind::accepted: open[report.id] = message.qty; break;
                case ReportKind::trade:
                    ++trades;
                    if (report.qty <= 0 || report.remaining < 0 || report.taker_remaining < 0) {
                        fail(at, "a trade of nothing");
                    }
                    if ((open[report.id] -= report.qty) != report.remaining ||
                        (open[report.taker_id] -= report.qty) != report.taker_remaining) {
                        fail(at, "a trade's remainders do not follow from the reports before it");
                    }
                    break;
                case ReportKind::cancelled:
                    if (open[report.id] != report.remaining) {
                        fail(at, "a cancel's remainder does not follow from the reports before it");
                    }
                    open[report.id] = 0;
                    break;
                case ReportKind::modified: open[report.id] = report.remaining; break;
                case ReportKind::rejected: break;
            }
            for (const std::uint64_t id : {report.id, report.taker_id}) {
                if (const auto found = open.find(id); found != open.end() && found->second == 0) {
                    open.erase(found);
                }
            }
        });
        if (reports == before) {
            fail(at, "no report");
        }
        if (open.size() != core.order_count()) {
            fail(at, "the book does not hold the orders that the reports left open");
        }
        if (at % 64 == 0) {
            if (core.check().fault != Fault::none) {
                fail(at, "the check found a fault");
            }
            for (const auto& [id, qty] : open) {
                OrderView order{};
                if (!core.order(id, order) || order.remaining != qty) {
                    fail(at, "an order's remainder is not what the reports say");
                }
            }
        }
    }
    if (trades == 0) {
        fail(messages, "nothing ever traded");
    }
    std::printf("%llu messages, %llu reports, %llu trades\n", static_cast<unsigned long long>(messages),
                static_cast<unsigned long long>(reports), static_cast<unsigned long long>(trades));
}

/// A full book whose levels thin out here and crowd there, over and over: whatever has gone before, there is room for as
/// many orders on as many levels as was declared.
void crowd(std::uint32_t orders, std::uint32_t levels, std::uint64_t rounds) {
    MatchingCore core({.orders = orders, .levels = levels, .may_grow = false});
    std::vector<std::uint64_t> live;
    std::uint64_t ids = 0;
    const auto is_accepted = [&](const Message& message) {
        bool accepted = true;
        core.submit(message, [&](const Report& report) { accepted &= report.kind != ReportKind::rejected; });
        return accepted;
    };
    for (std::uint64_t round = 0; round < rounds; ++round) {
        // Alone at their prices, or two and more at each; in order, against it or anyhow.
        const std::uint64_t crowding = 1 + next() % 3;
        const std::uint64_t way = next() % 3;
        const auto region = static_cast<std::int64_t>(1 + next() % 8) * 1'000'000;
        for (std::uint64_t step = 0; core.order_count() < orders; ++step) {
            const std::uint64_t at = way == 0 ? step : way == 1 ? 900'000 - step : next() % 900'000;
            const bool is_bid = next() % 2 == 0;
            const auto away = region + static_cast<std::int64_t>(at / crowding);
            Message message{};
            message.id = ++ids;
            message.price = is_bid ? -away : away;
            message.qty = 1;
            message.side = is_bid ? Side::bid : Side::ask;
            if (core.level_count(Side::bid) + core.level_count(Side::ask) == levels &&
                core.qty_at(message.side, message.price) == 0) {
                if (is_accepted(message)) {
                    fail(ids, "a level beyond the declared number");
                }
                break;
            }
            if (!is_accepted(message)) {
                fail(ids, "no room below the declared numbers");
            }
            live.push_back(message.id);
            if (step % 64 == 0 && core.check().fault != Fault::none) {
                fail(ids, "the check found a fault in a crowd");
            }
        }
        for (std::uint64_t gone = live.size() * (1 + next() % 3) / 4; gone > 0; --gone) {
            const std::uint64_t at = next() % live.size();
            Message message{};
            message.id = live[at];
            message.action = Action::cancel;
            live[at] = live.back();
            live.pop_back();
            if (!is_accepted(message)) {
                fail(ids, "a resting order was not found");
            }
        }
    }
    std::printf("%llu orders crowded\n", static_cast<unsigned long long>(ids));
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t messages = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
    soak(Capacity{}, messages / 2);
    soak(Capacity{1, 1, true}, messages / 4);
    soak(Capacity{64, 20, false}, messages / 4);
    crowd(1'000, 1'000, messages / 500);
    crowd(3'000, 1'200, messages / 1'000);
    crowd(40, 40, messages / 500);
    return 0;
}
