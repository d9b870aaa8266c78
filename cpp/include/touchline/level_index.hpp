// The price levels of both sides in price order: a tree of three tiers that costs nothing for the distance of prices.
//
// Keys are prices turned so that the best is the greatest on either side (`key_of`). A leaf is a block of fifteen places,
// which hold a level each: its key and a reference to what rests there. A level keeps its place while others come and go:
// their order is one 64-bit word of 4-bit places, and a level comes or goes by shifting that word. Leaves hang in groups
// (`LevelGroups`). A level is known by leaf and place (`where`), so it goes without a search; the best and the next best
// are the end of the last leaf's word.
//
// A full leaf is split while blocks are plenty, and gives to a neighbour that has room when they are not; a small one joins
// a neighbour that can take it. So levels that come and go at random find room. No local rule guards against every order
// of arrival; when leaves are as empty as somebody could make them, `pack` fills them anew.
//
// Costs: best, next best, erase O(1); enter O(log levels) compares without a branch to mispredict, of which a price
// near the touch needs only those in the last leaf. Nothing depends on how far apart prices lie.
//
// Invariants: keys ascend through a leaf's order, the leaves of a group and the groups; no leaf and no group is empty;
// free places of a leaf hold the greatest key.
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
#include "touchline/level_groups.hpp"
#include "touchline/message.hpp"
#include "touchline/search.hpp"
#include "touchline/storage.hpp"

namespace touchline {

class LevelIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
    static constexpr std::uint32_t kPlaces = LevelLeaf::kPlaces;
    static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    /// A level and what rests there; both `kNone` when there is none.
    struct Entry {
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
        const std::size_t groups = LevelGroups::groups_for(blocks);
        return groups_.reserve(groups) && sides_[0].reserve(groups) && sides_[1].reserve(groups);
    }

