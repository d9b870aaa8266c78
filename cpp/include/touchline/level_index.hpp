// The price levels of both sides in price order: a tree of three tiers that costs nothing for the distance of prices.
//
// Keys are prices turned so that the best is the greatest on either side (`key_of`). A leaf is a block of fifteen places,
// which hold a level each: its key and a reference to what rests there. A level keeps its place while others come and go:
// their order is one 64-bit word of 4-bit places, and a level comes or goes by shifting that word. Leaves hang in groups
// of up to 512, groups in one sorted list a side. A level is known by leaf and place (`where`), so it goes without a
// search; the best and the next best are the end of the last leaf's word.
//
// A full leaf gives to a neighbour that has room before it is split, and a small one joins a neighbour that can take it,
// so leaves are three quarters full when levels come and go at random. No local rule guards against every order of
// arrival; when leaves are as empty as somebody could make them, `pack` fills them anew.
//
// Costs: best, next best, erase O(1); insert O(log levels) compares without a branch to mispredict, of which a price
// near the touch needs only those in the last leaf. Nothing depends on how far apart prices lie.
//
// Invariants: keys ascend through a leaf's order, the leaves of a group and the groups; no leaf and no group is empty;
// dead places of a leaf hold the greatest key.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

#include "touchline/blocks.hpp"
#include "touchline/leaf.hpp"
#include "touchline/message.hpp"
#include "touchline/storage.hpp"

namespace touchline {

class LevelIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
    static constexpr std::uint32_t kPlaces = LevelLeaf::kPlaces;
    static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    /// Where a key is or would be; good until the side changes.
    struct Spot {
        std::uint32_t leaf;
        std::uint32_t rank;
        /// The level with that key and what rests there, or `kNone`.
        std::uint32_t where;
        std::uint32_t ref;
    };

    using Leaf = LevelLeaf;

    /// Bitwise not turns the order of all 64-bit numbers round, without the overflow of a minus sign.
    static constexpr std::int64_t key_of(Side side, std::int64_t price) noexcept {
        return price ^ -static_cast<std::int64_t>(side);
    }

    /// Blocks that so many levels need at worst, after `pack`, with one to spare for each side.
    static constexpr std::size_t blocks_for(std::size_t levels) noexcept { return levels / kLevelsALeaf + 4; }

    /// Makes room to hang so many leaves. False when the memory cannot be had; what was there stays as it was.
    [[nodiscard]] bool reserve(std::size_t blocks) noexcept {
        // `pack` leaves one group a side that is not full; one is to spare.
        const std::size_t groups = blocks / kGroupLeaves + 3;
        return groups_.grow(groups) && sides_[0].reserve(groups) && sides_[1].reserve(groups);
    }

    /// What block 0 must hold: a leaf without levels, so that whoever looks there finds nothing.
    static void clear_first(Blocks& blocks) noexcept {
        Leaf& leaf = blocks.as<Leaf>(0);
        leaf.clear();
        std::fill(std::begin(leaf.refs), std::end(leaf.refs), kNone);
    }

    /// The best level of a side, or `kNone`.
    std::uint32_t best(Side side) const noexcept { return at(side).best; }

    /// The key of the best level; of no meaning when there is none.
    std::int64_t best_key(Side side) const noexcept { return at(side).best_key; }

    std::uint32_t count(Side side) const noexcept { return at(side).levels; }

    static const Leaf& leaf_of(const Blocks& blocks, std::uint32_t where) noexcept {
        return blocks.as<Leaf>(where >> 4);
    }
    static std::int64_t key_at(const Blocks& blocks, std::uint32_t where) noexcept {
        return blocks.as<Leaf>(where >> 4).keys[where & 15];
    }
    static Side side_at(const Blocks& blocks, std::uint32_t where) noexcept {
        return static_cast<Side>(blocks.as<Leaf>(where >> 4).side);
    }
    /// What rests at a level.
    static std::uint32_t ref_at(const Blocks& blocks, std::uint32_t where) noexcept {
        return blocks.as<Leaf>(where >> 4).refs[where & 15];
    }
    static void set_ref(Blocks& blocks, std::uint32_t where, std::uint32_t ref) noexcept {
        blocks.as<Leaf>(where >> 4).refs[where & 15] = ref;
    }
    /// The line of cache with the level's key.
    static const void* line_of(const Blocks& blocks, std::uint32_t where) noexcept {
        return &blocks.as<Leaf>(where >> 4).keys[where & 15];
    }

