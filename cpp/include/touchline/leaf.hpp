// The parts of the level index: leaves of fifteen places for levels, on three lines of cache, and groups of leaves.
//
// A level keeps its place while others come and go. The order of the places is one 64-bit word of 4-bit places by rank, so
// that a level comes or goes by shifting that word, and a search compares keys where they lie.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>

#include "touchline/blocks.hpp"

// Searches have a second body for processors with AVX2, chosen at run time: 64-bit numbers cannot be compared four at a
// time without it, and a program built for every x86-64 may still use it where it is.
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define TOUCHLINE_AVX2 1
#include <immintrin.h>
#endif

namespace touchline {

#if defined(TOUCHLINE_AVX2)
/// Four times four answers of a comparison as bits, two for each: in an order of the processor's own, but for the last,
/// which is on top.
[[gnu::target("avx2,popcnt")]] inline std::uint32_t bits_of(__m256i one, __m256i two, __m256i three,
                                                            __m256i four) noexcept {
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(one, two), _mm256_packs_epi32(three, four));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes));
}

/// The last of sixteen ascending numbers that is at most `key`; -1 when none is.
[[gnu::target("avx2,popcnt")]] inline std::uint32_t last_up_to16(const std::int64_t* numbers, __m256i key) noexcept {
    const auto* const fours = reinterpret_cast<const __m256i*>(numbers);
    const std::uint32_t above = bits_of(_mm256_cmpgt_epi64(_mm256_loadu_si256(fours), key),
                                        _mm256_cmpgt_epi64(_mm256_loadu_si256(fours + 1), key),
                                        _mm256_cmpgt_epi64(_mm256_loadu_si256(fours + 2), key),
                                        _mm256_cmpgt_epi64(_mm256_loadu_si256(fours + 3), key));
    return 15 - static_cast<std::uint32_t>(__builtin_popcount(above)) / 2;
}
#endif

struct alignas(64) LevelLeaf {
    static constexpr std::uint32_t kPlaces = 15;
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    std::int64_t keys[kPlaces];
    /// Four bits a rank: the place of the level with that rank; beyond `count`, the places that are free.
    std::uint64_t order;
    std::uint32_t refs[kPlaces];
    std::uint32_t count : 8;
    std::uint32_t side : 1;
    std::uint32_t group : 23;

    std::uint32_t place_at(std::uint32_t rank) const noexcept {
        return static_cast<std::uint32_t>(order >> (rank * 4)) & 15;
    }

    /// How many keys are below `key`: two rounds of comparisons that do not wait for each other.
    std::uint32_t rank_of(std::int64_t key) const noexcept {
        const std::uint64_t word = order;
        const auto is_below = [&](std::uint32_t rank) {
            return static_cast<std::uint32_t>(keys[word >> (rank * 4) & 15] < key);
        };
        const std::uint32_t base = 4 * (is_below(3) + is_below(7) + is_below(11));
        return base + is_below(base) + is_below(base + 1) + is_below(base + 2);
    }

#if defined(TOUCHLINE_AVX2)
    /// As `rank_of`, by comparing all.
    [[gnu::target("avx2,popcnt")]] std::uint32_t rank_avx2(__m256i key) const noexcept {
        // The sixteenth number of the lines is the order word and counts for nothing; dead places hold the greatest key.
        const auto* const fours = reinterpret_cast<const __m256i*>(this);
        const std::uint32_t below = bits_of(_mm256_cmpgt_epi64(key, _mm256_load_si256(fours)),
                                            _mm256_cmpgt_epi64(key, _mm256_load_si256(fours + 1)),
                                            _mm256_cmpgt_epi64(key, _mm256_load_si256(fours + 2)),
                                            _mm256_cmpgt_epi64(key, _mm256_load_si256(fours + 3)));
        return static_cast<std::uint32_t>(__builtin_popcount(below & 0x3FFF'FFFF)) / 2;
    }
#endif

    /// Gives a free place the rank `rank`, and those from there on the next ones. There must be one.
    std::uint32_t open(std::uint32_t rank) noexcept {
        const std::uint64_t place = place_at(count);
        const std::uint64_t below = bits(rank);
        const std::uint64_t above = ~bits(count + 1U);
        order = (order & below) | place << (rank * 4) | ((order & ~below & ~above) << 4 & ~above) | (order & above);
        count = (count + 1U) & 0xFF;
        return static_cast<std::uint32_t>(place);
    }

    /// Frees a place.
    void close(std::uint32_t place) noexcept {
        // The rank is where the word has that digit: the first zero digit of the word less that digit everywhere.
        const std::uint64_t difference = order ^ place * 0x1111'1111'1111'1111ULL;
        const std::uint64_t zeros = (difference - 0x1111'1111'1111'1111ULL) & ~difference & 0x8888'8888'8888'8888ULL;
        const auto rank = static_cast<std::uint32_t>(std::countr_zero(zeros)) / 4;
        count = (count - 1U) & 0xFF;
        const std::uint64_t below = bits(rank);
        const std::uint64_t above = ~bits(count + 1U);
        order = (order & below) | (order >> 4 & ~below & bits(count)) |
                static_cast<std::uint64_t>(place) << (count * 4) | (order & above);
        keys[place] = kGreatest;
    }

    /// Frees the places of the first `ranks` ranks, whose keys are dead already.
    void drop_first(std::uint32_t ranks) noexcept {
        const std::uint64_t first = order & bits(ranks);
        order = (order & ~bits(kPlaces)) | (order & bits(kPlaces)) >> (ranks * 4) | first << ((kPlaces - ranks) * 4);
        count = (count - ranks) & 0xFF;
    }

    /// Gives free places the first `ranks` ranks, one at least. There must be so many.
    void make_front(std::uint32_t ranks) noexcept {
        const std::uint64_t above = ~bits(count + ranks);
        const std::uint64_t fresh = order >> (count * 4) & bits(ranks);
        order = (order & above) | (order & bits(count)) << (ranks * 4) | fresh;
        count = (count + ranks) & 0xFF;
    }

    void clear() noexcept {
        order = 0xFEDC'BA98'7654'3210ULL;
        count = 0;
        std::fill(std::begin(keys), std::end(keys), kGreatest);
    }

    /// All bits of the first `ranks` ranks, up to fifteen.
    static std::uint64_t bits(std::uint32_t ranks) noexcept { return (std::uint64_t{1} << (ranks * 4)) - 1; }
};
static_assert(sizeof(LevelLeaf) == Blocks::kBytes);

/// Leaves side by side, and what parts them.
struct alignas(64) LevelGroup {
    static constexpr std::uint32_t kGroupLeaves = 512;
    static constexpr std::uint32_t kStride = 32;
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    /// Every 32nd of `low`.
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
        resample();
    }

    void resample() noexcept {
        for (std::uint32_t at = 0; at < kGroupLeaves / kStride; ++at) {
            sample[at] = low[at * kStride];
        }
    }
};

}  // namespace touchline