    /// What block 0 must hold: a leaf without levels, so that whoever looks there finds nothing, and without room.
    static void clear_first(Blocks& blocks) noexcept {
        Leaf& leaf = blocks.as<Leaf>(0);
        leaf.clear();
        leaf.free = 0;
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

    /// Whether a level may come: `enter` needs a group at most, and `blocks` must have one block.
    bool has_room() const noexcept { return groups_.has_room(); }

    /// The level of a key.
    Entry find(const Blocks& blocks, Side side, std::int64_t key) const noexcept {
        const Root& root = at(side);
        if (root.groups == 0) [[unlikely]] {
            return {kNone, kNone};
        }
#if defined(TOUCHLINE_X86)
        if (reach_ == Reach::avx512) {
            return find_avx512(blocks, root, key);
        }
        if (reach_ == Reach::avx2) {
            return find_avx2(blocks, root, key);
        }
#endif
        return find_by<PlainSearch>(blocks, root, key);
    }

    /// The level of a key; when there is none, one is made for what `ref` names. There must be room. Calls
    /// `moved(ref, key, side, from, to)` for each other level that had to take another place.
    template <class Moved>
    Entry enter(Blocks& blocks, Side side, std::int64_t key, std::uint32_t ref, Moved moved) noexcept {
#if defined(TOUCHLINE_X86)
        if (reach_ == Reach::avx512) [[likely]] {
            return enter_avx512(blocks, side, key, ref, moved);
        }
        if (reach_ == Reach::avx2) {
            return enter_avx2(blocks, side, key, ref, moved);
        }
#endif
        return enter_by<PlainSearch>(blocks, side, key, ref, moved);
    }

    /// As `enter`, for a caller that knows the processor.
    template <class Search, class Moved>
    Entry enter_by(Blocks& blocks, Side side, std::int64_t key, std::uint32_t ref, Moved moved) noexcept {
        Root& root = at(side);
        const std::uint32_t at_leaf = groups_.leaf_for<Search>(root, key);
        Leaf& leaf = blocks.as<Leaf>(at_leaf);
        const LeafSpot spot = Search::find(leaf, key);
        if (spot.place != Leaf::kNoPlace) {
            return {at_leaf << 4 | spot.place, leaf.refs[spot.place]};
        }
        if (leaf.free == 0) [[unlikely]] {
            return enter_full(blocks, root, side, key, ref, {at_leaf, spot.rank}, moved);
        }
        const std::uint32_t where = at_leaf << 4 | put(leaf, spot.rank, key, ref);
        const bool is_best = key > root.best_key || root.levels == 0;
        root.best = is_best ? where : root.best;
        root.best_key = is_best ? key : root.best_key;
        ++root.levels;
        return {where, ref};
    }

    /// Removes a level; `moved` as for `enter`.
    template <class Moved>
    void erase(Blocks& blocks, std::uint32_t where, Moved moved) noexcept {
        Leaf& leaf = blocks.as<Leaf>(where >> 4);
        Root& root = sides_[leaf.side];
        leaf.close(where & 15);
        --root.levels;
        if (leaf.place_at(kCheckAt) == Leaf::kNoPlace) [[unlikely]] {
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
        leaf.close_last();
        --root.levels;
        if (leaf.free == Leaf::kAllPlaces) [[unlikely]] {
            drop(blocks, root, root.last_leaf, groups_[leaf.group].count - 1);
        }
        refresh_best(blocks, root);
    }

    /// Calls `visit(where)` from a side's best level on until it answers false.
    template <class Visit>
    void walk(const Blocks& blocks, Side side, Visit&& visit) const noexcept {
        const Root& root = at(side);
        for (std::uint32_t at_root = root.groups; at_root-- > 0;) {
            const Group& group = groups_[root.group[at_root]];
            for (std::uint32_t at_group = group.count; at_group-- > 0;) {
                const Leaf& leaf = blocks.as<Leaf>(group.leaf[at_group]);
                for (std::uint32_t rank = leaf.count(); rank-- > 0;) {
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
                groups_.pack(blocks, root);
                for (std::uint32_t at = 0; at < root.groups; ++at) {
                    pack_leaves(blocks, groups_[root.group[at]], moved);
                }
            }
            groups_.refresh_ends(root);
            refresh_best(blocks, root);
        }
    }

    /// Whether every invariant named above holds; adds the leaves that it sees to `leaves`.
    bool is_sound(const Blocks& blocks, std::uint32_t& leaves) const noexcept {
        for (const Side side : {Side::bid, Side::ask}) {
            if (!is_sound(blocks, side, leaves)) {
                return false;
            }
        }
        return groups_.are_all(sides_[0].groups + sides_[1].groups);
    }

    Reach reach() const noexcept { return reach_; }

    std::size_t bytes() const noexcept { return groups_.bytes() + sides_[0].bytes() + sides_[1].bytes(); }

private:
    /// What there is memory for: leaves two thirds full.
    static constexpr std::uint32_t kLevelsALeaf = 10;
    /// What `pack` makes of leaves: so full that much is free, so empty that not every level that comes splits one.
    static constexpr std::uint32_t kPackedLevels = 13;
    /// A leaf with no more levels than this looks whether it fits into a neighbour ...
    static constexpr std::uint32_t kCheckAt = 3;
    /// ... which it does when together they hold no more than this.
    static constexpr std::uint32_t kMergeLevels = 12;
    /// A full leaf gives to a neighbour that holds no more than this.
    static constexpr std::uint32_t kShareLevels = 12;

    using Group = LevelGroup;

    struct Root : LeafList {
        std::int64_t best_key = 0;
        std::uint32_t best = kNone;
        std::uint32_t levels = 0;
    };

    /// Where a key goes.
    struct Spot {
        std::uint32_t leaf;
        std::uint32_t rank;
    };

    Root& at(Side side) noexcept { return sides_[static_cast<std::size_t>(side)]; }
    const Root& at(Side side) const noexcept { return sides_[static_cast<std::size_t>(side)]; }

    // --- Searching ---------------------------------------------------------------------------------------------------

    template <class Search>
    Entry find_by(const Blocks& blocks, const Root& root, std::int64_t key) const noexcept {
        const std::uint32_t at_leaf = groups_.leaf_for<Search>(root, key);
        const Leaf& leaf = blocks.as<Leaf>(at_leaf);
        const std::uint32_t place = Search::find(leaf, key).place;
        return place == Leaf::kNoPlace ? Entry{kNone, kNone} : Entry{at_leaf << 4 | place, leaf.refs[place]};
    }

#if defined(TOUCHLINE_X86)
    [[gnu::flatten]] TOUCHLINE_AVX2 Entry find_avx2(const Blocks& blocks, const Root& root,
                                                    std::int64_t key) const noexcept {
        return find_by<Avx2Search>(blocks, root, key);
    }

    [[gnu::flatten]] TOUCHLINE_AVX512 Entry find_avx512(const Blocks& blocks, const Root& root,
                                                        std::int64_t key) const noexcept {
        return find_by<Avx512Search>(blocks, root, key);
    }

    template <class Moved>
    [[gnu::flatten]] TOUCHLINE_AVX2 Entry enter_avx2(Blocks& blocks, Side side, std::int64_t key, std::uint32_t ref,
                                                     Moved moved) noexcept {
        return enter_by<Avx2Search>(blocks, side, key, ref, moved);
    }

    template <class Moved>
    [[gnu::flatten]] TOUCHLINE_AVX512 Entry enter_avx512(Blocks& blocks, Side side, std::int64_t key,
                                                         std::uint32_t ref, Moved moved) noexcept {
        return enter_by<Avx512Search>(blocks, side, key, ref, moved);
    }
#endif

    // --- Leaves ------------------------------------------------------------------------------------------------------

    std::uint32_t take_leaf(Blocks& blocks, Side side) noexcept {
        const std::uint32_t leaf = blocks.take();
        blocks.as<Leaf>(leaf).clear();
        blocks.as<Leaf>(leaf).side = static_cast<std::uint16_t>(side) & 1;
        return leaf;
    }

    /// The first leaf of a side.
    std::uint32_t plant(Blocks& blocks, Root& root, Side side) noexcept {
        const std::uint32_t leaf = take_leaf(blocks, side);
        groups_.plant(blocks, root, leaf);
        return leaf;
    }

    /// Puts a level into a leaf that has room; answers its place.
    static std::uint32_t put(Leaf& leaf, std::uint32_t rank, std::int64_t key, std::uint32_t ref) noexcept {
        const std::uint32_t place = leaf.open(rank);
        leaf.keys[place] = key;
        leaf.refs[place] = ref;
        return place;
    }

    /// Puts a level where there is no leaf or a full one.
    template <class Moved>
    TOUCHLINE_APART Entry enter_full(Blocks& blocks, Root& root, Side side, std::int64_t key, std::uint32_t ref,
                                     Spot spot, Moved moved) noexcept {
        spot = root.groups == 0 ? Spot{plant(blocks, root, side), 0} : make_place(blocks, root, spot, moved);
        const std::uint32_t place = put(blocks.as<Leaf>(spot.leaf), spot.rank, key, ref);
        ++root.levels;
        groups_.refresh_ends(root);
        refresh_best(blocks, root);
        return {spot.leaf << 4 | place, ref};
    }

    /// Makes a place in a full leaf; answers where `spot` is now. While blocks are plenty the leaf is split, which makes
    /// room for longest; after that what a neighbour can take comes first.
    template <class Moved>
    Spot make_place(Blocks& blocks, Root& root, Spot spot, Moved& moved) noexcept {
        Group& group = groups_[blocks.as<Leaf>(spot.leaf).group];
        const std::uint32_t at = last_up_to(group.low, group.count, first_key(blocks, spot.leaf));
        const bool may_split = blocks.has_plenty();
        if (!may_split && at > 0 && blocks.as<Leaf>(group.leaf[at - 1]).count() <= kShareLevels) {
            const std::uint32_t before = group.leaf[at - 1];
            const std::uint32_t had = blocks.as<Leaf>(before).count();
            const std::uint32_t gone = (kPlaces - had + 1) / 2;
            move_first(blocks, spot.leaf, gone, before, moved);
            group.set_low(at, first_key(blocks, spot.leaf));
            // A key between the two parts goes to the lower one: the upper one's first key is what parts them.
            return spot.rank <= gone ? Spot{before, had + spot.rank} : Spot{spot.leaf, spot.rank - gone};
        }
        if (!may_split && at + 1 < group.count && blocks.as<Leaf>(group.leaf[at + 1]).count() <= kShareLevels) {
            const std::uint32_t after = group.leaf[at + 1];
            const std::uint32_t stay = kPlaces - (kPlaces - blocks.as<Leaf>(after).count() + 1) / 2;
            move_last(blocks, spot.leaf, stay, after, moved);
            group.set_low(at + 1, first_key(blocks, after));
            return spot.rank <= stay ? spot : Spot{after, spot.rank - stay};
        }
        constexpr std::uint32_t half = kPlaces / 2;
        const std::uint32_t fresh = take_leaf(blocks, static_cast<Side>(blocks.as<Leaf>(spot.leaf).side));
        move_last(blocks, spot.leaf, half, fresh, moved);
        groups_.hang(blocks, root, spot.leaf, at, fresh, first_key(blocks, fresh));
        return spot.rank <= half ? spot : Spot{fresh, spot.rank - half};
    }

    static std::int64_t first_key(const Blocks& blocks, std::uint32_t leaf) noexcept {
        return blocks.as<Leaf>(leaf).keys[blocks.as<Leaf>(leaf).place_at(0)];
    }

    /// Moves the first `count` levels of `from` to the end of `to`.
    template <class Moved>
    static void move_first(Blocks& blocks, std::uint32_t from, std::uint32_t count, std::uint32_t to,
                           Moved& moved) noexcept {
        Leaf& source = blocks.as<Leaf>(from);
        const std::uint32_t had = blocks.as<Leaf>(to).count();
        for (std::uint32_t rank = 0; rank < count; ++rank) {
            move_one(blocks, from, source.place_at(rank), to, had + rank, moved);
        }
        source.drop_first(count);
    }

    /// Moves the levels of `from` with ranks from `rank` on to the front of `to`.
    template <class Moved>
    static void move_last(Blocks& blocks, std::uint32_t from, std::uint32_t rank, std::uint32_t to,
                          Moved& moved) noexcept {
        Leaf& source = blocks.as<Leaf>(from);
        const std::uint32_t count = source.count();
        for (std::uint32_t at = rank; at < count; ++at) {
            move_one(blocks, from, source.place_at(at), to, at - rank, moved);
        }
        source.drop_last(rank);
    }

    template <class Moved>
    static void move_one(Blocks& blocks, std::uint32_t from, std::uint32_t place, std::uint32_t to, std::uint32_t rank,
                         Moved& moved) noexcept {
        Leaf& source = blocks.as<Leaf>(from);
        const std::int64_t key = source.keys[place];
        const std::uint32_t ref = source.refs[place];
        const std::uint32_t fresh = put(blocks.as<Leaf>(to), rank, key, ref);
        source.bury(place);
        moved(ref, key, static_cast<Side>(source.side), from << 4 | place, to << 4 | fresh);
    }

    /// Drops an empty leaf, or merges a small one with a neighbour where both fit.
    template <class Moved>
    TOUCHLINE_APART void shrink(Blocks& blocks, Root& root, std::uint32_t at_leaf, Moved& moved) noexcept {
        const Leaf& leaf = blocks.as<Leaf>(at_leaf);
        const Group& group = groups_[leaf.group];
        const std::uint32_t count = leaf.count();
        if (count == 0) {
            return drop(blocks, root, at_leaf, group.place_of(at_leaf));
        }
        const std::uint32_t at = last_up_to(group.low, group.count, first_key(blocks, at_leaf));
        if (at > 0 && blocks.as<Leaf>(group.leaf[at - 1]).count() + count <= kMergeLevels) {
            move_first(blocks, at_leaf, count, group.leaf[at - 1], moved);
            drop(blocks, root, at_leaf, at);
        } else if (at + 1 < group.count && blocks.as<Leaf>(group.leaf[at + 1]).count() + count <= kMergeLevels) {
            const std::uint32_t after = group.leaf[at + 1];
            move_first(blocks, after, blocks.as<Leaf>(after).count(), at_leaf, moved);
            drop(blocks, root, after, at + 1);
        }
    }

    /// Takes an empty leaf out, which is at `place` of its group.
    TOUCHLINE_APART void drop(Blocks& blocks, Root& root, std::uint32_t at_leaf, std::uint32_t place) noexcept {
        groups_.unhang(blocks, root, blocks.as<Leaf>(at_leaf).group, place);
        blocks.give(at_leaf);
        groups_.refresh_ends(root);
    }

    void refresh_best(const Blocks& blocks, Root& root) noexcept {
        if (root.levels == 0) [[unlikely]] {
            root.best = kNone;
            return;
        }
        const Leaf& leaf = blocks.as<Leaf>(root.last_leaf);
        const std::uint32_t place = leaf.last_place();
        root.best = root.last_leaf << 4 | place;
        root.best_key = leaf.keys[place];
    }

    // --- Packing -----------------------------------------------------------------------------------------------------

    /// Moves the levels of a group towards its first leaf until every leaf but the last holds `kPackedLevels`.
    template <class Moved>
    void pack_leaves(Blocks& blocks, Group& group, Moved& moved) noexcept {
        for (std::uint32_t at = 0; at + 1 < group.count;) {
            const std::uint32_t to = group.leaf[at];
            const std::uint32_t from = group.leaf[at + 1];
            const std::uint32_t has = blocks.as<Leaf>(to).count();
            if (has >= kPackedLevels) {
                ++at;
                continue;
            }
            move_first(blocks, from, std::min(kPackedLevels - has, blocks.as<Leaf>(from).count()), to, moved);
            if (blocks.as<Leaf>(from).count() != 0) {
                group.set_low(at + 1, first_key(blocks, from));
                continue;
            }
            group.close_gap(at + 1, 1);
            blocks.give(from);
        }
    }

    // --- Check -------------------------------------------------------------------------------------------------------

    bool is_sound(const Blocks& blocks, Side side, std::uint32_t& leaves) const noexcept {
        const Root& root = at(side);
        std::uint32_t seen = 0;
        std::int64_t last = kLeast;
        if (!groups_.is_sound(root)) {
            return false;
        }
        for (std::uint32_t at_root = 0; at_root < root.groups; ++at_root) {
            const Group& group = groups_[root.group[at_root]];
            for (std::uint32_t place = 0; place < group.count; ++place) {
                const Leaf& leaf = blocks.as<Leaf>(group.leaf[place]);
                const bool is_first = at_root == 0 && place == 0;
                const bool parts = is_first ? group.low[0] == kLeast : group.low[place] > last;
                if (!parts || leaf.count() == 0 || leaf.group != root.group[at_root] ||
                    leaf.side != static_cast<std::uint32_t>(side) ||
                    group.low[place] > leaf.keys[leaf.place_at(0)] || !is_sound(leaf)) {
                    return false;
                }
                last = leaf.keys[leaf.last_place()];
                seen += leaf.count();
                ++leaves;
            }
        }
        if (seen != root.levels || (root.groups == 0) != (root.levels == 0)) {
            return false;
        }
        return root.groups == 0 ? root.best == kNone
                                : root.best == (root.last_leaf << 4 | blocks.as<Leaf>(root.last_leaf).last_place()) &&
                                      root.best_key == last;
    }

    static bool is_sound(const Leaf& leaf) noexcept {
        std::uint32_t live = 0;
        for (std::uint32_t rank = 0; rank < leaf.count(); ++rank) {
            const std::uint32_t place = leaf.place_at(rank);
            if (place == Leaf::kNoPlace || (live >> place & 1) != 0 ||
                (rank > 0 && leaf.keys[place] <= leaf.keys[leaf.place_at(rank - 1)])) {
                return false;
            }
            live |= 1U << place;
        }
        for (std::uint32_t place = 0; place < kPlaces; ++place) {
            if ((live >> place & 1) == 0 && leaf.keys[place] != kGreatest) {
                return false;
            }
        }
        return (live | leaf.free) == Leaf::kAllPlaces && (live & leaf.free) == 0;
    }

    LevelGroups groups_;
    Root sides_[2];
    Reach reach_ = reach_of_processor();
};

}  // namespace touchline