    /// Whether a level may come: `insert` needs a group at most, and `blocks` must have one block.
    bool has_room() const noexcept { return free_group_ != kNone || groups_used_ < groups_.size(); }

    /// Where a key is or would go.
    Spot find(const Blocks& blocks, Side side, std::int64_t key) const noexcept {
        const Root& root = at(side);
        if (root.groups == 0) [[unlikely]] {
            return {kNone, 0, kNone, kNone};
        }
#if defined(TOUCHLINE_AVX2)
        if (has_avx2_) [[likely]] {
            return find_avx2(blocks, root, key);
        }
#endif
        std::uint32_t leaf = root.last_leaf;
        if (key < root.last_low) {
            const Group& group = groups_[root.group[last_up_to(root.low.data(), root.groups, key)]];
            leaf = group.leaf[last_up_to(group.low, group.count, key)];
        }
        const Leaf& found = blocks.as<Leaf>(leaf);
        const std::uint32_t rank = found.rank_of(key);
        if (rank < found.count) {
            const std::uint32_t place = found.place_at(rank);
            if (found.keys[place] == key) {
                return {leaf, rank, leaf << 4 | place, found.refs[place]};
            }
        }
        return {leaf, rank, kNone, kNone};
    }

    /// Adds a level whose key is not there, at the spot that `find` gave; answers where it is. There must be room. Calls
    /// `moved(ref, key, side, from, to)` for each level that had to take another place.
    template <class Moved>
    std::uint32_t insert(Blocks& blocks, Side side, std::int64_t key, Spot spot, std::uint32_t ref,
                         Moved&& moved) noexcept {
        Root& root = at(side);
        ++root.levels;
        bool has_moved = false;
        if (spot.leaf == kNone) [[unlikely]] {
            spot = {plant(blocks, root, side), 0, kNone, kNone};
        } else if (blocks.as<Leaf>(spot.leaf).count == kPlaces) [[unlikely]] {
            spot = make_place(blocks, root, spot, moved);
            has_moved = true;
        }
        Leaf& leaf = blocks.as<Leaf>(spot.leaf);
        const std::uint32_t place = leaf.open(spot.rank);
        leaf.keys[place] = key;
        leaf.refs[place] = ref;
        const std::uint32_t where = spot.leaf << 4 | place;
        if (has_moved) [[unlikely]] {
            refresh_best(blocks, root);
        } else {
            const bool is_best = root.levels == 1 || key > root.best_key;
            root.best = is_best ? where : root.best;
            root.best_key = is_best ? key : root.best_key;
        }
        return where;
    }

    /// Removes a level; `moved` as for `insert`.
    template <class Moved>
    void erase(Blocks& blocks, std::uint32_t where, Moved&& moved) noexcept {
        Leaf& leaf = blocks.as<Leaf>(where >> 4);
        Root& root = sides_[leaf.side];
        leaf.close(where & 15);
        --root.levels;
        if (leaf.count <= kCheckAt) [[unlikely]] {
            shrink(blocks, root, where >> 4, moved);
            refresh_best(blocks, root);
        } else if (root.best == where) {
            refresh_best(blocks, root);
        }
    }

    /// Removes a side's best level. Nothing is moved, so that thousands may go one after the other.
    void erase_best(Blocks& blocks, Side side) noexcept {
        Root& root = at(side);
        Leaf& leaf = blocks.as<Leaf>(root.best >> 4);
        leaf.keys[root.best & 15] = kGreatest;
        --leaf.count;
        --root.levels;
        if (leaf.count == 0) [[unlikely]] {
            drop(blocks, root, root.last_leaf);
        }
        refresh_best(blocks, root);
    }

