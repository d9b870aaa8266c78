// A leaf of the level index: fifteen places for levels, on three lines of cache.
//
// A level keeps its place while others come and go. The order of the places is one 64-bit word of 4-bit places by rank, so
// that a level comes or goes by shifting that word, and a search compares keys where they lie. There is no place fifteen:
// it fills the word behind the last rank, so that the word tells how many there are, and shifting keeps it so.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>

#include "touchline/blocks.hpp"

namespace touchline {

struct alignas(64) LevelLeaf {
    static constexpr std::uint32_t kPlaces = 15;
    static constexpr std::uint32_t kAllPlaces = (1U << kPlaces) - 1;
    /// What `order` says of a rank that there is none of.
    static constexpr std::uint32_t kNoPlace = 15;
    static constexpr std::int64_t kGreatest = std::numeric_limits<std::int64_t>::max();

    std::int64_t keys[kPlaces];
    /// Four bits a rank: the place of the level with that rank, or `kNoPlace`.
    std::uint64_t order;
    std::uint32_t refs[kPlaces];
    /// The places without a level, as bits.
    std::uint16_t free;
    std::uint16_t side : 1;
    std::uint16_t group : 15;

    /// How many levels there are.
    std::uint32_t count() const noexcept { return (live_bits() + 3) / 4; }

    std::uint32_t place_at(std::uint32_t rank) const noexcept {
        return static_cast<std::uint32_t>(order >> (rank * 4)) & 15;
    }

    /// The place of the level with the last rank; there must be one.
    std::uint32_t last_place() const noexcept {
        return static_cast<std::uint32_t>(order >> ((live_bits() - 1) & ~3U)) & 15;
    }

    /// Gives a free place the rank `rank`, and those from there on the next ones. There must be one.
    std::uint32_t open(std::uint32_t rank) noexcept {
        const std::uint32_t places = free;
        const auto place = static_cast<std::uint32_t>(std::countr_zero(places));
        free = static_cast<std::uint16_t>(places & (places - 1));
        const std::uint64_t below = order & bits(rank);
        order = below | std::uint64_t{place} << (rank * 4) | (order ^ below) << 4;
        return place;
    }

    /// Frees a place.
    void close(std::uint32_t place) noexcept {
        // The rank is where the word has that digit: the first zero digit of the word less that digit everywhere.
        const std::uint64_t difference = order ^ place * 0x1111'1111'1111'1111ULL;
        const std::uint64_t zeros = (difference - 0x1111'1111'1111'1111ULL) & ~difference & 0x8888'8888'8888'8888ULL;
        const std::uint64_t below = bits(static_cast<std::uint32_t>(std::countr_zero(zeros)) / 4);
        order = (order & below) | (behind(1) & ~below);
        bury(place);
    }

    /// Frees the place with the last rank.
    void close_last() noexcept {
        const std::uint32_t shift = (live_bits() - 1) & ~3U;
        const std::uint32_t place = static_cast<std::uint32_t>(order >> shift) & 15;
        order |= std::uint64_t{15} << shift;
        bury(place);
    }

    /// Takes the first `ranks` ranks away, whose places have been buried.
    void drop_first(std::uint32_t ranks) noexcept { order = behind(ranks); }

    /// Takes the ranks from `rank` on away, whose places have been buried.
    void drop_last(std::uint32_t rank) noexcept { order |= ~bits(rank); }

    /// Marks a place as free, whatever its rank.
    void bury(std::uint32_t place) noexcept {
        keys[place] = kGreatest;
        free = static_cast<std::uint16_t>(free | 1U << place);
    }

    void clear() noexcept {
        order = ~std::uint64_t{0};
        free = kAllPlaces;
        std::fill(std::begin(keys), std::end(keys), kGreatest);
    }

    /// All bits of the first `ranks` ranks, up to fifteen.
    static std::uint64_t bits(std::uint32_t ranks) noexcept { return (std::uint64_t{1} << (ranks * 4)) - 1; }

private:
    /// The bits of the word up to the last that is not of `kNoPlace` everywhere behind.
    std::uint32_t live_bits() const noexcept { return static_cast<std::uint32_t>(std::bit_width(~order)); }

    /// The word without its first `ranks` ranks, up to fifteen: the sign bit is one and fills it up with `kNoPlace`.
    std::uint64_t behind(std::uint32_t ranks) const noexcept {
        return static_cast<std::uint64_t>(static_cast<std::int64_t>(order) >> (ranks * 4));
    }
};
static_assert(sizeof(LevelLeaf) == Blocks::kBytes);

}  // namespace touchline
