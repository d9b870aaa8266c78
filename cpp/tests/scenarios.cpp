// Runs the text scenarios named on the command line against the plain C++ library. Exits 1 and names the line that does
// not hold. The Rust twin is tests/matching_scenarios.rs; the format is explained at the top of the first scenario.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "touchline/matching_core.hpp"

namespace {

using namespace touchline;

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;) {
        words.push_back(word);
    }
    return words;
}

Side side_of(const std::string& word) { return word == "bid" ? Side::bid : Side::ask; }
const char* name(Side side) { return side == Side::bid ? "bid" : "ask"; }

const char* name(CancelReason reason) {
    switch (reason) {
        case CancelReason::user: return "user";
        case CancelReason::ioc_rest: return "ioc_rest";
        case CancelReason::fok: return "fok";
        case CancelReason::market_rest: return "market_rest";
        case CancelReason::self_trade: return "self_trade";
    }
    return "?";
}

const char* name(Reject reason) {
    switch (reason) {
        case Reject::quantity: return "quantity";
        case Reject::duplicate_id: return "duplicate_id";
        case Reject::unknown_order: return "unknown_order";
        case Reject::would_cross: return "would_cross";
        case Reject::level_overflow: return "level_overflow";
        case Reject::capacity: return "capacity";
        case Reject::malformed: return "malformed";
    }
    return "?";
}

Message message_of(const std::vector<std::string>& words) {
    Message message{};
    message.id = std::stoull(words.at(1));
    if (words[0] == "cancel") {
        message.action = Action::cancel;
    } else if (words[0] == "modify") {
        message.action = Action::modify;
        message.price = std::stoll(words.at(2));
        message.qty = std::stoll(words.at(3));
    } else {
        message.action = Action::place;
        message.side = side_of(words.at(2));
        message.price = std::stoll(words.at(3));
        message.qty = std::stoll(words.at(4));
        const std::string& kind = words.at(5);
        message.kind = kind == "gtc"    ? Kind::limit_gtc
                       : kind == "ioc"  ? Kind::limit_ioc
                       : kind == "fok"  ? Kind::limit_fok
                       : kind == "post" ? Kind::post_only
                                        : Kind::market;
        for (std::size_t i = 6; i < words.size(); ++i) {
            const std::size_t cut = words[i].find('=');
            const std::string value = words[i].substr(cut + 1);
            if (words[i].substr(0, cut) == "owner") {
                message.owner = static_cast<std::uint32_t>(std::stoul(value));
            } else {
                message.stp = value == "expire_maker"   ? SelfTrade::expire_maker
                              : value == "expire_taker" ? SelfTrade::expire_taker
                              : value == "expire_both"  ? SelfTrade::expire_both
                              : value == "decrement"    ? SelfTrade::decrement
                                                        : SelfTrade::none;
            }
        }
    }
    return message;
}

std::string text_of(const Report& report) {
    std::ostringstream out;
    switch (report.kind) {
        case ReportKind::accepted: out << "accepted " << report.id; break;
        case ReportKind::trade:
            out << "trade " << report.id << ' ' << report.taker_id << ' ' << report.price << ' ' << report.qty << ' '
                << name(report.side) << ' ' << report.remaining << ' ' << report.taker_remaining;
            break;
        case ReportKind::cancelled:
            out << "cancelled " << report.id << ' ' << report.remaining << ' '
                << name(static_cast<CancelReason>(report.reason));
            break;
        case ReportKind::modified:
            out << "modified " << report.id << ' ' << report.price << ' ' << report.remaining;
            break;
        case ReportKind::rejected:
            out << "rejected " << report.id << ' ' << name(static_cast<Reject>(report.reason));
            break;
    }
    return out.str();
}

std::string text_of(const LevelView& level) { return std::to_string(level.price) + "x" + std::to_string(level.qty); }

std::string depth_text(const MatchingCore& core, Side side) {
    std::vector<LevelView> levels(core.level_count(side));
    const std::size_t count = core.top(side, levels.data(), levels.size());
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += (i == 0 ? "" : " ") + text_of(levels[i]);
    }
    return text;
}