    /// The levels behind a side's best, as far as its leaf tells without a search: `kNone` when it does not.
    std::uint32_t behind_best(const Blocks& blocks, Side side, std::uint32_t steps) const noexcept {
        const Root& root = at(side);
        const Leaf& leaf = blocks.as<Leaf>(root.last_leaf);
        return leaf.count <= steps ? kNone : root.last_leaf << 4 | leaf.place_at(leaf.count - 1 - steps);
    }

    /// Calls `visit(where)` from a side's best level on until it answers false.
    template <class Visit>
    void walk(const Blocks& blocks, Side side, Visit&& visit) const noexcept {
        const Root& root = at(side);
        for (std::uint32_t at_root = root.groups; at_root-- > 0;) {
            const Group& group = groups_[root.group[at_root]];
            for (std::uint32_t at_group = group.count; at_group-- > 0;) {
                const Leaf& leaf = blocks.as<Leaf>(group.leaf[at_group]);
                for (std::uint32_t rank = leaf.count; rank-- > 0;) {
                    if (!visit(group.leaf[at_group] << 4 | leaf.place_at(rank))) {
                        return;
                    }
                }
            }
        }
    }

    /// Fills leaves and groups as far as is sensible and frees the rest. O(levels).
    template <class Moved>
    void pack(Blocks& blocks, Moved&& moved) noexcept {
        for (Root& root : sides_) {
            // Every group keeps a leaf that is not full; merged once more, few do.
            for (int round = 0; round < 2; ++round) {
                pack_groups(blocks, root);
                for (std::uint32_t at = 0; at < root.groups; ++at) {
                    pack_leaves(blocks, groups_[root.group[at]], moved);
                }
            }
            refresh_last(root);
            refresh_best(blocks, root);
        }
    }

    /// Whether every invariant named above holds; adds the leaves that it sees to `leaves`.
    bool is_sound(const Blocks& blocks, std::uint32_t& leaves) const noexcept {
        std::uint32_t groups = 0;
        for (const Side side : {Side::bid, Side::ask}) {
            if (!is_sound(blocks, side, leaves, groups)) {
                return false;
            }
        }
        std::uint32_t free = 0;
        for (std::uint32_t at = free_group_; at != kNone && free <= groups_used_; at = groups_[at].next) {
            if (groups_[at].count != 0 || groups_[at].low[0] != kGreatest || groups_[at].sample[0] != kGreatest) {
                return false;
            }
            ++free;
        }
        return groups + free == groups_used_;
    }

    std::size_t bytes() const noexcept { return groups_.bytes() + sides_[0].bytes() + sides_[1].bytes(); }

private:
    static constexpr std::uint32_t kGroupLeaves = LevelGroup::kGroupLeaves;
    static constexpr std::uint32_t kStride = LevelGroup::kStride;
    /// What there is memory for: leaves two thirds full.
    static constexpr std::uint32_t kLevelsALeaf = 10;
    /// What `pack` makes of leaves: so full that much is free, so empty that not every level that comes splits one.
    static constexpr std::uint32_t kPackedLevels = 13;
    /// A leaf with no more levels than this looks whether it fits into a neighbour ...
    static constexpr std::uint32_t kCheckAt = 5;
    /// ... which it does when together they hold no more than this.
    static constexpr std::uint32_t kMergeLevels = 12;
    /// A full leaf gives to a neighbour that holds no more than this.
    static constexpr std::uint32_t kShareLevels = 12;
    static constexpr std::uint32_t kMergeLeaves = 320;

    using Group = LevelGroup;

