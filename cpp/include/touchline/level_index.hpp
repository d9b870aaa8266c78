// The price levels of both sides in price order: a tree of three tiers that costs nothing for the distance of prices.
//
// Keys are prices turned so that the best is the greatest on either side (`key_of`). A leaf holds up to sixteen levels
// that never move while they are in it: their order is one 64-bit word of sixteen 4-bit places, so that a level comes or
// goes by shifting that word. Leaves hang in groups of up to 64, groups in one sorted list a side. A level knows its
// leaf and place, so it goes without a search; the best and the next best are the end of the last leaf's word.
//
// Costs: best, next best, erase O(1); insert O(log levels) compares without a branch to mispredict, of which a price
// near the touch needs only those in the last leaf. Nothing depends on how far apart prices lie.
//
// Invariants: keys ascend through a leaf's order, the leaves of a group and the groups; no leaf and no group is empty;
// dead places of a leaf hold the greatest key; two neighbouring leaves hold more than seven levels, two neighbouring
// groups more than `kMergeLeaves` leaves, so that `n` levels never need more than n/4 + 2 leaves.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

#include "touchline/message.hpp"
#include "touchline/storage.hpp"

// Searches have a second body for processors with AVX2, chosen at run time: 64-bit numbers cannot be compared four at a
// time without it, and a program built for every x86-64 may still use it where it is.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define TOUCHLINE_AVX2 1
#include <immintrin.h>
#endif

namespace touchline {

/// A price level, or a free slot when `count` is zero; `head` then leads to the next free slot.
struct Level {
    std::int64_t price;
    /// Sum over the queue. Never overflows: an order that would make it is refused.
    std::int64_t qty;
    std::uint32_t head;
    std::uint32_t tail;
    std::uint32_t count;
    /// Where it is in the index: 27 bits of leaf, four of place; and its side.
    std::uint32_t where;

    Side side() const noexcept { return static_cast<Side>(where & 1); }
};
static_assert(sizeof(Level) == 32);

class LevelIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

    /// Where a key is or would be; good until the side changes.
    struct Spot {
        std::uint32_t leaf;
        std::uint32_t rank;
        /// The level with that key, or `kNone`.
        std::uint32_t level;
    };

    /// Bitwise not turns the order of all 64-bit numbers round, without the overflow of a minus sign.
    static constexpr std::int64_t key_of(Side side, std::int64_t price) noexcept {
        return price ^ -static_cast<std::int64_t>(side);
    }

    /// Makes room for that many levels, both sides together. False when the memory cannot be had; what was there stays
    /// as it was.
    [[nodiscard]] bool reserve(std::size_t levels) noexcept {
        const std::size_t leaves = levels / 4 + 4;
        const std::size_t groups = leaves / 16 + 4;
        return leaves_.grow(leaves) && groups_.grow(groups) && sides_[0].reserve(groups) && sides_[1].reserve(groups);
    }

    std::uint32_t best(Side side) const noexcept { return at(side).best; }

    /// The key of the best level; of no meaning when there is none.
    std::int64_t best_key(Side side) const noexcept { return at(side).best_key; }

    std::uint32_t count(Side side) const noexcept { return at(side).levels; }

    /// Where a key is or would go.
    Spot find(Side side, std::int64_t key) const noexcept {
        const Root& root = at(side);
        if (root.groups == 0) [[unlikely]] {
            return {kNone, 0, kNone};
        }
#if defined(TOUCHLINE_AVX2)
        if (has_avx2_) [[likely]] {
            return find_avx2(root, key);
        }
#endif
        std::uint32_t leaf = root.last_leaf;
        if (key < root.last_low) {
            const Group& group = groups_[root.group[last_up_to(root.low.data(), root.groups, key)]];
            leaf = group.leaf[last_up_to(group.low, group.count, key)];
        }
        const Leaf& found = leaves_[leaf];
        const std::uint32_t rank = found.rank_of(key);
        if (rank < found.count) {
            const std::uint32_t place = found.place_at(rank);
            if (found.keys[place] == key) {
                return {leaf, rank, found.levels[place]};
            }
        }
        return {leaf, rank, kNone};
    }

