// The leaves of each side in order, in groups of up to 512, and groups in one sorted list a side.
//
// A search goes from the list to a group, from a sample of every sixteenth of its leaves to one part of it, and from there
// to the leaf: each step compares numbers at once and mispredicts nothing. A leaf knows its group, so it comes and goes
// without a search. A full group is split, one that fits into a neighbour joins it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

#include "touchline/blocks.hpp"
#include "touchline/leaf.hpp"
#include "touchline/storage.hpp"

namespace touchline {

/// Leaves side by side, and what parts them.
struct alignas(64) LevelGroup {
    static constexpr std::uint32_t kGroupLeaves = 512;
    static constexpr std::uint32_t kStride = 16;
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    /// Every sixteenth of `low`.
    std::int64_t sample[kGroupLeaves / kStride];
    /// Parts each leaf from the one before: above every key of that, at most the first of its own; the least number
    /// for the first leaf of a side, which takes whatever is lower. The greatest number beyond `count`.
    std::int64_t low[kGroupLeaves];
    std::uint32_t leaf[kGroupLeaves];
    std::uint32_t count;
    /// Leads from a free group to the next.
    std::uint32_t next;

    void set_low(std::uint32_t place, std::int64_t key) noexcept {
        low[place] = key;
        if (place % kStride == 0) {
            sample[place / kStride] = key;
        }
    }

    /// Where a leaf is: a walk, for the few that have no key left to search for.
    std::uint32_t place_of(std::uint32_t wanted) const noexcept {
        std::uint32_t place = count - 1;
        while (leaf[place] != wanted) {
            --place;
        }
        return place;
    }

    /// Makes room for `places` leaves at `place`.
    void open_gap(std::uint32_t place, std::uint32_t places) noexcept {
        std::memmove(low + place + places, low + place, (count - place) * sizeof(low[0]));
        std::memmove(leaf + place + places, leaf + place, (count - place) * sizeof(leaf[0]));
        count += places;
    }

    /// Takes `places` leaves from `place` on out.
    void close_gap(std::uint32_t place, std::uint32_t places) noexcept {
        std::memmove(low + place, low + place + places, (count - place - places) * sizeof(low[0]));
        std::memmove(leaf + place, leaf + place + places, (count - place - places) * sizeof(leaf[0]));
        std::fill(low + count - places, low + count, kGreatest);
        count -= places;
        resample(place);
    }

    /// After a change of `low` from `place` on.
    void resample(std::uint32_t place) noexcept {
        for (std::uint32_t at = place / kStride; at < kGroupLeaves / kStride; ++at) {
            sample[at] = low[at * kStride];
        }
    }
};

/// The last of `count` ascending numbers that is at most `key`; the first always is.
inline std::uint32_t last_up_to(const std::int64_t* numbers, std::uint32_t count, std::int64_t key) noexcept {
    std::uint32_t first = 0;
    for (std::uint32_t left = count; left > 1;) {
        const std::uint32_t half = left / 2;
        first += numbers[first + half] <= key ? half : 0;
        left -= half;
    }
    return first;
}

/// The leaves of one side in order, as the groups that they hang in.
struct alignas(64) LeafList {
    static constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    /// What parts the last leaf from the one before. Without leaves the last one is block 0, and takes every key.
    std::int64_t last_low = kLeast;
    std::uint32_t last_leaf = 0;
    std::uint32_t groups = 0;
    /// The first two groups and what parts them, as below, for a search to have at hand.
    std::int64_t second_low = kGreatest;
    std::uint32_t first_groups[2] = {0, 0};
    /// What parts each group from the one before; the greatest number behind the last, once at least.
    Storage<std::int64_t> low;
    Storage<std::uint32_t> group;

    /// The group that a key belongs to. Few books have more than two, and whether a side has one or two, or the key
    /// belongs to the first or the second, nobody can predict.
    std::uint32_t group_for(std::int64_t key) const noexcept {
        if (groups > 2) [[unlikely]] {
            return group[last_up_to(low.data(), groups, key)];
        }
        return first_groups[second_low <= key ? 1 : 0];
    }

    [[nodiscard]] bool reserve(std::size_t size) noexcept {
        const std::size_t old = low.size();
        if (!low.grow(size + 1) || !group.grow(size)) {
            return false;
        }
        std::fill(low.data() + old, low.data() + low.size(), kGreatest);
        return true;
    }

    std::size_t bytes() const noexcept { return low.bytes() + group.bytes(); }
};

class LevelGroups {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
    static constexpr std::int64_t kLeast = LeafList::kLeast;
    static constexpr std::int64_t kGreatest = LeafList::kGreatest;
    static constexpr std::uint32_t kGroupLeaves = LevelGroup::kGroupLeaves;
    using Group = LevelGroup;
    using Leaf = LevelLeaf;

