// From an order's id to its slot in the arena: buckets of one cache line, fifteen entries each.
//
// An entry is 32 bits: the slot, and in the bits that the slot leaves free a tag of the id's hash. One comparison of the
// whole line finds the entries with the right tag, so a search has nothing to mispredict and looks at one order, nearly
// always the one it wants. An id that finds its bucket full goes to the next one; each bucket counts those that went
// past it, so a search knows where to stop.
//
// find, insert, erase: O(1) expected, one line. No tombstones: a table that has seen any number of deletions is as fast
// as a new one. The ids themselves are only in the orders, which is where growth reads them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "touchline/search.hpp"
#include "touchline/storage.hpp"

namespace touchline {

class IdIndex {
public:
    static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

    IdIndex() noexcept = default;
    IdIndex(const IdIndex&) = delete;
    IdIndex& operator=(const IdIndex&) = delete;

    /// Where an entry was found: good until the table changes.
    struct Found {
        std::uint32_t slot;
        std::uint32_t bucket;
        std::uint32_t place;
    };

    static std::uint64_t hash_of(std::uint64_t id) noexcept {
        // The two halves of a 128-bit product, folded: every bit of the id reaches every bit of the hash. Both
        // constants are odd and random.
        const auto product =
            static_cast<unsigned __int128>(id ^ 0x9E37'79B9'7F4A'7C15ULL) * 0xD6E8'FEB8'6659'FD93ULL;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }

    /// An empty table for `orders` slots. False when the memory cannot be had.
    [[nodiscard]] bool reserve(std::size_t orders) noexcept {
        if (!buckets_.grow(buckets_for(orders))) {
            return false;
        }
        table_ = buckets_.data();
        size_ = static_cast<std::uint32_t>(buckets_.size());
        tag_mask_ = ~std::uint32_t{0} << std::bit_width(orders);
        return true;
    }

    /// The entry with that hash for which `is_it(slot)` holds; its slot is `kNone` when there is none.
    template <class Search, class IsIt>
    Found find(std::uint64_t hash, IsIt&& is_it) const noexcept {
        const std::uint32_t home = home_of(hash);
        const Bucket& bucket = table_[home];
        const std::uint32_t matches = bucket.matching<Search>(tag_of(hash), tag_mask_);
        if (matches != 0) {
            const auto place = static_cast<std::uint32_t>(std::countr_zero(matches));
            const std::uint32_t slot = (bucket.entries[place] & ~tag_mask_) - 1;
            if (is_it(slot)) [[likely]] {
                return {slot, home, place};
            }
        } else if (bucket.gone_past() == 0) [[likely]] {
            return {kNone, 0, 0};
        }
        return find_far(hash, home, is_it);
    }

    /// Where an id that is not there would go; good until the table changes.
    struct Vacancy {
        std::uint32_t bucket;
        /// The entries of the bucket that are free, as bits.
        std::uint32_t holes;
    };

    /// Whether `find` would find something; where the id goes is left in `vacancy` when it would not.
    template <class Search, class IsIt>
    bool contains(std::uint64_t hash, Vacancy& vacancy, IsIt&& is_it) const noexcept {
        const std::uint32_t home = home_of(hash);
        const Bucket& bucket = table_[home];
        vacancy = {home, bucket.holes<Search>()};
        if ((bucket.matching<Search>(tag_of(hash), tag_mask_) | bucket.gone_past()) == 0) [[likely]] {
            return false;
        }
        return find_far(hash, home, is_it).slot != kNone;
    }

    /// The first slot whose tag fits, without a look at its order: a guess, good enough to fetch memory early.
    std::uint32_t guess(std::uint64_t hash) const noexcept {
        const Bucket& bucket = table_[home_of(hash)];
        const std::uint32_t matches = bucket.matching(tag_of(hash), tag_mask_);
        if (matches == 0) {
            return kNone;
        }
        return (bucket.entries[std::countr_zero(matches)] & ~tag_mask_) - 1;
    }

    void prefetch(std::uint64_t hash) const noexcept { fetch_line(&table_[home_of(hash)]); }

    /// Adds an id that is not there. There must be room.
    void insert(std::uint64_t hash, std::uint32_t slot) noexcept {
        std::uint32_t at = home_of(hash);
        std::uint32_t holes = table_[at].holes();
        while (holes == 0) [[unlikely]] {
            ++table_[at].entries[kEntries];
            at = after(at);
            holes = table_[at].holes();
        }
        table_[at].entries[std::countr_zero(holes)] = tag_of(hash) | (slot + 1);
    }

    /// Adds the id that `contains` did not find.
    void insert(std::uint64_t hash, const Vacancy& vacancy, std::uint32_t slot) noexcept {
        if (vacancy.holes == 0) [[unlikely]] {
            return insert(hash, slot);
        }
        table_[vacancy.bucket].entries[std::countr_zero(vacancy.holes)] = tag_of(hash) | (slot + 1);
    }

    /// Removes the entry that `find` has found for that hash.
    void erase(std::uint64_t hash, const Found& found) noexcept {
        table_[found.bucket].entries[found.place] = 0;
        for (std::uint32_t at = home_of(hash); at != found.bucket; at = after(at)) [[unlikely]] {
            --table_[at].entries[kEntries];
        }
    }

    /// Removes the entry of a slot that is there.
    void erase(std::uint64_t hash, std::uint32_t slot) noexcept {
        const std::uint32_t entry = tag_of(hash) | (slot + 1);
        for (std::uint32_t at = home_of(hash);; at = after(at)) {
            const std::uint32_t matches = table_[at].matching(entry, ~std::uint32_t{0});
            if (matches != 0) [[likely]] {
                table_[at].entries[std::countr_zero(matches)] = 0;
                return;
            }
            --table_[at].entries[kEntries];
        }
    }

    /// Counts the entries, for `check`.
    std::size_t count_entries() const noexcept {
        std::size_t count = 0;
        for (std::size_t at = 0; at < size_; ++at) {
            count += static_cast<std::size_t>(std::popcount(table_[at].holes() ^ Bucket::kAll));
        }
        return count;
    }

    /// Counts the times that an entry went past a bucket, for `check`: what `distance` of all entries must add up to.
    std::uint64_t count_gone_past() const noexcept {
        std::uint64_t count = 0;
        for (std::size_t at = 0; at < size_; ++at) {
            count += table_[at].gone_past();
        }
        return count;
    }

    /// How many buckets past its home an entry is.
    std::uint32_t distance(std::uint64_t hash, const Found& found) const noexcept {
        const std::uint32_t home = home_of(hash);
        const auto size = size_;
        return found.bucket >= home ? found.bucket - home : found.bucket + size - home;
    }

    std::size_t bytes() const noexcept { return buckets_.bytes(); }
    void swap(IdIndex& other) noexcept {
        buckets_.swap(other.buckets_);
        std::swap(table_, other.table_);
        std::swap(size_, other.size_);
        std::swap(tag_mask_, other.tag_mask_);
    }

private:
    static constexpr std::uint32_t kEntries = 15;
    /// Entries a bucket when every slot is used: few enough that one bucket in fifty is ever full.
    static constexpr std::size_t kMeanEntries = 9;

    struct alignas(64) Bucket {
        static constexpr std::uint32_t kAll = (1U << kEntries) - 1;

        /// Zero is no entry, so that fresh memory is an empty table. The last word counts the entries gone past.
        std::uint32_t entries[kEntries + 1];

        std::uint32_t gone_past() const noexcept { return entries[kEntries]; }

        /// The entries that are zero, as bits.
        template <class Search = PlainSearch>
        std::uint32_t holes() const noexcept {
            return matching<Search>(0, ~std::uint32_t{0});
        }

        /// The entries that equal `wanted` under `mask`, as bits.
        template <class Search = PlainSearch>
        std::uint32_t matching(std::uint32_t wanted, std::uint32_t mask) const noexcept {
            return Search::equal16(entries, wanted, mask) & kAll;
        }
    };
    static_assert(sizeof(Bucket) == 64);

    /// The whole search, for the few that meet a foreign tag or a full bucket.
    template <class IsIt>
    TOUCHLINE_APART Found find_far(std::uint64_t hash, std::uint32_t home, IsIt&& is_it) const noexcept {
        const std::uint32_t tag = tag_of(hash);
        for (std::uint32_t at = home;;) {
            const Bucket& bucket = table_[at];
            for (std::uint32_t matches = bucket.matching(tag, tag_mask_); matches != 0; matches &= matches - 1) {
                const auto place = static_cast<std::uint32_t>(std::countr_zero(matches));
                const std::uint32_t slot = (bucket.entries[place] & ~tag_mask_) - 1;
                if (is_it(slot)) {
                    return {slot, at, place};
                }
            }
            at = after(at);
            // Once round is enough: entries that have come and gone may leave every bucket with someone gone past.
            if (bucket.gone_past() == 0 || at == home) {
                return {kNone, 0, 0};
            }
        }
    }

    static std::size_t buckets_for(std::size_t orders) noexcept { return orders / kMeanEntries + 1; }

    /// Never zero, so that no tag fits a hole.
    std::uint32_t tag_of(std::uint64_t hash) const noexcept {
        return (static_cast<std::uint32_t>(hash) | 0x8000'0000U) & tag_mask_;
    }

    std::uint32_t home_of(std::uint64_t hash) const noexcept {
        return static_cast<std::uint32_t>(((hash >> 32) * size_) >> 32);
    }

    std::uint32_t after(std::uint32_t bucket) const noexcept {
        return bucket + 1 == size_ ? 0 : bucket + 1;
    }

    /// What a table without memory looks like. Never written to: there is no room for an order then.
    static inline Bucket empty_{};

    Storage<Bucket> buckets_;
    Bucket* table_ = &empty_;
    std::uint32_t size_ = 1;
    std::uint32_t tag_mask_ = ~std::uint32_t{0};
};

}  // namespace touchline
