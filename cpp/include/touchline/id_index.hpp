// From an order's id to its slot in the arena: open addressing, linear probing, backward-shift deletion.
//
// An entry keeps 32 bits of the id's hash beside the slot. They rule out nearly every foreign entry without a look at
// its order (a cold line), and they are all that deletion and growth need to know where an entry wants to be.
//
// find, insert, erase: O(1) expected. At most half full, so probes are short and every search ends at an empty entry.
// No tombstones: a table that has seen any number of deletions is as fast as a new one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "touchline/storage.hpp"

namespace touchline {

class IdIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

    /// Makes room for `orders` ids. False, and nothing changed, when the memory cannot be had.
    [[nodiscard]] bool reserve(std::size_t orders) noexcept {
        const std::size_t wanted = std::bit_ceil(orders * 2);
        if (wanted <= entries_.size()) {
            return true;
        }
        Storage<Entry> larger;
        if (!larger.grow(wanted)) {
            return false;
        }
        const auto mask = static_cast<std::uint32_t>(wanted - 1);
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (entries_[i].slot_plus_one != 0) {
                std::uint32_t at = entries_[i].hash & mask;
                while (larger[at].slot_plus_one != 0) {
                    at = (at + 1) & mask;
                }
                larger[at] = entries_[i];
            }
        }
        entries_.swap(larger);
        mask_ = mask;
        return true;
    }

    static std::uint32_t hash_of(std::uint64_t id) noexcept {
        // The two halves of a 128-bit product, folded: every bit of the id reaches every bit of the hash. Both
        // constants are odd and random.
        const auto product =
            static_cast<unsigned __int128>(id ^ 0x9E37'79B9'7F4A'7C15ULL) * 0xD6E8'FEB8'6659'FD93ULL;
        const auto folded = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
        return static_cast<std::uint32_t>(folded >> 32) ^ static_cast<std::uint32_t>(folded);
    }

    /// The slot of the entry with that hash for which `is_it(slot)` holds, or `kNone`.
    template <class IsIt>
    std::uint32_t find(std::uint32_t hash, IsIt&& is_it) const noexcept {
        if (entries_.size() == 0) {
            return kNone;
        }
        for (std::uint32_t at = hash & mask_;; at = (at + 1) & mask_) {
            const Entry entry = entries_[at];
            if (entry.slot_plus_one == 0) {
                return kNone;
            }
            if (entry.hash == hash && is_it(entry.slot_plus_one - 1)) {
                return entry.slot_plus_one - 1;
            }
        }
    }

    /// Adds an id that is not there. There must be room.
    void insert(std::uint32_t hash, std::uint32_t slot) noexcept {
        std::uint32_t at = hash & mask_;
        while (entries_[at].slot_plus_one != 0) {
            at = (at + 1) & mask_;
        }
        entries_[at] = Entry{hash, slot + 1};
    }

    /// Removes an entry that is there, and moves those after it that it had displaced back towards their homes.
    void erase(std::uint32_t hash, std::uint32_t slot) noexcept {
        std::uint32_t hole = hash & mask_;
        while (entries_[hole].slot_plus_one != slot + 1) {
            hole = (hole + 1) & mask_;
        }
        for (std::uint32_t at = (hole + 1) & mask_; entries_[at].slot_plus_one != 0; at = (at + 1) & mask_) {
            // An entry may fill the hole when its home is not between the hole and itself, round the end or not.
            const std::uint32_t distance_home = (at - entries_[at].hash) & mask_;
            const std::uint32_t distance_hole = (at - hole) & mask_;
            if (distance_home >= distance_hole) {
                entries_[hole] = entries_[at];
                hole = at;
            }
        }
        entries_[hole] = Entry{};
    }

    /// Counts the entries, for `check`.
    std::size_t count_entries() const noexcept {
        std::size_t count = 0;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            count += entries_[i].slot_plus_one != 0 ? 1 : 0;
        }
        return count;
    }

    std::size_t bytes() const noexcept { return entries_.bytes(); }

private:
    /// Zero is an empty entry, so that fresh memory is an empty table.
    struct Entry {
        std::uint32_t hash;
        std::uint32_t slot_plus_one;
    };
    static_assert(sizeof(Entry) == 8);

    Storage<Entry> entries_;
    std::uint32_t mask_ = 0;
};

}  // namespace touchline