    /// Groups that the leaves of both sides need at worst, after `pack`, which leaves one a side that is not full; one is
    /// to spare.
    static constexpr std::size_t groups_for(std::size_t leaves) noexcept { return leaves / kGroupLeaves + 3; }

    /// Makes room for so many groups. False when the memory cannot be had; what was there stays as it was.
    [[nodiscard]] bool reserve(std::size_t groups) noexcept { return groups_.grow(groups); }

    /// Whether a leaf may come: it needs a group at most.
    bool has_room() const noexcept { return free_ != kNone || used_ < groups_.size(); }

    Group& operator[](std::uint32_t group) noexcept { return groups_[group]; }
    const Group& operator[](std::uint32_t group) const noexcept { return groups_[group]; }

    /// The leaf that a key belongs to.
    template <class Search>
    std::uint32_t leaf_for(const LeafList& list, std::int64_t key) const noexcept {
        if (key >= list.last_low) {
            return list.last_leaf;
        }
        // The key is not the greatest number, then, which stands behind every last one.
        const Group& group = groups_[list.group_for(key)];
        const std::uint32_t part = Group::kStride * (Search::up_to32(group.sample, key) - 1);
        fetch_line(group.leaf + part);
        return group.leaf[part + Search::up_to16(group.low + part, key) - 1];
    }

    /// The first leaf of a list.
    void plant(Blocks& blocks, LeafList& list, std::uint32_t leaf) noexcept {
        const std::uint32_t group = take_group();
        set_group(blocks, leaf, group);
        groups_[group].set_low(0, kLeast);
        groups_[group].leaf[0] = leaf;
        groups_[group].count = 1;
        list.low[0] = kLeast;
        list.group[0] = group;
        list.groups = 1;
    }

    /// Puts a new leaf after `leaf`, which is at `at` in its group, into the groups.
    void hang(Blocks& blocks, LeafList& list, std::uint32_t leaf, std::uint32_t at, std::uint32_t fresh,
              std::int64_t low) noexcept {
        std::uint32_t at_group = blocks.as<Leaf>(leaf).group;
        std::uint32_t place = at + 1;
        if (groups_[at_group].count == kGroupLeaves) {
            split_group(blocks, list, at_group);
            place -= at_group != blocks.as<Leaf>(leaf).group ? kGroupLeaves / 2 : 0;
            at_group = blocks.as<Leaf>(leaf).group;
        }
        Group& group = groups_[at_group];
        group.open_gap(place, 1);
        group.low[place] = low;
        group.leaf[place] = fresh;
        group.resample(place);
        set_group(blocks, fresh, at_group);
    }

    /// Takes the leaf at `place` of a group out, and the group when it is empty or fits into a neighbour.
    void unhang(Blocks& blocks, LeafList& list, std::uint32_t at_group, std::uint32_t place) noexcept {
        Group& group = groups_[at_group];
        group.close_gap(place, 1);
        const std::uint32_t at = place_of(list, at_group);
        if (group.count == 0) {
            return drop_group(list, at);
        }
        // The first leaf of all takes whatever is lower. In another group, what lies between the old first leaf and the
        // new one belongs to the group before now.
        group.set_low(0, at == 0 ? kLeast : group.low[0]);
        list.low[at] = group.low[0];
        if (at > 0 && groups_[list.group[at - 1]].count + group.count <= kMergeLeaves) {
            move_leaves(blocks, at_group, 0, group.count, list.group[at - 1]);
            drop_group(list, at);
        } else if (at + 1 < list.groups && groups_[list.group[at + 1]].count + group.count <= kMergeLeaves) {
            move_leaves(blocks, list.group[at + 1], 0, groups_[list.group[at + 1]].count, at_group);
            drop_group(list, at + 1);
        }
    }

    /// Moves leaves towards the first group until every group but the last is full.
    void pack(Blocks& blocks, LeafList& list) noexcept {
        for (std::uint32_t at = 0; at + 1 < list.groups;) {
            const std::uint32_t to = list.group[at];
            const std::uint32_t from = list.group[at + 1];
            const std::uint32_t free = kGroupLeaves - groups_[to].count;
            if (free == 0) {
                ++at;
                continue;
            }
            move_leaves(blocks, from, 0, std::min(free, groups_[from].count), to);
            if (groups_[from].count == 0) {
                drop_group(list, at + 1);
            } else {
                list.low[at + 1] = groups_[from].low[0];
            }
        }
    }