    struct Root {
        /// What parts each group from the one before; the greatest number behind the last, sixteen times at least.
        Storage<std::int64_t> low;
        Storage<std::uint32_t> group;
        std::uint32_t groups = 0;
        std::uint32_t levels = 0;
        std::uint32_t best = kNone;
        std::uint32_t last_leaf = 0;
        std::int64_t best_key = 0;
        /// What parts the last leaf from the one before.
        std::int64_t last_low = 0;

        [[nodiscard]] bool reserve(std::size_t size) noexcept {
            const std::size_t old = low.size();
            if (!low.grow(size + 16) || !group.grow(size)) {
                return false;
            }
            std::fill(low.data() + old, low.data() + low.size(), kGreatest);
            return true;
        }
        std::size_t bytes() const noexcept { return low.bytes() + group.bytes(); }
    };

    Root& at(Side side) noexcept { return sides_[static_cast<std::size_t>(side)]; }
    const Root& at(Side side) const noexcept { return sides_[static_cast<std::size_t>(side)]; }

    // --- Searching ---------------------------------------------------------------------------------------------------

    /// The last of `count` ascending numbers that is at most `key`; the first always is.
    static std::uint32_t last_up_to(const std::int64_t* numbers, std::uint32_t count, std::int64_t key) noexcept {
        std::uint32_t first = 0;
        for (std::uint32_t left = count; left > 1;) {
            const std::uint32_t half = left / 2;
            first += numbers[first + half] <= key ? half : 0;
            left -= half;
        }
        return first;
    }

#if defined(TOUCHLINE_AVX2)
    [[gnu::target("avx2,popcnt")]] Spot find_avx2(const Blocks& blocks, const Root& root,
                                                  std::int64_t key) const noexcept {
        const __m256i key4 = _mm256_set1_epi64x(key);
        std::uint32_t at_leaf = root.last_leaf;
        if (key < root.last_low) {
            std::uint32_t from = 0;
            for (std::uint32_t left = root.groups; left > 1;) {
                const std::uint32_t half = left / 2;
                from += root.low[from + half] <= key ? half : 0;
                left -= half;
            }
            const Group& group = groups_[root.group[from]];
            const std::uint32_t part = kStride * last_up_to16(group.sample, key4);
            // The greatest number stands behind the last: it is above every key but itself.
            // Both halves of the 32 and no branch: which one it is, nobody can predict.
            const std::uint32_t place =
                part + 1 + last_up_to16(group.low + part, key4) + last_up_to16(group.low + part + 16, key4);
            at_leaf = group.leaf[std::min(place, group.count - 1)];
        }
        const Leaf& leaf = blocks.as<Leaf>(at_leaf);
        const std::uint32_t rank = leaf.rank_avx2(key4);
        const std::uint32_t place = leaf.place_at(rank);
        if (rank < leaf.count && leaf.keys[place] == key) {
            return {at_leaf, rank, at_leaf << 4 | place, leaf.refs[place]};
        }
        return {at_leaf, rank, kNone, kNone};
    }
#endif

    // --- Leaves ------------------------------------------------------------------------------------------------------

    std::uint32_t take_leaf(Blocks& blocks, Side side) noexcept {
        const std::uint32_t leaf = blocks.take();
        blocks.as<Leaf>(leaf).clear();
        blocks.as<Leaf>(leaf).side = static_cast<std::uint32_t>(side) & 1;
        return leaf;
    }

    /// The first leaf of a side.
    std::uint32_t plant(Blocks& blocks, Root& root, Side side) noexcept {
        const std::uint32_t leaf = take_leaf(blocks, side);
        const std::uint32_t group = take_group();
        set_group(blocks, leaf, group);
        groups_[group].set_low(0, kLeast);
        groups_[group].leaf[0] = leaf;
        groups_[group].count = 1;
        root.low[0] = kLeast;
        root.group[0] = group;
        root.groups = 1;
        root.last_leaf = leaf;
        root.last_low = kLeast;
        return leaf;
    }

    static void set_group(Blocks& blocks, std::uint32_t leaf, std::uint32_t group) noexcept {
        blocks.as<Leaf>(leaf).group = group & ((1U << 23) - 1);
    }