std::string answer(const MatchingCore& core, const std::vector<std::string>& words) {
    if (words[0] == "bids") {
        return depth_text(core, Side::bid);
    }
    if (words[0] == "asks") {
        return depth_text(core, Side::ask);
    }
    if (words[0] == "best") {
        LevelView level{};
        return core.best(side_of(words.at(1)), level) ? text_of(level) : "none";
    }
    if (words[0] == "qty") {
        return std::to_string(core.qty_at(side_of(words.at(1)), std::stoll(words.at(2))));
    }
    if (words[0] == "ahead") {
        const std::int64_t ahead = core.ahead_of(std::stoull(words.at(1)));
        return ahead < 0 ? "none" : std::to_string(ahead);
    }
    if (words[0] == "order") {
        OrderView order{};
        if (!core.order(std::stoull(words.at(1)), order)) {
            return "none";
        }
        return std::string(name(order.side)) + " " + std::to_string(order.price) + " " +
               std::to_string(order.remaining) + " owner=" + std::to_string(order.owner);
    }
    // A batch of two makes the cursor work.
    std::string text;
    std::uint32_t cursor = 0;
    do {
        OrderView orders[2];
        const std::size_t count =
            core.orders_at(side_of(words.at(1)), std::stoll(words.at(2)), cursor, orders, 2);
        for (std::size_t i = 0; i < count; ++i) {
            text += (text.empty() ? "" : " ") + std::to_string(orders[i].id) + "x" +
                    std::to_string(orders[i].remaining);
        }
    } while (cursor != 0);
    return text;
}

bool run(const std::string& path, int& checked) {
    std::ifstream file(path);
    if (!file) {
        std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
        return false;
    }
    auto core = std::make_unique<MatchingCore>(Capacity{});
    std::vector<std::string> reports;
    std::size_t awaited = 0;
    int number = 0;
    const auto fail = [&](const std::string& found, const std::string& expected) {
        std::fprintf(stderr, "%s:%d: found '%s', expected '%s'\n", path.c_str(), number, found.c_str(),
                     expected.c_str());
        return false;
    };
    for (std::string line; std::getline(file, line);) {
        ++number;
        const std::vector<std::string> words = words_of(line);
        if (words.empty() || words[0] == "#") {
            continue;
        }
        if (words[0] == ">") {
            if (awaited != reports.size()) {
                return fail(reports[awaited], "no more reports");
            }
            reports.clear();
            awaited = 0;
            core->submit(message_of({words.begin() + 1, words.end()}),
                         [&](const Report& report) { reports.push_back(text_of(report)); });
            if (const CheckResult result = core->check(); result.fault != Fault::none) {
                return fail("fault " + std::to_string(static_cast<int>(result.fault)), "a sound book");
            }
        } else if (words[0] == "?") {
            const std::size_t cut = line.find(" =");
            const std::string expected = line.size() > cut + 3 ? line.substr(cut + 3) : "";
            const std::string found = answer(*core, words_of(line.substr(2, cut - 2)));
            if (found != expected) {
                return fail(found, expected);
            }
            ++checked;
        } else if (words[0] == "capacity") {
            core = std::make_unique<MatchingCore>(Capacity{static_cast<std::uint32_t>(std::stoul(words.at(1))),
                                                           static_cast<std::uint32_t>(std::stoul(words.at(2))), false});
        } else {
            if (awaited == reports.size()) {
                return fail("no more reports", line);
            }
            if (reports[awaited] != line) {
                return fail(reports[awaited], line);
            }
            ++awaited;
            ++checked;
        }
    }
    return awaited == reports.size() || fail(reports[awaited], "no more reports");
}

}  // namespace

int main(int argc, char** argv) {
    int checked = 0;
    for (int i = 1; i < argc; ++i) {
        if (!run(argv[i], checked)) {
            return 1;
        }
    }
    std::printf("%d scenarios, %d lines hold\n", argc - 1, checked);
    return argc > 1 && checked > 0 ? 0 : 1;
}