    /// To be called when leaves of the list, or what parts them, have changed.
    void refresh_ends(LeafList& list) const noexcept {
        if (list.groups == 0) {
            list.last_leaf = 0;
            list.last_low = kLeast;
            return;
        }
        list.first_groups[0] = list.group[0];
        list.first_groups[1] = list.group[list.groups > 1 ? 1 : 0];
        list.second_low = list.low[1];
        const Group& group = groups_[list.group[list.groups - 1]];
        list.last_leaf = group.leaf[group.count - 1];
        list.last_low = group.low[group.count - 1];
    }

    /// Whether the groups of a list, and what it has at hand of them, are as they should be.
    bool is_sound(const LeafList& list) const noexcept {
        for (std::uint32_t at = 0; at < list.groups; ++at) {
            const Group& group = groups_[list.group[at]];
            if (group.count == 0 || group.count > kGroupLeaves || list.low[at] != group.low[0]) {
                return false;
            }
            for (std::uint32_t place = 0; place < kGroupLeaves; ++place) {
                if ((place % Group::kStride == 0 && group.sample[place / Group::kStride] != group.low[place]) ||
                    (place >= group.count && group.low[place] != kGreatest)) {
                    return false;
                }
            }
        }
        for (std::size_t behind = list.groups; behind < list.low.size(); ++behind) {
            if (list.low[behind] != kGreatest) {
                return false;
            }
        }
        if (list.groups == 0) {
            return list.last_leaf == 0 && list.last_low == kLeast;
        }
        const Group& last = groups_[list.group[list.groups - 1]];
        return list.first_groups[0] == list.group[0] && list.second_low == list.low[1] &&
               (list.groups == 1 || list.first_groups[1] == list.group[1]) &&
               list.last_leaf == last.leaf[last.count - 1] && list.last_low == last.low[last.count - 1];
    }

    /// Whether `taken` groups and the free ones are all that were ever used.
    bool are_all(std::uint32_t taken) const noexcept {
        std::uint32_t free = 0;
        for (std::uint32_t at = free_; at != kNone && free <= used_; at = groups_[at].next) {
            if (groups_[at].count != 0 || groups_[at].low[0] != kGreatest || groups_[at].sample[0] != kGreatest) {
                return false;
            }
            ++free;
        }
        return taken + free == used_;
    }

    std::size_t bytes() const noexcept { return groups_.bytes(); }

private:
    /// Neighbours that hold no more leaves than this together become one group.
    static constexpr std::uint32_t kMergeLeaves = 320;

    static void set_group(Blocks& blocks, std::uint32_t leaf, std::uint32_t group) noexcept {
        blocks.as<Leaf>(leaf).group = group & 0x7FFF;
    }

    std::uint32_t take_group() noexcept {
        if (free_ != kNone) {
            // It is as it was made below: what has left a group has left the greatest number there.
            const std::uint32_t group = free_;
            free_ = groups_[group].next;
            return group;
        }
        const std::uint32_t group = used_++;
        groups_[group].count = 0;
        std::fill(std::begin(groups_[group].low), std::end(groups_[group].low), kGreatest);
        groups_[group].resample(0);
        return group;
    }

    void give_group(std::uint32_t group) noexcept {
        groups_[group].next = free_;
        free_ = group;
    }

    /// From the end on, where a sweep takes groups away.
    static std::uint32_t place_of(const LeafList& list, std::uint32_t group) noexcept {
        std::uint32_t place = list.groups - 1;
        while (list.group[place] != group) {
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

    void split_group(Blocks& blocks, LeafList& list, std::uint32_t at_group) noexcept {
        const std::uint32_t fresh = take_group();
        const std::uint32_t place = place_of(list, at_group) + 1;
        open_gap(list.low.data(), place, list.groups);
        open_gap(list.group.data(), place, list.groups);
        ++list.groups;
        list.group[place] = fresh;
        move_leaves(blocks, at_group, kGroupLeaves / 2, kGroupLeaves, fresh);
        list.low[place] = groups_[fresh].low[0];
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
        target.resample(0);
    }

    void drop_group(LeafList& list, std::uint32_t at) noexcept {
        const std::uint32_t group = list.group[at];
        close_gap(list.low.data(), at, list.groups);
        close_gap(list.group.data(), at, list.groups);
        list.low[--list.groups] = kGreatest;
        if (at == 0 && list.groups != 0) {
            list.low[0] = kLeast;
            groups_[list.group[0]].set_low(0, kLeast);
        }
        give_group(group);
    }

    Storage<Group> groups_;
    std::uint32_t free_ = kNone;
    std::uint32_t used_ = 0;
};

}  // namespace touchline