    /// Makes a place in a full leaf, by what a neighbour takes or by splitting; answers where `spot` is now.
    template <class Moved>
    [[gnu::noinline]] Spot make_place(Blocks& blocks, Root& root, const Spot& spot, Moved& moved) noexcept {
        Group& group = groups_[blocks.as<Leaf>(spot.leaf).group];
        const std::uint32_t at = last_up_to(group.low, group.count, first_key(blocks, spot.leaf));
        Spot now = spot;
        if (at > 0 && blocks.as<Leaf>(group.leaf[at - 1]).count <= kShareLevels) {
            const std::uint32_t before = group.leaf[at - 1];
            const std::uint32_t had = blocks.as<Leaf>(before).count;
            const std::uint32_t gone = (kPlaces - had + 1) / 2;
            move_first(blocks, spot.leaf, gone, before, moved);
            group.set_low(at, first_key(blocks, spot.leaf));
            // A key between the two parts goes to the lower one: the upper one's first key is what parts them.
            now = spot.rank <= gone ? Spot{before, had + spot.rank, kNone, kNone}
                                    : Spot{spot.leaf, spot.rank - gone, kNone, kNone};
        } else if (at + 1 < group.count && blocks.as<Leaf>(group.leaf[at + 1]).count <= kShareLevels) {
            const std::uint32_t after = group.leaf[at + 1];
            const std::uint32_t stay = kPlaces - (kPlaces - blocks.as<Leaf>(after).count + 1) / 2;
            blocks.as<Leaf>(after).make_front(kPlaces - stay);
            move_last(blocks, spot.leaf, stay, after, 0, moved);
            group.set_low(at + 1, first_key(blocks, after));
            now = spot.rank <= stay ? spot : Spot{after, spot.rank - stay, kNone, kNone};
        } else {
            constexpr std::uint32_t half = kPlaces / 2;
            const std::uint32_t fresh = take_leaf(blocks, static_cast<Side>(blocks.as<Leaf>(spot.leaf).side));
            blocks.as<Leaf>(fresh).count = kPlaces - half;
            move_last(blocks, spot.leaf, half, fresh, 0, moved);
            hang(blocks, root, spot.leaf, at, fresh, first_key(blocks, fresh));
            now = spot.rank <= half ? spot : Spot{fresh, spot.rank - half, kNone, kNone};
        }
        refresh_last(root);
        return now;
    }

    static std::int64_t first_key(const Blocks& blocks, std::uint32_t leaf) noexcept {
        return blocks.as<Leaf>(leaf).keys[blocks.as<Leaf>(leaf).place_at(0)];
    }

    /// Moves the first `count` levels of `from` to the end of `to`.
    template <class Moved>
    static void move_first(Blocks& blocks, std::uint32_t from, std::uint32_t count, std::uint32_t to,
                           Moved& moved) noexcept {
        Leaf& source = blocks.as<Leaf>(from);
        Leaf& target = blocks.as<Leaf>(to);
        const std::uint32_t had = target.count;
        target.count = (had + count) & 0xFF;
        for (std::uint32_t rank = 0; rank < count; ++rank) {
            move_one(source, from, source.place_at(rank), target, to, target.place_at(had + rank), moved);
        }
        source.drop_first(count);
    }

    /// Moves the levels of `from` with ranks from `rank` on to the places that `to` has made for them from `to_rank` on.
    template <class Moved>
    static void move_last(Blocks& blocks, std::uint32_t from, std::uint32_t rank, std::uint32_t to,
                          std::uint32_t to_rank, Moved& moved) noexcept {
        Leaf& source = blocks.as<Leaf>(from);
        Leaf& target = blocks.as<Leaf>(to);
        for (std::uint32_t at = rank; at < source.count; ++at) {
            move_one(source, from, source.place_at(at), target, to, target.place_at(to_rank + at - rank), moved);
        }
        source.count = rank & 0xFF;
    }