    /// Adds a level whose key is not there, at the spot that `find` gave. There must be room.
    void insert(Level* levels, Spot spot, std::uint32_t slot) noexcept {
        const Side side = levels[slot].side();
        Root& root = at(side);
        const std::int64_t key = key_of(side, levels[slot].price);
        ++root.levels;
        if (spot.leaf == kNone) {
            spot = {plant(root), 0, kNone};
        } else if (leaves_[spot.leaf].count == kPlaces) [[unlikely]] {
            spot = split(root, levels, spot);
        }
        Leaf& leaf = leaves_[spot.leaf];
        const std::uint32_t place = leaf.open(spot.rank);
        leaf.keys[place] = key;
        leaf.levels[place] = slot;
        levels[slot].where = spot.leaf << 5 | place << 1 | static_cast<std::uint32_t>(side);
        const bool is_best = root.levels == 1 || key > root.best_key;
        root.best = is_best ? slot : root.best;
        root.best_key = is_best ? key : root.best_key;
    }

    /// Removes a level that is there.
    void erase(Level* levels, std::uint32_t slot) noexcept {
        const std::uint32_t where = levels[slot].where;
        Root& root = at(levels[slot].side());
        const std::uint32_t at_leaf = where >> 5;
        Leaf& leaf = leaves_[at_leaf];
        leaf.close(where >> 1 & 15);
        --root.levels;
        if (leaf.count <= kCheckAt) [[unlikely]] {
            shrink(root, levels, at_leaf);
        }
        if (root.best == slot) {
            refresh_best(root);
        }
    }

    /// Calls `visit(key, level)` from a side's best level on until it answers false.
    template <class Visit>
    void walk(Side side, Visit&& visit) const noexcept {
        const Root& root = at(side);
        for (std::uint32_t leaf = root.groups == 0 ? kNone : root.last_leaf; leaf != kNone; leaf = leaves_[leaf].before) {
            for (std::uint32_t rank = leaves_[leaf].count; rank-- > 0;) {
                const std::uint32_t place = leaves_[leaf].place_at(rank);
                if (!visit(leaves_[leaf].keys[place], leaves_[leaf].levels[place])) {
                    return;
                }
            }
        }
    }

    /// Whether every invariant named above holds.
    bool is_sound(const Level* levels) const noexcept {
        std::uint32_t leaves = 0;
        std::uint32_t groups = 0;
        for (const Side side : {Side::bid, Side::ask}) {
            if (!is_sound(side, levels, leaves, groups)) {
                return false;
            }
        }
        return leaves + count_free(leaves_, free_leaf_) == leaves_used_ &&
               groups + count_free(groups_, free_group_) == groups_used_;
    }