    template <class Moved>
    static void move_one(Leaf& source, std::uint32_t from, std::uint32_t place, Leaf& target, std::uint32_t to,
                         std::uint32_t fresh, Moved& moved) noexcept {
        const std::int64_t key = source.keys[place];
        const std::uint32_t ref = source.refs[place];
        target.keys[fresh] = key;
        target.refs[fresh] = ref;
        source.keys[place] = kGreatest;
        moved(ref, key, static_cast<Side>(source.side), from << 4 | place, to << 4 | fresh);
    }

    /// Drops an empty leaf, or merges a small one with a neighbour where both fit.
    template <class Moved>
    [[gnu::noinline]] void shrink(Blocks& blocks, Root& root, std::uint32_t at_leaf, Moved& moved) noexcept {
        const Leaf& leaf = blocks.as<Leaf>(at_leaf);
        if (leaf.count == 0) {
            return drop(blocks, root, at_leaf);
        }
        const Group& group = groups_[leaf.group];
        const std::uint32_t at = last_up_to(group.low, group.count, first_key(blocks, at_leaf));
        if (at > 0 && blocks.as<Leaf>(group.leaf[at - 1]).count + leaf.count <= kMergeLevels) {
            move_first(blocks, at_leaf, leaf.count, group.leaf[at - 1], moved);
            drop(blocks, root, at_leaf);
        } else if (at + 1 < group.count && blocks.as<Leaf>(group.leaf[at + 1]).count + leaf.count <= kMergeLevels) {
            const std::uint32_t after = group.leaf[at + 1];
            move_first(blocks, after, blocks.as<Leaf>(after).count, at_leaf, moved);
            drop(blocks, root, after);
        }
    }

    /// Takes an empty leaf out.
    [[gnu::noinline]] void drop(Blocks& blocks, Root& root, std::uint32_t at_leaf) noexcept {
        unhang(blocks, root, at_leaf);
        blocks.give(at_leaf);
        refresh_last(root);
    }

    void refresh_last(Root& root) noexcept {
        if (root.groups == 0) {
            root.last_leaf = 0;
            return;
        }
        const Group& group = groups_[root.group[root.groups - 1]];
        root.last_leaf = group.leaf[group.count - 1];
        root.last_low = group.low[group.count - 1];
    }

    void refresh_best(const Blocks& blocks, Root& root) noexcept {
        if (root.levels == 0) [[unlikely]] {
            root.best = kNone;
            return;
        }
        const Leaf& leaf = blocks.as<Leaf>(root.last_leaf);
        const std::uint32_t place = leaf.place_at(leaf.count - 1U);
        root.best = root.last_leaf << 4 | place;
        root.best_key = leaf.keys[place];
    }

    // --- Groups ------------------------------------------------------------------------------------------------------

    std::uint32_t take_group() noexcept {
        if (free_group_ != kNone) {
            // It is as it was made below: what has left a group has left the greatest number there.
            const std::uint32_t group = free_group_;
            free_group_ = groups_[group].next;
            return group;
        }
        const std::uint32_t group = groups_used_++;
        groups_[group].count = 0;
        std::fill(std::begin(groups_[group].low), std::end(groups_[group].low), kGreatest);
        groups_[group].resample();
        return group;
    }

    void give_group(std::uint32_t group) noexcept {
        groups_[group].next = free_group_;
        free_group_ = group;
    }

    /// From the end on, where a sweep takes leaves away.
    static std::uint32_t place_of(const Group& group, std::uint32_t leaf) noexcept {
        std::uint32_t place = group.count - 1;
        while (group.leaf[place] != leaf) {
            --place;
        }
        return place;
    }