    std::size_t bytes() const noexcept {
        return leaves_.bytes() + groups_.bytes() + sides_[0].bytes() + sides_[1].bytes();
    }

private:
    static constexpr std::uint32_t kPlaces = 16;
    static constexpr std::uint32_t kGroupLeaves = 64;
    /// A leaf with no more levels than this looks whether it fits into a neighbour ...
    static constexpr std::uint32_t kCheckAt = 6;
    /// ... which it does when together they hold no more than this.
    static constexpr std::uint32_t kMergeLevels = 12;
    static constexpr std::uint32_t kMergeLeaves = 32;
    static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    struct alignas(64) Leaf {
        std::int64_t keys[kPlaces];
        std::uint32_t levels[kPlaces];
        /// Four bits a rank: the place of the level with that rank; beyond `count`, the places that are free.
        std::uint64_t order;
        std::uint32_t count;
        /// Its neighbours, towards worse and better prices. A free leaf's `before` leads to the next free one.
        std::uint32_t before;
        std::uint32_t after;
        std::uint32_t group;

        std::uint32_t place_at(std::uint32_t rank) const noexcept {
            return static_cast<std::uint32_t>(order >> (rank * 4)) & 15;
        }

        /// How many keys are below `key`: two rounds of comparisons that do not wait for each other.
        std::uint32_t rank_of(std::int64_t key) const noexcept {
            __builtin_prefetch(keys);
            __builtin_prefetch(keys + 8);
            const std::uint64_t word = order;
            const auto is_below = [&](std::uint32_t rank) {
                return static_cast<std::uint32_t>(keys[word >> (rank * 4) & 15] < key);
            };
            const std::uint32_t base = 4 * (is_below(3) + is_below(7) + is_below(11));
            return base + (is_below(base) + is_below(base + 1)) + (is_below(base + 2) + is_below(base + 3));
        }

        /// Gives a free place the rank `rank`, and those from there on the next ones. There must be one.
        std::uint32_t open(std::uint32_t rank) noexcept {
            const std::uint64_t place = place_at(count);
            const std::uint64_t below = bits(rank);
            const std::uint64_t above = ~bits(count + 1);
            order = (order & below) | place << (rank * 4) | ((order & ~below & ~above) << 4 & ~above) | (order & above);
            ++count;
            return static_cast<std::uint32_t>(place);
        }

        /// Frees a place.
        void close(std::uint32_t place) noexcept {
            // The rank is where the word has that digit: the first zero digit of the word less that digit everywhere.
            const std::uint64_t difference = order ^ place * 0x1111'1111'1111'1111ULL;
            const std::uint64_t zeros = (difference - 0x1111'1111'1111'1111ULL) & ~difference & 0x8888'8888'8888'8888ULL;
            const auto rank = static_cast<std::uint32_t>(std::countr_zero(zeros)) / 4;
            --count;
            const std::uint64_t below = bits(rank);
            const std::uint64_t above = ~bits(count + 1);
            order = (order & below) | (order >> 4 & ~below & bits(count)) |
                    static_cast<std::uint64_t>(place) << (count * 4) | (order & above);
            keys[place] = kGreatest;
        }

        void clear() noexcept {
            order = 0xFEDC'BA98'7654'3210ULL;
            count = 0;
            for (std::int64_t& key : keys) {
                key = kGreatest;
            }
        }

        /// All bits of the first `ranks` ranks, of up to sixteen.
        static std::uint64_t bits(std::uint32_t ranks) noexcept {
            return ranks >= kPlaces ? ~std::uint64_t{0} : (std::uint64_t{1} << (ranks * 4)) - 1;
        }
    };
    static_assert(sizeof(Leaf) == 256);

    struct Group {
        /// Parts each leaf from the one before: above every key of that, at most the first of its own; the least number
        /// for the first leaf of a side, which takes whatever is lower. The greatest
        /// number beyond `count`, and sixteen times beyond the end, for `last_up_to` to read.
        std::int64_t low[kGroupLeaves + kPlaces];
        std::uint32_t leaf[kGroupLeaves];
        std::uint32_t count;
        /// Leads from a free group to the next.
        std::uint32_t before;
    };

    struct Root {
        Storage<std::int64_t> low;
        Storage<std::uint32_t> group;
        std::uint32_t groups = 0;
        std::uint32_t levels = 0;
        std::uint32_t best = kNone;
        std::uint32_t last_leaf = kNone;
        std::int64_t best_key = 0;
        /// What parts the last leaf from the one before.
        std::int64_t last_low = 0;

        [[nodiscard]] bool reserve(std::size_t size) noexcept {
            const std::size_t old = low.size();
            if (!low.grow(size + kPlaces) || !group.grow(size)) {
                return false;
            }
            std::fill(low.data() + old, low.data() + low.size(), kGreatest);
            return true;
        }
        std::size_t bytes() const noexcept { return low.bytes() + group.bytes(); }
    };

    Root& at(Side side) noexcept { return sides_[static_cast<std::size_t>(side)]; }
    const Root& at(Side side) const noexcept { return sides_[static_cast<std::size_t>(side)]; }

    /// The last of `count` ascending numbers that is at most `key`; the first always is. What stands behind them, up to
    /// a multiple of sixteen, is the greatest number.
    static std::uint32_t last_up_to(const std::int64_t* numbers, std::uint32_t count, std::int64_t key) noexcept {
        std::uint32_t first = 0;
        std::uint32_t left = count;
        while (left > 16) {
            // Four parts at a time: the three comparisons do not wait for each other, and none is a branch.
            const std::uint32_t part = left / 4;
            const std::int64_t* const from = numbers + first;
            const auto is_up_to = [&](std::uint32_t at) { return static_cast<std::uint32_t>(from[at] <= key); };
            first += part * (is_up_to(part) + is_up_to(2 * part) + is_up_to(3 * part));
            left -= 3 * part;
        }
        const auto is_up_to = [&](std::uint32_t at) { return static_cast<std::uint32_t>(numbers[first + at] <= key); };
        first += 4 * (is_up_to(4) + is_up_to(8) + is_up_to(12));
        first += is_up_to(1) + is_up_to(2) + is_up_to(3);
        return std::min(first, count - 1);
    }

#if defined(TOUCHLINE_AVX2)
    [[gnu::target("avx2,popcnt")]] static std::uint32_t bits_of(__m256i mask) noexcept {
        return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_castsi256_pd(mask)));
    }

    /// How many of the first `count` numbers, a multiple of four of them read, are above `key`, negative.
    [[gnu::target("avx2,popcnt")]] static __m256i count_above(const std::int64_t* numbers, std::uint32_t count,
                                                       __m256i key) noexcept {
        __m256i sum = _mm256_setzero_si256();
        for (std::uint32_t at = 0; at < count; at += 4) {
            const __m256i four = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers + at));
            sum = _mm256_add_epi64(sum, _mm256_cmpgt_epi64(four, key));
        }
        return sum;
    }

    /// As `last_up_to`, by comparing all.
    [[gnu::target("avx2,popcnt")]] static std::uint32_t last_up_to_avx2(const std::int64_t* numbers, std::uint32_t count,
                                                                 __m256i key) noexcept {
        const __m256i sum = count_above(numbers, count, key);
        const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        const std::int64_t above = -(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
        const std::uint32_t read = (count + 3) & ~std::uint32_t{3};
        const std::uint32_t up_to = read - static_cast<std::uint32_t>(above);
        // The greatest number stands behind the last: it is above every key but itself.
        return std::min(up_to - 1, count - 1);
    }

    [[gnu::target("avx2,popcnt")]] Spot find_avx2(const Root& root, std::int64_t key) const noexcept {
        const __m256i key4 = _mm256_set1_epi64x(key);
        std::uint32_t at_leaf = root.last_leaf;
        if (key < root.last_low) {
            std::uint32_t from = 0;
            std::uint32_t left = root.groups;
            while (left > 32) [[unlikely]] {
                const std::uint32_t half = left / 2;
                from += root.low[from + half] <= key ? half : 0;
                left -= half;
            }
            const Group& group = groups_[root.group[from + last_up_to_avx2(root.low.data() + from, left, key4)]];
            // The sixteen that hold it, then the one.
            const std::uint32_t part = 16 * (static_cast<std::uint32_t>(group.low[16] <= key) +
                                             static_cast<std::uint32_t>(group.low[32] <= key) +
                                             static_cast<std::uint32_t>(group.low[48] <= key));
            const std::uint32_t place = part + last_up_to_avx2(group.low + part, 16, key4);
            at_leaf = group.leaf[std::min(place, group.count - 1)];
        }
        const Leaf& leaf = leaves_[at_leaf];
        std::uint32_t below = 0;
        std::uint32_t equal = 0;
        for (std::uint32_t four = 0; four < kPlaces; four += 4) {
            const __m256i keys = _mm256_load_si256(reinterpret_cast<const __m256i*>(leaf.keys + four));
            below |= bits_of(_mm256_cmpgt_epi64(key4, keys)) << four;
            equal |= bits_of(_mm256_cmpeq_epi64(keys, key4)) << four;
        }
        const auto rank = static_cast<std::uint32_t>(__builtin_popcount(below));
        if (equal != 0 && rank < leaf.count) {
            // Dead places hold the greatest key: the rank names the living one.
            return {at_leaf, rank, leaf.levels[leaf.place_at(rank)]};
        }
        return {at_leaf, rank, kNone};
    }
#endif

    // --- Leaves ------------------------------------------------------------------------------------------------------

    std::uint32_t take_leaf() noexcept {
        std::uint32_t leaf = free_leaf_;
        if (leaf != kNone) {
            free_leaf_ = leaves_[leaf].before;
        } else {
            leaf = leaves_used_++;
        }
        leaves_[leaf].clear();
        return leaf;
    }

    /// The first leaf of a side.
    std::uint32_t plant(Root& root) noexcept {
        const std::uint32_t leaf = take_leaf();
        const std::uint32_t group = take_group();
        leaves_[leaf].before = kNone;
        leaves_[leaf].after = kNone;
        leaves_[leaf].group = group;
        groups_[group].low[0] = kLeast;
        groups_[group].leaf[0] = leaf;
        groups_[group].count = 1;
        root.low[0] = kLeast;
        root.group[0] = group;
        root.groups = 1;
        root.last_leaf = leaf;
        root.last_low = kLeast;
        return leaf;
    }

    /// Moves the better half of a full leaf into a new one after it; answers where `spot` is now.
    Spot split(Root& root, Level* levels, const Spot& spot) noexcept {
        constexpr std::uint32_t half = kPlaces / 2;
        const std::uint32_t fresh = take_leaf();
        Leaf& lower = leaves_[spot.leaf];
        Leaf& upper = leaves_[fresh];
        move_tail(levels, spot.leaf, half, fresh);
        upper.before = spot.leaf;
        upper.after = lower.after;
        if (lower.after != kNone) {
            leaves_[lower.after].before = fresh;
        }
        lower.after = fresh;
        const std::int64_t low = upper.keys[upper.place_at(0)];
        hang(root, spot.leaf, fresh, low);
        if (root.last_leaf == spot.leaf) {
            root.last_leaf = fresh;
            root.last_low = low;
        }
        return spot.rank <= half ? spot : Spot{fresh, spot.rank - half, kNone};
    }

    /// Moves the levels of `from` with ranks from `rank` on to the end of `to`.
    void move_tail(Level* levels, std::uint32_t from, std::uint32_t rank, std::uint32_t to) noexcept {
        Leaf& source = leaves_[from];
        Leaf& target = leaves_[to];
        for (std::uint32_t at_rank = rank; at_rank < source.count; ++at_rank) {
            const std::uint32_t place = source.place_at(at_rank);
            const std::uint32_t slot = source.levels[place];
            const std::uint32_t new_place = target.open(target.count);
            target.keys[new_place] = source.keys[place];
            target.levels[new_place] = slot;
            levels[slot].where = to << 5 | new_place << 1 | (levels[slot].where & 1);
            source.keys[place] = kGreatest;
        }
        // The places behind `count` are free in any order.
        source.count = rank;
    }

    /// Drops an empty leaf, or merges a small one with a neighbour where both fit.
    void shrink(Root& root, Level* levels, std::uint32_t at_leaf) noexcept {
        const Leaf& leaf = leaves_[at_leaf];
        if (leaf.count == 0) {
            return drop(root, at_leaf);
        }
        if (leaf.before != kNone && leaves_[leaf.before].count + leaf.count <= kMergeLevels) {
            move_tail(levels, at_leaf, 0, leaf.before);
            drop(root, at_leaf);
        } else if (leaf.after != kNone && leaves_[leaf.after].count + leaf.count <= kMergeLevels) {
            const std::uint32_t after = leaf.after;
            move_tail(levels, after, 0, at_leaf);
            drop(root, after);
        }
    }

    /// Takes an empty leaf out.
    void drop(Root& root, std::uint32_t at_leaf) noexcept {
        Leaf& leaf = leaves_[at_leaf];
        if (leaf.before != kNone) {
            leaves_[leaf.before].after = leaf.after;
        }
        if (leaf.after != kNone) {
            leaves_[leaf.after].before = leaf.before;
        }
        unhang(root, at_leaf);
        if (root.last_leaf == at_leaf) {
            root.last_leaf = leaf.before;
        }
        if (root.last_leaf != kNone) {
            const Group& group = groups_[leaves_[root.last_leaf].group];
            root.last_low = group.low[group.count - 1];
        }
        leaf.before = free_leaf_;
        free_leaf_ = at_leaf;
    }

    void refresh_best(Root& root) noexcept {
        if (root.groups == 0) {
            root.best = kNone;
            return;
        }
        const Leaf& leaf = leaves_[root.last_leaf];
        const std::uint32_t place = leaf.place_at(leaf.count - 1);
        root.best = leaf.levels[place];
        root.best_key = leaf.keys[place];
    }

    // --- Groups ------------------------------------------------------------------------------------------------------

    std::uint32_t take_group() noexcept {
        std::uint32_t group = free_group_;
        if (group != kNone) {
            free_group_ = groups_[group].before;
        } else {
            group = groups_used_++;
        }
        groups_[group].count = 0;
        std::fill(std::begin(groups_[group].low), std::end(groups_[group].low), kGreatest);
        return group;
    }

    static std::uint32_t place_of(const Group& group, std::uint32_t leaf) noexcept {
        std::uint32_t place = 0;
        while (group.leaf[place] != leaf) {
            ++place;
        }
        return place;
    }

    static std::uint32_t place_of(const Root& root, std::uint32_t group) noexcept {
        std::uint32_t place = 0;
        while (root.group[place] != group) {
            ++place;
        }
        return place;
    }

    template <class T>
    static void open_gap(T* items, std::uint32_t at, std::uint32_t count) noexcept {
        std::memmove(items + at + 1, items + at, (count - at) * sizeof(T));
    }

    template <class T>
    static void close_gap(T* items, std::uint32_t at, std::uint32_t count) noexcept {
        std::memmove(items + at, items + at + 1, (count - at - 1) * sizeof(T));
    }

    /// Puts a new leaf after `leaf` into the groups.
    void hang(Root& root, std::uint32_t leaf, std::uint32_t fresh, std::int64_t low) noexcept {
        std::uint32_t at_group = leaves_[leaf].group;
        if (groups_[at_group].count == kGroupLeaves) {
            split_group(root, at_group);
            at_group = leaves_[leaf].group;
        }
        Group& group = groups_[at_group];
        const std::uint32_t place = place_of(group, leaf) + 1;
        open_gap(group.low, place, group.count);
        open_gap(group.leaf, place, group.count);
        group.low[place] = low;
        group.leaf[place] = fresh;
        ++group.count;
        leaves_[fresh].group = at_group;
    }

    void split_group(Root& root, std::uint32_t at_group) noexcept {
        const std::uint32_t fresh = take_group();
        const std::uint32_t place = place_of(root, at_group) + 1;
        open_gap(root.low.data(), place, root.groups);
        open_gap(root.group.data(), place, root.groups);
        ++root.groups;
        root.group[place] = fresh;
        move_leaves(at_group, kGroupLeaves / 2, fresh);
        root.low[place] = groups_[fresh].low[0];
    }

    /// Moves the leaves of `from` with places from `place` on to the end of `to`.
    void move_leaves(std::uint32_t from, std::uint32_t place, std::uint32_t to) noexcept {
        Group& source = groups_[from];
        Group& target = groups_[to];
        for (std::uint32_t at_place = place; at_place < source.count; ++at_place) {
            leaves_[source.leaf[at_place]].group = to;
            target.low[target.count] = source.low[at_place];
            target.leaf[target.count++] = source.leaf[at_place];
            source.low[at_place] = kGreatest;
        }
        source.count = place;
    }

    /// Takes a leaf out of its group, and the group out when it is empty or fits into a neighbour.
    void unhang(Root& root, std::uint32_t at_leaf) noexcept {
        const std::uint32_t at_group = leaves_[at_leaf].group;
        Group& group = groups_[at_group];
        const std::uint32_t place = place_of(group, at_leaf);
        close_gap(group.low, place, group.count);
        close_gap(group.leaf, place, group.count);
        group.low[--group.count] = kGreatest;
        const std::uint32_t at = place_of(root, at_group);
        if (group.count == 0) {
            return drop_group(root, at);
        }
        // The first leaf of all takes whatever is lower. In another group, what lies between the old first leaf and the
        // new one belongs to the group before now.
        group.low[0] = at == 0 ? kLeast : group.low[0];
        root.low[at] = group.low[0];
        if (at > 0 && groups_[root.group[at - 1]].count + group.count <= kMergeLeaves) {
            move_leaves(at_group, 0, root.group[at - 1]);
            drop_group(root, at);
        } else if (at + 1 < root.groups && groups_[root.group[at + 1]].count + group.count <= kMergeLeaves) {
            move_leaves(root.group[at + 1], 0, at_group);
            drop_group(root, at + 1);
        }
    }

    void drop_group(Root& root, std::uint32_t at) noexcept {
        const std::uint32_t group = root.group[at];
        close_gap(root.low.data(), at, root.groups);
        close_gap(root.group.data(), at, root.groups);
        root.low[--root.groups] = kGreatest;
        if (at == 0 && root.groups != 0) {
            root.low[0] = kLeast;
            groups_[root.group[0]].low[0] = kLeast;
        }
        groups_[group].before = free_group_;
        free_group_ = group;
    }

    // --- Check -------------------------------------------------------------------------------------------------------

    bool is_sound(Side side, const Level* levels, std::uint32_t& leaves, std::uint32_t& groups) const noexcept {
        const Root& root = at(side);
        std::uint32_t seen = 0;
        std::uint32_t before = kNone;
        bool has_last = false;
        std::int64_t last = 0;
        for (std::uint32_t at_root = 0; at_root < root.groups; ++at_root) {
            const std::uint32_t at_group = root.group[at_root];
            const Group& group = groups_[at_group];
            if (group.count == 0 || group.count > kGroupLeaves || root.low[at_root] != group.low[0] ||
                (at_root > 0 && groups_[root.group[at_root - 1]].count + group.count <= kMergeLeaves)) {
                return false;
            }
            ++groups;
            for (std::uint32_t place = 0; place < group.count; ++place) {
                const std::uint32_t at_leaf = group.leaf[place];
                const Leaf& leaf = leaves_[at_leaf];
                if (leaf.group != at_group || (before == kNone && group.low[place] != kLeast) || leaf.before != before || leaf.count == 0 || leaf.count > kPlaces ||
                    (before != kNone && (leaves_[before].after != at_leaf || leaves_[before].count + leaf.count <= 7 ||
                                         group.low[place] <= last || group.low[place] > leaf.keys[leaf.place_at(0)]))) {
                    return false;
                }
                std::uint32_t places = 0;
                for (std::uint32_t rank = 0; rank < kPlaces; ++rank) {
                    const std::uint32_t at_place = leaf.place_at(rank);
                    places |= 1U << at_place;
                    const std::int64_t key = leaf.keys[at_place];
                    if (rank >= leaf.count) {
                        if (key != kGreatest) {
                            return false;
                        }
                        continue;
                    }
                    const std::uint32_t where = at_leaf << 5 | at_place << 1 | static_cast<std::uint32_t>(side);
                    if ((has_last && key <= last) || levels[leaf.levels[at_place]].where != where) {
                        return false;
                    }
                    last = key;
                    has_last = true;
                    ++seen;
                }
                if (places != 0xFFFF) {
                    return false;
                }
                before = at_leaf;
                ++leaves;
            }
        }
        if (seen != root.levels || (root.groups == 0) != (root.levels == 0)) {
            return false;
        }
        if (root.groups == 0) {
            return root.best == kNone;
        }
        const Leaf& leaf = leaves_[before];
        const Group& group = groups_[leaf.group];
        return root.last_leaf == before && leaf.after == kNone && root.best_key == last &&
               root.best == leaf.levels[leaf.place_at(leaf.count - 1)] &&
               root.last_low == group.low[group.count - 1];
    }

    /// The length of a list of free items, or more than were ever used when it is a ring.
    template <class T>
    static std::uint32_t count_free(const Storage<T>& items, std::uint32_t first) noexcept {
        std::uint32_t count = 0;
        for (std::uint32_t at = first; at != kNone && count <= items.size(); at = items[at].before) {
            ++count;
        }
        return count;
    }

    Storage<Leaf> leaves_;
    Storage<Group> groups_;
    Root sides_[2];
    std::uint32_t free_leaf_ = kNone;
    std::uint32_t free_group_ = kNone;
    std::uint32_t leaves_used_ = 0;
    std::uint32_t groups_used_ = 0;
#if defined(TOUCHLINE_AVX2)
    bool has_avx2_ = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#endif
};

}  // namespace touchline