    static std::uint32_t place_of(const Root& root, std::uint32_t group) noexcept {
        std::uint32_t place = root.groups - 1;
        while (root.group[place] != group) {
            --place;
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

    /// Puts a new leaf after `leaf`, which is at `at` in its group, into the groups.
    void hang(Blocks& blocks, Root& root, std::uint32_t leaf, std::uint32_t at, std::uint32_t fresh,
              std::int64_t low) noexcept {
        std::uint32_t at_group = blocks.as<Leaf>(leaf).group;
        std::uint32_t place = at + 1;
        if (groups_[at_group].count == kGroupLeaves) {
            split_group(blocks, root, at_group);
            place -= at_group != blocks.as<Leaf>(leaf).group ? kGroupLeaves / 2 : 0;
            at_group = blocks.as<Leaf>(leaf).group;
        }
        Group& group = groups_[at_group];
        group.open_gap(place, 1);
        group.low[place] = low;
        group.leaf[place] = fresh;
        group.resample();
        set_group(blocks, fresh, at_group);
    }

    void split_group(Blocks& blocks, Root& root, std::uint32_t at_group) noexcept {
        const std::uint32_t fresh = take_group();
        const std::uint32_t place = place_of(root, at_group) + 1;
        open_gap(root.low.data(), place, root.groups);
        open_gap(root.group.data(), place, root.groups);
        ++root.groups;
        root.group[place] = fresh;
        move_leaves(blocks, at_group, kGroupLeaves / 2, kGroupLeaves, fresh);
        root.low[place] = groups_[fresh].low[0];
    }

    /// Moves the leaves of `from` with places from `place` up to `end` to the end of `to`.
    void move_leaves(Blocks& blocks, std::uint32_t from, std::uint32_t place, std::uint32_t end,
                     std::uint32_t to) noexcept {
        Group& source = groups_[from];
        Group& target = groups_[to];
        for (std::uint32_t at = place; at < end; ++at) {
            set_group(blocks, source.leaf[at], to);
            target.low[target.count] = source.low[at];
            target.leaf[target.count++] = source.leaf[at];
        }
        source.close_gap(place, end - place);
        target.resample();
    }

    /// Takes a leaf out of its group, and the group out when it is empty or fits into a neighbour.
    void unhang(Blocks& blocks, Root& root, std::uint32_t at_leaf) noexcept {
        const std::uint32_t at_group = blocks.as<Leaf>(at_leaf).group;
        Group& group = groups_[at_group];
        const std::uint32_t place = place_of(group, at_leaf);
        group.close_gap(place, 1);
        const std::uint32_t at = place_of(root, at_group);
        if (group.count == 0) {
            return drop_group(root, at);
        }
        // The first leaf of all takes whatever is lower. In another group, what lies between the old first leaf and the
        // new one belongs to the group before now.
        group.set_low(0, at == 0 ? kLeast : group.low[0]);
        root.low[at] = group.low[0];
        if (at > 0 && groups_[root.group[at - 1]].count + group.count <= kMergeLeaves) {
            move_leaves(blocks, at_group, 0, group.count, root.group[at - 1]);
            drop_group(root, at);
        } else if (at + 1 < root.groups && groups_[root.group[at + 1]].count + group.count <= kMergeLeaves) {
            move_leaves(blocks, root.group[at + 1], 0, groups_[root.group[at + 1]].count, at_group);
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
            groups_[root.group[0]].set_low(0, kLeast);
        }
        give_group(group);
    }

    // --- Packing -----------------------------------------------------------------------------------------------------

    /// Moves leaves towards the first group until every group but the last is full.
    void pack_groups(Blocks& blocks, Root& root) noexcept {
        for (std::uint32_t at = 0; at + 1 < root.groups;) {
            const std::uint32_t to = root.group[at];
            const std::uint32_t from = root.group[at + 1];
            const std::uint32_t free = kGroupLeaves - groups_[to].count;
            if (free == 0) {
                ++at;
                continue;
            }
            move_leaves(blocks, from, 0, std::min(free, groups_[from].count), to);
            if (groups_[from].count == 0) {
                drop_group(root, at + 1);
            } else {
                root.low[at + 1] = groups_[from].low[0];
            }
        }
    }

    /// Moves the levels of a group towards its first leaf until every leaf but the last holds `kPackedLevels`.
    template <class Moved>
    void pack_leaves(Blocks& blocks, Group& group, Moved& moved) noexcept {
        for (std::uint32_t at = 0; at + 1 < group.count;) {
            const std::uint32_t to = group.leaf[at];
            const std::uint32_t from = group.leaf[at + 1];
            if (blocks.as<Leaf>(to).count >= kPackedLevels) {
                ++at;
                continue;
            }
            const std::uint32_t wanted = kPackedLevels - blocks.as<Leaf>(to).count;
            move_first(blocks, from, std::min<std::uint32_t>(wanted, blocks.as<Leaf>(from).count), to, moved);
            if (blocks.as<Leaf>(from).count != 0) {
                group.set_low(at + 1, first_key(blocks, from));
                continue;
            }
            group.close_gap(at + 1, 1);
            blocks.give(from);
        }
    }

    // --- Check -------------------------------------------------------------------------------------------------------

    bool is_sound(const Blocks& blocks, Side side, std::uint32_t& leaves, std::uint32_t& groups) const noexcept {
        const Root& root = at(side);
        std::uint32_t seen = 0;
        std::int64_t last = kLeast;
        for (std::uint32_t at_root = 0; at_root < root.groups; ++at_root) {
            const Group& group = groups_[root.group[at_root]];
            if (group.count == 0 || group.count > kGroupLeaves || root.low[at_root] != group.low[0]) {
                return false;
            }
            ++groups;
            for (std::uint32_t place = 0; place < kGroupLeaves; ++place) {
                if (place % kStride == 0 && group.sample[place / kStride] != group.low[place]) {
                    return false;
                }
                if (place >= group.count) {
                    if (group.low[place] != kGreatest) {
                        return false;
                    }
                    continue;
                }
                const Leaf& leaf = blocks.as<Leaf>(group.leaf[place]);
                const bool is_first = at_root == 0 && place == 0;
                const bool parts = is_first ? group.low[0] == kLeast : group.low[place] > last;
                if (!parts || leaf.count == 0 || leaf.group != root.group[at_root] ||
                    leaf.side != static_cast<std::uint32_t>(side) ||
                    group.low[place] > leaf.keys[leaf.place_at(0)] || !is_sound(leaf)) {
                    return false;
                }
                last = leaf.keys[leaf.place_at(leaf.count - 1U)];
                seen += leaf.count;
                ++leaves;
            }
        }
        for (std::size_t behind = root.groups; behind < root.low.size(); ++behind) {
            if (root.low[behind] != kGreatest) {
                return false;
            }
        }
        if (seen != root.levels || (root.groups == 0) != (root.levels == 0)) {
            return false;
        }
        if (root.groups == 0) {
            return root.best == kNone;
        }
        const Group& group = groups_[root.group[root.groups - 1]];
        const Leaf& leaf = blocks.as<Leaf>(root.last_leaf);
        return root.last_leaf == group.leaf[group.count - 1] && root.last_low == group.low[group.count - 1] &&
               root.best == (root.last_leaf << 4 | leaf.place_at(leaf.count - 1U)) && root.best_key == last;
    }

    static bool is_sound(const Leaf& leaf) noexcept {
        std::uint32_t places = 0;
        for (std::uint32_t rank = 0; rank < kPlaces; ++rank) {
            const std::uint32_t place = leaf.place_at(rank);
            places |= 1U << place;
            const bool is_dead = rank >= leaf.count;
            if ((is_dead && leaf.keys[place] != kGreatest) ||
                (!is_dead && rank > 0 && leaf.keys[place] <= leaf.keys[leaf.place_at(rank - 1)])) {
                return false;
            }
        }
        return places == (1U << kPlaces) - 1;
    }

    Storage<Group> groups_;
    Root sides_[2];
    std::uint32_t free_group_ = kNone;
    std::uint32_t groups_used_ = 0;
#if defined(TOUCHLINE_AVX2)
    bool has_avx2_ = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#endif
};

}  // namespace touchline
